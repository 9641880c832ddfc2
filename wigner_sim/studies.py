"""The convergence studies that measure the package: small crystals, and how far each is dilated.

None has a symmetry that would make a term of the equation vanish, all are smooth on their grids, and all
gaps are large enough for the dilations used to lie in the asymptotic range of the expansion.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wigner_sim.convergence import Start


@dataclass(frozen=True)
class Study:
    """A case and the dilations at which its errors are measured.

    Parameters
    ----------
    title : str
    case : mapping
        As in a case file.
    dilations : tuple of float
    quick : tuple of float, optional
        Two dilations that take seconds, with rougher slopes; None if there are none.
    start : {"exact", "case"}
        As in ``convergence.converge``.
    """

    title: str
    case: Mapping[str, Any]
    dilations: tuple[float, ...]
    quick: tuple[float, float] | None
    start: Start = "exact"


def _written_out(text: str) -> str:
    """A formula with X for ``2 pi x/L``, Y for ``2 pi y/L_y``, and R for a slow ramp spelled out.

    R rises from 0 at t = 0 to 1 at t = 8.  Its first three derivatives vanish at the start, so that the exact
    state can follow the dressed band from there, and none is large (as they are in C-infinity ramps).
    """
    for name, meaning in {"X": "(2*pi*x/Lx)", "Y": "(2*pi*y/Ly)", "R": "sin(pi*t/16)**4"}.items():
        text = text.replace(name, meaning)
    return text


def _case(
    sites: tuple[int, ...],
    n_x: int,
    n_k: tuple[int, ...],
    end: float,
    hamiltonian: Mapping[str, Any],
    occupation: str | None = None,
    **sections: Any,
) -> dict[str, Any]:
    """A case from its numbers, its crystal and its occupation symbol c."""
    grid = {"sites": sites, "n_x": (n_x,) * len(sites), "n_k": n_k, **sections.pop("grid", {})}
    case: dict[str, Any] = {"grid": grid, "hamiltonian": hamiltonian, "time": {"end": end}}
    if occupation is not None:
        case["initial_state"] = {"kind": "symbol", "c": _written_out(occupation)}
    return {**case, **sections}


def _two_orbitals(*components: str) -> dict[str, Any]:
    """``H = u + d . sigma``, each of u, d_1, d_2, d_3 written as ``"f(x, t) | g(k) ; ..."``."""
    terms = []
    for matrix, component in zip(("sigma_0", "sigma_x", "sigma_y", "sigma_z"), components, strict=True):
        for product in component.split(";"):
            f, _, g = product.partition("|")
            terms.append({"x": _written_out(f.strip()), "k": g.strip() or "1", "matrix": matrix})
    return {"source": "terms", "terms": terms}


def _named(model: str, potential: str, **parameters: Any) -> dict[str, Any]:
    """A named model whose parameters may be formulas."""
    parameters = {
        key: _written_out(value) if isinstance(value, str) else value for key, value in parameters.items()
    }
    return {"source": f"named:{model}", "parameters": parameters, "potential": _written_out(potential)}


_LINE = "exp(0.8*cos(X - 0.5) + 0.6*cos(k - 1) + 0.3*sin(X + k))"
_STRIPE = "exp(0.8*cos(X - 0.5) + 0.5*cos(kx - 1) + 0.4*cos(ky + 0.3) + 0.3*sin(X + ky))"
_PLANE = (
    "1.5 + 0.4*cos(X - 0.5) + 0.3*cos(Y + 0.4) + 0.4*cos(kx - 1) + 0.3*cos(ky + 0.3)"
    " + 0.3*sin(X + ky) + 0.2*sin(Y + kx)"
)
_SPACE = (
    "1.5 + 0.5*cos(X - 0.5) + 0.4*cos(kx - 1) + 0.3*cos(ky + 0.3) + 0.3*cos(kz - 0.4)"
    " + 0.3*sin(X + ky) + 0.2*sin(X + kz)"
)

_TEXTURE = {"source": "named:two_band_texture"}
_DRIVEN_TEXTURE = _two_orbitals(
    "0.3*cos(X)",
    "1.2 + 0.2*cos(X) + 0.15*R; 0.5 | cos(k)",
    "0.2*sin(X) + 0.2*R; 0.5 + 0.1*cos(X) | sin(k); 0.1*sin(X) | cos(k)",
    "0.3*sin(X) - 0.15*R; 0.3 + 0.1*R*sin(X) | cos(k)",
)
_THREE_ORBITALS = _named(
    "trimer",
    "0.3*cos(X)",
    e1="1.6 + 0.2*cos(X)",
    e2="0.1*sin(X)",
    e3="-1.5 + 0.2*sin(X - 0.4)",
    t12="0.5 + 0.1*sin(X)",
    t23=0.5,
    t31=0.4,
    orbital_positions=[0.0, 0.3, 0.6],
)
_STRIPE_TEXTURE = _two_orbitals(
    "0.3*cos(X)",
    "0.1*sin(X); 0.3 | sin(kx)",
    "0.1*cos(X) | cos(kx); -0.1*sin(X) | sin(kx); 0.3 | sin(ky)",
    "1.3 + 0.15*sin(X); -0.25 | cos(kx) + cos(ky)",
)
_STRIPE_POTENTIAL = _two_orbitals(
    "0.3*cos(X)", "0.3 | sin(kx)", "0.3 | sin(ky)", "1.3; -0.25 | cos(kx) + cos(ky)"
)
_PLANE_TEXTURE = _two_orbitals(
    "0.4*cos(X) + 0.3*cos(Y)",
    "0.15*sin(X); 0.4 | sin(kx)",
    "0.15*cos(Y); 0.4 | sin(ky)",
    "1.6 + 0.2*sin(X + Y); -0.15 | cos(kx) + cos(ky)",
)
_SPACE_TEXTURE = _two_orbitals(
    "0.4*cos(X)",
    "0.15*sin(X); 0.3 | sin(kx)",
    "0.15*cos(X); 0.3 | sin(ky); 0.1 | sin(kz)",
    "1.6 + 0.2*sin(X); -0.15 | cos(kx) + cos(ky) + cos(kz)",
)
_TWO_PI = 2 * math.pi

#: name -> study, the cheap ones first.
STUDIES: dict[str, Study] = {
    "texture": Study(
        "texture",
        _case((24,), 64, (64,), 3.8, _TEXTURE, _LINE),
        (2, 3, 4.5, 6),
        (2, 3),
    ),
    "thermal": Study(
        "thermal state of n_F(H)",
        _case(
            (24,), 64, (64,), 3.8, _TEXTURE,
            initial_state={"kind": "thermal", "mu": -1.4, "temperature": 0.4},
        ),
        (2, 3, 4.5, 6),
        (2, 3),
        start="case",
    ),
    "three_orbitals": Study(
        "three orbitals, upper band",
        _case((24,), 64, (64,), 3.8, _THREE_ORBITALS, _LINE, bands={"select": (2,)}),
        (2, 3, 4.5, 6),
        (2, 3),
    ),
    "driven": Study(
        "driven texture H(x, k, t)",
        _case((24,), 48, (48,), 8.0, _DRIVEN_TEXTURE, _LINE),
        (2, 3, 4),
        (1, 1.5),
    ),
    "force": Study(
        "texture and uniform force F(t)",
        _case(
            (24,), 48, (48,), 8.0,
            _TEXTURE | {"force": (_written_out("0.06*R"),)},
            _LINE,
        ),
        (2, 3, 4),
        (1, 1.5),
    ),
    "stripe_in_field": Study(
        "texture, field B",
        _case(
            (24,), 32, (32, 32), 3.8, _STRIPE_TEXTURE, _STRIPE, grid={"magnetic_field": _TWO_PI / 24}
        ),
        (2.25, 3.5, 5),
        (1, 1.5),
    ),
    "potential_in_field": Study(
        "H0(k) + U(x), field B",
        _case(
            (24,), 32, (32, 32), 3.8, _STRIPE_POTENTIAL, _STRIPE,
            grid={"magnetic_field": _TWO_PI / 24},
        ),
        (3, 4.5, 6),
        (1, 1.5),
    ),
    "haldane": Study(
        "Haldane lattice with m(x)",
        _case(
            (24,), 32, (48, 48), 3.8,
            _named("haldane", "0.2*sin(X)", t1=0.6, t2=0.2, mass="0.2 + 0.2*cos(X)"),
            _STRIPE,
        ),
        (2, 3, 4.5),
        (1, 1.5),
    ),
    "space_in_field": Study(
        "texture, tilted field B",
        _case(
            (16,), 16, (16, 16, 16), 2.0, _SPACE_TEXTURE, _SPACE,
            grid={"magnetic_field": (0.0, -_TWO_PI / 16, _TWO_PI / 16)},
        ),
        (1.5, 2.25, 3),
        None,
    ),
    "plane": Study(
        "texture",
        _case((10, 10), 16, (16, 16), 1.0, _PLANE_TEXTURE, _PLANE),
        (2, 2.4, 3),
        (1.4, 1.8),
    ),
    "plane_in_field": Study(
        "texture, field B",
        _case(
            (10, 10), 16, (16, 16), 1.0, _PLANE_TEXTURE, _PLANE,
            grid={"magnetic_field": _TWO_PI * 5 / 100},
        ),
        (2, 2.4, 2.8),
        (1, 1.4),
    ),
}  # fmt: skip
