"""Kinetic theory at order 2 against exact Liouville-von Neumann dynamics of the same crystal.

    python benchmarks/bench_exact.py [--quick] [--sites 12,16,24]

A band of N x N sites x 2 orbitals under a potential of one period, followed for T = 4.  Every candidate
delivers f(x, k) at the end; the kinetic one on the coarsest grid that is within 1e-3 of the exact one.  Exact
candidates: the package (one eigendecomposition, occupied subspace), the textbook (numpy's eigh of H, full
rho), and RK4 of the sparse commutator with the largest safe step; qutip's mesolve where it is installed.
"""

import importlib.util
from functools import partial
from pathlib import Path

import numpy as np
import scipy.sparse
from harness import Report, Table, alternate, medians, parser, peak_memory

from wigner_sim.case import Case
from wigner_sim.exact_runs import exact_partner, exact_snapshots
from wigner_sim.liouville import band_projector
from wigner_sim.observables import BandState
from wigner_sim.problem import build_problem
from wigner_sim.propagator import Propagator
from wigner_sim.weyl import interpolation_matrix, operator_to_symbol, symbol_to_operator

DURATION = 4.0
AGREEMENT = 1e-3
STATE = "exp(cos(2*pi*x/Lx - 1) + cos(2*pi*y/Ly) - 2 + 0.7*(cos(kx - 1) + cos(ky)) - 1.4)"


def problem_of(n_sites, n_x, n_k):
    """The crystal on a phase-space grid."""
    case = {
        "title": "packet in a Chern band",
        "grid": {"sites": [n_sites] * 2, "n_x": [n_x] * 2, "n_k": [n_k] * 2},
        "hamiltonian": {
            "source": "named:qi_wu_zhang",
            "parameters": {"mass": 3.0},
            "potential": "0.3*cos(2*pi*x/Lx) + 0.3*cos(2*pi*y/Ly)",
        },
        "initial_state": {"kind": "symbol", "c": STATE},
        "time": {"end": DURATION, "stepper": "blanes_moan4", "tolerance": AGREEMENT / 10},
    }
    return build_problem(Case.from_dict(case, Path(__file__)))


# --- candidates: each returns a callable that delivers f at the end ---


def kinetic(n_sites, n_x, n_k):
    problem = problem_of(n_sites, n_x, n_k)

    def run():
        stack = problem.stack()
        w = problem.initial_density(stack)
        step = problem.choose_step(stack, w, problem.tolerance)
        final = Propagator(stack, problem.stepper, w, step.dt).advance_to(DURATION)
        return BandState(stack.bands[0].effective(DURATION), final[0]).f

    return run


def package(n_sites, n_x, n_k):
    problem = problem_of(n_sites, n_x, n_k)

    def run():
        (snapshot,) = exact_snapshots(problem, 0, [DURATION], exact_partner(problem))
        return snapshot.distribution

    return run


def _matrices(n_sites, n_x, n_k):
    """H, Pi, rho(0) and what turns a density matrix into f."""
    problem = problem_of(n_sites, n_x, n_k)
    h, tau, sites = problem.hamiltonian, problem.hamiltonian.orbital_positions, (n_sites,) * 2
    operator = exact_partner(problem).operator()
    occupied = symbol_to_operator(problem.initial_states[0].occupation, sites, tau)
    return (
        operator,
        occupied,
        h,
        sites,
        lambda rho: operator_to_symbol(rho, problem.grid, tau, trace=True).real,
    )


