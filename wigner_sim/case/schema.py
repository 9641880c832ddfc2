"""The sections of a case file as frozen models: every key with its default, its range and its meaning.

This is the one place where a key is declared; error messages, the table of keys and the documentation
follow from it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from wigner_sim.case.fields import (
    Bands,
    CheckpointCadence,
    Counts,
    Expression,
    Expressions,
    FreeList,
    FreeTable,
    Numbers,
    Order,
    PointCounts,
    Positive,
    Positives,
    Source,
    StreamCadence,
    Text,
    inconsistent,
    key,
)

SYMBOL_VALUE = 'an expression of x and k, a number, "python:FILE.py:FUNCTION" or "array:FILE.npy"'
ON_OFF = "true or false"


class Section(BaseModel):
    """A table of the case file: unknown keys are refused, types are not converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    def _complete(self, **derived: Any) -> None:
        """Fill keys that were left out with values worked out from others."""
        for name, value in derived.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)


def fft_friendly(minimum: int) -> int:
    """Smallest even number >= ``minimum`` with no prime factor above 7."""
    number = max(2, minimum + minimum % 2)
    while True:
        rest = number
        for factor in (2, 3, 5, 7):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return number
        number += 2


class GridSection(Section):
    """The phase-space grid."""

    sites: Counts = key(
        ...,
        "Period of each position axis in lattice constants; an empty list means a homogeneous state.",
        "a list of up to three positive integers",
    )
    n_x: PointCounts | None = key(
        None,
        "Grid points along each position axis.",
        "a list of integers >= 4, one per position axis",
        "sites, rounded up to an even number with small prime factors, at least 32",
    )
    n_k: PointCounts | None = key(
        None,
        "Grid points along each momentum axis; the number of entries is the dimension d of the crystal.",
        "a list of one to three integers >= 4, one per momentum axis",
        "64 for each position axis",
    )
    magnetic_field: float | Numbers = key(
        0.0,
        "Magnetic flux per cell (hbar = e = 1): a number in two dimensions, three components in three.",
        "a number, or a list of three numbers in three dimensions",
    )

    @model_validator(mode="after")
    def _check_axes(self) -> GridSection:
        self._complete(
            n_x=tuple(fft_friendly(max(32, n)) for n in self.sites), n_k=(64,) * max(1, len(self.sites))
        )
        n_x, n_k = self.n_x or (), self.n_k or ()
        if len(n_x) != len(self.sites):
            problem = f"expected as many entries as sites has ({len(self.sites)}), got {len(n_x)}"
            raise inconsistent("grid", "n_x", problem)
        if len(n_k) < max(1, len(self.sites)):
            problem = (
                f"expected one entry per momentum axis, at least {max(1, len(self.sites))}, got {len(n_k)}"
            )
            raise inconsistent("grid", "n_k", problem)
        self._check_field(len(n_k))
        return self

    def _check_field(self, d: int) -> None:
        field = self.magnetic_field
        if d == 1 and field != 0.0:
            raise inconsistent("grid", "magnetic_field", "expected 0 in one dimension")
        if d == 2 and not isinstance(field, float):
            raise inconsistent("grid", "magnetic_field", "expected one number in two dimensions")
        if d == 3 and isinstance(field, float) and field != 0.0:
            raise inconsistent("grid", "magnetic_field", "expected three components in three dimensions")
        if not isinstance(field, float) and len(field) != 3:
            raise inconsistent("grid", "magnetic_field", f"expected three components, got {len(field)}")


