"""Operations on a short row of numbers, as vector instructions.

Strategy: the loops they stand for are short, sit in the inner loop of a decoder and follow one another
through the same memory, which is where a loop vectorizer gives up. So each is written in the compiler's
vector type of 16 lanes, which every target lowers to what it has (one AVX-512 register, two of AVX2,
four of SSE or NEON). Arithmetic is exact and wraps at the width of a
lane.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16
_I16, _I32 = ir.IntType(16), ir.IntType(32)
_VECTOR = ir.VectorType(_I32, LANES)


def _row_pointer(context, builder, array_type, array, row):
    """Where the row of a C-contiguous int32[rows, LANES or more] starts, as a pointer to its first 16 numbers."""
    table = context.make_array(array_type)(context, builder, array)
    _, columns = cgutils.unpack_tuple(builder, table.shape)
    return builder.bitcast(builder.gep(table.data, [builder.mul(row, columns)]), _VECTOR.as_pointer())


def _every_lane(builder, number):
    """The low bits of a number in every lane."""
    undefined, first_lane = ir.Constant(_VECTOR, ir.Undefined), ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES)
    first = builder.insert_element(undefined, builder.trunc(number, _I32), ir.Constant(_I32, 0))
    return builder.shuffle_vector(first, undefined, first_lane)


@intrinsic
def count_not_above(typing_context, table, row, shift, unit, limit):
    """How many k < 16 have (table[row, k] >> shift) * unit <= limit, all unsigned; the products stay below 2**32."""

    def generate(context, builder, signature, arguments):
        array, row, shift, unit, limit = arguments
        numbers = builder.load(_row_pointer(context, builder, signature.args[0], array, row), align=4)
        products = builder.mul(builder.lshr(numbers, _every_lane(builder, shift)), _every_lane(builder, unit))
        reached = builder.icmp_unsigned("<=", products, _every_lane(builder, limit))
        return builder.zext(builder.ctpop(builder.bitcast(reached, _I16)), ir.IntType(64))

    return types.int64(table, types.int64, types.int64, types.int64, types.int64), generate


@intrinsic
def move_row(typing_context, table, row, targets, target_row, shift):
    """table[row, k] += (targets[target_row, k] - table[row, k]) >> shift for k < 16."""

    def generate(context, builder, signature, arguments):
        array, row, targets, target_row, shift = arguments
        place = _row_pointer(context, builder, signature.args[0], array, row)
        numbers = builder.load(place, align=4)
        goals = builder.load(_row_pointer(context, builder, signature.args[2], targets, target_row), align=4)
        steps = builder.ashr(builder.sub(goals, numbers), _every_lane(builder, shift))
        builder.store(builder.add(numbers, steps), place, align=4)
        return context.get_dummy_value()

    return types.void(table, types.int64, targets, types.int64, types.int64), generate


@intrinsic
def leading_zeros(typing_context, number):
    """Zeros before the first one of a uint64, which is not 0."""

    def generate(context, builder, signature, arguments):
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate
