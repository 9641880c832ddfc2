"""What FFTW's measured plans would gain over estimated ones on the arrays that pyfftw still transforms.

    python benchmarks/bench_planner.py [--clock cpu]

Whole-array transforms of general H(x, k), of the numpy path and of rk4; plans in turn, in one process.
"""

import time

import numpy as np
import pyfftw
from harness import Report, Table, alternate, medians, parser

#: name -> (shape, axes, real)
ARRAYS = {
    "all axes, 24^4": ((24,) * 4, (0, 1, 2, 3), True),
    "all axes, 32^4": ((32,) * 4, (0, 1, 2, 3), True),
    "all axes, complex, 32^4": ((32,) * 4, (0, 1, 2, 3), False),
    "x axes, 32^4": ((32,) * 4, (0, 1), True),
    "k axes, 32^4": ((32,) * 4, (2, 3), True),
    "all axes, 40 x 48 x 32": ((40, 48, 32), (0, 1, 2), True),
    "all axes, 128 x 96": ((128, 96), (0, 1), True),
}
EFFORTS = ("FFTW_ESTIMATE", "FFTW_MEASURE")


def there_and_back(shape, axes, real, effort):
    """A pair of transforms as the package makes them, and the seconds their planning took."""
    values = np.random.default_rng(0).normal(size=shape) + (0 if real else 1j)
    options = {"axes": axes, "planner_effort": effort, "threads": 1}
    begun = time.process_time()
    if real:
        forth = pyfftw.builders.rfftn(values.copy(), **options)
        back = pyfftw.builders.irfftn(forth(values), s=[shape[a] for a in axes], **options)
    else:
        forth = pyfftw.builders.fftn(values.copy(), **options)
        back = pyfftw.builders.ifftn(forth(values), **options)
    planning = time.process_time() - begun
    return (lambda: back(forth(values))), planning


def main():
    chosen = parser(__doc__).parse_args()
    report, rows = Report("planner"), []
    for name, (shape, axes, real) in list(ARRAYS.items())[: 1 if chosen.quick else None]:
        made = {effort: there_and_back(shape, axes, real, effort) for effort in EFFORTS}
        seconds = medians(
            alternate({e: run for e, (run, _) in made.items()}, chosen.repeats, clock=chosen.clock)
        )
        estimate, measure = (seconds[effort] for effort in EFFORTS)
        rows.append(
            {
                "transform and back": name,
                "estimated, ms": 1e3 * estimate,
                "measured, ms": 1e3 * measure,
                "measured / estimated": measure / estimate,
                "planning, s": made["FFTW_MEASURE"][1],
            }
        )
    note = f"one thread, {chosen.clock} time, FFTW {pyfftw.fftw_version}"
    report.add(Table("Measured against estimated plans", tuple(rows[0]), rows, note))
    report.save(chosen.output)


if __name__ == "__main__":
    main()
