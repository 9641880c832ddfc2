"""What a run stores and when: which observables go to which stream, with names, dimensions and units."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from wigner_sim import fourier
from wigner_sim.case.sections.run import OutputSection
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kinetics.faces import Face
from wigner_sim.kinetics.mode_smearing import LARGE
from wigner_sim.kinetics.phase_space_system import OwnScalar, PhaseSpaceSystem
from wigner_sim.observables import OBSERVABLES, BandFlow, BandFlows, BandState
from wigner_sim.output import (
    Coordinate,
    NetcdfStream,
    VariableSpec,
    grid_coordinates,
    resume_stream,
    write_static,
)
from wigner_sim.propagator import Propagator
from wigner_sim.run_directory import RunDirectory
from wigner_sim.schedules import Schedule, make_schedule
from wigner_sim.selection import Selection, select
from wigner_sim.symbols import FloatArray
from wigner_sim.validity import VALIDITY, ValidityMeter

STREAMS = ("scalars", "fields", "phase")
DRIFTS = {"particle_number_drift": "particle_number", "energy_drift": "energy"}
FACE_NAMES = {"f": "band density f", "w": "density w that is stepped", "c": "occupation c"}


@runtime_checkable
class WithWholeFields(Protocol):
    """A system among whose ``local_fields`` are some of all bands together, each (*x)."""

    @property
    def whole_fields(self) -> Mapping[str, tuple[str, str]]:
        """Long name and equation, by name."""
        ...


class Recorder:
    """The streams of a run, each written at its own cadence.

    Parameters
    ----------
    stack : PhaseSpaceSystem
        What is stepped, with the bands that are followed.
    output : OutputSection
        What is stored, and how often.
    validity : ValidityMeter, optional
        Its numbers go to the scalars.
    """

    def __init__(self, stack: PhaseSpaceSystem, output: OutputSection, validity: ValidityMeter | None = None):
        self._system, self._bands = stack, stack.bands
        self._grid = stack.bands[0].grid
        self._output = output
        self._selection = select(output, self._grid)
        self._validity = validity
        self._flows = [BandFlows(band) for band in stack.bands]
        self._schedules: dict[str, Schedule] = {
            name: make_schedule(getattr(output, f"{name}_every")) for name in STREAMS
        }
        self._streams: dict[str, NetcdfStream] = {}
        self._initial: dict[str, FloatArray] = {}
        #: The scalars of the last record.
        self.latest: dict[str, FloatArray] = {}

    def open(
        self, directory: RunDirectory, attributes: Mapping[str, str], resume_at: float | None = None
    ) -> None:
        """Begin the files of a run, or continue them at a time, without what was stored after it."""
        for name in STREAMS:
            path = directory.stream_path(name)
            self._streams[name] = self.open_stream(name, path, attributes, resume_at)
        path = directory.stream_path("geometry")
        if not path.exists():
            specs, arrays = geometry_variables([flows.at(0.0) for flows in self._flows])
            options = {"precision": self._output.precision, "compression": self._output.compression}
            write_static(path, specs, self._coordinates(), attributes, arrays, **options)

    def open_stream(
        self, name: str, path: Path, attributes: Mapping[str, str], resume_at: float | None = None
    ) -> NetcdfStream:
        """Begin one of the files, or continue it at a time, without what was stored after it."""
        variables = stream_variables(name, self._selection, self._output.face, self._system.own_scalars)
        if name == "fields":
            variables += local_field_variables(self._system, self._grid)
        if name == "scalars" and self._validity is not None:
            variables += validity_variables(self._validity.names)
        # drifts would be lost in single precision
        precision = "float64" if name == "scalars" else self._output.precision
        options: dict[str, Any] = {"precision": precision, "compression": self._output.compression}
        if resume_at is None:
            return NetcdfStream(path, variables, self._coordinates(), attributes, **options)
        return resume_stream(path, resume_at, variables, self._coordinates(), attributes, **options)

    def _coordinates(self) -> tuple[Coordinate, ...]:
        return grid_coordinates(self._grid, [band.band for band in self._bands])

    def stores(self, name: str) -> bool:
        """Whether a stream gets any records."""
        return bool(getattr(self._output, f"{name}_every") != "never")

    def note_stop(self, reason: str) -> None:
        """Leave in every file why the run stopped."""
        for stream in self._streams.values():
            stream.set_attribute("stop_reason", reason)

    def close(self) -> None:
        """Close all files."""
        for stream in self._streams.values():
            stream.close()

    def next_time(self) -> float:
        """Time of the next record that is set by simulated time; steps end there."""
        return min(schedule.next_time() for schedule in self._schedules.values())

    def record(self, propagator: Propagator, last: bool = False) -> bool:
        """Write what is due (at the end of a run: whatever is stored at all); say whether scalars were."""
        time = propagator.time
        due = [name for name, schedule in self._schedules.items() if schedule.due(propagator.n_steps, time)]
        if last:
            due = [name for name in STREAMS if self.stores(name)]
        if not due:
            return False
        for name, arrays in self.arrays(due, propagator):
            self._streams[name].append(time, arrays)
        return "scalars" in due

    def arrays(
        self, streams: Sequence[str], propagator: Propagator
    ) -> Iterator[tuple[str, Mapping[str, FloatArray]]]:
        """What a record of each of the streams holds, one after the other."""
        time = propagator.time
        states = [
            BandState(flow.effective, w, flow, metered=self._validity is not None)
            for flow, w in zip(
                self._flows_of(propagator), self._system.densities(propagator.w, time), strict=True
            )
        ]
        if "scalars" in streams:
            self.latest = self._scalars(states, propagator)
            if self._validity is not None:
                self.latest |= self._validity.measure(states, time)
            yield "scalars", self.latest
        if "fields" in streams:
            local = self._system.local_fields(propagator.w, time)
            yield "fields", self._selection.field_values(states) | local
            if propagator.w.size > LARGE:
                fourier.forget_plans()  # each keeps arrays of the size of w
        if "phase" in streams:
            yield "phase", band_phase(states, self._output.face)

    def _flows_of(self, propagator: Propagator) -> list[BandFlow]:
        """How each band flows now; a band that the state itself changes is looked at anew."""
        evolutions = self._system.evolutions(propagator.w, propagator.time)
        known = zip(self._bands, self._flows, evolutions, strict=True)
        return [
            flows.at(propagator.time) if band is evolution else BandFlow(evolution, propagator.time)
            for band, flows, evolution in known
        ]

    def _scalars(self, states: Sequence[BandState], propagator: Propagator) -> dict[str, FloatArray]:
        scalars = self._selection.scalar_values(states)
        own = self._system.measure(propagator.w, propagator.time)
        wanted = {*scalars, *self._system.own_scalars}
        scalars |= {name: values for name, values in own.items() if name in wanted}
        step = propagator.last_step or propagator.dt
        self._initial = self._initial or {**scalars, **drift_scales(states)}
        return {**scalars, **relative_drifts(scalars, self._initial), "time_step": np.asarray(step)}

    def state(self) -> dict[str, Any]:
        """What a restart needs: when each stream is due, and what drifts are measured from."""
        schedules = {name: schedule.state() for name, schedule in self._schedules.items()}
        validity = {} if self._validity is None else self._validity.state()
        return {"schedules": schedules, "initial": self._initial, "validity": validity}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from :meth:`state`."""
        self._initial = {name: np.asarray(values) for name, values in state["initial"].items()}
        for name, schedule in self._schedules.items():
            schedule.restore(state["schedules"][name])
        if self._validity is not None and state.get("validity"):
            self._validity.restore(state["validity"])


