"""The command ``wigner-sim``: a table of verbs, each of which calls one function of the package.

A verb is one entry in the tuple ``VERBS`` of the module of its group; ``verbs`` lists the groups.  What a
verb computes with is imported inside its action, so that ``wigner-sim --help`` answers at once.
"""

from wigner_sim.cli.command import main

__all__ = ["main"]
