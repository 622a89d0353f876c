"""The table from ONNX operator to builder. ``ops/`` fills it; CONTRIBUTING says how to add one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from .node_module import Call
from .node_view import Node

Builder = Callable[[Node], Call]
_B = TypeVar("_B", bound=Builder)

BUILDERS: dict[tuple[str, str], Builder] = {}
"""By domain (``""`` is ONNX's own) and operator: what to do with tensors."""
ARITHMETIC: dict[str, Builder] = {}
"""By operator: what to do with numbers computed from shapes."""
VERSIONS = {"": 6, "ai.onnx.ml": 1}
"""The domains that are read, with the oldest operator set of each."""

_CONTROL = ("is control flow or a sequence, which is not followed", "export a network without branches and loops")
_QUANTISED = ("is part of a quantised network", "convert the float network that it was made from")
_RECURRENT = ("is recurrent, and conversion reads a network without memory", "take it out of the network")
CUT = "choose the outputs before it: outputs=['NAME', ...] (respike inspect lists the candidates)"
"""What to do where labels are made of a network's numbers."""
_LABELS = ("turns numbers into labels or maps, which have no place in a network", CUT)
KNOWN_REFUSALS: dict[str, tuple[str, str]] = {
    **dict.fromkeys("If Loop Scan SequenceAt SequenceConstruct SplitToSequence ConcatFromSequence".split(), _CONTROL),
    **dict.fromkeys("QLinearConv QLinearMatMul ConvInteger MatMulInteger QuantizeLinear".split(), _QUANTISED),
    **dict.fromkeys("DequantizeLinear DynamicQuantizeLinear".split(), _QUANTISED),
    **dict.fromkeys("LSTM GRU RNN".split(), _RECURRENT),
    **dict.fromkeys("ZipMap ArrayFeatureExtractor LabelEncoder".split(), _LABELS),
}
"""By operator: why it is not in the table, and what to do."""


def onnx_op(*names: str, domain: str = "") -> Callable[[_B], _B]:
    """Enters a builder in the table."""

    def enter(builder: _B) -> _B:
        for name in names:
            assert (domain, name) not in BUILDERS, name
            BUILDERS[domain, name] = builder
        return builder

    return enter


def on_numbers(*names: str) -> Callable[[_B], _B]:
    """Enters a builder for numbers computed from shapes."""

    def enter(builder: _B) -> _B:
        ARITHMETIC.update(dict.fromkeys(names, builder))
        return builder

    return enter
