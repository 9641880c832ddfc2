"""Predicted against measured errors over the shipped cases and the convergence studies, as a scatter plot.

    python benchmarks/validity_meter.py [NAME ...]

Without names: everything (about half an hour on a quiet core).  Results are kept in
``benchmarks/validity_meter.json`` and added to; the figure goes to ``docs/_static/validity_meter.png``.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from wigner_sim.case import Case
from wigner_sim.prediction import predict
from wigner_sim.studies import STUDIES

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "validity_meter.json"
FIGURE = ROOT / "docs" / "_static" / "validity_meter.png"

#: name -> dilations; cases by their directory, studies by their name.
SUBJECTS: dict[str, tuple[float, ...]] = {
    "texture_1d": (1, 2, 3),
    "rice_mele_potential": (1, 2),
    "thermal_equilibrium": (1, 2),
    "bloch_oscillation": (1,),
    "quantum_metric_field": (1, 2),
    "dirac_domain_wall": (1,),
    "thouless_pump": (1,),
    "three_orbitals": (1, 2, 3),
    "thermal": (1, 2),
    "driven": (1, 2),
    "force": (1, 2),
    "stripe_in_field": (1, 1.5),
    "potential_in_field": (1, 1.5),
    "haldane": (1,),
    "plane": (1.4,),
    "plane_in_field": (1,),
    "anomalous_hall": (1,),
    "wave_packets": (1,),
}


def subject(name: str) -> Case | Path:
    """A shipped case, or that of a study."""
    path = ROOT / "cases" / name
    return path if path.exists() and name not in STUDIES else Case.from_dict(STUDIES[name].case)


def measure(names: list[str]) -> dict[str, list[dict]]:
    """Run the subjects and add them to what there is."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in names:
        started = time.perf_counter()
        rows = []
        for dilation in SUBJECTS[name]:
            rows += predict(subject(name), (dilation,))
            results[name] = rows
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        ratios = ", ".join(f"{row['predicted'] / row['measured']:.2f}" for row in rows)
        print(f"{name}: predicted/measured = {ratios} ({time.perf_counter() - started:.0f} s)", flush=True)
    return results


def draw(results: dict[str, list[dict]]) -> None:
    """Predicted against measured, a marker per order, with the band of a factor 3."""
    figure, axes = plt.subplots(figsize=(5.2, 4.6), constrained_layout=True)
    rows = [row for each in results.values() for row in each]
    measured = np.array([row["measured"] for row in rows])
    ends = np.array([0.4 * measured.min(), 2.5 * measured.max()])
    axes.fill_between(ends, ends / 3, ends * 3, color="0.92", label="factor 3")
    axes.plot(ends, ends, color="0.6", linewidth=0.8)
    for order, marker, color in ((0, "o", "C0"), (1, "s", "C1"), (2, "^", "C2")):
        chosen = [row for row in rows if row["order"] == order]
        axes.plot(
            [row["measured"] for row in chosen],
            [row["predicted"] for row in chosen],
            marker,
            color=color,
            markersize=5,
            alpha=0.8,
            label=f"order {order}",
        )
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends / [2, 0.5])
    axes.set_xlabel(r"measured  $\max|f - f_{\rm exact}|\,/\,\max|f(0)|$")
    axes.set_ylabel("predicted by the validity meter")
    axes.legend(frameon=False, loc="upper left")
    within = np.mean([1 / 3 <= row["predicted"] / row["measured"] <= 3 for row in rows])
    axes.set_title(
        f"{len(results)} crystals, {len(rows)} runs: {100 * within:.0f} % within a factor 3", fontsize=10
    )
    FIGURE.parent.mkdir(exist_ok=True)
    figure.savefig(FIGURE, dpi=130)


def table(results: dict[str, list[dict]]) -> str:
    """Predicted over measured error of every subject, by order, as a Markdown table."""
    lines = ["| crystal | dilations | order 0 | order 1 | order 2 |", "|---|---|---|---|---|"]
    for name, rows in results.items():
        dilations = ", ".join(f"{d:g}" for d in sorted({row["dilation"] for row in rows}))
        cells = []
        for order in (0, 1, 2):
            chosen = sorted((r for r in rows if r["order"] == order), key=lambda row: row["dilation"])
            cells.append(", ".join(f"{row['predicted'] / row['measured']:.2f}" for row in chosen))
        lines.append(f"| `{name}` | {dilations} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    measured = measure(sys.argv[1:] or list(SUBJECTS))
    draw(measured)
    print(table(measured))