def textbook(n_sites, n_x, n_k):
    """One dense eigendecomposition, the lower half of the states, the full density matrix."""
    operator, occupied, _, _, symbol = _matrices(n_sites, n_x, n_k)

    def run():
        energies, vectors = np.linalg.eigh(operator)
        band = vectors[:, : len(operator) // 2]
        projector = band @ band.conj().T
        rho = projector @ occupied @ projector
        u = (vectors * np.exp(-1j * energies * DURATION)) @ vectors.conj().T
        return symbol(u @ rho @ u.conj().T)

    return run


def commutator(n_sites, n_x, n_k):
    """RK4 of ``-i [H, rho]`` with sparse H; the state is given."""
    operator, occupied, h, sites, symbol = _matrices(n_sites, n_x, n_k)
    band = band_projector(operator, h, sites)
    rho_0 = band.matrix @ occupied @ band.matrix
    sparse = scipy.sparse.csr_array(np.where(np.abs(operator) > 1e-14, operator, 0))
    width = float(np.ptp(np.linalg.eigvalsh(operator)))  # rates of coherences; RK4 is stable up to 2.8/width
    n_steps = int(np.ceil(DURATION * width / 2))
    h_step = DURATION / n_steps

    def rate(rho):
        half = sparse @ rho
        return -1j * (half - half.conj().T)

    def run():
        rho = rho_0
        for _ in range(n_steps):
            k_1 = rate(rho)
            k_2 = rate(rho + h_step / 2 * k_1)
            k_3 = rate(rho + h_step / 2 * k_2)
            rho = rho + h_step / 6 * (k_1 + 2 * k_2 + 2 * k_3 + rate(rho + h_step * k_3))
        return symbol(rho)

    return run


def mesolve(n_sites, n_x, n_k):
    import qutip

    operator, occupied, h, sites, symbol = _matrices(n_sites, n_x, n_k)
    projector = band_projector(operator, h, sites).matrix
    system = qutip.Qobj(np.where(np.abs(operator) > 1e-14, operator, 0)).to("CSR")
    rho = qutip.Qobj(projector @ occupied @ projector)
    options = {"store_states": True, "rtol": AGREEMENT / 100, "atol": 1e-8}
    return lambda: symbol(qutip.mesolve(system, rho, [0, DURATION], options=options).states[-1].full())


CANDIDATES = {"kinetic": kinetic, "package": package, "textbook": textbook, "commutator": commutator}
if importlib.util.find_spec("qutip"):
    CANDIDATES["mesolve"] = mesolve


#: Largest lattice of the candidates that take minutes beyond it.
LARGEST = {"commutator": 24, "mesolve": 16}

# --- measurement ---


def error_of(f, reference):
    """Largest difference over the largest f; a coarser f is interpolated to the points of the reference."""
    for axis in range(4):
        given, wanted = (np.arange(n) / n for n in (f.shape[axis], reference.shape[axis]))
        f = np.moveaxis(np.tensordot(interpolation_matrix(given, 1.0, wanted), f, axes=(1, axis)), 0, axis)
    return float(np.abs(f - reference).max() / np.abs(reference).max())


def smallest_grid(n_sites, reference):
    """Coarsest grid (n_x, n_k) on which kinetic theory agrees with the exact f, cheapest first."""
    tried = []
    for n_x, n_k in ((10, 16), (12, 20), (14, 20), (16, 24)):
        error = error_of(kinetic(n_sites, n_x, n_k)(), reference)
        tried.append((error, n_x, n_k))
        if error <= AGREEMENT:
            break
    error, n_x, n_k = min(tried) if tried[-1][0] > AGREEMENT else tried[-1]
    return n_x, n_k, error


def _keep(results, name, run):
    results[name] = run()


def measure(n_sites, repeats, clock):
    """Rows of one lattice."""
    n = max(n_sites, 24)
    reference = package(n_sites, n, n)()
    n_x, n_k, error = smallest_grid(n_sites, reference)
    names = [name for name in CANDIDATES if n_sites <= LARGEST.get(name, n_sites)]
    grids = {name: (n_x, n_k) if name == "kinetic" else (n_sites, n_sites) for name in names}
    ready = {name: CANDIDATES[name](n_sites, *grids[name]) for name in names}
    results = {}
    keeping = {name: partial(_keep, results, name, run) for name, run in ready.items()}
    seconds = medians(alternate(keeping, repeats, 0, clock))
    errors = {name: error_of(f, results["package"]) for name, f in results.items()} | {"kinetic": error}
    rows = []
    for name in names:
        memory = peak_memory(__file__, name, n_sites, *grids[name])
        rows.append(
            {
                "sites": f"{n_sites}x{n_sites}",
                "candidate": name,
                "grid": "x".join(map(str, (n_x, n_x, n_k, n_k))) if name == "kinetic" else "",
                "error": errors[name],
                "seconds": seconds[name],
                "ratio": seconds[name] / seconds["kinetic"],
                "MB": memory.working / 2**20,
            }
        )
    return rows


def trend(rows, n_sites=48):
    """Time and memory at another size, by the power laws of the largest two, at most the asymptotic ones.

    The grid of the kinetic run does not grow with the crystal: its cost stays.
    """
    found = []
    for name in CANDIDATES:
        chosen = [row for row in rows if row["candidate"] == name][-2:]
        if len(chosen) < 2:  # measured on the smallest lattice only
            continue
        sizes = [int(row["sites"].split("x")[0]) for row in chosen]
        row = {"sites": f"{n_sites}x{n_sites}", "candidate": name}
        for key, steepest in (("seconds", 4 if name == "commutator" else 6), ("MB", 4)):
            a, b = (max(r[key], 1e-6) for r in chosen)
            power = 0.0 if name == "kinetic" else min(steepest, np.log(b / a) / np.log(sizes[1] / sizes[0]))
            row[key], row[f"power of N ({key})"] = float(b * (n_sites / sizes[1]) ** power), float(power)
        found.append(row)
    return found


def main():
    options = parser(__doc__)
    options.add_argument("--sites", type=lambda text: [int(word) for word in text.split(",")])
    chosen = options.parse_args()
    sizes = chosen.sites or ([12, 16] if chosen.quick else [12, 16, 24])
    report, rows = Report("exact"), []
    for n_sites in sizes:
        rows += measure(n_sites, min(chosen.repeats, 3), chosen.clock)
    note = (
        "error: largest difference from the exact f over its maximum; seconds: median, with set-up of the "
        "equation or of the eigenstates (textbook and commutator get their matrices); MB: peak above set-up."
    )
    columns = ("sites", "candidate", "grid", "error", "seconds", "ratio", "MB")
    report.add(Table("Order 2 against exact dynamics, f(x, k) at T = 4", columns, rows, note))
    if len(sizes) > 1:
        columns = ("sites", "candidate", "seconds", "power of N (seconds)", "MB", "power of N (MB)")
        report.add(
            Table(
                "Trend",
                columns,
                trend(rows),
                "extrapolated from the two largest sizes; kinetic: the same grid",
            )
        )
    print(report.save(chosen.output))


if __name__ == "__main__":
    main()
