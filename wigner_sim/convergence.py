"""Kinetic theory against exact dynamics: errors of one case, and how they fall when it is dilated.

A case dilated by lambda is ``H(x/lambda, k, t/lambda)`` on a crystal longer by lambda, followed for a time
longer by lambda: the same local crystal under gradients weaker by lambda.  At order m in gradients the
error falls as ``lambda^-(m+1)``.
"""

from __future__ import annotations

import json
import logging
import time as wall_time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np

from wigner_sim.case import Case
from wigner_sim.errors import CaseError
from wigner_sim.exact_runs import exact_partner, exact_snapshots, output_times
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.liouville import LiouvilleSnapshot
from wigner_sim.matrix_snapshots import matrix_snapshots, together
from wigner_sim.observables import (
    OBSERVABLES,
    BandFlows,
    BandState,
    density,
    energy,
    momentum_distribution,
)
from wigner_sim.problem import Problem, build_problem, read_case
from wigner_sim.propagator import Propagator

_log = logging.getLogger("wigner_sim.convergence")

#: Errors of the time step are kept below this part of max|w|, whatever the case says.
TIME_TOLERANCE = 1e-8
#: Errors that a convergence study reports.
ERRORS = ("f_max", "f_l2", "n_max", "energy")

#: "exact": the kinetic run starts from the exact f(0), which isolates the error of the dynamics;
#: "case": from the case's own state, to the order of the run.
Start = Literal["exact", "case"]
#: What a run is compared with: dense Liouville-von Neumann dynamics, or the full matrix equation.
Partner = Literal["exact", "matrix"]


@dataclass(frozen=True)
class Errors:
    """Differences between a kinetic and an exact state.

    Parameters
    ----------
    f_max, f_l2 : float
        Largest and root-mean-square difference of f over phase space.
    n_max, n_l2 : float
        Largest and root-mean-square difference of the density per cell.
    nk_max, nk_l2 : float
        The same for the momentum distribution per cell.
    energy : float
        Difference of the energies per cell.
    j_max, j_l2 : float
        Largest and root-mean-square difference of the particle current density, all directions together.
    """

    f_max: float
    f_l2: float
    n_max: float
    n_l2: float
    nk_max: float
    nk_l2: float
    energy: float
    j_max: float
    j_l2: float


def state_errors(state: BandState, exact: LiouvilleSnapshot) -> Errors:
    """Compare one band's kinetic state with the exact one."""
    ours = LiouvilleSnapshot(
        time=exact.time,
        distribution=state.f,
        density=density(state),
        momentum_distribution=momentum_distribution(state),
        energy=float(energy(state)),
        particle_number=float(state.grid.integrate(state.w)),
        current=OBSERVABLES["current"].function(state),
    )
    return snapshot_errors(ours, exact, state.grid)


def snapshot_errors(ours: LiouvilleSnapshot, exact: LiouvilleSnapshot, grid: PhaseSpaceGrid) -> Errors:
    """Differences of two states in the same form."""
    volume = float(np.prod(grid.lengths))
    f = ours.distribution - exact.distribution
    n = ours.density - exact.density
    nk = (ours.momentum_distribution - exact.momentum_distribution) / volume
    j = ours.current - exact.current
    return Errors(
        f_max=_largest(f),
        f_l2=_root_mean_square(f),
        n_max=_largest(n),
        n_l2=_root_mean_square(n),
        nk_max=_largest(nk),
        nk_l2=_root_mean_square(nk),
        energy=abs(ours.energy - exact.energy) / volume,
        j_max=_largest(j),
        j_l2=_root_mean_square(j),
    )


def _largest(values: np.ndarray) -> float:
    return float(np.abs(values).max())


