"""A numba type for one SIMD vector, with loads, stores and arithmetic; and the phase and transpose steps.

Arrays may also be given by their first element, see :mod:`wigner_sim.kernels.pointers`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from numba import types
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, models, register_model

from wigner_sim.kernels import emission
from wigner_sim.kernels.emission import INT, VECTOR_BYTES, Value, vector_type
from wigner_sim.kernels.pointers import data_of


class Vector(types.Type):
    """8 doubles or 16 singles."""

    def __init__(self, dtype: Any):
        self.dtype = dtype
        super().__init__(name=f"Vector({dtype})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Vector):
        super().__init__(manager, kind, vector_type(kind.dtype.bitwidth))


def _register(operation: Callable[..., Any], combine: Callable[[Value, Value], Value]) -> None:
    """Teach numba one operation between vectors, or between a vector and a number."""

    @infer_global(operation)
    class _Template(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            a, b = args
            if isinstance(a, Vector):
                return signature(a, a, b if b == a else a.dtype)
            if isinstance(b, Vector):
                return signature(b, b.dtype, b)
            return None

    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        operands = [
            Value(builder, value) if isinstance(kind, Vector) else emission.splat(builder, value)
            for kind, value in zip(signature.args, args, strict=True)
        ]
        return combine(*operands).ir

    for kinds in ((Vector, Vector), (Vector, types.Float), (types.Float, Vector)):
        lower_builtin(operation, *kinds)(lower)


_register(operator.add, operator.add)
_register(operator.sub, operator.sub)
_register(operator.mul, operator.mul)
_register(operator.truediv, operator.truediv)


@intrinsic
def load(context: Any, array: Any, index: Any) -> Any:
    """The vector that starts at ``array[index]``."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return emission.load(builder, data_of(context, builder, signature.args[0], args[0]), args[1]).ir

    return Vector(array.dtype)(array, types.intp), generate


@intrinsic
def store(context: Any, array: Any, index: Any, vector: Any) -> Any:
    """Put a vector where ``array[index]`` starts."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emission.store(
            Value(builder, args[2]), data_of(context, builder, signature.args[0], args[0]), args[1]
        )
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), generate


@intrinsic
def lane_count(context: Any, array: Any) -> Any:
    """Number of elements of one vector of the array's type."""
    count = 8 * VECTOR_BYTES // array.dtype.bitwidth

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return INT(count)

    return types.intp(array), generate


def _choosing(array: Any, choose: Callable[[Value, Value], Value]) -> tuple[Any, Callable[..., Any]]:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = data_of(context, builder, signature.args[0], args[0])
        chosen = choose(Value(builder, args[2]), emission.load(builder, data, args[1]))
        emission.store(chosen, data, args[1])
        return context.get_dummy_value()

    return types.void(array, types.intp, Vector(array.dtype)), generate


@intrinsic
def keep_smaller(context: Any, array: Any, index: Any, vector: Any) -> Any:
    """Where ``array[index]`` starts, keep the smaller one of each lane."""
    return _choosing(array, Value.smaller)


@intrinsic
def keep_larger(context: Any, array: Any, index: Any, vector: Any) -> Any:
    """Where ``array[index]`` starts, keep the larger one of each lane."""
    return _choosing(array, Value.larger)


@intrinsic
def turn_pair(
    context: Any, work: Any, here: Any, there: Any, im: Any, turns_a: Any, turns_b: Any, scale: Any, rest: Any
) -> Any:
    r"""Multiply two packed real functions' modes q and -q by their phases; imaginary parts ``im`` further on.

    The complex function :math:`F = a + ib` holds two real ones; with :math:`G(q) = F(-q)^*`,
    :math:`\hat a = (F + G)/2`, :math:`\hat b = (F - G)/2i`, each times ``(scale + rest) exp(-2 pi i turns)``.
    """
    index = types.intp
    signature = types.void(work, index, index, index, turns_a, turns_b, work.dtype, work.dtype)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        real = data_of(context, builder, signature.args[0], args[0])
        imaginary, here, there = builder.gep(real, [args[3]]), args[1], args[2]
        scale, rest = (emission.splat(builder, builder.fmul(arg, arg.type(0.5))) for arg in args[6:])
        fr, fi = (emission.load(builder, part, here) for part in (real, imaginary))
        gr, gi = (emission.load(builder, part, there) for part in (real, imaginary))
        a = _turned((fr + gr, fi - gi), Value(builder, args[4]), scale, rest)
        b = _turned((fi + gi, gr - fr), Value(builder, args[5]), scale, rest)
        emission.store(a[0] - b[1], real, here)
        emission.store(a[1] + b[0], imaginary, here)
        emission.store(a[0] + b[1], real, there)
        emission.store(b[0] - a[1], imaginary, there)
        return context.get_dummy_value()

    return signature, generate


