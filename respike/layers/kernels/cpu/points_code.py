"""Vector code that numba does not write by itself: the weight rows of what is not 0 in a position, added up.

As in ``spread_code`` the bits of masks say what is not 0, and sums stay in registers while they grow.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .gather_code import F32, I8, I32, I64, everywhere
from .spread_code import WIDE

WIDTHS = (128, 64) if WIDE else (64, 32)
"""Outputs that are added up at once: one addition waits for the one before, which those of eight registers hide, and
narrower ones take no less. Each width takes its time to compile."""
number = types.int64


def _adding(width: int, kind: Any) -> Any:
    def add(typingctx: Any, weights: Any, inputs: Any, masks: Any, words: Any, base: Any, to: Any, count: Any) -> Any:
        """``to = base + Σ inputs[c] · weights[c]`` over the inputs c that are not 0, ``width`` outputs.

        Args:
            weights: Address of ``(channels, width)`` weights.
            inputs: Address of the inputs of a position.
            masks: Address of their masks, each of 64 channels.
            words: How many.
            base, to: Addresses.
            count: How many of the outputs there are; those behind are not written.
        """

        def code(context: Any, b: Any, signature: Any, args: Any) -> Any:
            _write(b, width, kind, *args)
            return context.get_dummy_value()

        return types.void(*[number] * 7), code

    return intrinsic(add)


def _write(
    b: Any, width: int, kind: Any, weights: Any, inputs: Any, masks: Any, words: Any, base: Any, to: Any, count: Any
) -> None:
    vector = ir.VectorType(F32, width)
    fma = cgutils.get_or_insert_function(b.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fmuladd.v{width}f32")
    trailing = cgutils.get_or_insert_function(b.module, ir.FunctionType(I64, [I64, ir.IntType(1)]), "llvm.cttz.i64")
    masks, weights = b.inttoptr(masks, I64.as_pointer()), b.inttoptr(weights, F32.as_pointer())
    inputs = b.inttoptr(inputs, kind.as_pointer())
    begun, start = b.load(b.inttoptr(base, vector.as_pointer()), align=4), b.block
    word, event, after, end = (b.append_basic_block(name) for name in ("word", "event", "after", "end"))
    b.branch(word)

    b.position_at_end(word)
    k, total = b.phi(I64), b.phi(vector)
    first, following = b.load(b.gep(masks, [k])), b.add(k, I64(1))
    b.cbranch(b.icmp_unsigned("!=", first, I64(0)), event, after)

    b.position_at_end(event)
    left, inner = b.phi(I64), b.phi(vector)
    channel = b.add(b.mul(k, I64(64)), b.call(trailing, [left, ir.Constant(ir.IntType(1), 1)]))
    value = b.load(b.gep(inputs, [channel]), align=1)
    many = everywhere(b, value if kind == F32 else b.sitofp(value, F32), width)
    row = b.load(b.bitcast(b.gep(weights, [b.mul(channel, I64(width))]), vector.as_pointer()), align=4)
    added, fewer = b.call(fma, [row, many, inner]), b.and_(left, b.sub(left, I64(1)))
    b.cbranch(b.icmp_unsigned("!=", fewer, I64(0)), event, after)

    b.position_at_end(after)
    held = b.phi(vector)
    b.cbranch(b.icmp_signed("<", following, words), word, end)
    b.position_at_end(end)
    _store(b, held, b.inttoptr(to, vector.as_pointer()), count)

    for phi, pairs in (
        (k, ((I64(0), start), (following, after))),
        (total, ((begun, start), (held, after))),
        (left, ((first, word), (fewer, event))),
        (inner, ((total, word), (added, event))),
        (held, ((total, word), (added, event))),
    ):
        for value, block in pairs:
            phi.add_incoming(value, block)


def _store(b: Any, values: Any, to: Any, count: Any) -> None:
    """The first ``count`` of some values."""
    width = values.type.count
    with b.if_else(b.icmp_signed(">=", count, I64(width))) as (whole, part):
        with whole:
            b.store(values, to, align=4)
        with part:
            places = ir.Constant(ir.VectorType(I64, width), list(range(width)))
            there = b.icmp_signed("<", places, everywhere(b, count, width))
            kind = ir.FunctionType(ir.VoidType(), [values.type, to.type, I32, there.type])
            masked = cgutils.get_or_insert_function(b.module, kind, f"llvm.masked.store.v{width}f32.p0")
            b.call(masked, [values, to, I32(4), there])


add_reals, add_bytes = ({width: _adding(width, kind) for width in WIDTHS} for kind in (F32, I8))