class HamiltonianSection(Section):
    """The Weyl symbol H(x, k, t) of the crystal."""

    source: Source = key(
        ...,
        "Where H comes from: a named model, a Python function (x, k, t, **parameters) -> (..., N, N), "
        "hoppings, or a sum of (function of x) times (matrix function of k).",
        '"named:MODEL", "python:FILE.py:FUNCTION", "tight_binding" or "terms"',
    )
    parameters: FreeTable = key(
        {},
        "Parameters of the model: numbers, arrays, or expressions of x and t where the model allows them.",
        "a table of numbers, strings and lists",
    )
    potential: float | Expression | None = key(
        None,
        "Scalar potential U(x, t), added to H times the identity.",
        'an expression of x and t, a number, "python:FILE.py:FUNCTION" or "array:FILE.npy"',
        "none",
    )
    terms: FreeList | None = key(
        None, 'The sum for source = "terms".', "a list of tables", 'none; required by source = "terms"'
    )
    hoppings: FreeList | None = key(
        None,
        'The hoppings for source = "tight_binding".',
        "a list of tables",
        'none; required by source = "tight_binding"',
    )
    orbital_positions: FreeList | None = key(
        None,
        "Orbital positions in units of the lattice vectors.",
        "a list of lists of numbers",
        "all at the origin",
    )
    lattice_vectors: FreeList | None = key(
        None, "Rows are the Cartesian lattice vectors.", "a list of lists of numbers", "the identity"
    )
    force: Expressions | None = key(
        None,
        "Uniform force F(t) on the electrons along each lattice vector (energy per lattice constant), beside "
        "a periodic potential.",
        "a list of numbers or expressions of t, one per momentum axis",
        "none",
    )
    vector_potential: Expressions | None = key(
        None,
        "Periodic vector potential A(x, t) along each lattice vector, H(x, k + A(x, t), t): the part of a "
        "magnetic field that varies in space.",
        "a list of numbers or expressions of x and t, one per momentum axis",
        "none",
    )
    minimum_gap: Positive = key(
        0.05, "Smallest gap around the chosen bands that is accepted (energy).", "a number > 0"
    )


class BandsSection(Section):
    """Which bands are followed."""

    select: Literal["all"] | Bands = key(
        (0,),
        "Band indices, counted from 0 at the bottom, or all bands.",
        '"all" or a list of distinct integers >= 0',
    )


class TermsSection(Section):
    """Switches for terms of the kinetic equation, for studies of what each one does."""

    berry: bool = key(True, "Berry curvature (anomalous velocity).", ON_OFF)
    orbital_moment: bool = key(True, "Orbital magnetic moment in the band energy.", ON_OFF)
    metric: bool = key(True, "Quantum metric.", ON_OFF)
    band_normalized_metric: bool = key(True, "Band-normalized quantum metric.", ON_OFF)
    moyal: bool = key(True, "Third-derivative (Moyal) term.", ON_OFF)


class EquationSection(Section):
    """The kinetic equation that is stepped."""

    order: Order = key(2, "Order in gradients.", "0, 1 or 2")
    terms: TermsSection = Field(default_factory=TermsSection, description="Switches of single terms.")
    dealias: Literal["none", "two_thirds", "smooth"] = key(
        "none", "Filter against aliasing of products.", '"none", "two_thirds" or "smooth"'
    )
    moyal_filter: Literal["none", "bounded"] = key(
        "none",
        "Limit the third-derivative term, mode by mode, to the rate of the first derivatives; the change is "
        "of fourth order in gradients, and an explicit step is no longer bound by third derivatives.",
        '"none" or "bounded"',
    )
    moyal_series: Literal["third_derivative", "all_orders"] = key(
        "third_derivative",
        "Orders of the Moyal product kept in the exact flows of a splitting stepper, for H0(k) + U(x, t).",
        '"third_derivative" or "all_orders"',
    )


class SymbolState(Section):
    """The occupation symbol c(x, k) itself."""

    kind: Literal["symbol"]
    c: float | Expression | Expressions = key(
        ...,
        "The symbol c(x, k); a list gives one entry per chosen band.",
        SYMBOL_VALUE + ", or a list of these",
    )


class GaussianState(Section):
    """A Gaussian packet in phase space, periodic."""

    kind: Literal["gaussian"]
    center_x: Numbers | None = key(
        None, "Centre along each position axis.", "a list of numbers, one per position axis", "sites / 2"
    )
    center_k: Numbers | None = key(
        None, "Centre along each momentum axis.", "a list of numbers, one per momentum axis", "0 on each axis"
    )
    width_x: Positives = key(
        ..., "Standard deviation along each position axis.", "a list of numbers > 0, one per position axis"
    )
    width_k: Positives = key(
        ..., "Standard deviation along each momentum axis.", "a list of numbers > 0, one per momentum axis"
    )
    amplitude: float = key(1.0, "Height of the packet.", "a number")


class ThermalState(Section):
    """Local equilibrium of the chosen bands, to second order in gradients."""

    kind: Literal["thermal"]
    mu: float | Expression = key(0.0, "Chemical potential.", "a number or an expression of x")
    temperature: Positive | Expression = key(
        ..., "Temperature (energy).", "a number > 0 or an expression of x"
    )


class ThermalBumpState(GaussianState):
    """A Gaussian bump on top of local equilibrium."""

    kind: Literal["thermal_bump"]  # type: ignore[assignment]
    mu: float | Expression = key(0.0, "Chemical potential.", "a number or an expression of x")
    temperature: Positive | Expression = key(
        ..., "Temperature (energy).", "a number > 0 or an expression of x"
    )


