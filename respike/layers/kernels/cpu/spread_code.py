"""Vector code that numba does not write by itself: which inputs are not 0, and a line of them spread over the outputs.

As in ``gather_code``, sums stay in registers while they grow. Here those of all outputs that a position reaches are
held at once, and move on with it: an event is found once, not by every output around it.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, config, types
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic

from .gather_code import F32, I8, I64, everywhere

SIDE = 3
"""Rows and columns of the kernel: nine sums are held at once."""
_told = getattr(config, "CPU_FEATURES", None)
WIDE = "+avx512f" in (get_host_cpu_features() if _told is None else _told)
"""Whether there are registers for nine sums of 32 outputs."""
WIDTHS = (32, 16) if WIDE else (8,)
"""Outputs that are added up at once."""
IN_A_TURN = {32: 1, 16: 2, 8: 2}
"""Events of a position that are added up at once, the last of them nothing if there are no more.

How many there are is guessed wrong at every other position, which takes as long as to add up three for 16 outputs.
"""
number = types.int64


def _spreading(width: int, kind: Any, ones: bool = False) -> Any:
    def spread(
        typingctx: Any,
        weights: Any,
        inputs: Any,
        columns: Any,
        bases: Any,
        between: Any,
        rows: Any,
        apart: Any,
        line: Any,
        spill: Any,
    ) -> Any:
        """Add what a line of inputs causes to the lines of outputs around it, ``width`` outputs of each position.

        Args:
            weights: Address of ``(channels + 1, SIDE, SIDE, width)`` weights, of which the last are 0.
            inputs: Address of the line's inputs, how many bytes a position is long, address of the positions' masks
                of up to 64 channels, and a mask of the channel behind them, 0 if they are 64.
            columns: Length of the line of inputs.
            bases: Addresses of what the sums are added to, for kernel row 0, 1, ...
            between: How many bytes a position is long there.
            rows: Addresses of the lines of outputs that kernel row 0, 1, ... reaches.
            apart: How many bytes a position of them is long.
            line: Length of the lines of outputs, and how many positions stick out of the inputs at each end.
            spill: Address of a place for outputs that are no part of a line.
        """
        pair, several = types.UniTuple(number, 2), types.UniTuple(number, SIDE)
        told = (number, types.UniTuple(number, 4), number, several, several, several, number, pair, number)

        def code(context: Any, b: Any, signature: Any, args: Any) -> Any:
            _Spread(b, width, kind, ones).write(*args)

        return types.void(*told), code

    return intrinsic(spread)


class _Spread:
    """Writes the code of ``spread``: two loops, over positions and over the events of each.

    Args:
        builder: Of LLVM's code.
        width: Outputs at once.
        kind: Type of the inputs.
        ones: Whether all of them are 0 or 1, so that weights are added up as they are.
    """

    def __init__(self, builder: Any, width: int, kind: Any, ones: bool) -> None:
        self.b, self.kind, self.width, self.ones = builder, kind, width, ones
        self.vector = ir.VectorType(F32, width)
        self.zero = ir.Constant(self.vector, [0.0] * width)
        self.places = [(i, j) for i in range(SIDE) for j in range(SIDE)]

    def write(
        self,
        weights: Any,
        inputs: Any,
        columns: Any,
        bases: Any,
        between: Any,
        rows: Any,
        apart: Any,
        line: Any,
        spill: Any,
    ) -> None:
        b = self.b
        image, step, masks, self.behind = (b.extract_value(inputs, k) for k in range(4))
        masks = b.inttoptr(masks, I64.as_pointer())
        length, beyond = (b.extract_value(line, k) for k in range(2))
        last = b.add(b.sub(length, beyond), I64(SIDE - 1))
        start = b.block
        position, event, after, end = (b.append_basic_block(name) for name in ("position", "event", "after", "end"))
        b.branch(position)

        b.position_at_end(position)
        x, moved = b.phi(I64), {(i, j): b.phi(self.vector) for i, j in self.places if j}
        moved |= {(i, 0): self.zero for i in range(SIDE)}
        inside = b.icmp_signed("<", x, columns)
        found = b.load(b.gep(masks, [b.select(inside, x, I64(0))]))
        first = b.select(inside, found, I64(0))
        here, following = b.add(image, b.mul(b.select(inside, x, I64(0)), step)), b.add(x, I64(1))
        alone = IN_A_TURN[self.width] == 1
        b.cbranch(b.icmp_unsigned("!=", first, I64(0)) if alone else ir.Constant(ir.IntType(1), 1), event, after)

        b.position_at_end(event)
        left, sums = b.phi(I64), {place: b.phi(self.vector) for place in self.places}
        added, fewer = sums, left
        for _ in range(IN_A_TURN[self.width]):
            added, fewer = self.added(fewer, added, here, weights), b.and_(fewer, b.sub(fewer, I64(1)))
        b.cbranch(b.icmp_unsigned("!=", fewer, I64(0)), event, after)

        b.position_at_end(after)
        done = {place: b.phi(self.vector) for place in self.places}
        column = b.sub(b.add(x, beyond), I64(SIDE - 1))  # no position to come reaches it
        there = b.and_(b.icmp_signed(">=", column, I64(0)), b.icmp_signed("<", column, length))
        for i in range(SIDE):
            to = b.add(b.extract_value(rows, i), b.mul(column, apart))
            other = b.add(b.extract_value(bases, i), b.mul(column, b.extract_value(between, i)))
            to, other = (b.inttoptr(b.select(there, a, spill), self.vector.as_pointer()) for a in (to, other))
            b.store(b.fadd(b.load(other, align=4), done[i, SIDE - 1]), to, align=4)
        b.cbranch(b.icmp_signed("<", following, last), position, end)
        b.position_at_end(end)

        _comes(x, (I64(0), start), (following, after))
        _comes(left, (first, position), (fewer, event))
        for i, j in self.places:
            _comes(sums[i, j], (moved[i, j], position), (added[i, j], event))
            _comes(done[i, j], (moved[i, j], position), (added[i, j], event))
            if j:
                _comes(moved[i, j], (self.zero, start), (done[i, j - 1], after))

    def added(self, left: Any, sums: Any, here: Any, weights: Any) -> Any:
        """The sums with the event of the lowest bit added, or with 0 if no bit is left."""
        b, nine = self.b, SIDE * SIDE * self.width
        trailing = cgutils.get_or_insert_function(b.module, ir.FunctionType(I64, [I64, ir.IntType(1)]), "llvm.cttz.i64")
        fma = cgutils.get_or_insert_function(
            b.module, ir.FunctionType(self.vector, [self.vector] * 3), f"llvm.fmuladd.v{self.width}f32"
        )
        # Without a choice, which would be made a jump: where no bit is left it is the channel whose weights are 0.
        channel = b.call(trailing, [b.or_(left, self.behind), ir.Constant(ir.IntType(1), 0)])
        row = b.gep(b.inttoptr(weights, F32.as_pointer()), [b.mul(channel, I64(nine))])

        def weight(place: int) -> Any:
            return b.load(b.bitcast(b.gep(row, [I64(place * self.width)]), self.vector.as_pointer()), align=4)

        if self.ones:
            return {key: b.fadd(weight(k), sums[key]) for k, key in enumerate(self.places)}
        bits = ir.IntType(32 if self.kind == F32 else 8)
        some = b.icmp_unsigned("!=", left, I64(0))
        value = b.load(b.gep(b.inttoptr(here, bits.as_pointer()), [b.select(some, channel, I64(0))]), align=1)
        value = b.and_(value, b.sext(some, bits))
        value = b.bitcast(value, F32) if self.kind == F32 else b.sitofp(value, F32)
        many = everywhere(b, value, self.width)
        return {key: b.call(fma, [weight(k), many, sums[key]]) for k, key in enumerate(self.places)}


def _comes(phi: Any, *pairs: Any) -> None:
    for value, block in pairs:
        phi.add_incoming(value, block)


spread_reals, spread_bytes = ({width: _spreading(width, kind) for width in WIDTHS} for kind in (F32, I8))
spread_ones = {width: _spreading(width, I8, True) for width in WIDTHS}
