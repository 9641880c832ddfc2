"""Verbs before a run: ``new``, ``examples``, ``check``, ``about``."""

from __future__ import annotations

import argparse

from wigner_sim.cli.arguments import Verb, add_case


def _new(options: argparse.Namespace) -> None:
    from wigner_sim.starting_points import examples, new_case, templates

    if options.name is None:
        for name, title in (templates() | examples()).items():
            print(f"{name:20} {title}")
    else:
        print(new_case(options.name, options.template, options.full))


def _new_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", help="directory to make; without it, the templates are listed")
    about = "a template or a shipped case (default: chain)"
    parser.add_argument("--template", default="chain", metavar="TEMPLATE", help=about)
    about = "list every key there is, with default and meaning, as comments"
    parser.add_argument("--full", action="store_true", help=about)


def _examples(options: argparse.Namespace) -> None:
    from wigner_sim.starting_points import copy_example, examples

    if options.copy:
        print(copy_example(options.copy, options.to))
    else:
        for name, title in examples().items():
            print(f"{name:20} {title}")


def _examples_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--copy", metavar="NAME", help="copy a case with its files into the current directory"
    )
    parser.add_argument("--to", metavar="DIR", help="its new directory instead; must not exist")


def _about(options: argparse.Namespace) -> None:
    from wigner_sim.versions import about, citation

    print(citation() if options.cite else about())


def _about_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cite", action="store_true", help="BibTeX entries to cite")


def _check(options: argparse.Namespace) -> None:
    from wigner_sim.preparation import check
    from wigner_sim.reports import check_report

    prepared = check(options.case, options.set)
    print(check_report(prepared))
    if options.gauge:
        from wigner_sim.gauge import certificate_report, gauge_certificate

        print(certificate_report(gauge_certificate(prepared.problem)))


def _check_arguments(parser: argparse.ArgumentParser) -> None:
    add_case(parser)
    parser.add_argument("--gauge", action="store_true", help="also measure that no choice of gauge matters")


VERBS = (
    Verb("new", "make a new case from a template", _new, _new_arguments),
    Verb("examples", "list the shipped cases, or copy one", _examples, _examples_arguments),
    Verb(
        "check", "validate a case and say what it will do and take; writes nothing", _check, _check_arguments
    ),
    Verb("about", "versions, threads, and how to cite", _about, _about_arguments),
)
