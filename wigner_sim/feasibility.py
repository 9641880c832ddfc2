"""Whether a problem can be run: on this grid, in the memory there is, in a sensible number of steps."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import numpy as np

from wigner_sim.errors import CaseError
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kinetics.band_evolution import KEPT_TIMES
from wigner_sim.kinetics.phase_space_system import PhaseSpaceSystem
from wigner_sim.kinetics.slab_expansion import SLAB_POINTS
from wigner_sim.kinetics.time_table import KEPT_NODES, NODES
from wigner_sim.observables import spectral_tail
from wigner_sim.parallel import thread_count
from wigner_sim.symbols import FloatArray

#: Spectral tail of a band energy above which the grid cannot carry the crystal.
COARSEST_TAIL = 1e-2
#: Spectral tail of a band energy above which a finer grid is recommended.
COARSE_TAIL = 1e-6
#: Corrections of the band energy over the gap, by order, above which a warning is due.
STRONGEST_CORRECTION = {1: 0.3, 2: 0.1}
#: More steps than this are taken for a mistake.
MOST_STEPS = 1e9
#: Where Linux tells a container or batch job how much memory it may use.
MEMORY_LIMIT_FILES = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
#: Arrays on the grid alive at once, as measured, for H0(k) + U(x, t).
REAL_ARRAYS = 60
#: The same for a general H, by order: complex matrices and real arrays on the grid, matrices on a slab.
GENERAL_ARRAYS = ((3, 10, 0), (3, 14, 15), (4, 40, 45))
#: Matrices on the grid that are added if it is driven, by order: values at neighbouring times.
DRIVEN_MATRICES = (6, 18, 20)
#: The same for the full matrix equation, in complex matrices.
STATE_MATRICES = 60


def memory_needed(
    grid: PhaseSpaceGrid, n_orbitals: int, order: int, separable: bool, driven: bool = False
) -> float:
    """About what a run needs at its largest, in bytes.

    Parameters
    ----------
    separable : bool
        Whether the Hamiltonian is H0(k) + U(x, t).
    driven : bool
        Whether it depends on time.

    Notes
    -----
    For a general Hamiltonian this is the set-up of its geometry, slab by slab in each thread.
    """
    points = float(np.prod(grid.shape, dtype=float))
    if separable:
        return points * 8 * REAL_ARRAYS
    matrices, scalars, on_slab = GENERAL_ARRAYS[order]
    if driven:
        matrices += DRIVEN_MATRICES[order]
        scalars += _kept_while_driven(grid.n_axes, order)
    in_slabs = min(points, float(SLAB_POINTS * thread_count()))
    return 16 * n_orbitals**2 * (points * matrices + in_slabs * on_slab) + 8 * points * scalars


def _kept_while_driven(n_axes: int, order: int) -> int:
    """Arrays kept of a driven general H: energy and velocity at nodes in time, and equations between them."""
    third_derivatives = n_axes**2 * (n_axes + 1) // 2 if order == 2 else 0
    nodes = (KEPT_NODES + len(NODES)) * (1 + n_axes)
    return nodes + KEPT_TIMES * (n_axes + third_derivatives)


def matrix_memory_needed(grid: PhaseSpaceGrid, n_orbitals: int) -> float:
    """The same for the full matrix equation."""
    return float(np.prod(grid.shape, dtype=float)) * 16 * n_orbitals**2 * STATE_MATRICES


def check_memory(needed: float) -> None:
    """Refuse what this machine cannot hold, before it tries."""
    there = machine_memory()
    if there is not None and needed > there:
        raise CaseError(
            f"the grid needs about {needed / 1e9:.3g} GB of memory, this machine has {there / 1e9:.3g} GB: "
            "use fewer points in grid.n_x or grid.n_k"
        )


def machine_memory() -> float | None:
    """Bytes of memory there are, or that a container or batch job may use; None where that is not told."""
    limits = []
    with contextlib.suppress(AttributeError, ValueError, OSError):
        limits.append(float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")))
    for file in MEMORY_LIMIT_FILES:
        with contextlib.suppress(OSError, ValueError):  # "max" is no limit
            limits.append(float(int(Path(file).read_text())))
    return min(limits, default=None)


def check_step_count(n_steps: float) -> None:
    """Refuse a run that would never end."""
    if n_steps > MOST_STEPS:
        raise CaseError(
            f"{n_steps:.2g} steps would be needed: shorten time.end, or use a larger step or coarser grid"
        )


def check_resolution(grid: PhaseSpaceGrid, stack: PhaseSpaceSystem) -> list[str]:
    """Refuse a grid that cannot carry the bands; return warnings for one that barely can.

    Raises
    ------
    CaseError
        Naming the axis, its points and how much finer it should be.
    """
    warnings = []
    for band in stack.bands:
        h = np.broadcast_to(band.effective(0.0).energy[0], grid.shape)
        for axis, (name, n) in enumerate(zip(grid.dims, grid.shape, strict=True)):
            tail = spectral_tail(h - h.mean(), [axis])
            key = "grid.n_x" if name in grid.position_names else "grid.n_k"
            where = f"band {band.band} along {name} on {n} points has a spectral tail of {tail:.1g}"
            if tail > COARSEST_TAIL:
                raise CaseError(
                    f"the energy of {where}: under-resolved, use at least {2 * n} points in {key}"
                )
            if tail > COARSE_TAIL:
                warnings.append(f"the energy of {where}; {2 * n} points would resolve it better")
    return warnings


def check_gradients(stack: PhaseSpaceSystem) -> list[str]:
    """Warn where gradients, force or drive are strong against the gap; refuse where states run out.

    The expansion needs each correction of the band energy small against the gap: with a force F and states
    of size l this is ``(F l)^2 / gap^2`` (Zener tunnelling), with a drive the rate over the gap.

    Raises
    ------
    CaseError
        If the phase-space density of states is not positive somewhere.
    """
    warnings = []
    for band in stack.bands:
        effective = band.effective(0.0)
        if effective.density_of_states.min() <= 0:
            raise CaseError(
                f"the density of states of band {band.band} is not positive everywhere "
                f"({effective.density_of_states.min():.3g}): gradients are far too strong for the expansion"
            )
        for order, correction in enumerate(effective.energy[1:], start=1):
            ratio = float(np.max(np.abs(correction) / effective.gap))
            if ratio > STRONGEST_CORRECTION[order]:
                warnings.append(
                    f"the order-{order} correction of the energy of band {band.band} reaches {ratio:.2g} of "
                    "the gap: gradients, force or drive are strong, and other bands will be excited"
                )
    return warnings


def state_warnings(
    grid: PhaseSpaceGrid, stack: PhaseSpaceSystem, w: FloatArray, limit: float | str
) -> list[str]:
    """Say where the grid is too coarse for the initial state, by the guard's own limit ("off" for none)."""
    if isinstance(limit, str):
        return []
    return [
        f"the state of band {band.band} along {name} on {n} points starts with a spectral tail {tail:.1g}, "
        f"above monitors.spectral_tail = {limit:g}: use more points, or a smoother state"
        for band, w_band in zip(stack.bands, w, strict=True)
        for axis, (name, n) in enumerate(zip(grid.dims, grid.shape, strict=True))
        if (tail := spectral_tail(w_band, [axis])) > limit
    ]
