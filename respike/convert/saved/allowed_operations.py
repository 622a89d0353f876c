"""The operations that a file may name: those of the rules, and the functions that heads and analog parts are made of.

A name outside this table is never looked up. In it are functions of their arguments alone: nothing that writes to its
arguments, draws random numbers, or reads memory by addresses (``as_strided``).
"""

from __future__ import annotations

from functools import cache

import torch

from ..graph import FILL_OPS, RELU, SHAPE_OPS
from ..graph.rules import FUNCTIONS, LINEAR, MAXIMA, PRODUCTS, REFUSALS

_NUMBERS = "add sub mul floordiv truediv mod neg"
"""What shapes are computed with."""

_CURVES = (
    "relu relu6 leaky_relu prelu rrelu hardtanh hardsigmoid hardshrink softshrink clamp clamp_min clamp_max threshold "
    "abs sign floor round ceil trunc sin cos erf log2 log1p expm1 sqrt rsqrt reciprocal glu softsign logit logsumexp "
    "argmax argmin topk sort cumsum cumprod prod std var std_mean var_mean norm any all where isnan nan_to_num "
    "gt ge lt le eq ne logical_not logical_and logical_or logical_xor bitwise_not bitwise_and bitwise_or remainder "
    "_to_copy to type_as zeros ones full arange eye scalar_tensor embedding cdist cosine_similarity one_hot bucketize "
    "log10 exp2 square tan asin acos atan atan2 sinh cosh erfc hypot sinc fmod floor_divide "
    "true_divide isinf isfinite maximum minimum fmax fmin frac lerp addcmul addcdiv median count_nonzero "
    "bitwise_xor logcumsumexp argsort max min "
    "fft_fft fft_ifft fft_rfft fft_irfft fft_fft2 fft_ifft2 fft_rfft2 fft_irfft2 fft_fftn fft_rfftn fft_irfftn "
    "fft_fftshift fft_ifftshift stft view_as_real view_as_complex complex real imag angle _conj resolve_conj "
    "_neg_view resolve_neg"
)
"""What else a head, an analog part, a function of the input or a constant may be, by the name without overload."""


@cache
def operations() -> frozenset[str]:
    """Their names, as ``Node.op`` spells them."""
    found = {RELU, *LINEAR, *MAXIMA, *FILL_OPS, *SHAPE_OPS, *(f"operator.{name}" for name in _NUMBERS.split())}
    for name in (*sorted(FUNCTIONS | PRODUCTS), *REFUSALS, *_CURVES.split()):
        packet = getattr(torch.ops.aten, name, None)  # some are not in every version of torch
        for overload in packet.overloads() if packet is not None else ():
            if not getattr(packet, overload)._schema.is_mutable:
                found.add(f"aten.{name}.{overload}")
    return frozenset(found)
