"""f seen along some of the axes of phase space, the others integrated over."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wigner_sim.observables.state import BandState
from wigner_sim.symbols import FloatArray


def projection(state: BandState, axes: Sequence[str]) -> FloatArray:
    """F integrated over all other axes, with ``dx`` over positions and ``dk/2 pi`` over momenta.

    Parameters
    ----------
    state : BandState
    axes : sequence of str
        Names of the axes that stay, in the order of the grid: ``("x", "kx")``.
    """
    grid = state.grid
    others = tuple(axis for axis, name in enumerate(grid.dims) if name not in axes)
    lengths = [grid.lengths[axis] for axis in others if axis < grid.n_position_axes]
    return state.f.mean(axis=others) * float(np.prod(lengths))
