"""The sections ``[time]``, ``[output]`` and ``[monitors]``."""

from __future__ import annotations

from typing import Literal

from wigner_sim.case.fields import CheckpointCadence, Count, Names, Positive, StreamCadence, key
from wigner_sim.case.sections.base import ON_OFF, Section


class TimeSection(Section):
    """How long, and how the equation is stepped.  Time is in units of hbar / energy."""

    end: Positive = key(..., "Time at which the run ends.", "a number > 0", unit="time")
    stepper: Literal["auto", "rk4", "strang", "blanes_moan4"] = key(
        "auto",
        'Time stepper; "auto" takes blanes_moan4 where exact flows leave nothing stiff over, as for '
        "H0(k) + U(x, t), and rk4 elsewhere: what was measured to reach a tolerance soonest.",
        '"auto", "rk4", "strang" or "blanes_moan4"',
    )
    step: Literal["auto"] | Positive = key(
        "auto",
        "Time step; the automatic choice is printed with its reason.",
        '"auto" or a number > 0',
        unit="time",
    )
    adaptive: bool = key(False, "Adapt the step to the tolerance.", ON_OFF)
    tolerance: Positive = key(
        1e-6,
        "Error allowed by the end of the run, relative to max|w|, for the automatic and the adaptive step.",
        "a number > 0",
    )
    precision: Literal["float64", "float32"] = key(
        "float64",
        "Precision the state is stepped in; float32 takes half the memory and about half the time, and its "
        "rounding (1e-7 of max|w| per step) bounds what tolerance and monitors.particle_drift can ask for.",
        '"float64" or "float32"',
    )
    threads: Literal["auto"] | Count = key(
        "auto",
        "Threads for all parts of the program; automatic: the environment variable WIGNER_SIM_THREADS, then "
        "OMP_NUM_THREADS, then the cores there are (at most 8). No result depends on it beyond rounding.",
        '"auto" or a whole number > 0',
    )
    transforms: Literal["estimated", "measured"] = key(
        "estimated",
        "How FFTW plans the transforms of whole arrays (rk4, general H): by rule, or by trying ways out; "
        "that takes seconds, once per machine and kind of array, and saves up to a third of a step.",
        '"estimated" or "measured"',
    )


class OutputSection(Section):
    """What is stored, and how often."""

    face: Literal["f", "w", "c"] = key(
        "f", "Which face of the state is stored: density f, Weyl-like w or occupation c.", '"f", "w" or "c"'
    )
    scalars_every: StreamCadence = key(
        None,
        "Cadence of scalars.nc.",
        'a time > 0, {steps = n} or "never"',
        "time.end / 200",
        unit="time",
    )
    fields_every: StreamCadence = key(
        None,
        "Cadence of fields.nc.",
        'a time > 0, {steps = n} or "never"',
        "time.end / 100",
        unit="time",
    )
    phase_every: StreamCadence = key(
        None,
        "Cadence of phase.nc.",
        'a time > 0, {steps = n} or "never"',
        "time.end / 50",
        unit="time",
    )
    scalars: Names = key(
        ("current_total",),
        "Further numbers in scalars.nc, beside those that guards need; see docs/observables.md.",
        "a list of names",
    )
    fields: Names = key(
        ("density", "energy_density", "momentum_distribution", "current"),
        "Functions of position or momentum in fields.nc; see docs/observables.md.",
        "a list of names",
    )
    projections: Names = key(
        (),
        'Views of f along some axes in fields.nc, the others integrated over: "x, kx" is stored as f_x_kx.',
        'a list of axes, such as ["x, kx", "kx, ky"]',
    )
    checkpoint_every: CheckpointCadence = key(
        {"wall_seconds": 60.0},
        "Cadence of checkpoints.",
        'a time > 0, {wall_seconds = s}, {steps = n} or "never"',
        unit="time",
    )
    precision: Literal["float64", "float32"] = key(
        "float64", "Stored precision of arrays; checkpoints are always float64.", '"float64" or "float32"'
    )
    compression: Literal["auto", "blosc_lz4", "zlib", "none"] = key(
        "auto",
        "Compression of arrays; automatic: zlib, but none for records above 1 MB, where it would take as "
        "long as a time step; blosc_lz4 is fast, but needs an HDF5 plugin outside Python's netCDF4.",
        '"auto", "blosc_lz4", "zlib" or "none"',
    )


class MonitorsSection(Section):
    """Guards: what drift or loss of resolution is tolerated."""

    particle_drift: Literal["off"] | Positive = key(
        1e-10, "Relative drift of the particle number.", 'a number > 0 or "off"'
    )
    energy_drift: Literal["off"] | Positive = key(
        1e-3, "Relative drift of the energy, for a static Hamiltonian.", 'a number > 0 or "off"'
    )
    spectral_tail: Literal["off"] | Positive = key(
        1e-3,
        "Share of the state in the highest third of wavenumbers: above it, the grid is too coarse.",
        'a number > 0 or "off"',
    )
    validity: Literal["auto", "predict", "off"] = key(
        "auto",
        "Numbers that say whether the expansion holds, see docs/validity.md: with a prediction of the error "
        "of f where that costs little, always, or none of them.",
        '"auto", "predict" or "off"',
    )
    predicted_error: Literal["off"] | Positive = key(
        0.1, "Predicted error of f against exact dynamics, relative to its maximum.", 'a number > 0 or "off"'
    )
    zener_probability: Literal["off"] | Positive = key(
        1e-2, "Estimated probability of a transition to another band.", 'a number > 0 or "off"'
    )
    metric_smearing: Literal["off"] | Positive = key(
        2.0, "Smearing by the quantum metric at the spectral edge of f.", 'a number > 0 or "off"'
    )
    occupation: Literal["off"] | Positive = key(
        "off",
        "How far the occupation c may leave [0, 1], for states of electrons that are to keep to it.",
        'a number > 0 or "off"',
    )
    action: Literal["warn", "stop"] = key(
        "warn", "What happens when a guard is violated.", '"warn" or "stop"'
    )
