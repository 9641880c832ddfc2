"""All verbs, group by group, in the order of ``wigner-sim --help``."""

from wigner_sim.cli import importing, running, showing, starting, studying
from wigner_sim.cli.arguments import Verb

VERBS: tuple[Verb, ...] = (*starting.VERBS, *importing.VERBS, *running.VERBS, *studying.VERBS, *showing.VERBS)