def make_recorder(stack: PhaseSpaceSystem, output: OutputSection, validity: str, duration: float) -> Recorder:
    """The recorder of a run that lasts ``duration``; ``validity`` is that of the monitors."""
    if validity == "off":
        return Recorder(stack, output)
    meter = ValidityMeter(stack.bands, duration, "on" if validity == "predict" else "auto")
    return Recorder(stack, output, meter)


def stream_variables(
    stream: str, selection: Selection, face: Face, own_scalars: Mapping[str, OwnScalar] | None = None
) -> list[VariableSpec]:
    """Variables of ``scalars``, ``fields`` or ``phase``; ``own_scalars`` are those of the system stepped."""
    if stream == "phase":
        return [VariableSpec(face, ("time", "band", *selection.grid.dims), "1", FACE_NAMES[face])]
    specs = selection.scalar_variables() if stream == "scalars" else selection.field_variables()
    if stream == "scalars":
        for name, of in DRIFTS.items():
            about = f"change of the {OBSERVABLES[of].long_name} since time 0, over the sum of absolute values"
            specs.append(VariableSpec(name, ("time", "band"), "1", about))
        for name, own in (own_scalars or {}).items():
            dims = ("time", "band") if own.per_band else ("time",)
            specs.append(VariableSpec(name, dims, "1", own.long_name, own.equation))
        specs.append(VariableSpec("time_step", ("time",), "1", "last time step taken"))
    return specs


def validity_variables(names: Sequence[str]) -> list[VariableSpec]:
    """Variables of the validity meter."""
    return [VariableSpec(name, ("time", "band"), "1", *VALIDITY[name]) for name in names]


