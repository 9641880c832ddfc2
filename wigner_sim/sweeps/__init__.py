"""Sweeps: the same case with different values, run side by side and collected in one Dataset."""

from wigner_sim.sweeps.collecting import collect
from wigner_sim.sweeps.plan import Member, Plan, sweep_plan
from wigner_sim.sweeps.running import Sweep, is_sweep, open_sweep, sweep

__all__ = ["Member", "Plan", "Sweep", "collect", "is_sweep", "open_sweep", "sweep", "sweep_plan"]
