"""The verb ``import``: cases from models of other packages."""

from __future__ import annotations

import argparse

from wigner_sim.cli.arguments import Verb, integers


def _import(options: argparse.Namespace) -> None:
    from wigner_sim.importing import import_model

    made = import_model(
        options.file, options.name, options.into, options.axes, options.fermi_energy, options.bands
    )
    print(*made.report, made.path, sep="\n")


def _import_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="SEED_tb.dat, SEED_hr.dat, FILE.hdf5 or FILE.py:NAME")
    parser.add_argument("--name", help="of the case; default: that of the file")
    parser.add_argument("--into", metavar="DIR", default="cases", help="where the case directory is made")
    parser.add_argument(
        "--axes", type=integers, metavar="0,1", help="lattice vectors to keep, counted from 0"
    )
    parser.add_argument("--fermi-energy", type=float, default=0.0, metavar="E", help="zero of energy")
    parser.add_argument(
        "--bands", metavar="FILE", help="SEED_band.dat to compare with; default: beside the model"
    )


VERBS = (
    Verb(
        "import",
        "make a case from a model of Wannier90, PythTB or TBmodels, and report its conventions",
        _import,
        _import_arguments,
    ),
)
