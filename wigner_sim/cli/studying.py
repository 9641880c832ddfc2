"""Verbs that measure: ``exact``, ``compare``, ``converge``, ``bench``."""

from __future__ import annotations

import argparse
from pathlib import Path

from wigner_sim.cli.arguments import Verb, add_case, add_quiet, floats, words


def _exact(options: argparse.Namespace) -> None:
    from wigner_sim.exact_runs import exact

    print(exact(options.case, options.set, show_progress=not options.quiet).path)


def _exact_arguments(parser: argparse.ArgumentParser) -> None:
    add_case(parser)
    add_quiet(parser)


def _compare(options: argparse.Namespace) -> None:
    from wigner_sim.convergence import compare, comparison_table, save_json

    result = compare(options.case, options.set, options.start, options.partner)
    print(comparison_table(result))
    if options.json:
        print(save_json(result, options.json))


def _compare_arguments(parser: argparse.ArgumentParser) -> None:
    add_case(parser)
    _add_start(parser, "case")
    parser.add_argument(
        "--with",
        dest="partner",
        choices=["exact", "matrix"],
        default="exact",
        help="dense Liouville-von Neumann dynamics, or the full matrix equation (default: exact)",
    )
    parser.add_argument("--json", metavar="FILE", help="write the result as JSON")


def _converge(options: argparse.Namespace) -> None:
    from wigner_sim.convergence import converge, convergence_table, save_json
    from wigner_sim.plotting import figure_suffix, plot_convergence, save_figure

    figure = options.figure or (Path(options.json).with_suffix(".png") if options.json else None)
    if figure:
        figure_suffix(figure)  # minutes of computing should not end in a bad file name
    result = converge(options.case, options.dilations, options.orders, options.set, options.start)
    print(convergence_table(result))
    if options.json:
        print(save_json(result, options.json))
    if figure:
        print(save_figure(plot_convergence(result), figure, overwrite=True))


def _converge_arguments(parser: argparse.ArgumentParser) -> None:
    add_case(parser)
    parser.add_argument("--dilations", type=floats, default=[1.0, 1.5, 2.25], metavar="1,1.5,2.25")
    parser.add_argument("--orders", type=_orders, default=[0, 1, 2], metavar="0,1,2")
    _add_start(parser, "exact")
    parser.add_argument(
        "--json", metavar="FILE", help="write rows and slopes as JSON (and a figure beside it)"
    )
    parser.add_argument("--figure", metavar="FILE", help="write the log-log figure (png, pdf or svg)")


def _bench(options: argparse.Namespace) -> None:
    if options.suite == "speed":
        from wigner_sim.speed_suite import run_speed_suite

        print(*run_speed_suite(options.output, options.quick), sep="\n")
        return
    from wigner_sim.convergence import save_json
    from wigner_sim.plotting import plot_validation, save_figure
    from wigner_sim.validation import run_validation, validation_table

    result = run_validation(options.studies, options.quick)
    output, table = Path(options.output), validation_table(result)
    print(table, *result["misses"], sep="\n", end="")
    print(save_json(result, output / "validation.json"))
    (output / "validation_table.md").write_text(table, encoding="utf-8")
    print(output / "validation_table.md")
    print(save_figure(plot_validation(result), output / "validation.png", overwrite=True))


def _bench_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--suite", choices=["validation", "speed"], default="validation", help="default: validation"
    )
    parser.add_argument("--output", metavar="DIR", default="validation", help="for table, figure and JSON")
    parser.add_argument("--studies", type=words, metavar="A,B", help="default: all")
    parser.add_argument(
        "--quick", action="store_true", help="two small dilations of each study, or small sizes"
    )


def _add_start(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--start",
        choices=["case", "exact"],
        default=default,
        help=f"start the kinetic run from the case's state or from the exact f(0) (default: {default})",
    )


def _orders(text: str) -> list[int]:
    try:
        orders = [int(word) for word in text.split(",")]
    except ValueError:
        orders = [-1]
    if not set(orders) <= {0, 1, 2}:
        raise argparse.ArgumentTypeError(f"expected orders among 0,1,2, got {text!r}")
    return orders


VERBS = (
    Verb("exact", "run exact Liouville-von Neumann dynamics for a case", _exact, _exact_arguments),
    Verb("compare", "run a case both ways and report the differences", _compare, _compare_arguments),
    Verb(
        "converge",
        "dilate a case and fit how the errors against exact dynamics fall",
        _converge,
        _converge_arguments,
    ),
    Verb(
        "bench",
        "measure the package: every convergence study against exact dynamics, or its speed",
        _bench,
        _bench_arguments,
    ),
)
