"""The table of the proof: for each operation what it does to the axis of samples. What it lacks is taken to mix."""

from __future__ import annotations

from . import computing_rules as values
from . import moving_rules as moves
from .axis_place import Transfer

_ELEMENTWISE = (
    "relu add sub rsub mul div true_divide floor_divide neg abs sign pow square sqrt rsqrt reciprocal exp exp2 "
    "expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh asinh acosh atanh atan2 hypot sinc erf erfc "
    "sigmoid tanh log_sigmoid silu gelu elu selu celu mish softplus softsign hardswish hardsigmoid hardtanh "
    "hardshrink softshrink leaky_relu _prelu_kernel rrelu relu6 threshold clamp clamp_min clamp_max maximum minimum "
    "fmax fmin max.other min.other floor ceil round trunc frac remainder fmod gt ge lt le eq ne logical_not "
    "logical_and logical_or logical_xor bitwise_not bitwise_and bitwise_or bitwise_xor isnan isinf isfinite "
    "nan_to_num logit where masked_fill lerp addcmul addcdiv copy _to_copy to type_as zeros_like ones_like "
    "full_like fill complex real imag angle _conj resolve_conj _neg_view resolve_neg"
)
_REDUCTIONS = (
    "mean sum nansum amax amin max min std var std_mean var_mean prod norm linalg_vector_norm logsumexp any all "
    "argmax argmin median count_nonzero"
)
_SPATIAL = (
    "avg_pool{n}d max_pool{n}d max_pool{n}d_with_indices adaptive_avg_pool{n}d adaptive_max_pool{n}d "
    "reflection_pad{n}d replication_pad{n}d upsample_nearest{n}d upsample_linear{n}d upsample_bilinear{n}d "
    "upsample_trilinear{n}d upsample_bicubic{n}d _upsample_nearest_exact{n}d _upsample_bilinear{n}d_aa "
    "_upsample_bicubic{n}d_aa"
)
_ALONG_DIM = "softmax log_softmax _safe_softmax cumsum cumprod logcumsumexp split split_with_sizes chunk narrow"


def _each(rule: Transfer, names: str) -> dict[str, Transfer]:
    return dict.fromkeys(names.split(), rule)


RULES: dict[str, Transfer] = {
    **_each(values.elementwise, _ELEMENTWISE),
    **_each(values.reduction, _REDUCTIONS),
    **{name.format(n=n): values.last(values.spatial) for name in _SPATIAL.split() for n in (1, 2, 3)},
    **_each(values.padding, "constant_pad_nd pad"),
    **_each(values.last(lambda call: 3), "pixel_shuffle pixel_unshuffle"),
    **_each(values.last(lambda call: 2), "tril triu"),
    **_each(values.last(values.normalised), "layer_norm native_layer_norm rms_norm"),
    **_each(values.batch_first(2), "group_norm native_group_norm prelu"),
    **_each(values.batch_first(3), "channel_shuffle instance_norm col2im"),
    "im2col": values.batch_first(4),
    **_each(values.convolution, "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution"),
    "linear": values.linear,
    **_each(values.product, "matmul mm bmm mv addmm baddbmm"),
    "einsum": values.einsum,
    "scaled_dot_product_attention": values.attention,
    **_each(values.besides("dims"), "flip roll rot90"),
    **_each(values.besides("dim", default=0), _ALONG_DIM),
    **_each(values.besides("dim", default=-1), "sort argsort topk glu"),
    **_each(values.besides("dim", default=-1), "fft_fft fft_ifft fft_rfft fft_irfft"),
    **_each(values.besides("dim", default=[-2, -1]), "fft_fft2 fft_ifft2 fft_rfft2 fft_irfft2"),
    **_each(values.last(lambda call: 1), "stft view_as_complex"),
    "view_as_real": values.last(lambda call: 0),
    "unfold": values.besides("dimension"),
    "embedding": values.embedded,
    "one_hot": values.counted_classes,
    **_each(values.joined, "cat stack"),
    **_each(values.scattered, "slice_scatter select_scatter"),
    **_each(moves.reshaped, "reshape view flatten unflatten"),
    "expand": moves.expanded,
    **_each(moves.filled, "zeros ones full new_zeros new_ones new_full"),
    **_each(moves.repeated, "repeat tile"),
    "repeat_interleave": moves.interleaved,
    **_each(moves.without("dim", default=0), "select unbind"),
    "squeeze": moves.squeezed,
    "unsqueeze": moves.unsqueezed,
    "diagonal": moves.diagonal,
    "diag_embed": moves.on_diagonal,
    "diagonal_scatter": moves.into_diagonal,
    **_each(moves.permuted(moves.swap), "transpose t mT"),
    "permute": moves.permuted(lambda call, x: call.axes(x, "dims")),
    "numpy_T": moves.permuted(lambda call, x: list(range(call.rank(x)))[::-1]),
    "movedim": moves.permuted(moves.move),
    "slice": moves.sliced,
    "index_select": moves.picked,
    "gather": moves.gathered,
    "index": moves.indexed,
    **_each(moves.put("index"), "scatter scatter_add"),
    **_each(moves.put(), "index_add index_copy index_fill"),
    "index_put": moves.put_at,
}
"""By the operation's name without namespace, and without overload unless that matters."""


def rule(op: str) -> Transfer | None:
    """The rule for an operation; None if it has none."""
    name = op.split(".", 1)[1]
    return RULES.get(name) or RULES.get(name.split(".")[0])