def _root_mean_square(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


@dataclass(frozen=True)
class ExactReference:
    """Exact states of all bands at the times of a comparison, the initial one first."""

    times: tuple[float, ...]
    snapshots: tuple[tuple[LiouvilleSnapshot, ...], ...]
    seconds: float


def exact_reference(problem: Problem, times: Sequence[float], partner: Partner = "exact") -> ExactReference:
    """Evolve every band to ``times`` (which start at 0), densely or by the full matrix equation."""
    started = wall_time.perf_counter()
    system = exact_partner(problem) if partner == "exact" else None

    def history(index: int) -> tuple[LiouvilleSnapshot, ...]:
        if partner == "matrix":
            return tuple(matrix_snapshots(problem, [index], times, TIME_TOLERANCE))
        return tuple(exact_snapshots(problem, index, times, system))

    snapshots = tuple(history(index) for index in range(len(problem.bands)))
    return ExactReference(tuple(times), snapshots, wall_time.perf_counter() - started)


def kinetic_errors(problem: Problem, reference: ExactReference, start: Start) -> list[Errors]:
    """Errors of a run at the times of the reference, the worst over the bands.

    Of the matrix equation, which mixes the bands, the error is that of all of them together.
    """
    if problem.method == "matrix":
        return _matrix_errors(problem, reference, start)
    stack = problem.stack()
    w = problem.initial_density(stack)
    if start == "exact":
        w = np.stack(
            [
                band.effective(0.0).faces.from_face("f", snapshots[0].distribution)
                for band, snapshots in zip(stack.bands, reference.snapshots, strict=True)
            ]
        )
    step = problem.choose_step(stack, w, min(problem.tolerance, TIME_TOLERANCE))
    propagator = Propagator(stack, problem.stepper, w, step.dt)
    flows = [BandFlows(band) for band in stack.bands]
    errors = []
    for i, time in enumerate(reference.times):
        w = propagator.advance_to(time)
        bands = zip(stack.bands, flows, w, reference.snapshots, strict=True)
        errors.append(
            _worst(
                state_errors(BandState(band.effective(time), w_band, flow.at(time)), exact[i])
                for band, flow, w_band, exact in bands
            )
        )
    return errors


def _matrix_errors(problem: Problem, reference: ExactReference, start: Start) -> list[Errors]:
    """Errors of the matrix equation for all bands together."""
    indices, tolerance = range(len(problem.bands)), min(problem.tolerance, TIME_TOLERANCE)
    ours = matrix_snapshots(problem, indices, reference.times, tolerance, exact_start=start == "exact")
    exact = (together(bands) for bands in zip(*reference.snapshots, strict=True))
    return [snapshot_errors(a, b, problem.grid) for a, b in zip(ours, exact, strict=True)]


def _worst(errors: Iterable[Errors]) -> Errors:
    return Errors(*np.max([list(asdict(error).values()) for error in errors], axis=0).tolist())


def compare(
    case: Case | str | Path,
    overrides: Sequence[str] = (),
    start: Start = "case",
    partner: Partner = "exact",
) -> dict[str, Any]:
    """Run a case by its equation and exactly, and report the differences at its output times.

    Parameters
    ----------
    case : Case or path
    overrides : sequence of str
    start : {"case", "exact"}
        Whether the run starts from the case's own state or from the exact f(0).
    partner : {"exact", "matrix"}
        What it is compared with: dense Liouville-von Neumann dynamics, or the full matrix equation, which
        fits where a density matrix does not.

    Returns
    -------
    dict
        ``method``, ``partner``, ``order``, ``sites``, and ``rows``: one per time with ``time`` and the fields
        of :class:`Errors`.

    Raises
    ------
    CaseError
    """
    case = read_case(case, overrides)
    problem, times = build_problem(case), output_times(case)
    if partner == problem.method == "matrix":
        raise CaseError('the case has equation.method = "matrix" already: compare it with "exact"')
    reference = exact_reference(problem, times, partner)
    errors = kinetic_errors(problem, reference, start)
    rows = [{"time": time, **asdict(error)} for time, error in zip(times, errors, strict=True)]
    about = {"method": problem.method, "partner": partner, "order": problem.options.order}
    return {**about, "sites": _sites(problem), "start": start, "rows": rows}


def converge(
    case: Case | str | Path,
    dilations: Sequence[float],
    orders: Sequence[int] = (0, 1, 2),
    overrides: Sequence[str] = (),
    start: Start = "exact",
) -> dict[str, Any]:
    """Dilate a case, run it exactly and at each order, and fit how the errors at the end fall.

    Parameters
    ----------
    case : Case or path
    dilations : sequence of float, each >= 1
        Rounded such that every period is a whole number of sites; the rows hold what was used.
    orders : sequence of int
    overrides : sequence of str
    start : {"exact", "case"}

    Returns
    -------
    dict
        ``rows`` with ``order, dilation, sites, err_f_max, err_f_l2, err_n_max, err_energy,
        seconds_kinetic, seconds_exact``; ``slopes``: order -> error -> minus the fitted power of the dilation
        (absent for fewer than two dilations); ``title`` of the case; ``start``.

    Raises
    ------
    CaseError
    """
    case = read_case(case, overrides)
    problem = build_problem(case)
    rows = []
    for dilation in whole_site_dilations(problem, dilations):
        dilated = problem.dilated(dilation)
        reference = exact_reference(dilated, [0.0, dilated.duration])
        for order in orders:
            started = wall_time.perf_counter()
            error = kinetic_errors(dilated.with_order(order), reference, start)[-1]
            seconds = wall_time.perf_counter() - started
            rows.append(_row(order, dilation, dilated, error, seconds, reference.seconds))
            _log.info("order %d, dilation %.4g: max |f - f_exact| = %.3g", order, dilation, error.f_max)
    return {"title": case.title, "rows": rows, "slopes": fit_slopes(rows), "start": start}


def whole_site_dilations(problem: Problem, dilations: Sequence[float]) -> list[float]:
    """Dilations nearest to the wanted ones for which all periods are whole numbers of sites.

    Raises
    ------
    CaseError
        If a dilation is below 1, or none is near enough.
    """
    lengths = problem.grid.lengths
    used = []
    for wanted in dilations:
        if not 1 <= wanted < np.inf:
            raise CaseError(f"dilations must be at least 1, got {wanted:g}")
        dilation = round(wanted * lengths[0]) / lengths[0] if lengths else wanted
        if any(abs(dilation * length - round(dilation * length)) > 1e-9 for length in lengths):
            raise CaseError(
                f"a dilation near {wanted:g} that leaves {lengths} whole numbers of sites was not found"
            )
        used.append(dilation)
    return used


def fit_slopes(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Minus the power of the dilation with which each error falls, by least squares over all points."""
    slopes: dict[str, dict[str, float]] = {}
    for order in sorted({row["order"] for row in rows}):
        chosen = [row for row in rows if row["order"] == order]
        x = np.log([row["dilation"] for row in chosen])
        if len(set(x.tolist())) < 2:
            continue
        tiny = np.finfo(float).tiny
        slopes[str(order)] = {
            name: -float(np.polyfit(x, np.log([max(row[f"err_{name}"], tiny) for row in chosen]), 1)[0])
            for name in ERRORS
        }
    return slopes


def convergence_table(result: dict[str, Any]) -> str:
    """The rows and slopes as text."""
    head = f"{'order':>5} {'dilation':>9} {'sites':>9} " + " ".join(f"{name:>10}" for name in ERRORS)
    lines = [head + f" {'kinetic/s':>10} {'exact/s':>9}"]
    for row in sorted(result["rows"], key=lambda row: (row["order"], row["dilation"])):
        errors = " ".join(f"{row[f'err_{name}']:10.3e}" for name in ERRORS)
        lines.append(
            f"{row['order']:5d} {row['dilation']:9.4f} {row['sites']!s:>9} {errors} "
            f"{row['seconds_kinetic']:10.2f} {row['seconds_exact']:9.2f}"
        )
    for order, slopes in result["slopes"].items():
        values = " ".join(f"{slopes[name]:10.3f}" for name in ERRORS)
        lines.append(f"{order:>5} {'slope':>9} {'':>9} {values}")
    return "\n".join(lines)


def comparison_table(result: dict[str, Any]) -> str:
    """The rows of :func:`compare` as text."""
    method, partner = result["method"], result["partner"]
    equation = f"order {result['order']}, " if method == "kinetic" else ""
    lines = [f"{equation}{result['sites']} sites, {method} minus {partner}"]
    names = [field.name for field in fields(Errors)]
    lines.append(f"{'time':>10} " + " ".join(f"{name:>10}" for name in names))
    for row in result["rows"]:
        lines.append(f"{row['time']:10.4g} " + " ".join(f"{row[name]:10.3e}" for name in names))
    return "\n".join(lines)


def save_json(result: dict[str, Any], path: str | Path) -> Path:
    """Write a result as JSON (replacing an earlier one of that name)."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return path


def _row(
    order: int, dilation: float, problem: Problem, error: Errors, seconds_kinetic: float, seconds_exact: float
) -> dict[str, Any]:
    errors = {f"err_{name}": getattr(error, name) for name in ERRORS}
    times = {"seconds_kinetic": seconds_kinetic, "seconds_exact": seconds_exact}
    return {"order": order, "dilation": dilation, "sites": _sites(problem), **errors, **times}


def _sites(problem: Problem) -> int | list[int]:
    sites = [round(length) for length in problem.grid.lengths]
    return sites[0] if len(sites) == 1 else sites
