"""The same kinetic equation by other means: pyfftw, numpy, jax, dedalus, where they are installed.

    python benchmarks/bench_peers.py [--quick] [--points 32] [--clock cpu]

A packet in ``H = -cos kx - cos ky + U(x) + U(y)`` with its third-order Moyal terms, points^4, T = 10: the
splitting of the package against Runge-Kutta schemes of spectral derivatives, to errors of 1e-3 and 1e-6.
Steps are counted by running to the end with the fastest program of each scheme (that of dedalus with the
right-hand side of the pyfftw one), against the package's own result with many steps; each peer takes one
step to see that it is the same equation.  Seconds are the time of one step times the number of steps.
"""

import numpy as np
from harness import Report, Table, alternate, medians, parser
from peers import COUNTED, PEERS, Package, installed

DURATION = 10.0
GOALS = {("dedalus RK443", tolerance): 1 / 200 for tolerance in (1e-3, 1e-6)}


def difference(f, reference):
    """Largest difference over the largest value."""
    with np.errstate(all="ignore"):
        return float(np.abs(f - reference).max() / np.abs(reference).max())


def steps_needed(solver, order, reference, tolerance, n_steps):
    """Fewest steps, to a few per cent, whose result is within a tolerance; and the error with them."""
    too_few, enough = 1, None
    while enough is None or enough[0] > 1.04 * too_few + 1:
        with np.errstate(all="ignore"):
            error = difference(np.squeeze(solver.run(n_steps)), reference)
        if error <= tolerance:
            enough = n_steps, error
        else:
            too_few = n_steps
        known = error < 0.1  # else unstable
        guess = n_steps * (error / tolerance) ** (1 / order) if known else 1.3 * n_steps
        if enough:
            inside = too_few + 1 <= guess <= enough[0] - 1 and known
            guess = guess if inside else np.sqrt(too_few * enough[0])
            guess = min(max(guess, too_few + 1), enough[0] - 1)
        n_steps = int(np.ceil(guess))
    return enough


def count_steps(package, tolerances):
    """(scheme, tolerance) -> (steps, error)."""
    reference = np.squeeze(package.run(160))
    counts = {}
    for name, (make, order) in COUNTED.items():
        solver = package if make is Package else make(package)
        n_steps = 6 if make is Package else 40
        for tolerance in tolerances:
            counts[name, tolerance] = steps_needed(solver, order, reference, tolerance, n_steps)
            n_steps = counts[name, tolerance][0]
    return counts


def main():
    options = parser(__doc__)
    options.set_defaults(repeats=3)
    options.add_argument("--points", type=int, help="per axis (default: 32)")
    chosen = options.parse_args()
    n = chosen.points or (16 if chosen.quick else 32)
    package, tolerances = Package(n, DURATION), (1e-3, 1e-6)
    counts = count_steps(package, tolerances)
    here = [name for name in PEERS if installed(name)]
    solvers = {"package": package} | {name: PEERS[name][0](package) for name in here}
    dt = 0.01
    agreement = {
        name: difference(np.squeeze(s.run(1, dt)), np.squeeze(package.run(1, dt)))
        for name, s in solvers.items()
    }
    few = {name: (lambda s=solver: s.run(2, dt)) for name, solver in solvers.items()}
    seconds = {
        name: value / 2 for name, value in medians(alternate(few, chosen.repeats, clock=chosen.clock)).items()
    }
    rows = []
    for tolerance in tolerances:
        base = seconds["package"] * counts["package", tolerance][0]
        for name in ["package", *PEERS]:
            scheme = "package" if name == "package" else PEERS[name][1]
            n_steps, error = counts[scheme, tolerance]
            row = {"error wanted": tolerance, "solver": name, "steps": n_steps, "error": error}
            if name in seconds:
                total = seconds[name] * n_steps
                row |= {
                    "ms per step": 1e3 * seconds[name],
                    "seconds": total,
                    "ours / peer": base / total,
                    "difference after one step": agreement[name],
                }
            else:
                row["seconds"] = "not installed"
            rows.append(row | {"goal": GOALS.get((name, tolerance), "")})
    columns = ("error wanted", "solver", "steps", "error", "ms per step", "seconds", "ours / peer", "goal")
    note = (
        f"T = {DURATION:g}, {n}^4, one thread, {chosen.clock} time; steps counted by running to the end "
        "(jax and numpy: those of pyfftw; dedalus: its scheme with the derivatives of the pyfftw program), "
        "seconds = steps x one step, without set-up and compilation. After one short step all agree to "
        f"{max(agreement.values()):.0e}."
    )
    report = Report("peers")
    report.add(Table(f"A packet in four dimensions, {n}^4", columns, rows, note))
    print(report.save(chosen.output))


if __name__ == "__main__":
    main()
