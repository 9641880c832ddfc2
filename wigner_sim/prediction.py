"""Does the validity meter tell the truth?  Predicted against measured errors, by order and dilation."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wigner_sim.case import Case
from wigner_sim.convergence import (
    TIME_TOLERANCE,
    ExactReference,
    exact_reference,
    whole_site_dilations,
)
from wigner_sim.observables import BandFlows, BandState
from wigner_sim.problem import Problem, build_problem, read_case
from wigner_sim.propagator import Propagator
from wigner_sim.validity import N_INTERVALS, ValidityMeter

_log = logging.getLogger("wigner_sim.prediction")


def predict(
    case: Case | str | Path,
    dilations: Sequence[float] = (1.0,),
    orders: Sequence[int] = (0, 1, 2),
    overrides: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Predicted and measured error of f at the end of a case, started from the exact f(0).

    Parameters
    ----------
    case : Case or path
    dilations : sequence of float, each >= 1
        As in :func:`wigner_sim.convergence.converge`.
    orders : sequence of int
    overrides : sequence of str

    Returns
    -------
    list of dict
        ``order, dilation``; ``predicted, measured``: largest error over phase space and bands, relative to
        the largest ``|f|`` at the start; ``adiabaticity, zener_probability, metric_smearing``: their
        largest values during the run.
    """
    problem = build_problem(read_case(case, overrides))
    rows = []
    for dilation in whole_site_dilations(problem, dilations):
        dilated = problem.dilated(dilation)
        reference = exact_reference(dilated, [0.0, dilated.duration])
        for order in orders:
            row = {"order": order, "dilation": dilation, **_row(dilated.with_order(order), reference)}
            _log.info("order %d, dilation %.3g: %s", order, dilation, row)
            rows.append(row)
    return rows


def _row(problem: Problem, reference: ExactReference) -> dict[str, float]:
    stack = problem.stack()
    flows = [BandFlows(band) for band in stack.bands]
    w = np.stack(
        [
            flow.at(0.0).effective.faces.from_face("f", snapshots[0].distribution)
            for flow, snapshots in zip(flows, reference.snapshots, strict=True)
        ]
    )
    step = problem.choose_step(stack, w, min(problem.tolerance, TIME_TOLERANCE))
    propagator = Propagator(stack, problem.stepper, w, step.dt)
    meter = ValidityMeter(stack.bands, problem.duration, "on")
    largest: dict[str, float] = {}
    states: list[BandState] = []
    for t in np.linspace(0.0, problem.duration, N_INTERVALS + 1):
        w = propagator.advance_to(float(t))
        states = [
            BandState(flow.at(t).effective, w_band, flow.at(t)) for flow, w_band in zip(flows, w, strict=True)
        ]
        for name, values in meter.measure(states, float(t)).items():
            largest[name] = max(largest.get(name, 0.0), float(values.max()))
    measured = max(
        float(np.abs(state.f - exact[-1].distribution).max() / np.abs(exact[0].distribution).max())
        for state, exact in zip(states, reference.snapshots, strict=True)
    )
    return {"predicted": largest.pop("predicted_error"), "measured": measured, **largest}
