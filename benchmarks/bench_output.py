"""Time and size of one stored record by codec and precision, beside one time step of the same case.

    python benchmarks/bench_output.py [--repeats 7] [--steps 10] [--points 48 --cases]

Cases as they are shipped, and a 2D crystal in the splitting engine with ``--points`` per axis.  Codecs are
run in turn, each record is synced to disk as in a run; times are medians in units of one step, sizes in
units of the array in float64.  Reading is from a warm file cache.
"""

import statistics
import tempfile
from pathlib import Path

import netCDF4
import numpy as np
from harness import CLOCKS, Report, Table, parser

from wigner_sim.case import Case, load_case
from wigner_sim.output import NetcdfStream, VariableSpec, grid_coordinates
from wigner_sim.simulation import prepare

CASES = Path(__file__).parents[1] / "cases"
CODECS = [(codec, kind) for kind in ("float64", "float32") for codec in ("auto", "none", "zlib", "blosc_lz4")]


def crystal(n, path=__file__, n_steps=7, **sections):
    """Massive Dirac electrons at order 2 in a potential with both position axes, n points per axis."""
    case = {
        "title": "massive Dirac electrons",
        "grid": {"sites": [n] * 2, "n_x": [n] * 2, "n_k": [n] * 2},
        "hamiltonian": {
            "source": "named:massive_dirac",
            "parameters": {"mass": 0.6, "velocity": 0.8, "wilson": 0.5},
            "potential": "0.3*cos(2*pi*x/Lx) + 0.2*cos(2*pi*y/Ly - 0.4)",
        },
        "initial_state": {
            "kind": "symbol",
            "c": "exp(0.8*cos(2*pi*x/Lx - 0.5) + 0.5*cos(2*pi*y/Ly) + 0.8*cos(kx - 1) + 0.6*cos(ky) - 2.7)",
        },
        "time": {"end": n_steps * n / 14, "step": n / 14, "stepper": "blanes_moan4"},
    }
    return Case.from_dict(case | sections, Path(path))


def timed(work, now):
    """Seconds that ``work`` takes."""
    started = now()
    work()
    return now() - started


def streams(directory, grid):
    """One open stream for every codec and precision."""
    variables = [VariableSpec("f", ("time", "band", *grid.dims))]
    coordinates = grid_coordinates(grid, [0])
    return {
        (codec, kind): NetcdfStream(
            directory / f"{codec}_{kind}.nc", variables, coordinates, {}, compression=codec, precision=kind
        )
        for codec, kind in CODECS
    }


def measure(case, steps, repeats, clock):
    """Median seconds of a step, of writing and of reading a record, and its relative size, by codec."""
    prepared, now = prepare(case), CLOCKS[clock]
    propagator, grid = prepared.propagator, prepared.problem.grid
    seconds = {"step": [], **{key: [] for key in CODECS}, **{(*key, "read"): [] for key in CODECS}}
    with tempfile.TemporaryDirectory() as place:
        written = streams(Path(place), grid)
        for _ in range(repeats):
            start = propagator.time
            work = timed(lambda start=start: propagator.advance_to(start + steps * propagator.dt), now)
            seconds["step"].append(work / steps)
            for key, stream in written.items():
                record = {"f": propagator.w[:1]}
                seconds[key].append(timed(lambda s=stream, r=record: s.append(propagator.time, r), now))
        sizes = {}
        for key, stream in written.items():
            stream.close()
            sizes[key] = stream.path.stat().st_size / repeats / (8 * np.prod(grid.shape))
            with netCDF4.Dataset(stream.path) as stored:
                for i in range(repeats):
                    seconds[(*key, "read")].append(timed(lambda i=i, d=stored: d["f"][i], now))
    return grid, {key: statistics.median(values) for key, values in seconds.items()}, sizes


def main():
    arguments = parser(__doc__)
    arguments.set_defaults(repeats=7)
    default = ["texture_1d", "dirac_domain_wall", "skyrmion_texture"]
    arguments.add_argument("--cases", nargs="*", default=default)
    arguments.add_argument("--points", type=int, default=0, help="of the crystal, per axis (default: none)")
    arguments.add_argument("--steps", type=int, default=10)
    options = arguments.parse_args()
    report = Report("bench_output")
    cases = {
        name: load_case(CASES / name) for name in (options.cases[:1] if options.quick else options.cases)
    }
    if options.points:
        cases[f"crystal, {options.points}^4"] = crystal(options.points)
    for name, case in cases.items():
        grid, seconds, sizes = measure(case, options.steps, options.repeats, options.clock)
        step, megabytes = seconds["step"], 8e-6 * np.prod(grid.shape)
        rows = [
            {
                "codec": key[0],
                "precision": key[1],
                "write / step": seconds[key] / step,
                "read / step": seconds[(*key, "read")] / step,
                "size": sizes[key],
            }
            for key in CODECS
        ]
        note = f"grid {grid.shape}: {megabytes:.2f} MB per record, one step {1e3 * step:.1f} ms"
        note += f"; {options.clock} time"
        report.add(Table(name, ("codec", "precision", "write / step", "read / step", "size"), rows, note))
    report.save(options.output)


if __name__ == "__main__":
    main()
