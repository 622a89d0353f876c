"""The table: what each operation is in time, and why the others have no place there.

A network of rates can carry whatever is linear or affine in its signals, step by step; what is not is a ReLU (made
spiking), a maximum (taken over cumulative sums), a function or a product of signals (taken of means, and differenced),
part of the head, or refused. That is said of signals that vary in time. Before the first neurons nothing does: a
function of the input alone, whatever it is, is static, computed once with the true operation, and a product of a static
value and a signal is linear in the signal.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a node is in time."""

    SHAPE = "shape"  # a number computed from shapes
    CONSTANT = "constant"  # does not depend on the input
    STATIC = "static"  # any function of the input alone, no neuron before it: computed once
    LINEAR = "linear"  # applied to each step by itself
    SPIKE = "spike"  # a ReLU: integrate-and-fire neurons
    MAX = "max"  # applied to the sum over time, then differenced
    FUNCTION = "function"  # of one signal or a set of them: applied to the means over time, then differenced
    PRODUCT = "product"  # of several signals: likewise
    ANALOG = "analog"  # likewise: a function of an input that moves, and what the user keeps out of spikes
    HEAD = "head"  # applied to the decoded output


OF_MEANS = frozenset({Role.FUNCTION, Role.PRODUCT, Role.ANALOG})
"""F_t = t·f(mean of the first t values) is what has been sent after t steps."""
REMEMBERS = OF_MEANS | {Role.MAX}
"""What holds sums over time."""


class Signals(StrEnum):
    """Which of an operation's tensor arguments may vary in time for it to stay linear."""

    FIRST = "first"
    ONE = "one"
    ALL = "all"
    CHOSEN = "chosen"  # all but one, which chooses between them or says where they go


@dataclass(frozen=True)
class Rule:
    """An operation that is linear or affine in its signals.

    Attributes:
        signals: Which arguments may vary in time.
        weighted: Whether it has synapses: its operations are counted.
        factor: Whether the others may be static, that is vary with the input but not in time. False where they are
            weights or indices, which are the same for all samples.
        chooser: Place of the argument that chooses, where ``signals`` is ``CHOSEN``.
    """

    signals: Signals = Signals.FIRST
    weighted: bool = False
    factor: bool = False
    chooser: int = 0


def _table(rule: Rule, names: str) -> dict[str, Rule]:
    return {f"aten.{n if '.' in n else n + '.default'}": rule for n in names.split()}


LINEAR: dict[str, Rule] = {
    # synapses
    **_table(
        Rule(weighted=True),
        "linear conv1d conv1d.padding conv2d conv2d.padding conv3d conv3d.padding convolution "
        "conv_transpose1d conv_transpose2d.input conv_transpose3d.input",
    ),
    **_table(Rule(Signals.ONE, weighted=True, factor=True), "matmul mm bmm addmm baddbmm mv einsum"),
    # arithmetic
    **_table(Rule(Signals.ALL), "add.Tensor add.Scalar sub.Tensor sub.Scalar rsub.Tensor rsub.Scalar neg"),
    **_table(Rule(Signals.ONE, factor=True), "mul.Tensor mul.Scalar"),
    **_table(Rule(Signals.FIRST, factor=True), "div.Tensor div.Scalar masked_fill.Scalar gather"),
    **_table(Rule(Signals.CHOSEN, factor=True), "where.self where.ScalarOther where.ScalarSelf"),
    **_table(Rule(Signals.CHOSEN, factor=True, chooser=1), "index_put"),
    **_table(Rule(Signals.CHOSEN, factor=True, chooser=2), "scatter.src scatter_add index_add index_copy"),
    **_table(Rule(Signals.FIRST, factor=True), "scatter.value index_fill.int_Scalar"),
    **_table(Rule(), "nan_to_num"),
    # sums over space, resampling, padding
    **_table(Rule(), "avg_pool1d avg_pool2d avg_pool3d mean mean.dim sum sum.dim_IntList nansum"),
    **_table(Rule(), "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d"),
    **_table(Rule(), "upsample_nearest1d upsample_nearest1d.vec upsample_nearest2d upsample_nearest2d.vec"),
    **_table(Rule(), "upsample_nearest3d upsample_nearest3d.vec upsample_linear1d upsample_linear1d.vec"),
    **_table(Rule(), "upsample_bilinear2d upsample_bilinear2d.vec upsample_trilinear3d.vec"),
    **_table(
        Rule(), "upsample_bicubic2d upsample_bicubic2d.vec _upsample_nearest_exact1d _upsample_nearest_exact1d.vec"
    ),
    **_table(Rule(), "_upsample_nearest_exact2d _upsample_nearest_exact2d.vec _upsample_nearest_exact3d"),
    **_table(Rule(), "_upsample_nearest_exact3d.vec _upsample_bilinear2d_aa _upsample_bilinear2d_aa.vec"),
    **_table(Rule(), "_upsample_bicubic2d_aa _upsample_bicubic2d_aa.vec"),
    **_table(Rule(), "constant_pad_nd pad reflection_pad1d reflection_pad2d reflection_pad3d"),
    **_table(Rule(), "replication_pad1d replication_pad2d replication_pad3d im2col col2im unfold"),
    # the same values in other places
    **_table(Rule(), "reshape expand permute transpose.int t squeeze squeeze.dim squeeze.dims"),
    **_table(Rule(), "unsqueeze flatten.using_ints unflatten.int select.int slice.Tensor split.Tensor"),
    **_table(Rule(), "split_with_sizes split.sizes chunk unbind.int narrow movedim.int movedim.intlist"),
    **_table(Rule(), "pixel_shuffle pixel_unshuffle channel_shuffle diagonal numpy_T mT"),
    **_table(Rule(), "repeat tile flip roll cumsum index_select index.Tensor tril triu diag_embed"),
    **_table(Rule(), "repeat_interleave.self_int rot90"),
    **_table(Rule(Signals.ALL), "cat stack slice_scatter select_scatter diagonal_scatter copy"),
    "operator.getitem": Rule(),
}

