"""Vector code that numba does not write by itself: sums of weight rows held in registers, and lists of what is not 0.

A sum over many rows is only bound by loading them if it stays in registers meanwhile, which takes arrays of a fixed
length that the compiler sees as such. These functions are written in LLVM's intermediate language; numba compiles them
with the code that calls them, for whatever vectors the processor has.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

F32, I8, I32, I64 = ir.FloatType(), ir.IntType(8), ir.IntType(32), ir.IntType(64)
WIDTHS = {64: 2, 32: 4, 16: 4}
"""Outputs that are added up at once, and in how many sums side by side, as one addition waits for the one before."""
LOOKED_AT = 8
"""Inputs that are compared with zero at once."""


def _summing(width: int, sums: int) -> Any:
    vector = ir.VectorType(F32, width)
    zero = ir.Constant(vector, [0.0] * width)

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
        begin: Any,
        out: Any,
    ) -> Any:
        """``out = begin + Σ values[e] · weights[channels[e]]`` over the events of some runs, ``width`` outputs.

        Run r has the events from ``starts[0, r·apart]`` to ``starts[1, r·apart]``, where ``starts`` are two addresses,
        and the weights of its channel c begin at ``weights + 4 · (r · rows_apart + c · row)``.
        """

        def code(context: Any, b: Any, signature: Any, args: Any) -> Any:
            return _gather(b, args, vector, zero, sums)

        addresses, numbers = types.int64, types.int64
        told = (addresses, numbers, numbers, addresses, addresses, types.UniTuple(addresses, 2), numbers, numbers)
        return types.void(*told, addresses, addresses), code

    return intrinsic(gather)


def everywhere(b: Any, value: Any, width: int) -> Any:
    """A vector of one number."""
    nothing = ir.Constant(ir.VectorType(value.type, width), ir.Undefined)
    return b.shuffle_vector(
        b.insert_element(nothing, value, I32(0)), nothing, ir.Constant(ir.VectorType(I32, width), [0] * width)
    )


def _gather(b: Any, args: Any, vector: Any, zero: Any, sums: int) -> Any:
    """The code of ``gather``: blocks with one value for each variable that changes from turn to turn."""
    weights, rows_apart, row, channels, values, starts, apart, runs, begin, out = args
    width = vector.count
    fma = cgutils.get_or_insert_function(b.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fmuladd.v{width}f32")
    weights, values = (b.inttoptr(x, F32.as_pointer()) for x in (weights, values))
    channels = b.inttoptr(channels, I32.as_pointer())
    firsts, lasts = (b.inttoptr(b.extract_value(starts, i), I32.as_pointer()) for i in (0, 1))
    first_sum = b.load(b.inttoptr(begin, vector.as_pointer()), align=4)
    at_start = b.block
    run, several, after, end = (b.append_basic_block(name) for name in ("run", "several", "after", "end"))
    b.cbranch(b.icmp_signed("<", I64(0), runs), run, end)

    b.position_at_end(run)
    r, totals = b.phi(I64), [b.phi(vector) for _ in range(sums)]
    place = b.mul(r, apart)
    first, last = (b.sext(b.load(b.gep(x, [place])), I64) for x in (firsts, lasts))
    rows = b.gep(weights, [b.mul(r, rows_apart)])
    b.cbranch(b.icmp_signed("<", first, last), several, after)

    b.position_at_end(several)
    i, inner = b.phi(I64), [b.phi(vector) for _ in range(sums)]
    added = []
    for k, total in enumerate(inner):
        event = b.add(i, I64(k))
        there = b.icmp_signed("<", event, last)
        event = b.select(there, event, i)  # behind the last one nothing is added: that is quicker than another loop
        value = b.select(there, b.load(b.gep(values, [event])), F32(0.0))
        where = b.mul(b.sext(b.load(b.gep(channels, [event])), I64), row)
        found = b.load(b.bitcast(b.gep(rows, [where]), vector.as_pointer()), align=4)
        added.append(b.call(fma, [found, everywhere(b, value, width), total]))
    following = b.add(i, I64(sums))
    b.cbranch(b.icmp_signed("<", following, last), several, after)

    b.position_at_end(after)
    held, r_next = [b.phi(vector) for _ in range(sums)], b.add(r, I64(1))
    b.cbranch(b.icmp_signed("<", r_next, runs), run, end)

    b.position_at_end(end)
    results = [b.phi(vector) for _ in range(sums)]

    def comes(phi: Any, *pairs: Any) -> None:
        for value, block in pairs:
            phi.add_incoming(value, block)

    comes(r, (I64(0), at_start), (r_next, after))
    comes(i, (first, run), (following, several))
    for k in range(sums):
        begins = first_sum if k == 0 else zero
        comes(totals[k], (begins, at_start), (held[k], after))
        comes(inner[k], (totals[k], run), (added[k], several))
        comes(held[k], (totals[k], run), (added[k], several))
        comes(results[k], (begins, at_start), (held[k], after))
    total = results[0]
    for more in results[1:]:
        total = b.fadd(total, more)
    b.store(total, b.inttoptr(out, vector.as_pointer()), align=4)


gather64, gather32, gather16 = (_summing(width, sums) for width, sums in WIDTHS.items())


def _places() -> bytes:
    """For each set of ``LOOKED_AT`` bits the places of those that are 1, from the lowest on, in ``LOOKED_AT`` bytes."""
    found = ([k for k in range(LOOKED_AT) if bits >> k & 1] for bits in range(1 << LOOKED_AT))
    return b"".join(bytes(places + [0] * (LOOKED_AT - len(places))) for places in found)


def _listing(kind: Any) -> Any:
    vector, listed = ir.VectorType(kind, LOOKED_AT), ir.VectorType(I32, LOOKED_AT)
    zeros, real = ir.Constant(vector, [0] * LOOKED_AT), kind == F32
    table = bytearray(_places())

    def list_of(typingctx: Any, address: Any, first: Any, to: Any) -> Any:
        """Which of ``LOOKED_AT`` numbers from an address on are not 0: how many, and ``first`` + k for each to ``to``.

        All ``LOOKED_AT`` int32 there are written to: a jump for each number would be guessed wrong too often.
        """

        def code(context: Any, b: Any, signature: Any, args: Any) -> Any:
            address, first, to = args
            rows = cgutils.global_constant(b.module, "respike_places", ir.Constant(ir.ArrayType(I8, len(table)), table))
            x = b.load(b.inttoptr(address, vector.as_pointer()), align=1)
            found = b.fcmp_unordered("!=", x, zeros) if real else b.icmp_unsigned("!=", x, zeros)  # NaN is not 0
            bits = b.bitcast(found, I8)
            row = b.gep(rows, [I64(0), b.mul(b.zext(bits, I64), I64(LOOKED_AT))])
            places = b.zext(b.load(b.bitcast(row, ir.VectorType(I8, LOOKED_AT).as_pointer()), align=1), listed)
            numbers = b.add(places, everywhere(b, b.trunc(first, I32), LOOKED_AT))
            b.store(numbers, b.inttoptr(to, listed.as_pointer()), align=4)
            return b.zext(b.ctpop(bits), I64)

        return types.int64(types.int64, types.int64, types.int64), code

    return intrinsic(list_of)


def _reading(kind: Any) -> Any:
    def number(typingctx: Any, address: Any) -> Any:
        """The number at an address, as a float32."""

        def code(context: Any, b: Any, signature: Any, args: Any) -> Any:
            x = b.load(b.inttoptr(args[0], kind.as_pointer()), align=1)
            return x if kind == F32 else b.sitofp(x, F32)

        return types.float32(types.int64), code

    return intrinsic(number)


list_reals, list_bytes = _listing(F32), _listing(I8)
real_at, byte_at = _reading(F32), _reading(I8)
