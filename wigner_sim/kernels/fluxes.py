r"""One column of a kick, :math:`y' = b - f\,\partial_i(V_i y)`, for numba kernels.

The velocity is made where it is used, a sum of (function of the point) x (function of the lane); flux and
derivative stay in the first-level cache.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from wigner_sim.kernels.emission import INT, VECTOR_BYTES, Value, load, scalar_type, splat, store
from wigner_sim.kernels.pointers import data_of
from wigner_sim.kernels.transforms import private_function, transform_type

#: Half width of the central differences, order 8: points on either side of a column that repeat it.
TAPS = 4
#: Points whose velocity is summed together.
_TOGETHER = 4


@intrinsic
def advect_column(
    context: Any,
    transform: Any,
    work: Any,
    state: Any,
    base: Any,
    goal: Any,
    size: Any,
    stride: Any,
    n: Any,
    moved: Any,
    moved_at: Any,
    point_step: Any,
    lanes: Any,
    lanes_at: Any,
    n_terms: Any,
    plans: Any,
    plan_at: Any,
    twiddles: Any,
    twiddle_at: Any,
    slopes: Any,
    slopes_at: Any,
    factor: Any,
    spectral: Any,
    column: Any,
    scratch: Any,
) -> Any:
    """Put ``base - factor d(V state)`` into ``goal``, all columns of blocks in ``work``.

    ``slopes[slopes_at:]`` holds the wavenumbers, or TAPS weights of central differences; ``column`` has
    room for 2 (n + 2 TAPS) vectors; ``transform`` is the address of that of a column.
    """
    index = types.intp
    signature = types.void(
        index, work, *[index] * 6, moved, index, index, lanes, index, index, plans, index, twiddles, index,
        slopes, index, work.dtype, types.boolean, index, index,
    )  # fmt: skip

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def at(array: int, position: int) -> Any:
            data = data_of(context, builder, signature.args[array], args[array])
            return builder.gep(data, [args[position]])

        function = _advection(builder.module, work.dtype.bitwidth)
        transform = builder.inttoptr(args[0], transform_type(work.dtype.bitwidth).as_pointer())
        blocks = [at(1, position) for position in (2, 3, 4)]
        areas = [at(1, position) for position in (22, 23)]
        builder.call(
            function,
            [transform, *blocks, *areas, *args[5:8], at(8, 9), args[10], at(11, 12), args[13], at(14, 15),
             at(16, 17), at(18, 19), args[20], builder.trunc(args[21], ir.IntType(1))],
        )  # fmt: skip
        return context.get_dummy_value()

    return signature, generate


def _advection(module: Any, bits: int) -> Any:
    name = f"wigner_sim.advection.f{bits}"
    if name in module.globals:
        return module.globals[name]
    number, steps = scalar_type(bits).as_pointer(), INT.as_pointer()
    kinds = [transform_type(bits).as_pointer()] + [number] * 5 + [INT] * 3
    kinds += [number, INT, number, INT, steps, number, number, scalar_type(bits), ir.IntType(1)]
    function = private_function(module, name, ir.FunctionType(ir.VoidType(), kinds))
    transform, state, base, goal, column, scratch, size, stride, n = function.args[:9]
    moved, point_step, lanes, n_terms, plan, twiddles, slopes, factor, spectral = function.args[9:]
    b = ir.IRBuilder(function.append_basic_block("entry"))
    width = INT(8 * VECTOR_BYTES // bits)
    # real and imaginary column, each with room for the repeated points
    real = b.gep(column, [b.mul(width, INT(TAPS))])
    imaginary = b.gep(real, [b.mul(width, b.add(n, INT(2 * TAPS)))])
    flux = _Flux(b, state, size, stride, moved, point_step, lanes, n_terms, real, imaginary, width)
    flux.emit(n)
    with b.if_else(spectral) as (by_transform, by_differences):
        with by_transform:
            b.call(transform, [real, imaginary, width, plan, twiddles, scratch, n])
            minus = splat(b, b.fneg(factor))
            with cgutils.for_range(b, n) as loop:
                at = b.mul(loop.index, width)
                slope = splat(b, b.load(b.gep(slopes, [loop.index]))) * minus
                re, im = load(b, real, at), load(b, imaginary, at)
                store(-(im * slope), real, at)
                store(re * slope, imaginary, at)
            b.call(transform, [imaginary, real, width, plan, twiddles, scratch, n])
            for part, shift in ((real, INT(0)), (imaginary, size)):
                with cgutils.for_range(b, n) as loop:
                    place = b.add(b.mul(loop.index, stride), shift)
                    store(load(b, base, place) + load(b, part, b.mul(loop.index, width)), goal, place)
        with by_differences:
            for part, shift in ((real, INT(0)), (imaginary, size)):
                _add_differences(b, part, base, goal, shift, stride, n, slopes, factor, width)
    b.ret_void()
    return function


class _Flux:
    """Emits the loop that fills a column with velocity times state."""

    def __init__(self, b: Any, *parts: Any):
        self.b = b
        (self.state, self.size, self.stride, self.moved, self.point_step, self.lanes, self.n_terms) = parts[
            :7
        ]
        (self.real, self.imaginary, self.width) = parts[7:]

    def emit(self, n: Any) -> None:
        b = self.b
        groups = b.sdiv(n, INT(_TOGETHER))
        with cgutils.for_range(b, groups) as loop:
            self._points(b.mul(loop.index, INT(_TOGETHER)), _TOGETHER)
        whole = b.mul(groups, INT(_TOGETHER))
        with cgutils.for_range(b, b.sub(n, whole)) as loop:
            self._points(b.add(whole, loop.index), 1)

    def _points(self, first: Any, count: int) -> None:
        b = self.b
        points = [b.add(first, INT(j)) for j in range(count)]
        places = [b.mul(point, self.point_step) for point in points]

        def products(term: Any) -> list[Value]:
            at = b.mul(b.mul(term, INT(2)), self.width)
            lane = [load(b, self.lanes, at), load(b, self.lanes, b.add(at, self.width))]
            values = [splat(b, b.load(b.gep(self.moved, [b.add(place, term)]))) for place in places]
            return [part * value for value in values for part in lane]

        first_products = products(INT(0))
        sums = [cgutils.alloca_once_value(b, value.ir) for value in first_products]
        for slot, value in zip(sums, first_products, strict=True):
            b.store(value.ir, slot)
        with cgutils.for_range(b, self.n_terms, INT(1)) as loop:
            for slot, value in zip(sums, products(loop.index), strict=True):
                b.store((Value(b, b.load(slot)) + value).ir, slot)
        for j, point in enumerate(points):
            here, at = b.mul(point, self.stride), b.mul(point, self.width)
            velocity = [Value(b, b.load(sums[2 * j + part])) for part in (0, 1)]
            store(load(b, self.state, here) * velocity[0], self.real, at)
            store(load(b, self.state, b.add(here, self.size)) * velocity[1], self.imaginary, at)


def _add_differences(
    b: Any,
    part: Any,
    base: Any,
    goal: Any,
    shift: Any,
    stride: Any,
    n: Any,
    slopes: Any,
    factor: Any,
    width: Any,
) -> None:
    """Antisymmetric central differences, after repeating the column's ends beyond it."""
    for j in range(TAPS):
        for source, place in ((INT(j), b.add(n, INT(j))), (b.sub(n, INT(j + 1)), INT(-j - 1))):
            store(load(b, part, b.mul(source, width)), part, b.mul(place, width))
    minus = splat(b, b.fneg(factor))
    weights = [splat(b, b.load(b.gep(slopes, [INT(j)]))) * minus for j in range(TAPS)]
    with cgutils.for_range(b, n) as loop:
        place = b.add(b.mul(loop.index, stride), shift)
        total = load(b, base, place)
        for j, weight in enumerate(weights):
            ahead = load(b, part, b.mul(b.add(loop.index, INT(j + 1)), width))
            behind = load(b, part, b.mul(b.sub(loop.index, INT(j + 1)), width))
            total = total + (ahead - behind) * weight
        store(total, goal, place)
