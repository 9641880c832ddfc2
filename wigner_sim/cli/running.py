"""Verbs that run a case and follow a run: ``run``, ``resume``, ``info``."""

from __future__ import annotations

import argparse

from wigner_sim.cli.arguments import Verb, add_case, add_quiet, add_run


def _run(options: argparse.Namespace) -> None:
    from wigner_sim.simulation import run

    print(run(options.case, options.set, show_progress=not options.quiet).path)


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    add_case(parser)
    add_quiet(parser)


def _resume(options: argparse.Namespace) -> None:
    from wigner_sim.simulation import resume

    print(resume(options.run, show_progress=not options.quiet).path)


def _resume_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    add_quiet(parser)


def _info(options: argparse.Namespace) -> None:
    from wigner_sim.reports import info

    print(info(options.run))


VERBS = (
    Verb("run", "run a case in a new run directory", _run, _run_arguments),
    Verb("resume", "continue a stopped run from its last checkpoint", _resume, _resume_arguments),
    Verb("info", "say what a run is and how well it kept what is conserved", _info, add_run),
)
