"""Write the Wannier90 files of this case: the pz orbitals of a gapped graphene.

    python cases/graphene_wannier/make_model.py [DIRECTORY]

Hoppings fall off with distance, t(r) = -2.7 eV exp(-3.37 (r/1.42 A - 1)) (Pereira, Castro Neto, Peres, Phys.
Rev. B 80, 045401 (2009), section II), up to the third neighbours; the two sublattices lie at +-1 eV, half-way
to boron nitride, so that a gap of 2 eV separates the bands.  Those in graphene_band.dat come from structure
factors of the three shells, not from the file they are there to check.
"""

import sys
from itertools import pairwise, product
from pathlib import Path

import numpy as np

BOND, DECAY, HOPPING, MASS = 1.42, 3.37, 2.7, 1.0  # angstrom, 1, eV, eV
A = BOND * np.sqrt(3)
LATTICE = np.array([[A * np.sqrt(3) / 2, -A / 2, 0.0], [0.0, A, 0.0], [0.0, 0.0, 15.0]])
CENTRES = np.array([[1 / 3, 2 / 3, 0.5], [2 / 3, 1 / 3, 0.5]]) @ LATTICE
CELLS = [(i, j, 0) for i, j in product(range(-2, 3), repeat=2)]
PAIRS = list(product((0, 1), repeat=2))
PATH = [(0.0, 0.0), (1 / 3, 1 / 3), (0.5, 0.0), (0.0, 0.0)]  # Gamma, K, M, Gamma


def hopping(distance: float) -> float:
    """Hopping between two pz orbitals in eV."""
    return -HOPPING * np.exp(-DECAY * (distance / BOND - 1)) if 0 < distance < 2.1 * BOND else 0.0


def block(cell: tuple[int, int, int]) -> np.ndarray:
    """<0, i|H|R, j>."""
    vectors = np.array(cell) @ LATTICE + CENTRES[None, :] - CENTRES[:, None]
    matrix = np.vectorize(hopping)(np.linalg.norm(vectors, axis=-1))
    return matrix + np.diag([MASS, -MASS]) * (cell == (0, 0, 0))


def bands(points: np.ndarray) -> np.ndarray:
    """Both bands at reduced momenta (p, 2): three shells of neighbours, summed by hand."""
    one, two = 2 * np.pi * points.T
    same = 2 * (np.cos(one) + np.cos(two) + np.cos(one + two)) * hopping(A)
    near = 1 + np.exp(-1j * one) + np.exp(1j * two)
    far = np.exp(1j * (two - one)) + np.exp(1j * (one + two)) + np.exp(-1j * (one + two))
    off = np.abs(near * hopping(BOND) + far * hopping(2 * BOND))
    return same + np.sqrt(MASS**2 + off**2) * np.array([[-1.0], [1.0]])


def columns(*groups: tuple[str, list[float]]) -> str:
    """One line: each number in the format of its group."""
    return "".join(format(value, form) for form, values in groups for value in values)


def write_tb(path: Path) -> None:
    """As Wannier90 does with write_tb = true."""
    lines = [" written by make_model.py", *(columns(("14.8f", row)) for row in LATTICE)]
    lines += [f"{len(CENTRES):12d}", f"{len(CELLS):12d}"]
    ones = [f"{1:5d}"] * len(CELLS)
    lines += ["".join(ones[start : start + 15]) for start in range(0, len(ones), 15)]
    for cell in CELLS:
        matrix = block(cell)
        lines += ["", columns(("5d", cell))]
        lines += [columns(("5d", [i + 1, j + 1]), ("20.10E", [matrix[i, j], 0.0])) for j, i in PAIRS]
    for cell in CELLS:
        lines += ["", columns(("5d", cell))]
        for j, i in PAIRS:
            x, y, z = CENTRES[i] if i == j and cell == (0, 0, 0) else np.zeros(3)
            lines.append(columns(("5d", [i + 1, j + 1]), ("20.10E", [x, 0.0, y, 0.0, z, 0.0])))
    path.write_text("\n".join(lines) + "\n")


def write_bands(directory: Path) -> None:
    """Bands along Gamma, K, M, Gamma, as Wannier90 does with bands_plot = true."""
    legs = [np.linspace(start, end, 40, endpoint=False) for start, end in pairwise(PATH)]
    points = np.vstack([*legs, PATH[-1:]])
    reciprocal = 2 * np.pi * np.linalg.inv(LATTICE[:2, :2]).T
    steps = np.linalg.norm(np.diff(points @ reciprocal, axis=0), axis=1)
    distance = np.concatenate([[0.0], np.cumsum(steps)])
    kpt = [f"{len(points):12d}", *(columns(("12.8f", [*k, 0.0, 1.0])) for k in points)]
    (directory / "graphene_band.kpt").write_text("\n".join(kpt) + "\n")
    rows = [
        "\n".join(columns(("16.8E", pair)) for pair in np.array([distance, band]).T) for band in bands(points)
    ]
    (directory / "graphene_band.dat").write_text("\n\n".join(rows) + "\n\n")


if __name__ == "__main__":
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    write_tb(directory / "graphene_tb.dat")
    write_bands(directory)
