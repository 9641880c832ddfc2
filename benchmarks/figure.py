"""Figure of the results in a directory: exact dynamics, peers, scaling.

python benchmarks/figure.py [--output benchmarks/results]
"""

import json
from pathlib import Path

import matplotlib as mpl
from harness import parser
from matplotlib.ticker import FuncFormatter, NullFormatter

mpl.use("Agg")
import matplotlib.pyplot as plt

LABELS = {
    "kinetic": "kinetic, order 2",
    "package": "exact, this package",
    "textbook": "exact, dense textbook",
    "commutator": "exact, RK4 of [H, rho]",
    "mesolve": "exact, qutip mesolve",
}


def rows_of(directory, name):
    path = Path(directory) / f"{name}.json"
    return json.loads(path.read_text())["tables"][0]["rows"] if path.exists() else []


def plain_ticks(x_axis, y_axis):
    """No labels between the chosen ticks; numbers, not powers."""
    x_axis.set_minor_formatter(NullFormatter())
    y_axis.set_minor_formatter(
        FuncFormatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "25" else "")
    )
    y_axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def exact_panel(axes, rows):
    for name, label in LABELS.items():
        chosen = [row for row in rows if row["candidate"] == name]
        if chosen:
            sizes = [int(row["sites"].split("x")[0]) for row in chosen]
            (line,) = axes.loglog(sizes, [row["seconds"] for row in chosen], "o-", label=label)
            missed = [
                (n, row["seconds"]) for n, row in zip(sizes, chosen, strict=True) if row["error"] > 1e-3
            ]
            if missed:
                axes.plot(
                    *zip(*missed, strict=True), "o", color=line.get_color(), mfc="w", label="error above 1e-3"
                )
    sizes = sorted({int(row["sites"].split("x")[0]) for row in rows})
    axes.set_xticks(sizes, [str(n) for n in sizes])
    plain_ticks(axes.xaxis, axes.yaxis)
    axes.set(xlabel="sites per side, two orbitals", ylabel="seconds for f at T = 4", title="Same crystal")
    axes.set_ylim(top=12 * axes.get_ylim()[1])  # room for the legend
    axes.legend(fontsize=7)


def peers_panel(axes, rows):
    rows = [
        row | {"ratio": 1 / row["ours / peer"]}
        for row in rows
        if row["error wanted"] < 1e-5 and "ours / peer" in row
    ]
    names = [row["solver"] for row in rows]
    bars = axes.barh(range(len(rows)), [row["ratio"] for row in rows], color="tab:blue")
    axes.bar_label(bars, [f"{row['ratio']:.3g}" for row in rows], padding=3, fontsize=8)
    axes.set_xscale("log")
    axes.set_xlim(0.5, 3 * max(row["ratio"] for row in rows))
    axes.set_yticks(range(len(names)), [name.replace(" ", "\n", 1) for name in names], fontsize=7)
    axes.invert_yaxis()
    axes.set(xlabel="time to 1e-6, over the package", title="Same equation, four dimensions")


def scaling_panel(axes, rows):
    for name in ("n_x", "n_k", "n in (x, y; kx, ky)"):
        chosen = [row for row in rows if row["series"] == name]
        axes.loglog(
            [row["points"] for row in chosen], [row["ms per step"] for row in chosen], "o-", label=name
        )
    points = sorted({row["points"] for row in rows})
    largest = max(rows, key=lambda row: row["points"])
    axes.loglog(
        points, [largest["ns per point"] * 1e-6 * p for p in points], "k:", lw=1, label="in proportion"
    )
    axes.set(xlabel="points of phase space", ylabel="ms per step", title="One band, order 2")
    axes.legend(fontsize=7)


def main():
    directory = Path(parser(__doc__).parse_args().output)
    panels = [(exact_panel, "exact"), (peers_panel, "peers"), (scaling_panel, "scaling")]
    found = [(panel, rows) for panel, name in panels if (rows := rows_of(directory, name))]
    if not found:
        raise SystemExit(f"no results in {directory}")
    figure, axes = plt.subplots(
        1, len(found), figsize=(3.8 * len(found), 3.3), squeeze=False, layout="constrained"
    )
    for (panel, rows), where in zip(found, axes[0], strict=True):
        panel(where, rows)
    path = directory / "benchmarks.png"
    figure.savefig(path, dpi=150)
    print(path)


if __name__ == "__main__":
    main()