class EarlierRunState(Section):
    """The state stored by an earlier run."""

    kind: Literal["from_run"]
    run: Text = key(..., "Run or case directory, relative to the case file.", "a path")
    time: float = key(
        -1.0, "Which stored time to take; -1 is the last one.", "a time >= 0, or -1 for the last one"
    )

    @model_validator(mode="after")
    def _check_time(self) -> EarlierRunState:
        if self.time < 0 and self.time != -1.0:
            raise inconsistent(
                "initial_state", "time", f"expected a time >= 0, or -1 for the last one, got {self.time}"
            )
        return self


InitialState = Annotated[
    SymbolState | GaussianState | ThermalState | ThermalBumpState | EarlierRunState,
    Field(discriminator="kind"),
]
INITIAL_STATES: dict[str, type[Section]] = {
    "symbol": SymbolState,
    "gaussian": GaussianState,
    "thermal": ThermalState,
    "thermal_bump": ThermalBumpState,
    "from_run": EarlierRunState,
}


class TimeSection(Section):
    """How long, and how the equation is stepped.  Time is in units of hbar / energy."""

    end: Positive = key(..., "Time at which the run ends.", "a number > 0")
    stepper: Literal["rk4", "strang", "blanes_moan4"] = key(
        "rk4", "Time stepper.", '"rk4", "strang" or "blanes_moan4"'
    )
    step: Literal["auto"] | Positive = key(
        "auto", "Time step; the automatic choice is printed with its reason.", '"auto" or a number > 0'
    )
    adaptive: bool = key(False, "Adapt the step to the tolerance.", ON_OFF)
    tolerance: Positive = key(
        1e-6,
        "Error allowed by the end of the run, relative to max|w|, for the automatic and the adaptive step.",
        "a number > 0",
    )


class OutputSection(Section):
    """What is stored, and how often."""

    face: Literal["f", "w", "c"] = key(
        "f", "Which face of the state is stored: density f, Weyl-like w or occupation c.", '"f", "w" or "c"'
    )
    scalars_every: StreamCadence = key(
        None, "Cadence of scalars.nc.", 'a time > 0, {steps = n} or "never"', "time.end / 200"
    )
    fields_every: StreamCadence = key(
        None, "Cadence of fields.nc.", 'a time > 0, {steps = n} or "never"', "time.end / 100"
    )
    phase_every: StreamCadence = key(
        None, "Cadence of phase.nc.", 'a time > 0, {steps = n} or "never"', "time.end / 50"
    )
    checkpoint_every: CheckpointCadence = key(
        {"wall_seconds": 60.0},
        "Cadence of checkpoints.",
        'a time > 0, {wall_seconds = s}, {steps = n} or "never"',
    )
    precision: Literal["float64", "float32"] = key(
        "float64", "Stored precision of arrays; checkpoints are always float64.", '"float64" or "float32"'
    )
    compression: Literal["blosc_lz4", "zlib", "none"] = key(
        "zlib",
        "Compression of arrays; blosc_lz4 is faster, but needs an HDF5 plugin outside Python's netCDF4.",
        '"blosc_lz4", "zlib" or "none"',
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
    action: Literal["warn", "stop"] = key(
        "warn", "What happens when a guard is violated.", '"warn" or "stop"'
    )


class CaseSections(Section):
    """All sections of a case."""

    title: str = key("", "One line that says what the case shows.", "a string")
    grid: GridSection = Field(description="The phase-space grid.")
    hamiltonian: HamiltonianSection = Field(description="The crystal.")
    bands: BandsSection = Field(default_factory=BandsSection, description="Which bands are followed.")
    equation: EquationSection = Field(default_factory=EquationSection, description="The equation.")
    initial_state: InitialState = Field(description="The state at time 0.")
    time: TimeSection = Field(description="Duration and stepping.")
    output: OutputSection = Field(default_factory=OutputSection, description="What is stored.")
    monitors: MonitorsSection = Field(default_factory=MonitorsSection, description="Guards.")

    @model_validator(mode="after")
    def _fill_from_other_sections(self) -> CaseSections:
        end = self.time.end
        self.output._complete(scalars_every=end / 200, fields_every=end / 100, phase_every=end / 50)
        if isinstance(self.initial_state, GaussianState):
            self._check_packet(self.initial_state)
        return self

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
