"""Sweeps: the same case with different values, run side by side and collected in one Dataset."""

from wigner_sim.sweeps.collecting import collect
from wigner_sim.sweeps.plan import Member, Plan, sweep_plan
from wigner_sim.sweeps.running import Sweep, sweep

__all__ = ["Member", "Plan", "Sweep", "collect", "sweep", "sweep_plan"]
