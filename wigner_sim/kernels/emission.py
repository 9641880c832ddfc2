"""Arithmetic on SIMD vectors while LLVM instructions are emitted, and discrete Fourier transforms in it.

The transforms of short length are unrolled at emission; constants are folded, so that a length-8 transform
has no multiplication but those by 1/sqrt(2).
"""

from __future__ import annotations

import cmath
from dataclasses import dataclass
from math import factorial
from typing import Any

from llvmlite import ir

#: Bytes of one vector: a cache line, and one register where AVX-512 is present.
VECTOR_BYTES = 64
_FLAGS = ("contract", "nsz")
_I32 = ir.IntType(32)
INT = ir.IntType(64)


def scalar_type(bits: int) -> Any:
    """LLVM type of a float of 64 or 32 bits."""
    return ir.DoubleType() if bits == 64 else ir.FloatType()


def vector_type(bits: int) -> Any:
    """LLVM type of one vector of such floats."""
    return ir.VectorType(scalar_type(bits), 8 * VECTOR_BYTES // bits)


@dataclass(frozen=True)
class Value:
    """A vector in the code being emitted; arithmetic on it emits instructions."""

    builder: Any
    ir: Any

    def _operand(self, other: Value | float) -> Any:
        if isinstance(other, Value):
            return other.ir
        return ir.Constant(self.ir.type, [float(other)] * self.ir.type.count)

    def __add__(self, other: Value | float) -> Value:
        return Value(self.builder, self.builder.fadd(self.ir, self._operand(other), flags=_FLAGS))

    def __sub__(self, other: Value | float) -> Value:
        return Value(self.builder, self.builder.fsub(self.ir, self._operand(other), flags=_FLAGS))

    def __mul__(self, other: Value | float) -> Value:
        return Value(self.builder, self.builder.fmul(self.ir, self._operand(other), flags=_FLAGS))

    def __truediv__(self, other: Value | float) -> Value:
        return Value(self.builder, self.builder.fdiv(self.ir, self._operand(other), flags=_FLAGS))

    def __neg__(self) -> Value:
        return Value(self.builder, self.builder.fneg(self.ir))

    def smaller(self, other: Value) -> Value:
        """The smaller one of each lane."""
        return self._chosen("<", other)

    def larger(self, other: Value) -> Value:
        """The larger one of each lane."""
        return self._chosen(">", other)

    def _chosen(self, order: str, other: Value) -> Value:
        wins = self.builder.fcmp_ordered(order, self.ir, other.ir)
        return Value(self.builder, self.builder.select(wins, self.ir, other.ir))

    def rounded(self) -> Value:
        """Nearest integer."""
        kind = self.ir.type
        name = f"llvm.rint.v{kind.count}f{64 if isinstance(kind.element, ir.DoubleType) else 32}"
        module = self.builder.module
        function = module.globals.get(name) or ir.Function(module, ir.FunctionType(kind, [kind]), name)
        return Value(self.builder, self.builder.call(function, [self.ir]))


#: Real and imaginary part.
Complex = tuple[Value, Value]


def splat(builder: Any, scalar: Any) -> Value:
    """One number in every lane."""
    kind = vector_type(64 if isinstance(scalar.type, ir.DoubleType) else 32)
    undefined = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(_I32, 0))
    lanes = ir.Constant(ir.VectorType(_I32, kind.count), [0] * kind.count)
    return Value(builder, builder.shuffle_vector(first, undefined, lanes))