def local_field_variables(stack: PhaseSpaceSystem, grid: PhaseSpaceGrid) -> list[VariableSpec]:
    """Variables of what couplings solve for at every position, and of all bands together."""
    dims = ("time", "band", *grid.position_names)
    specs = [VariableSpec(name, dims, "1", about) for name, about in stack.local_field_descriptions.items()]
    if isinstance(stack, WithWholeFields):
        dims = ("time", *grid.position_names)
        specs += [VariableSpec(name, dims, "1", *about) for name, about in stack.whole_fields.items()]
    return specs


def relative_drifts(
    scalars: Mapping[str, FloatArray], initial: Mapping[str, FloatArray]
) -> dict[str, FloatArray]:
    """Changes of the conserved scalars since the start, in units of :func:`drift_scales`.

    Where bands exchange particles the totals are conserved, and every band is given their drift.
    """
    drifts = {}
    for name, of in DRIFTS.items():
        total, scale = f"total_{of}", initial[f"{of}_scale"]
        if total in scalars:
            drifts[name] = np.full(scale.shape, (scalars[total] - initial[total]) / scale.sum())
        else:
            drifts[name] = (scalars[of] - initial[of]) / scale
    return drifts


def drift_scales(states: Sequence[BandState]) -> dict[str, FloatArray]:
    """``int |w|`` and ``int |w h_w|``: what a drift is relative to, also where contributions cancel."""
    tiny = np.finfo(float).tiny
    scales: dict[str, list[float]] = {"particle_number_scale": [], "energy_scale": []}
    for state in states:
        energy = np.broadcast_to(state.effective.total_energy_symbol, state.grid.shape)
        rows = [(np.abs(w).sum(), np.abs(w * h).sum()) for w, h in zip(state.w, energy, strict=True)]
        for values, total in zip(scales.values(), np.sum(rows, axis=0), strict=True):
            values.append(max(float(total) * state.grid.cell_measure, tiny))
    return {name: np.array(values) for name, values in scales.items()}


def band_phase(states: Sequence[BandState], face: Face) -> dict[str, FloatArray]:
    """The stored face of all bands."""
    return {face: np.stack([state.face(face) for state in states])}


def geometry_variables(
    flows: Sequence[BandFlow],
) -> tuple[list[VariableSpec], dict[str, Callable[[], FloatArray]]]:
    """Variables of ``geometry.nc``, the effective bands at the start and how they flow, and what makes it."""
    grid = flows[0].space.grid
    makers: dict[str, Callable[[], FloatArray]] = {}
    specs: list[VariableSpec] = []

    def add(
        name: str,
        make: Callable[..., FloatArray],
        long_name: str,
        equation: str = "",
        component: tuple[int, ...] = (),
    ) -> None:
        def stacked() -> FloatArray:
            return np.stack([np.broadcast_to(make(flow, *component), grid.shape) for flow in flows])

        makers[name] = stacked
        specs.append(VariableSpec(name, ("band", *grid.dims), "1", long_name, equation))

    add("band_energy", lambda flow: flow.effective.energy[0], "bare band energy", "h_0 = tr P H")
    add("dual_energy", lambda flow: flow.effective.total_energy_symbol, "band energy dual to w", "h_w")
    add("density_of_states", _density_of_states, "phase-space density of states", "D")
    add("gap", _finite_gap, "distance to the nearest other band")
    order = flows[0].effective.order
    for a, name in enumerate(grid.dims):
        add(f"velocity_{name}", _velocity, f"phase-space velocity d{name}/dt", "V_a", (a,))
        for b in range(a, grid.n_axes):
            other = grid.dims[b]
            if order == 2:
                label, equation = f"quantum metric g_{name},{other}", "(1/2) tr d_a P d_b P"
                add(f"quantum_metric_{name}_{other}", _metric, label, equation, (a, b))
            if order and b > a:
                label = f"Berry curvature Omega_{name},{other}, all orders kept"
                add(f"berry_curvature_{name}_{other}", _curvature, label, "Omega*_ab", (a, b))
    return specs, makers


def _density_of_states(flow: BandFlow) -> FloatArray:
    return flow.effective.density_of_states


def _finite_gap(flow: BandFlow) -> FloatArray:
    return np.where(np.isfinite(flow.effective.gap), flow.effective.gap, np.nan)


def _velocity(flow: BandFlow, a: int) -> FloatArray:
    return np.asarray(flow.phase_space_velocity[a])


def _metric(flow: BandFlow, a: int, b: int) -> FloatArray:
    return np.asarray(flow.effective.metric[a, b])


def _curvature(flow: BandFlow, a: int, b: int) -> FloatArray:
    return np.asarray(sum(omega[a, b] for omega in flow.effective.curvature))