RESHAPES = frozenset({"aten.reshape.default", "aten.expand.default"})
"""Operations whose second argument is the shape of the result, possibly with the batch size in it."""

MOVES = frozenset(
    _table(
        Rule(),
        "reshape expand permute transpose.int squeeze squeeze.dim squeeze.dims unsqueeze flatten.using_ints "
        "unflatten.int select.int slice.Tensor narrow movedim.int movedim.intlist pixel_shuffle pixel_unshuffle "
        "channel_shuffle",
    )
)
"""Operations that give the values of their first argument in other places, and nothing else."""

POOLS = frozenset({"aten.max_pool1d.default", "aten.max_pool2d.default", "aten.max_pool3d.default"})
"""Maxima of each channel by itself."""

MAXIMA = frozenset(
    _table(
        Rule(),
        "max_pool1d max_pool2d max_pool3d max_pool1d_with_indices max_pool2d_with_indices max_pool3d_with_indices "
        "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d amax amin max min maximum minimum max.other "
        "min.other fmax fmin max.dim min.dim",
    )
)
"""Operations with f(c·x) = c·f(x) for c >= 0, so that f of the sums is the sum of f's increments."""

ACTIVATIONS = frozenset("gelu silu hardswish sigmoid tanh elu selu celu softplus mish softsign log_sigmoid".split())
"""Smooth activations, by the operation's name: each is a layer of neurons wherever it stands behind synapses."""

NORMALISATIONS = frozenset(
    (
        "softmax log_softmax _softmax _safe_softmax layer_norm native_layer_norm group_norm native_group_norm "
        "instance_norm rms_norm local_response_norm"
    ).split()
)
"""What divides by a statistic of its own input; likewise."""

FUNCTIONS = (
    ACTIVATIONS
    | NORMALISATIONS
    | frozenset(
        (
            "exp exp2 expm1 log log1p log2 log10 sqrt rsqrt reciprocal sin cos erf pow square div glu prod cumprod "
            "linalg_vector_norm cdist std var logsumexp logcumsumexp hypot abs"
        ).split()
    )
)
"""Functions of one signal, or of a set of them, that are not linear, by the operation's name."""

PRODUCTS = frozenset("mul matmul bmm mm einsum addmm baddbmm scaled_dot_product_attention".split())
"""Products of signals, by the operation's name."""

_ANALOG = "or keep it out of spikes: analog=['NAME', ...]"
_ROUNDS = (
    "rounds a signal, but not as an activation quantised to steps from 0 up to a bound does",
    f"write it as round(clamp(x / bound, 0, 1) * steps) / steps * bound with constant bound and steps, {_ANALOG}",
)
_RECURRENT = (
    "is recurrent: it feeds its own state back from one part of the sequence to the next",
    f"train convolutions over time, or attention, in its place, {_ANALOG}",
)
_PLACES = (
    "gives the places of its extreme values, and no spike carries a place",
    "use the values alone, or keep what reads the places out of spikes: analog=['NAME', ...]",
)
_MIXES = (
    "uses the statistics of the batch even in eval mode",
    "build it with track_running_stats=True and train those",
)

BATCH_STATISTICS = frozenset({"_native_batch_norm_legit", "batch_norm", "native_batch_norm"})
"""Normalisations that mix the samples of a batch, wherever they stand, by the operation's name."""

REFUSALS: dict[str, tuple[str, str]] = {
    **dict.fromkeys("floor ceil round trunc".split(), _ROUNDS),
    **dict.fromkeys("lstm gru rnn_tanh rnn_relu".split(), _RECURRENT),
    **dict.fromkeys(BATCH_STATISTICS, _MIXES),
}
"""By the operation's name without namespace and overload: why it is refused, and what to do."""

_UNKNOWN = (
    "is not supported yet",
    f"use another operation, {_ANALOG}",
)


def refusal(op: str) -> tuple[str, str]:
    """Why the operation is refused, and what to do."""
    why, todo = _PLACES if op in MAXIMA else REFUSALS.get(short(op), _UNKNOWN)
    return f"{short(op)} {why}", todo


def in_time(op: str) -> Role | None:
    """What an operation that is not linear in its signals is; None if it is refused."""
    name = short(op)
    return Role.PRODUCT if name in PRODUCTS else Role.FUNCTION if name in FUNCTIONS else None


def short(op: str) -> str:
    """An operation's name without namespace and overload."""
    return op.split(".")[1] if "." in op else op
