"""Verbs that run a case and follow a run: ``run``, ``resume``, ``sweep``, ``status``, ``info``."""

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

    shown = not options.quiet
    print(resume(options.run, show_progress=shown, until=options.until, from_step=options.from_step).path)


def _resume_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    about = "a new end of the run, also beyond the one it has reached"
    parser.add_argument("--until", type=float, metavar="T", help=about)
    about = "continue from the checkpoint at this step instead of the newest; later records are dropped"
    parser.add_argument("--from", dest="from_step", type=int, metavar="STEP", help=about)
    add_quiet(parser)


def _sweep(options: argparse.Namespace) -> None:
    from wigner_sim.errors import SweepError
    from wigner_sim.sweeps import sweep

    done = sweep(options.case, options.set, options.workers)
    if done.failed:
        raise SweepError(done.report().replace("\n", "; "))
    print(done.path)


def _sweep_arguments(parser: argparse.ArgumentParser) -> None:
    add_case(parser)
    add_quiet(parser)
    about = "runs at once, each in a process of its own (default: 1)"
    parser.add_argument("--workers", type=int, default=1, metavar="N", help=about)


def _status(options: argparse.Namespace) -> None:
    from wigner_sim.run_status import status_report
    from wigner_sim.sweeps import is_sweep, open_sweep

    print(open_sweep(options.run).report() if is_sweep(options.run) else status_report(options.run))


def _info(options: argparse.Namespace) -> None:
    from wigner_sim.reports import info

    print(info(options.run))


VERBS = (
    Verb("run", "run a case in a new run directory", _run, _run_arguments),
    Verb("resume", "continue a stopped run from its last checkpoint", _resume, _resume_arguments),
    Verb(
        "sweep",
        "run a case for all values of its section [sweep], or go on with a sweep directory",
        _sweep,
        _sweep_arguments,
    ),
    Verb("status", "say where a run stands and whether it is alive, from any shell", _status, add_run),
    Verb("info", "say what a run is and how well it kept what is conserved", _info, add_run),
)
