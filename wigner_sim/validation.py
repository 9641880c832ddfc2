"""All convergence studies in one go: the slopes of the errors against exact dynamics, and their table."""

from __future__ import annotations

import logging
import time as wall_time
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from wigner_sim.case import Case
from wigner_sim.convergence import converge
from wigner_sim.errors import CaseError
from wigner_sim.expressions import nearest_match
from wigner_sim.studies import STUDIES, Study

_log = logging.getLogger("wigner_sim.validation")

#: Slopes count as those of the theory within this; the second for the short range of a quick run.
TOLERANCE = 0.25
QUICK_TOLERANCE = 0.6
#: The error whose slopes are judged: the largest difference of f over phase space.
ERROR = "f_max"


def run_validation(names: Iterable[str] | None = None, quick: bool = False) -> dict[str, Any]:
    """Run convergence studies at orders 0, 1, 2 and collect their errors and slopes.

    Parameters
    ----------
    names : iterable of str, optional
        Studies in :data:`wigner_sim.studies.STUDIES`; all if left out.
    quick : bool
        Two small dilations for each study that has them.

    Returns
    -------
    dict
        ``quick``; ``studies``: name -> the result of ``convergence.converge`` with ``title``, ``axes``,
        ``local_slopes`` (order -> slopes between neighbouring dilations) and ``seconds``; ``misses``: one
        sentence for each slope that is not that of the theory.

    Raises
    ------
    CaseError
        For an unknown name.
    """
    if names is None:
        names = [name for name, study in STUDIES.items() if study.quick or not quick]
    names = list(names)
    for name in names:
        if name not in STUDIES:
            hint = nearest_match(name, STUDIES) or f"; there are {', '.join(STUDIES)}"
            raise CaseError(f"unknown validation study '{name}'{hint}")
    studies = {}
    for name in names:
        _log.info("study %s: %s", name, STUDIES[name].title)
        studies[name] = run_study(STUDIES[name], quick)
    return {"quick": quick, "studies": studies, "misses": missed_slopes(studies, quick)}


def run_study(study: Study, quick: bool = False, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """One study, see :func:`run_validation`; ``overrides`` of its case as in ``Case.with_overrides``."""
    started = wall_time.perf_counter()
    case = Case.from_dict(study.case)
    dilations = study.quick if quick and study.quick is not None else study.dilations
    result = converge(case, dilations, overrides=overrides, start=study.start)
    axes = ("x", "y", "z")[: len(case.grid.sites)]
    momenta = ("kx", "ky", "kz")[: len(case.grid.n_k or ())]
    return {
        **result,
        "title": study.title,
        "axes": f"({', '.join(axes)}; {', '.join(momenta)})",
        "local_slopes": {order: _local_slopes(result["rows"], int(order)) for order in result["slopes"]},
        "seconds": wall_time.perf_counter() - started,
    }


def missed_slopes(studies: dict[str, dict[str, Any]], quick: bool = False) -> list[str]:
    """One sentence for each fitted slope that differs from order + 1 by more than the tolerance."""
    tolerance = QUICK_TOLERANCE if quick else TOLERANCE
    return [
        f"{name}, order {order}: slope {slopes[ERROR]:.2f} instead of {int(order) + 1}"
        for name, study in studies.items()
        for order, slopes in study["slopes"].items()
        if not abs(slopes[ERROR] - (int(order) + 1)) <= tolerance
    ]


def validation_table(result: dict[str, Any]) -> str:
    """Errors, local and fitted slopes of all studies as a Markdown table."""
    lines = [
        "| study | axes | sites | order | max abs(f - f_exact) | local slopes | slope | slope of n(x) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for study in result["studies"].values():
        for order, slopes in study["slopes"].items():
            rows = _rows(study["rows"], int(order))
            first = order == next(iter(study["slopes"]))
            sites = ", ".join(_sites(row["sites"]) for row in rows)
            cells = [study["title"], study["axes"], sites] if first else ["", "", ""]
            cells += [
                order,
                ", ".join(f"{row[f'err_{ERROR}']:.1e}" for row in rows),
                ", ".join(f"{slope:.2f}" for slope in study["local_slopes"][order]),
                f"**{slopes[ERROR]:.2f}**",
                f"{slopes['n_max']:.2f}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _rows(rows: Sequence[dict[str, Any]], order: int) -> list[dict[str, Any]]:
    """The rows of one order, by dilation."""
    return sorted((row for row in rows if row["order"] == order), key=lambda row: row["dilation"])


def _local_slopes(rows: Sequence[dict[str, Any]], order: int) -> list[float]:
    """Minus the power of the dilation between neighbouring points."""
    points = [(np.log(row["dilation"]), np.log(row[f"err_{ERROR}"])) for row in _rows(rows, order)]
    return [-float((y_2 - y_1) / (x_2 - x_1)) for (x_1, y_1), (x_2, y_2) in pairwise(points)]


def _sites(sites: int | list[int]) -> str:
    return " x ".join(map(str, sites)) if isinstance(sites, list) else str(sites)
