"""Arrays, and tuples of arrays, by their first elements, for numba kernels.

numba's own arrays are structures of seven numbers, and every use of a field of a tuple copies all arrays of
it: code that is optimised away in the end, and takes most of the time to compile before it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.imputils import lower_getattr_generic
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import intrinsic, models, register_model

#: How kernels are compiled: they make no arrays, so that nothing has to be counted.
OPTIONS = {"nogil": True, "error_model": "numpy", "_nrt": False}
_BYTES = ir.IntType(8).as_pointer()


def data_of(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    """First element of a contiguous array, while instructions are emitted."""
    if isinstance(kind, types.CPointer):
        return array
    return context.data_model_manager[kind].get(builder, array, "data")


@intrinsic
def pointer(context: Any, array: Any) -> Any:
    """First element of a contiguous array."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return data_of(context, builder, signature.args[0], args[0])

    return types.CPointer(array.dtype)(array), generate


@intrinsic
def element(context: Any, array: Any, value: Any) -> Any:
    """A number in the precision of an array."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.cast(builder, args[1], value, array.dtype)

    return array.dtype(array, value), generate


def machine_code(kernel: Callable[..., None], kept: bool) -> Any:
    """A kernel compiled; ``kept`` between processes if there is a directory for it."""
    if kept:
        try:
            return njit(cache=True, no_cfunc_wrapper=True, **OPTIONS)(kernel)
        except RuntimeError:  # neither the package nor the user has a directory that can be written
            pass
    return njit(no_cfunc_wrapper=True, **OPTIONS)(kernel)


class Pointers(types.Type):
    """A named tuple of contiguous arrays, known by their first elements."""

    def __init__(self, fields: tuple[tuple[str, Any], ...]):
        self.fields = fields
        super().__init__(name=f"Pointers{fields}")

    def number_of(self, name: str) -> int:
        """Place of a field."""
        return [field for field, _ in self.fields].index(name)


@register_model(Pointers)
class _PointersModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Pointers):
        super().__init__(manager, kind, ir.ArrayType(_BYTES, len(kind.fields)).as_pointer())


@intrinsic
def pointers(context: Any, arrays: Any) -> Any:
    """The same tuple with pointers for arrays: ``pointers(t).a[i]`` is ``t.a[i]``."""
    result = Pointers(tuple(zip(arrays.fields, (kind.dtype for kind in arrays.types), strict=True)))

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = cgutils.alloca_once(builder, context.get_value_type(result).pointee)
        for number, kind in enumerate(signature.args[0].types):
            array = builder.extract_value(args[0], number)
            data = builder.bitcast(data_of(context, builder, kind, array), _BYTES)
            builder.store(data, cgutils.gep_inbounds(builder, place, 0, number))
        return place

    return result(arrays), generate


@infer_getattr
class _PointersAttribute(AttributeTemplate):
    key = Pointers

    def generic_resolve(self, kind: Pointers, name: str) -> Any:
        return types.CPointer(dict(kind.fields)[name])


@lower_getattr_generic(Pointers)
def _field(context: Any, builder: Any, kind: Pointers, place: Any, name: str) -> Any:
    data = builder.load(cgutils.gep_inbounds(builder, place, 0, kind.number_of(name)))
    return builder.bitcast(data, context.get_value_type(types.CPointer(dict(kind.fields)[name])))