def load(builder: Any, pointer: Any, index: Any) -> Value:
    """The vector that starts at element ``index``."""
    bits = 64 if isinstance(pointer.type.pointee, ir.DoubleType) else 32
    place = builder.bitcast(builder.gep(pointer, [index]), vector_type(bits).as_pointer())
    return Value(builder, builder.load(place, align=bits // 8))


def store(value: Value, pointer: Any, index: Any) -> None:
    """Put a vector where element ``index`` starts."""
    builder, kind = value.builder, value.ir.type
    bits = 64 if isinstance(kind.element, ir.DoubleType) else 32
    builder.store(
        value.ir, builder.bitcast(builder.gep(pointer, [index]), kind.as_pointer()), align=bits // 8
    )


def cosine_and_sine(turns: Value) -> Complex:
    """Cosine and sine of ``2 pi turns``: reduced to a quarter of the angle, Taylor series, doubled twice."""
    x = turns - turns.rounded()
    x2 = x * x
    half_pi = cmath.pi / 2
    double = x2.ir.type.count == 8
    sine_terms, cosine_terms = (8, 9) if double else (5, 5)
    s = _series(x2, [half_pi * (-(half_pi**2)) ** j / factorial(2 * j + 1) for j in range(sine_terms)]) * x
    c = _series(x2, [(-(half_pi**2)) ** j / factorial(2 * j) for j in range(cosine_terms)])
    for _ in range(2):
        s, c = s * c * 2.0, -(s * s * 2.0) + 1.0
    return c, s


def _series(x: Value, coefficients: list[float]) -> Value:
    total = x * coefficients[-1] + coefficients[-2]
    for coefficient in reversed(coefficients[:-2]):
        total = total * x + coefficient
    return total


def times_constant(z: Complex, w: complex) -> Complex:
    """``w z`` with as few multiplications as the constant allows."""
    re, im = z
    a, b = (0.0 if abs(part) < 1e-15 else part for part in (w.real, w.imag))
    if b == 0.0:
        return z if a == 1.0 else (-re, -im) if a == -1.0 else (re * a, im * a)
    if a == 0.0:
        return (-im, re) if b == 1.0 else (im, -re) if b == -1.0 else (im * -b, re * b)
    if abs(abs(a) - abs(b)) < 1e-15:
        plus, minus = re + im, re - im
        return (minus * a, plus * a) if a * b > 0 else (plus * a, -(minus * a))
    return re * a - im * b, re * b + im * a


def transform(z: list[Complex]) -> list[Complex]:
    """Forward discrete Fourier transform, unrolled (Cooley and Tukey 1965)."""
    n = len(z)
    if n == 1:
        return z
    if n == 2:
        return [_plus(z[0], z[1]), _minus(z[0], z[1])]
    if n == 4:
        return _transform_of_four(z)
    for radix in (4, 2, 3, 5):
        if n % radix == 0 and n > radix:
            return _decimated(z, radix)
    return _transform_of_odd(z)


def _plus(a: Complex, b: Complex) -> Complex:
    return a[0] + b[0], a[1] + b[1]


def _minus(a: Complex, b: Complex) -> Complex:
    return a[0] - b[0], a[1] - b[1]


def _transform_of_four(z: list[Complex]) -> list[Complex]:
    even, odd = transform(z[::2]), transform(z[1::2])
    (er, ei), (dr, di) = even[1], odd[1]
    return [_plus(even[0], odd[0]), (er + di, ei - dr), _minus(even[0], odd[0]), (er - di, ei + dr)]


def _decimated(z: list[Complex], radix: int) -> list[Complex]:
    n, m = len(z), len(z) // radix
    parts = [transform(z[j::radix]) for j in range(radix)]
    result: list[Any] = [None] * n
    for k in range(m):
        turned = [
            times_constant(part[k], cmath.exp(-2j * cmath.pi * j * k / n)) for j, part in enumerate(parts)
        ]
        for q, value in enumerate(transform(turned)):
            result[k + m * q] = value
    return result


def _transform_of_odd(z: list[Complex]) -> list[Complex]:
    """Odd prime length from sums and differences of opposite elements."""
    n, half = len(z), range(1, len(z) // 2 + 1)
    sums = {j: _plus(z[j], z[n - j]) for j in half}
    differences = {j: _minus(z[j], z[n - j]) for j in half}
    result: list[Any] = [z[0]] * n
    for j in half:
        result[0] = _plus(result[0], sums[j])
    for k in half:
        even, odd = z[0], None
        for j in half:
            w = cmath.exp(2j * cmath.pi * j * k / n)
            even = _plus(even, (sums[j][0] * w.real, sums[j][1] * w.real))
            term = differences[j][0] * w.imag, differences[j][1] * w.imag
            odd = term if odd is None else _plus(odd, term)
        assert odd is not None
        result[k] = even[0] + odd[1], even[1] - odd[0]
        result[n - k] = even[0] - odd[1], even[1] + odd[0]
    return result


def transposed(rows: list[Value]) -> list[Value]:
    """Transpose of a square of lanes, given by its rows (their number a power of two)."""
    n, step = len(rows), 1
    while step < n:
        result = list(rows)
        for i in range(n):
            if not i & step:
                upper, lower = rows[i], rows[i + step]
                result[i] = _interleaved(upper, lower, step, first=True)
                result[i + step] = _interleaved(upper, lower, step, first=False)
        rows, step = result, 2 * step
    return rows


def _interleaved(a: Value, b: Value, step: int, first: bool) -> Value:
    """Groups of ``step`` lanes taken in turn from a and b, those of even or odd place."""
    n = a.ir.type.count
    lanes = []
    for lane in range(n):
        group_start, from_b = lane & ~step, bool(lane & step)
        lanes.append((group_start if first else group_start + step) + (n if from_b else 0))
    mask = ir.Constant(ir.VectorType(_I32, n), lanes)
    return Value(a.builder, a.builder.shuffle_vector(a.ir, b.ir, mask))


def even_lanes(a: Value, b: Value) -> Value:
    """Lanes 0, 2, ... of a, then those of b."""
    n = a.ir.type.count
    mask = ir.Constant(ir.VectorType(_I32, n), list(range(0, 2 * n, 2)))
    return Value(a.builder, a.builder.shuffle_vector(a.ir, b.ir, mask))
