"""Vector code that numba does not write by itself: ``gather_code.gather`` for weights and inputs of 8 bits.

Weights of 8 bits are a quarter as much to load as real ones, and twice as many sums of 16 bits fit a register. Some
hundreds of products with inputs that are 1 are added up in 16 bits before they go on in 32. Nothing is rounded.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .gather_code import F32, I8, I32, I64, everywhere

I16 = ir.IntType(16)
WIDTHS = (128, 64)
"""Outputs that are added up at once."""
LARGEST = 127
"""Magnitude of the weights."""


def _summing(width: int) -> Any:
    def gather(
        typingctx: Any,
        weights: Any,
        rows_apart: Any,
        row: Any,
        channels: Any,
        values: Any,
        starts: Any,
        apart: Any,
        runs: Any,
        most: Any,
        begin: Any,
        out: Any,
    ) -> Any:
        """``gather_code.gather``, where ``most`` products fit 16 bits together; ``begin`` and ``out`` are float32."""

        def code(context: Any, b: Any, signature: Any, args: Any) -> Any:
            _gather(b, args, width)
            return context.get_dummy_value()

        addresses, numbers = types.int64, types.int64
        pair = types.UniTuple(addresses, 2)
        told = (addresses, numbers, numbers, addresses, addresses, pair, numbers, numbers, numbers)
        return types.void(*told, addresses, addresses), code

    return intrinsic(gather)


def _gather(b: Any, args: Any, width: int) -> None:
    """Three loops: over runs, over as many events as fit 16 bits, over these."""
    weights, rows_apart, row, channels, values, starts, apart, runs, most, begin, out = args
    reals, small, short, long = (ir.VectorType(kind, width) for kind in (F32, I8, I16, I32))
    no_short, no_long = (ir.Constant(kind, [0] * width) for kind in (short, long))
    weights, values = b.inttoptr(weights, I8.as_pointer()), b.inttoptr(values, F32.as_pointer())
    channels = b.inttoptr(channels, I32.as_pointer())
    firsts, lasts = (b.inttoptr(b.extract_value(starts, i), I32.as_pointer()) for i in (0, 1))
    first_sum, at_start = b.load(b.inttoptr(begin, reals.as_pointer()), align=4), b.block
    names = ("run", "some", "event", "flush", "after", "end")
    run, some, event, flush, after, end = (b.append_basic_block(name) for name in names)
    b.cbranch(b.icmp_signed("<", I64(0), runs), run, end)

    b.position_at_end(run)
    r, total = b.phi(I64), b.phi(long)
    place = b.mul(r, apart)
    first, last = (b.sext(b.load(b.gep(x, [place])), I64) for x in (firsts, lasts))
    rows = b.gep(weights, [b.mul(r, rows_apart)])
    b.cbranch(b.icmp_signed("<", first, last), some, after)

    b.position_at_end(some)
    start, held = b.phi(I64), b.phi(long)
    there = b.add(start, most)
    stop = b.select(b.icmp_signed("<", there, last), there, last)
    b.branch(event)

    b.position_at_end(event)
    i, inner = b.phi(I64), b.phi(short)
    value = b.trunc(b.fptosi(b.load(b.gep(values, [i])), I32), I16)
    where = b.mul(b.sext(b.load(b.gep(channels, [i])), I64), row)
    found = b.sext(b.load(b.bitcast(b.gep(rows, [where]), small.as_pointer()), align=1), short)
    added, following = b.add(inner, b.mul(found, everywhere(b, value, width))), b.add(i, I64(1))
    b.cbranch(b.icmp_signed("<", following, stop), event, flush)

    b.position_at_end(flush)
    flushed = b.add(held, b.sext(added, long))
    b.cbranch(b.icmp_signed("<", stop, last), some, after)

    b.position_at_end(after)
    left, r_next = b.phi(long), b.add(r, I64(1))
    b.cbranch(b.icmp_signed("<", r_next, runs), run, end)

    b.position_at_end(end)
    result = b.phi(long)
    b.store(b.fadd(first_sum, b.sitofp(result, reals)), b.inttoptr(out, reals.as_pointer()), align=4)
    for phi, pairs in (
        (r, ((I64(0), at_start), (r_next, after))),
        (total, ((no_long, at_start), (left, after))),
        (start, ((first, run), (stop, flush))),
        (held, ((total, run), (flushed, flush))),
        (i, ((start, some), (following, event))),
        (inner, ((no_short, some), (added, event))),
        (left, ((total, run), (flushed, flush))),
        (result, ((no_long, at_start), (left, after))),
    ):
        for found, block in pairs:
            phi.add_incoming(found, block)


whole128, whole64 = (_summing(width) for width in WIDTHS)