def _turned(z: emission.Complex, turns: Value, scale: Value, rest: Value) -> emission.Complex:
    """``(scale + rest) exp(-2 pi i turns) z``."""
    c, s = emission.cosine_and_sine(turns)
    c, s = c * scale + c * rest, s * scale + s * rest
    return z[0] * c + z[1] * s, z[1] * c - z[0] * s


def _transposing(
    context: Any, gather: bool, rows: Any, block: Any, offsets: Any
) -> tuple[Any, Callable[..., Any]]:
    index = types.intp

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        count = 8 * VECTOR_BYTES // rows.dtype.bitwidth
        rows_at = [builder.add(args[1], builder.mul(args[2], INT(j))) for j in range(count)]
        _transpose_square(context, builder, signature, args, gather, rows_at)
        return context.get_dummy_value()

    return types.void(rows, index, index, block, index, offsets, index), generate


def _transposing_listed(
    context: Any, gather: bool, rows: Any, starts: Any, block: Any, offsets: Any
) -> tuple[Any, Callable[..., Any]]:
    index = types.intp

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        count = 8 * VECTOR_BYTES // rows.dtype.bitwidth
        table = data_of(context, builder, signature.args[1], args[1])
        places = [builder.gep(table, [builder.add(args[2], INT(j))]) for j in range(count)]
        rows_at = [builder.add(builder.load(place), args[6]) for place in places]
        whole = types.void(rows, index, index, block, index, offsets, index)
        _transpose_square(context, builder, whole, [args[0], args[6], args[6], *args[3:]], gather, rows_at)
        return context.get_dummy_value()

    return types.void(rows, starts, index, block, index, offsets, index), generate


def _transpose_square(
    context: Any, builder: Any, signature: Any, args: Any, gather: bool, rows_at: list[Any]
) -> None:
    """Elements from ``rows_at`` on of some rows, and the vectors at ``block[at + offsets[first + j]]``."""
    row_data, block_data, offset_data = (
        data_of(context, builder, signature.args[j], args[j]) for j in (0, 3, 5)
    )
    offsets_at = [builder.gep(offset_data, [builder.add(args[6], INT(j))]) for j in range(len(rows_at))]
    block_at = [builder.add(args[4], builder.load(place)) for place in offsets_at]
    source, places = (row_data, rows_at) if gather else (block_data, block_at)
    target, goals = (block_data, block_at) if gather else (row_data, rows_at)
    values = emission.transposed([emission.load(builder, source, place) for place in places])
    for value, goal in zip(values, goals, strict=True):
        emission.store(value, target, goal)


@intrinsic
def rows_to_block(
    context: Any, rows: Any, row_at: Any, row_stride: Any, block: Any, at: Any, offsets: Any, first: Any
) -> Any:
    """A square of elements: row l becomes lane l of the vectors at ``block[at + offsets[first + j]]``."""
    return _transposing(context, True, rows, block, offsets)


@intrinsic
def block_to_rows(
    context: Any, rows: Any, row_at: Any, row_stride: Any, block: Any, at: Any, offsets: Any, first: Any
) -> Any:
    """The reverse of :func:`rows_to_block`."""
    return _transposing(context, False, rows, block, offsets)


@intrinsic
def listed_rows_to_block(
    context: Any, rows: Any, starts: Any, start: Any, block: Any, at: Any, offsets: Any, first: Any
) -> Any:
    """The same for rows that begin at ``starts[start + l]``, elements from ``first`` on."""
    return _transposing_listed(context, True, rows, starts, block, offsets)


@intrinsic
def block_to_listed_rows(
    context: Any, rows: Any, starts: Any, start: Any, block: Any, at: Any, offsets: Any, first: Any
) -> Any:
    """The reverse of :func:`listed_rows_to_block`."""
    return _transposing_listed(context, False, rows, starts, block, offsets)


def _chosen(a: Any, b: Any, choose: Callable[[Value, Value], Value]) -> tuple[Any, Callable[..., Any]]:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return choose(Value(builder, args[0]), Value(builder, args[1])).ir

    return a(a, b), generate


@intrinsic
def smaller(context: Any, a: Any, b: Any) -> Any:
    """The smaller one of each lane; where a lane of ``a`` is not a number, that of ``b``."""
    return _chosen(a, b, Value.smaller)


@intrinsic
def larger(context: Any, a: Any, b: Any) -> Any:
    """The larger one of each lane; where a lane of ``a`` is not a number, that of ``b``."""
    return _chosen(a, b, Value.larger)


@intrinsic
def every_second(context: Any, array: Any, index: Any) -> Any:
    """The elements at ``index``, ``index + 2``, ... as one vector; one more is read behind the last."""
    count = 8 * VECTOR_BYTES // array.dtype.bitwidth

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = data_of(context, builder, signature.args[0], args[0])
        places = [args[1], builder.add(args[1], INT(count))]
        a, b = (emission.load(builder, data, place) for place in places)
        return emission.even_lanes(a, b).ir

    return Vector(array.dtype)(array, types.intp), generate
