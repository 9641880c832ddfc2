"""Verbs before a run: ``check``."""

from __future__ import annotations

import argparse

from wigner_sim.cli.arguments import Verb, add_case


def _check(options: argparse.Namespace) -> None:
    from wigner_sim.reports import check_report
    from wigner_sim.simulation import check

    prepared = check(options.case, options.set)
    print(check_report(prepared))
    if options.gauge:
        from wigner_sim.gauge import certificate_report, gauge_certificate

        print(certificate_report(gauge_certificate(prepared.problem)))


def _check_arguments(parser: argparse.ArgumentParser) -> None:
    add_case(parser)
    parser.add_argument("--gauge", action="store_true", help="also measure that no choice of gauge matters")


VERBS = (Verb("check", "validate a case and say what it will do; writes nothing", _check, _check_arguments),)
