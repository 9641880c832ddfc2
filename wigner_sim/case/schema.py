"""All sections of a case file as one frozen model: every key with its default, its range and its meaning.

A key is declared once, in its section; error messages, the table of keys and the documentation follow from
that.
"""

from __future__ import annotations

from pydantic import Field, model_validator

from wigner_sim.case.fields import inconsistent, key
from wigner_sim.case.sections.base import Section
from wigner_sim.case.sections.equation import EquationSection
from wigner_sim.case.sections.grid import GridSection
from wigner_sim.case.sections.hamiltonian import BandsSection, HamiltonianSection
from wigner_sim.case.sections.initial_state import GaussianState, InitialState
from wigner_sim.case.sections.limits import LimitsSection
from wigner_sim.case.sections.mean_field import MeanFieldSection
from wigner_sim.case.sections.relaxation import RelaxationSection, Reservoirs
from wigner_sim.case.sections.run import MonitorsSection, OutputSection, TimeSection
from wigner_sim.case.sections.sweep import SweepSection
from wigner_sim.case.sections.trajectories import TrajectoriesSection
from wigner_sim.case.sections.units import UnitsSection


class CaseSections(Section):
    """All sections of a case."""

    title: str = key("", "One line that says what the case shows.", "a string")
    units: UnitsSection = Field(
        default_factory=UnitsSection, description="What the lattice units are, for values with units."
    )
    grid: GridSection = Field(description="The phase-space grid.")
    hamiltonian: HamiltonianSection = Field(description="The crystal.")
    bands: BandsSection = Field(default_factory=BandsSection, description="Which bands are followed.")
    equation: EquationSection = Field(default_factory=EquationSection, description="The equation.")
    relaxation: RelaxationSection = Field(default_factory=RelaxationSection, description="Collisions.")
    reservoirs: Reservoirs = Field(
        default=(),
        description="Reservoirs.",
        json_schema_extra={"expected": "a list of tables", "default_text": "[]"},
    )
    mean_field: MeanFieldSection = Field(
        default_factory=MeanFieldSection, description="The electrons' own potential."
    )
    initial_state: InitialState = Field(description="The state at time 0.")
    time: TimeSection = Field(description="Duration and stepping.")
    output: OutputSection = Field(default_factory=OutputSection, description="What is stored.")
    monitors: MonitorsSection = Field(default_factory=MonitorsSection, description="Guards.")
    limits: LimitsSection = Field(default_factory=LimitsSection, description="What a run may use.")
    sweep: SweepSection | None = Field(default=None, description="Values to run the case with.")
    trajectories: TrajectoriesSection = Field(
        default_factory=TrajectoriesSection, description="Wave packets beside the state."
    )

    @model_validator(mode="after")
    def _fill_from_other_sections(self) -> CaseSections:
        end = self.time.end
        self.output._complete(scalars_every=end / 200, fields_every=end / 100, phase_every=end / 50)
        if isinstance(self.initial_state, GaussianState):
            self._check_packet(self.initial_state)
        self._check_trajectories()
        return self

    def _check_trajectories(self) -> None:
        chosen = self.bands.select
        first = 0 if chosen == "all" else chosen[0]
        self.trajectories._complete(orders=(self.equation.order,), band=first)
        n_axes = len(self.grid.sites) + len(self.grid.n_k or ())
        for number, start in enumerate(self.trajectories.starts, start=1):
            if len(start) != n_axes:
                problem = f"packet {number} has {len(start)} numbers, expected one per axis ({n_axes})"
                raise inconsistent("trajectories", "starts", problem)
        if self.trajectories.starts and chosen != "all" and self.trajectories.band not in chosen:
            problem = f"band {self.trajectories.band} is not among bands.select {list(chosen)}"
            raise inconsistent("trajectories", "band", problem)

    def _check_packet(self, packet: GaussianState) -> None:
        sites, n_momenta = self.grid.sites, len(self.grid.n_k or ())
        packet._complete(center_x=tuple(n / 2 for n in sites), center_k=(0.0,) * n_momenta)
        for name, n_axes in {"x": len(sites), "k": n_momenta}.items():
            for quantity in (f"center_{name}", f"width_{name}"):
                n_given = len(getattr(packet, quantity))
                if n_given != n_axes:
                    kind = "position" if name == "x" else "momentum"
                    problem = f"expected one number per {kind} axis ({n_axes}), got {n_given}"
                    raise inconsistent("initial_state", quantity, problem)
