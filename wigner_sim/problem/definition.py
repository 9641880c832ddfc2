"""The physical problem of a case: what is solved, free of how it is stored or shown."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from wigner_sim.baths import Baths
from wigner_sim.errors import CaseError
from wigner_sim.feasibility import check_step_count, matrix_memory_needed, memory_needed
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.initial_states import InitialState
from wigner_sim.kinetics.band_evolution import BandEvolution
from wigner_sim.kinetics.band_stack import BandStack
from wigner_sim.kinetics.interacting_stack import InteractingStack
from wigner_sim.kinetics.mean_field import Interaction
from wigner_sim.kinetics.options import EquationOptions
from wigner_sim.kinetics.phase_space_system import PhaseSpaceSystem
from wigner_sim.matrix_moyal import MatrixMoyal
from wigner_sim.models import Hamiltonian
from wigner_sim.steppers import Composition, Stepper, choose_step
from wigner_sim.steppers.adaptive import ChosenStep

#: Times of the run at which the stiffness of a driven Hamiltonian is looked at.
N_PROBED_TIMES = 5
#: Relaxation undone by one backward substep of a composition scheme (it grows as the exponential of this).
LARGEST_BACKWARD = 1.0


@dataclass(frozen=True)
class Problem:
    """What is to be solved, free of how it is stored or shown.

    Parameters
    ----------
    grid : PhaseSpaceGrid
    hamiltonian : Hamiltonian
    bands : tuple of int
    initial_states : tuple of InitialState
        One per band.
    options : EquationOptions
    duration : float, time
    stepper : Stepper
    tolerance : float
        Error allowed by the end, relative to max|w|, where the program chooses the step.
    baths : Baths
        Collisions and reservoirs.
    method : {"kinetic", "matrix"}
        The kinetic equation of each band, or the full matrix equation.
    interaction : Interaction, optional
        The electrons' mean field.
    precision : {"float64", "float32"}
        Of the state that is stepped.
    """

    grid: PhaseSpaceGrid
    hamiltonian: Hamiltonian
    bands: tuple[int, ...]
    initial_states: tuple[InitialState, ...]
    options: EquationOptions
    duration: float
    stepper: Stepper
    tolerance: float
    baths: Baths = field(default_factory=Baths)
    method: Literal["kinetic", "matrix"] = "kinetic"
    interaction: Interaction | None = None
    precision: str = "float64"

    def stack(self) -> PhaseSpaceSystem:
        """The kinetic equations of all bands, or the matrix equation."""
        if self.method == "matrix" and (self.baths or self.interaction is not None):
            raise CaseError("the matrix equation knows no collisions, no reservoirs and no mean field")
        if self.method == "matrix":
            return MatrixMoyal(self.hamiltonian, self.grid, self.bands, self.options)
        bands = [BandEvolution(self.hamiltonian, self.grid, band, self.options) for band in self.bands]
        if self.interaction is not None:
            return InteractingStack(bands, interaction=self.interaction)
        return BandStack(bands, self.baths.terms(bands))

    def initial_density(self, stack: PhaseSpaceSystem) -> np.ndarray:
        """Densities w of all bands at time 0, shape (b, *x, *k).

        Raises
        ------
        CaseError
            If the state is not finite somewhere.
        """
        densities = []
        for state, band in zip(self.initial_states, stack.bands, strict=True):
            with np.errstate(all="ignore"):
                densities.append(state.density(band.effective(0.0)))
            if not np.isfinite(densities[-1]).all():
                raise CaseError(
                    f"initial_state: the density of band {band.band} is not finite everywhere: "
                    "a width or temperature is too small, or a value too large"
                )
        return np.stack(densities).astype(self.precision, copy=False)

    def choose_step(self, stack: PhaseSpaceSystem, w: np.ndarray, tolerance: float) -> ChosenStep:
        """Largest step that is stable and accurate to ``tolerance`` by the end, see ``steppers.choose_step``.

        A driven Hamiltonian is tried at its start, in the middle of the run and when it is stiffest.
        """
        radii = self._spectral_radii(stack)
        check_step_count(self.duration * max(radii.values()) / self.stepper.stability_limit)
        stiffest = max(radii, key=lambda time: radii[time])
        times = {0.0, 0.5 * self.duration, stiffest} if self.hamiltonian.driven else {0.0}
        try:
            start = w.astype(
                np.promote_types(w.dtype, float), copy=False
            )  # rounding of a short state would be taken for an error
            choices = [
                choose_step(self.stepper, stack, start, time, self.duration, tolerance) for time in times
            ]
        except OverflowError:
            check_step_count(np.inf)
            raise
        chosen = min(choices, key=lambda choice: choice.dt)
        check_step_count(self.duration / chosen.dt)
        return chosen

    def precision_note(self, stack: PhaseSpaceSystem, w: np.ndarray, dt: float) -> str:
        """What rounding does in one step of a state in float32, measured; nothing for float64."""
        if self.precision == "float64":
            return ""
        short, exact = (self.stepper.step(stack, w.astype(kind), 0.0, dt) for kind in (self.precision, float))
        error = float(np.abs(short - exact).max() / np.abs(exact).max())
        return f"; {self.precision}: rounding of one step is {error:.1e} of max|w|"

    def stability_limit(self, stack: PhaseSpaceSystem) -> float:
        """Largest stable step at any time of the run."""
        radius = max(self._spectral_radii(stack).values())
        return self.stepper.stability_limit / radius if radius else np.inf

    def check_backward_steps(self, stack: PhaseSpaceSystem, step: float) -> None:
        """Refuse a step over which a composition scheme would undo collisions that cannot be undone.

        Raises
        ------
        CaseError
        """
        if not isinstance(self.stepper, Composition) or not isinstance(stack, BandStack):
            return
        backward = -min(0.0, *self.stepper.fractions) * step
        rate = sum(coupling.spectral_radius(0.0) for coupling in stack.couplings)
        if backward * rate > LARGEST_BACKWARD:
            raise CaseError(
                f"time.step = {step:g} lets {self.stepper.name} go back in time by {backward:.3g}, too far "
                f"for collisions with the rate {rate:.3g}: use a step below "
                f"{step * LARGEST_BACKWARD / (backward * rate):.3g}, or strang"
            )

    def _spectral_radii(self, stack: PhaseSpaceSystem) -> dict[float, float]:
        """Spectral radius at a few times of the run (at its start, for a static Hamiltonian)."""
        n_times = N_PROBED_TIMES if self.hamiltonian.driven else 1
        times = np.linspace(0.0, self.duration, n_times)
        return {float(time): stack.spectral_radius(float(time)) for time in times}

    @property
    def memory(self) -> float:
        """About what a run needs at its largest, in bytes."""
        h = self.hamiltonian
        if self.method == "matrix":
            return matrix_memory_needed(self.grid, h.n_orbitals)
        return memory_needed(self.grid, h.n_orbitals, self.options.order, h.separable, h.driven)

    def dilated(self, dilation: float) -> Problem:
        """H(x/dilation, k, t/dilation) on a crystal longer by ``dilation``, and for a time longer by it."""
        return replace(
            self,
            grid=self.grid.dilated(dilation),
            hamiltonian=self.hamiltonian.dilated(dilation),
            initial_states=tuple(state.dilated(dilation) for state in self.initial_states),
            options=replace(
                self.options,
                difference_step=self.options.difference_step * dilation,
                refresh_interval=self.options.refresh_interval * dilation,
            ),
            duration=self.duration * dilation,
            baths=self.baths.dilated(dilation),
            interaction=None if self.interaction is None else self.interaction.dilated(dilation),
        )

    def with_order(self, order: int) -> Problem:
        """The same problem at another order in gradients."""
        return replace(self, options=replace(self.options, order=order))
