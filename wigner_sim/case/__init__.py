"""The case file: ``case.toml`` -> validated, frozen :class:`Case`.  No physics, nothing is built here."""

from wigner_sim.case.fields import Cadence
from wigner_sim.case.keys import CaseKey, case_keys
from wigner_sim.case.loading import Case, load_case
from wigner_sim.case.references import Reference

__all__ = ["Cadence", "Case", "CaseKey", "Reference", "case_keys", "load_case"]
