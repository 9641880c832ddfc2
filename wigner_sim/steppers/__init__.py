"""Time steppers: what they ask of an equation, and every scheme with its declared order."""

from wigner_sim.steppers.adaptive import StepDoubling, choose_step, estimate_error
from wigner_sim.steppers.protocol import (
    Act,
    ComposedEquation,
    Equation,
    Flow,
    Schedule,
    SplitEquation,
    Stepper,
)
from wigner_sim.steppers.runge_kutta import RK4, ButcherTableau, ExplicitRungeKutta
from wigner_sim.steppers.splitting import BLANES_MOAN4, SERIES_CUT, STRANG, Composition, compose

#: Every scheme a case can name.
STEPPERS: dict[str, Stepper] = {
    "rk4": ExplicitRungeKutta("rk4", RK4),
    "strang": Composition("strang", 2, STRANG),
    "blanes_moan4": Composition("blanes_moan4", 4, BLANES_MOAN4, SERIES_CUT),
}

__all__ = [
    "STEPPERS",
    "Act",
    "ButcherTableau",
    "ComposedEquation",
    "Composition",
    "Equation",
    "ExplicitRungeKutta",
    "Flow",
    "Schedule",
    "SplitEquation",
    "StepDoubling",
    "Stepper",
    "choose_step",
    "compose",
    "estimate_error",
]
