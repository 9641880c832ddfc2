"""An interactive page of a run: one HTML file that needs no server and can be mailed.

Every stored quantity can be chosen, any two of its axes shown, others cut or averaged over, and time moved.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import xarray as xr

from wigner_sim import __version__
from wigner_sim.errors import CaseError
from wigner_sim.figures import frames
from wigner_sim.figures.frames import FloatArray, Run
from wigner_sim.figures.quantities import parse_quantity, quantity_series, stored_streams, variable_of
from wigner_sim.figures.saving import free_path, provenance_text
from wigner_sim.reading import load

HERE = Path(__file__).parent
#: Levels of a stored number: 16 bits.
LEVELS = 65534


def make_viewer(
    run: Run,
    path: str | Path,
    *,
    quantities: Sequence[str] = (),
    band: int | str | None = None,
    megabytes: float = 20.0,
    overwrite: bool = False,
) -> Path:
    """Write an HTML page with the numbers of a run and everything that draws them.

    Parameters
    ----------
    run : Run
        Finished or running.
    path : path
        If it exists and ``overwrite`` is False, the next free name is used.
    quantities : sequence of str, optional
        What to include: names of stored variables with all their axes, or ``"f(x, kx; y=3)"`` for a part; all
        variables if left out.
    band : optional
        Band of the parts; a variable with all its axes has all its bands.
    megabytes : float
        Of more data than this, evenly spaced times are kept.  The page weighs a third more than its data, and
        5 MB for the drawing library.

    Returns
    -------
    Path

    Raises
    ------
    CaseError
        If plotly is not installed, nothing of that name is stored, or not even one record fits.

    Notes
    -----
    Numbers are rounded to 1/65534 of the range of their variable.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise CaseError("the viewer needs plotly: pip install 'wigner-sim[view]'") from None
    target = free_path(Path(path), overwrite=overwrite)
    about = frames.provenance(run)
    data = viewer_data(run, quantities, band, megabytes)
    page = Template((HERE / "page.html").read_text(encoding="utf-8")).substitute(
        TITLE=html.escape(frames.heading(about)),
        GENERATOR=f"wigner_sim {__version__}",
        PROVENANCE=html.escape(provenance_text(about)),
        NOTE="Click in the picture to move the cuts; arrow keys move time.",
        PLOTLY=get_plotlyjs(),
        SCRIPT=(HERE / "viewer.js").read_text(encoding="utf-8"),
        DATA=json.dumps(data, allow_nan=False).replace("<", r"\u003c"),
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page, encoding="utf-8")
    return target


def viewer_data(
    run: Run, quantities: Sequence[str], band: int | str | None, megabytes: float
) -> dict[str, Any]:
    """Everything the page knows: quantities with their numbers, axes, times."""
    chosen = [_chosen(run, text, band) for text in quantities] or list(_everything(run))
    if not chosen:
        raise CaseError(f"run {run.path} has stored nothing that depends on time: nothing to view")
    room = _room([array.size for _, array in chosen], 1e6 * megabytes / 2)
    variables = [_encoded(title, array, n) for (title, array), n in zip(chosen, room, strict=True)]
    axes: dict[str, Any] = {}
    for _, array in chosen:
        axes |= {str(dim): _axis(array, str(dim)) for dim in array.dims if dim != "time"}
    units = frames.units_of("time", chosen[0][1]).replace("hbar", "ħ")
    return {
        "variables": variables,
        "axes": axes,
        "times": max((each["times"] for each in variables), key=len),
        "time_label": f"<i>t</i> ({units})",
        "time_units": units,
    }


def _room(sizes: Sequence[int], total: float) -> list[float]:
    """Numbers that each of several arrays may keep: small ones all of theirs, large ones equal shares."""
    room = [0.0] * len(sizes)
    for n_done, i in enumerate(np.argsort(sizes)):
        room[i] = min(sizes[i], total / (len(sizes) - n_done))
        total -= room[i]
    return room


def _chosen(run: Run, text: str, band: int | str | None) -> tuple[str, xr.DataArray]:
    """A variable with all its axes, or the part of it that is asked for."""
    quantity = parse_quantity(text)
    if not quantity.dims and not quantity.at:
        array = variable_of(run, quantity.name)
        return str(array.name), array
    series = quantity_series(run, text, band)
    hidden = [dim for dim in series.array.dims if dim not in (*series.dims, "time")]
    part = series.array.mean(hidden, keep_attrs=True) if hidden else series.array
    return text, part.transpose("time", *series.dims)


def _everything(run: Run) -> Iterator[tuple[str, xr.DataArray]]:
    """All variables that depend on time, the state first."""
    for dataset in stored_streams(run):
        for name, array in dataset.data_vars.items():
            if "time" in array.dims:
                yield str(name), array


def _encoded(title: str, array: xr.DataArray, n_numbers: float) -> dict[str, Any]:
    """One variable as the page reads it, with as many evenly spaced times as there is room for."""
    per_record = array.size // array.sizes["time"]
    n_times = min(array.sizes["time"], int(n_numbers / per_record))
    if n_times < 1:
        raise CaseError(
            f"one record of '{title}' takes {2e-6 * per_record:.3g} MB of the page: choose a part of it, "
            f"such as '{array.name}({', '.join(map(str, array.dims[-2:]))})', or allow more megabytes"
        )
    index = np.unique(np.round(np.linspace(0, array.sizes["time"] - 1, n_times)).astype(int))
    records = [np.nan_to_num(load(array.isel(time=int(i))).values.astype(float)) for i in index]
    units = frames.unit_text(str(array.attrs.get("units", ""))).replace("$", "")
    about: dict[str, Any] = {
        "name": title,
        "title": title if title != array.name else str(array.attrs.get("long_name", title)),
        "label": title + (f" ({units})" if units else ""),
        "dims": [str(dim) for dim in array.dims],
        "shape": [len(index), *array.shape[1:]],
        "times": array["time"].values[index].astype(float).tolist(),
    }
    return about | (_rounded(records) if array.ndim > 2 else {"values": np.ravel(records).tolist()})


def _rounded(records: Sequence[FloatArray]) -> dict[str, Any]:
    """Numbers as 16-bit integers in base64, with scale and offset; one record at a time."""
    low, high = min(float(r.min()) for r in records), max(float(r.max()) for r in records)
    offset, scale = (low + high) / 2, (high - low) / LEVELS or 1.0
    integers = np.stack([np.round((record - offset) / scale).astype("<i2") for record in records])
    return {"offset": offset, "scale": scale, "data": base64.b64encode(integers.tobytes()).decode()}


def _axis(array: xr.DataArray, dim: str) -> dict[str, Any]:
    values = array[dim].values.tolist() if dim in array.coords else list(range(array.sizes[dim]))
    if dim == "band":
        return {"label": "band", "symbol": "band", "values": values, "momentum": False}
    units = frames.units_of(dim, array)
    letter = f"<i>k</i><sub>{dim[1:]}</sub>" if frames.symbol(dim) != dim else f"<i>{dim}</i>"
    label = f"{letter} ({units})"
    return {"label": label, "symbol": letter, "values": values, "momentum": dim.startswith("k")}
