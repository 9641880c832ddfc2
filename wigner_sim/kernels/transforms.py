"""One-dimensional complex Fourier transforms of columns of vectors, in place, for numba kernels.

A column is n vectors (of 8 doubles or 16 singles) at a stride, real and imaginary parts in two arrays: 8 or
16 transforms go on side by side, and two real functions are one complex one without being packed.
Self-sorting passes (Stockham; Van Loan, Computational Frameworks for the FFT, 1992, section 1.7) of
radix up to 8 run between the column and a scratch area that stays in the first-level cache.

The backward transform is the forward one with real and imaginary part exchanged; neither is normalised.

All kernels call one compiled transform by its address: optimising it takes a third of what a kernel takes to
compile.  numba keeps it by the time stamp of this file alone: after a change to ``emission``, touch it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from llvmlite import ir
from numba import cfunc, types
from numba.core import cgutils
from numba.extending import intrinsic

from wigner_sim.kernels.emission import INT, VECTOR_BYTES, load, scalar_type, splat, store, transform
from wigner_sim.kernels.plans import RADICES
from wigner_sim.kernels.pointers import OPTIONS, data_of


@intrinsic
def transform_column(
    context: Any,
    transform: Any,
    work: Any,
    re: Any,
    im: Any,
    stride: Any,
    plans: Any,
    plan_at: Any,
    twiddles: Any,
    twiddle_at: Any,
    scratch: Any,
    n: Any,
) -> Any:
    """Transform n vectors at ``work[re + j stride]``, ``work[im + j stride]``.

    ``transform`` is the address of :func:`compiled_transform`.  The plan starts at ``plans[plan_at]``, its
    twiddles at ``twiddles[twiddle_at]``; 4 n vectors from ``work[scratch]`` on are overwritten.
    """
    index = types.intp
    signature = types.void(index, work, *[index] * 3, plans, index, twiddles, index, index, index)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def at(array: int, *positions: int) -> list[Any]:
            data = data_of(context, builder, signature.args[array], args[array])
            return [builder.gep(data, [args[position]]) for position in positions]

        real, imaginary, area = at(1, 2, 3, 9)
        function = builder.inttoptr(args[0], transform_type(work.dtype.bitwidth).as_pointer())
        builder.call(function, [real, imaginary, args[4], *at(5, 6), *at(7, 8), area, args[10]])
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def _emitted_transform(
    context: Any, re: Any, im: Any, stride: Any, plan: Any, twiddles: Any, scratch: Any, n: Any
) -> Any:
    signature = types.void(re, im, types.intp, plan, twiddles, scratch, types.intp)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.call(_column_function(builder.module, re.dtype.bitwidth), args)
        return context.get_dummy_value()

    return signature, generate


def _transform(re: Any, im: Any, stride: int, plan: Any, twiddles: Any, scratch: Any, n: int) -> None:
    _emitted_transform(re, im, stride, plan, twiddles, scratch, n)


@cache
def compiled_transform(bits: int) -> Any:
    """The transform of a column as machine code, the same for all kernels; kept between processes."""
    number, index = types.CPointer(types.float64 if bits == 64 else types.float32), types.intp
    signature = types.void(number, number, index, types.CPointer(types.int64), number, number, index)
    try:
        return cfunc(signature, cache=True, **OPTIONS)(_transform)
    except Exception:  # nowhere to keep it, or whatever reading a damaged file may raise
        return cfunc(signature, **OPTIONS)(_transform)


def transform_type(bits: int) -> Any:
    """Type of a function (re, im, stride, plan, twiddles, scratch, n)."""
    number, steps = scalar_type(bits).as_pointer(), INT.as_pointer()
    return ir.FunctionType(ir.VoidType(), [number, number, INT, steps, number, number, INT])


def private_function(module: Any, name: str, kind: Any) -> Any:
    """A function that is compiled on its own and called, never inlined."""
    function = ir.Function(module, kind, name)
    function.linkage = "internal"
    for attribute in ("noinline", "nounwind"):
        function.attributes.add(attribute)
    return function


def _column_function(module: Any, bits: int) -> Any:
    """Function (re, im, stride, plan, twiddles, scratch, n): passes column -> scratch -> ... -> column."""
    name = f"wigner_sim.column.f{bits}"
    if name in module.globals:
        return module.globals[name]
    function = private_function(module, name, transform_type(bits))
    re, im, stride, plan, twiddles, scratch, n = function.args
    b = ir.IRBuilder(function.append_basic_block("entry"))
    width = INT(8 * VECTOR_BYTES // bits)
    areas = [b.gep(scratch, [b.mul(b.mul(n, width), INT(j))]) for j in range(4)]
    n_passes = b.load(plan)
    done, rest = cgutils.alloca_once_value(b, INT(1)), cgutils.alloca_once_value(b, n)
    with cgutils.for_range(b, n_passes) as loop:
        k = loop.index
        radix = b.load(b.gep(plan, [b.add(b.mul(k, INT(2)), INT(1))]))
        offset = b.load(b.gep(plan, [b.add(b.mul(k, INT(2)), INT(2))]))
        s, m = b.load(done), b.sdiv(b.load(rest), radix)
        b.store(m, rest)
        b.store(b.mul(s, radix), done)
        first, last = b.icmp_signed("==", k, INT(0)), b.icmp_signed("==", b.add(k, INT(1)), n_passes)
        odd = b.trunc(k, ir.IntType(1))
        source = [
            b.select(first, column, b.select(odd, areas[j], areas[j + 2]))
            for j, column in enumerate((re, im))
        ]
        target = [
            b.select(last, column, b.select(odd, areas[j + 2], areas[j])) for j, column in enumerate((re, im))
        ]
        strides = [b.select(first, stride, width), b.select(last, stride, width)]
        arguments = [*source, *target, *strides, m, s, b.gep(twiddles, [offset])]
        with b.if_else(last) as (plain, twiddled):
            with plain:
                _dispatch(b, bits, radix, arguments, twiddled=False)
            with twiddled:
                _dispatch(b, bits, radix, arguments, twiddled=True)
    b.ret_void()
    return function


def _dispatch(b: Any, bits: int, radix: Any, arguments: list[Any], twiddled: bool) -> None:
    after = b.append_basic_block("after")
    switch = b.switch(radix, after)
    for value in RADICES:
        block = b.append_basic_block(f"radix{value}")
        switch.add_case(INT(value), block)
        b.position_at_end(block)
        b.call(_pass_function(b.module, bits, value, twiddled), arguments)
        b.branch(after)
    b.position_at_end(after)


def _pass_function(module: Any, bits: int, radix: int, twiddled: bool) -> Any:
    """One self-sorting pass, ``y[q + s (r p + j)] = w^(p j) sum_l e^(-2 pi i j l/r) x[q + s (p + m l)]``."""
    name = f"wigner_sim.pass.f{bits}.{radix}.{'twiddled' if twiddled else 'plain'}"
    if name in module.globals:
        return module.globals[name]
    number = scalar_type(bits).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [number] * 4 + [INT] * 4 + [number])
    function = private_function(module, name, kind)
    xr, xi, yr, yi, x_stride, y_stride, m, s, twiddles = function.args
    b = ir.IRBuilder(function.append_basic_block("entry"))
    x_jump, y_jump = b.mul(x_stride, b.mul(s, m)), b.mul(y_stride, s)
    with cgutils.for_range(b, m if twiddled else INT(1)) as outer:
        p = outer.index
        at = b.mul(p, INT(2 * (radix - 1)))
        w = [
            splat(b, b.load(b.gep(twiddles, [b.add(at, INT(j))])))
            for j in range(2 * (radix - 1) if twiddled else 0)
        ]
        x_start, y_start = b.mul(b.mul(x_stride, s), p), b.mul(b.mul(y_jump, INT(radix)), p)
        with cgutils.for_range(b, s) as inner:
            x_at = b.add(x_start, b.mul(x_stride, inner.index))
            y_at = b.add(y_start, b.mul(y_stride, inner.index))
            places = [b.add(x_at, b.mul(x_jump, INT(j))) for j in range(radix)]
            results = transform([(load(b, xr, place), load(b, xi, place)) for place in places])
            for j, (re, im) in enumerate(results):
                if twiddled and j:
                    c, d = w[2 * j - 2], w[2 * j - 1]
                    re, im = re * c - im * d, re * d + im * c
                place = b.add(y_at, b.mul(y_jump, INT(j)))
                store(re, yr, place)
                store(im, yi, place)
    b.ret_void()
    return function
