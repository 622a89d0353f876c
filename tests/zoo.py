"""Small networks that have tripped converters: each either converts right or is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Forward = Callable[..., Any]


class Net(nn.Module):
    """A network from its parts and a function of them and the inputs."""

    def __init__(self, forward: Forward, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self._forward = forward
        kinds = forward.__code__.co_argcount - 1
        if kinds == 2:
            self.forward = lambda x, y: forward(self, x, y)
        else:
            self.forward = lambda x: forward(self, x)

    def __deepcopy__(self, memo: dict[int, Any]) -> Net:
        import copy

        parts = {k: copy.deepcopy(m, memo) for k, m in self._modules.items()}
        twin = Net(self._forward, **parts)
        for name, buffer in self._buffers.items():
            twin.register_buffer(name, buffer.clone())
        twin.train(self.training)
        return twin


@dataclass(frozen=True)
class Case:
    """A network and the shapes of its inputs without the batch."""

    build: Callable[[], nn.Module]
    shapes: tuple[tuple[int, ...], ...] = ((3, 8, 8),)
    extra: dict[str, Any] = field(default_factory=dict)


def conv(c_in: int = 3, c_out: int = 4, k: int = 3, **kwargs: Any) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, k, **{"padding": k // 2, **kwargs})


def norm(module: nn.Module) -> nn.Module:
    """Batch norm as after training: statistics and weights that are not 0 and 1."""
    torch.nn.init.uniform_(module.running_mean, -0.5, 0.5)
    torch.nn.init.uniform_(module.running_var, 0.5, 2)
    torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    torch.nn.init.uniform_(module.bias, -0.5, 0.5)
    return module


def net(forward: Forward, **parts: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    return lambda: Net(forward, **{name: make() for name, make in parts.items()})


def plain(activation: Forward) -> Callable[[], nn.Module]:
    """conv, the activation, conv."""
    return net(lambda s, x: s.b(activation(s.a(x))), a=conv, b=lambda: conv(4, 5))


def behind(activation: Forward) -> Callable[[], nn.Module]:
    """conv, ReLU, conv, the activation, conv: what the activation reads varies in time."""
    return net(lambda s, x: s.b(activation(s.c(F.relu(s.a(x))))), a=conv, c=lambda: conv(4, 4), b=lambda: conv(4, 5))


def _aliased(s: Any, x: Tensor) -> Tensor:
    z = s.a(x)
    y = z
    z += 1
    return s.b(F.relu(y) - z)


def _inplace_used_again(s: Any, x: Tensor) -> Tensor:
    y = s.a(x)
    z = s.relu(y)
    return s.b(z + y)


def _guarded(s: Any, x: Tensor) -> Tensor:
    return s.b(F.relu(s.a(x)) if torch.is_tensor(x) and x.shape[1] == 3 else s.a(x))


def _shuffle(s: Any, x: Tensor) -> Tensor:
    y = F.relu(s.a(x))
    n, c, h, w = y.shape
    return s.b(y.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w))


def _dense(s: Any, x: Tensor) -> Tensor:
    y = s.a(x)
    return s.b(F.relu(s.n(torch.cat([x, y], 1))))


def _masked_assignment(s: Any, x: Tensor) -> Tensor:
    y = s.a(x)
    return s.b(torch.where(y < 0, torch.zeros_like(y), y))


def _loop(s: Any, x: Tensor) -> Tensor:
    y = s.a(x)
    for _ in range(3):
        y = s.relu(s.c(y))
    return s.b(y)


def _unequal_residual(s: Any, x: Tensor) -> Tensor:
    y = F.relu(s.a(x))
    return s.b(F.relu(y + 0.1 * s.c(y)))


def _per_sample_loop(s: Any, x: Tensor) -> Tensor:
    y = F.relu(s.a(x))
    return s.b(torch.stack(list(y.unbind(1)), 1).flip(1).roll(1, 2))


def _batch_mean(s: Any, x: Tensor) -> Tensor:
    y = F.relu(s.a(x))
    return s.b(y - y.mean(0, keepdim=True))


def _sequence_first(s: Any, x: Tensor) -> Tensor:
    y = F.relu(s.a(x)).permute(1, 0, 2)
    return s.b(y).permute(1, 0, 2)


CONVERTS: dict[str, Case] = {
    "relu_module": Case(net(lambda s, x: s.b(s.relu(s.a(x))), a=conv, b=lambda: conv(4, 5), relu=nn.ReLU)),
    "relu_function": Case(plain(F.relu)),
    "relu_method": Case(plain(lambda y: y.relu())),
    "relu_in_place": Case(plain(lambda y: y.relu_())),
    "clamp_min": Case(plain(lambda y: y.clamp(min=0))),
    "clamp_min_function": Case(plain(lambda y: torch.clamp_min(y, 0.0))),
    "clamp_above_quarter": Case(plain(lambda y: y.clamp(min=0.25))),
    "maximum": Case(plain(lambda y: torch.maximum(y, torch.tensor(0.0)))),
    "max_of_zeros": Case(plain(lambda y: torch.max(torch.zeros_like(y), y))),
    "where": Case(plain(lambda y: torch.where(y > 0, y, 0.0))),
    "where_not": Case(net(_masked_assignment, a=conv, b=lambda: conv(4, 5))),
    "mask_times": Case(plain(lambda y: y * (y > 0))),
    "mask_float_times": Case(plain(lambda y: (y > 0).float() * y)),
    "half_of_sum_with_abs": Case(plain(lambda y: (y + y.abs()) / 2)),
    "threshold": Case(plain(lambda y: F.threshold(y, 0.1, 0.1))),
    "relu6": Case(plain(lambda y: F.relu6(8 * y))),
    "hardtanh": Case(plain(lambda y: F.hardtanh(y))),
    "clamp_both": Case(plain(lambda y: y.clamp(0, 0.5))),
    "clamp_max": Case(plain(lambda y: y.clamp(max=0.2))),
    "min_of_relu": Case(plain(lambda y: torch.minimum(F.relu(y), torch.tensor(0.4)))),
    "hardsigmoid": Case(plain(lambda y: F.hardsigmoid(4 * y))),
    "leaky": Case(plain(lambda y: F.leaky_relu(y, 0.2))),
    "leaky_where": Case(plain(lambda y: torch.where(y > 0, y, 0.1 * y))),
    "rrelu": Case(plain(lambda y: F.rrelu(y))),
    "prelu": Case(net(lambda s, x: s.b(s.p(s.a(x))), a=conv, b=lambda: conv(4, 5), p=lambda: nn.PReLU(4, 0.3))),
    "relu_of_relu": Case(plain(lambda y: F.relu6(F.relu(F.relu(y))))),
    "shared_relu": Case(net(lambda s, x: s.b(s.relu(s.c(s.relu(s.a(x))))), a=conv, b=lambda: conv(4, 5), c=lambda: conv(4, 4), relu=nn.ReLU)),
    "shared_layers_in_a_loop": Case(net(_loop, a=conv, b=lambda: conv(4, 5), c=lambda: conv(4, 4), relu=nn.ReLU)),
    "aliased_add": Case(net(_aliased, a=conv, b=lambda: conv(4, 5))),
    "in_place_input_used_again": Case(net(_inplace_used_again, a=conv, b=lambda: conv(4, 5), relu=lambda: nn.ReLU(True))),
    "in_place_on_the_input": Case(net(lambda s, x: s.b(s.a(x.sub_(0.5).relu_())), a=conv, b=lambda: conv(4, 5))),
    "guarded": Case(net(_guarded, a=conv, b=lambda: conv(4, 5))),
    "batch_norm_before": Case(net(lambda s, x: s.b(F.relu(s.a(s.n(x)))), a=conv, b=lambda: conv(4, 5), n=lambda: norm(nn.BatchNorm2d(3)))),
    "batch_norm_after": Case(net(lambda s, x: s.b(F.relu(s.n(s.a(x)))), a=conv, b=lambda: conv(4, 5), n=lambda: norm(nn.BatchNorm2d(4)))),
    "batch_norm_after_relu": Case(net(lambda s, x: s.b(s.n(F.relu(s.a(x)))), a=conv, b=lambda: conv(4, 5), n=lambda: norm(nn.BatchNorm2d(4)))),
    "batch_norm_after_concat": Case(net(_dense, a=conv, b=lambda: conv(7, 5), n=lambda: norm(nn.BatchNorm2d(7)))),
    "batch_norm_shared": Case(net(lambda s, x: s.b(F.relu(s.n(s.n(s.a(x))))), a=conv, b=lambda: conv(4, 5), n=lambda: norm(nn.BatchNorm2d(4)))),
    "batch_norm_1d": Case(net(lambda s, x: s.b(F.relu(s.n(s.a(x)))), a=lambda: nn.Linear(6, 8), b=lambda: nn.Linear(8, 3), n=lambda: norm(nn.BatchNorm1d(8))), ((6,),)),
    "batch_norm_3d": Case(net(lambda s, x: s.b(F.relu(s.n(s.a(x)))), a=lambda: nn.Conv3d(2, 4, 3), b=lambda: nn.Conv3d(4, 3, 1), n=lambda: norm(nn.BatchNorm3d(4))), ((2, 5, 5, 5),)),
    "conv_1d": Case(net(lambda s, x: s.b(F.relu(s.a(x))), a=lambda: nn.Conv1d(2, 4, 3, stride=2), b=lambda: nn.Conv1d(4, 3, 3, dilation=2)), ((2, 16),)),
    "conv_groups_stride_dilation": Case(net(lambda s, x: s.b(F.relu(s.a(x))), a=lambda: nn.Conv2d(4, 8, 3, 2, 2, 2, 2), b=lambda: nn.Conv2d(8, 8, 3, groups=8)), ((4, 9, 9),)),
    "conv_padding_same": Case(net(lambda s, x: s.b(F.relu(s.a(x))), a=lambda: nn.Conv2d(3, 4, 3, padding="same", padding_mode="reflect"), b=lambda: nn.Conv2d(4, 5, 5, padding="same"))),
    "transposed_conv": Case(net(lambda s, x: s.b(F.relu(s.n(s.a(x)))), a=lambda: nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, groups=2), b=lambda: nn.ConvTranspose2d(6, 2, 2), n=lambda: norm(nn.BatchNorm2d(6))), ((4, 5, 5),)),
    "transposed_conv_1d": Case(net(lambda s, x: s.b(F.relu(s.a(x))), a=lambda: nn.ConvTranspose1d(2, 4, 3), b=lambda: nn.Conv1d(4, 2, 3)), ((2, 6),)),
    "avg_pool": Case(plain(lambda y: F.avg_pool2d(F.relu(y), 3, 2, 1, ceil_mode=True, count_include_pad=False))),
    "adaptive_avg_pool": Case(plain(lambda y: F.adaptive_avg_pool2d(F.relu(y), (3, 5)))),
    "global_pool": Case(net(lambda s, x: s.b(F.relu(s.a(x)).mean((2, 3))), a=conv, b=lambda: nn.Linear(4, 5))),
    "sum_pool": Case(net(lambda s, x: s.b(F.relu(s.a(x)).sum(-1).sum(2)), a=conv, b=lambda: nn.Linear(4, 5))),
    "max_pool_after": Case(plain(lambda y: F.max_pool2d(F.relu(y), 3, 2, 1, ceil_mode=True))),
    "max_pool_before": Case(plain(lambda y: F.relu(F.max_pool2d(y, 3, 1, 1, dilation=1)))),
    "max_pool_of_current": Case(plain(lambda y: F.max_pool2d(F.relu(y) - 0.2 * F.relu(y - 0.1), 2))),
    "max_pool_1d": Case(net(lambda s, x: s.b(F.max_pool1d(F.relu(s.a(x)), 3, 2, 1)), a=lambda: nn.Conv1d(2, 4, 3), b=lambda: nn.Conv1d(4, 3, 3)), ((2, 16),)),
    "max_pool_of_the_input": Case(net(lambda s, x: s.b(F.relu(s.a(F.max_pool2d(x, 2)))), a=conv, b=lambda: conv(4, 5))),
    "adaptive_max_pool": Case(plain(lambda y: F.adaptive_max_pool2d(F.relu(y), 3))),
    "amax": Case(net(lambda s, x: s.b(F.relu(s.a(x)).amax((2, 3))), a=conv, b=lambda: nn.Linear(4, 5))),
    "max_over_channels": Case(net(lambda s, x: s.b(F.relu(s.a(x)).max(1, keepdim=True)[0]), a=conv, b=lambda: conv(1, 5))),
    "maxout": Case(net(lambda s, x: s.b(torch.maximum(F.relu(s.a(x)), s.c(x))), a=conv, b=lambda: conv(4, 5), c=conv)),
    "padding": Case(plain(lambda y: F.pad(F.relu(y), (1, 0, 2, 1), value=0.3))),
    "upsample_nearest": Case(plain(lambda y: F.interpolate(F.relu(y), scale_factor=2))),
    "upsample_bilinear": Case(plain(lambda y: F.interpolate(F.relu(y), size=(11, 13), mode="bilinear", align_corners=True))),
    "upsample_bicubic": Case(plain(lambda y: F.interpolate(F.relu(y), scale_factor=1.5, mode="bicubic"))),
    "upsample_1d": Case(net(lambda s, x: s.b(F.interpolate(F.interpolate(F.relu(s.a(x)), 20), 9, mode="linear")), a=lambda: nn.Conv1d(2, 4, 3), b=lambda: nn.Conv1d(4, 3, 3)), ((2, 16),)),
    "everything_3d": Case(net(lambda s, x: s.b(F.interpolate(F.avg_pool3d(F.max_pool3d(F.relu(s.a(x)), 2), 2, 1), scale_factor=2)), a=lambda: nn.Conv3d(2, 4, 3), b=lambda: nn.ConvTranspose3d(4, 3, 2)), ((2, 8, 8, 8),)),
    "residual": Case(net(lambda s, x: s.b(F.relu(s.c(F.relu(s.a(x))) + s.a(x))), a=conv, b=lambda: conv(4, 5), c=lambda: conv(4, 4))),
    "residual_of_unequal_scales": Case(net(_unequal_residual, a=conv, b=lambda: conv(4, 5), c=lambda: conv(4, 4))),
    "split_and_chunk": Case(net(lambda s, x: s.b(torch.cat([*F.relu(s.a(x)).chunk(2, 1)[::-1], *F.relu(s.a(x)).split([1, 3], 1)], 1)), a=conv, b=lambda: conv(8, 5))),
    "channel_shuffle": Case(net(_shuffle, a=conv, b=lambda: conv(4, 5))),
    "pixel_shuffle": Case(net(lambda s, x: s.b(F.pixel_shuffle(F.relu(s.a(x)), 2)), a=conv, b=lambda: conv(1, 5))),
    "flatten_by_batch_size": Case(net(lambda s, x: s.b(F.relu(s.a(x)).view(x.size(0), -1)), a=conv, b=lambda: nn.Linear(256, 5))),
    "flatten_minus_one": Case(net(lambda s, x: s.b(F.relu(s.a(x)).reshape(-1, 256)), a=conv, b=lambda: nn.Linear(256, 5))),
    "slices": Case(plain(lambda y: F.relu(y)[:, :, 1:-1, ::2])),
    "index_and_flip": Case(plain(lambda y: F.relu(y)[:, [3, 2, 1, 0]].flip(3))),
    "unbind_stack_roll": Case(net(_per_sample_loop, a=conv, b=lambda: conv(4, 5))),
    "scalar_arithmetic": Case(plain(lambda y: 2 - 3 * (F.relu(y / 2) + 1) / 4)),
    "mean_over_the_batch": Case(net(_batch_mean, a=conv, b=lambda: conv(4, 5))),
    "sequence_first": Case(net(_sequence_first, a=lambda: nn.Linear(5, 6), b=lambda: nn.Linear(6, 3)), ((4, 5),)),
    "relu_behind_the_sequence_axis": Case(net(lambda s, x: s.b(F.relu(s.a(x).permute(1, 0, 2))).permute(1, 0, 2), a=lambda: nn.Linear(5, 6), b=lambda: nn.Linear(6, 3)), ((4, 5),)),
    "relu_with_the_batch_last": Case(net(lambda s, x: s.b(F.relu(s.a(x).t()).t()), a=lambda: nn.Linear(5, 6), b=lambda: nn.Linear(6, 3)), ((5,),)),
    "relu_of_one_number": Case(net(lambda s, x: F.relu(s.a(x).squeeze(1)) - 0.1, a=lambda: nn.Linear(5, 1)), ((5,),)),
    "linear_on_sequences": Case(net(lambda s, x: s.b(F.relu(s.a(x))), a=lambda: nn.Linear(5, 6), b=lambda: nn.Linear(6, 3)), ((4, 5),)),
    "matmul_with_constant": Case(net(lambda s, x: (F.relu(s.a(x)) @ torch.ones(4, 3) / 3), a=lambda: nn.Linear(5, 4)), ((5,),)),
    "bilinear_head_einsum": Case(net(lambda s, x: torch.einsum("nc,kc->nk", F.relu(s.a(x)), torch.eye(4)[:3]), a=lambda: nn.Linear(5, 4)), ((5,),)),
    "two_inputs": Case(net(lambda s, x, y: s.b(F.relu(s.a(x)) + s.c(y)), a=conv, b=lambda: conv(4, 5), c=lambda: conv(2, 4)), ((3, 8, 8), (2, 8, 8))),
    "tuple_output": Case(net(lambda s, x: (s.b(F.relu(s.a(x))), F.relu(s.a(x)).mean((1, 2))), a=conv, b=lambda: conv(4, 5))),
    "dict_output": Case(net(lambda s, x: {"a": s.b(F.relu(s.a(x))), "b": [x * 2, None]}, a=conv, b=lambda: conv(4, 5))),
    "repeat_and_cumsum": Case(plain(lambda y: F.relu(y).repeat(1, 1, 2, 1)[:, :, 4:12].cumsum(2) / 4)),
    "relu_last": Case(net(lambda s, x: F.relu(s.a(x)), a=conv)),
    "relu_first": Case(net(lambda s, x: s.a(F.relu(x - 0.5)), a=conv)),
    "slice_assignment": Case(net(lambda s, x: _assigned(s, x), a=conv, b=lambda: conv(4, 5))),
    "masked_fill": Case(plain(lambda y: F.relu(y).masked_fill(torch.eye(8, dtype=torch.bool), 0.25))),
    "avg_pool_1d": Case(net(lambda s, x: s.b(F.adaptive_avg_pool1d(F.avg_pool1d(F.relu(s.a(x)), 3, 2, 1), 4)), a=lambda: nn.Conv1d(2, 4, 3), b=lambda: nn.Conv1d(4, 3, 3)), ((2, 16),)),
    "adaptive_max_pool_1d": Case(net(lambda s, x: s.b(F.adaptive_max_pool1d(F.relu(s.a(x)), 5)), a=lambda: nn.Conv1d(2, 4, 3), b=lambda: nn.Conv1d(4, 3, 3)), ((2, 16),)),
    "dropout": Case(plain(lambda y: F.dropout(F.relu(y), 0.5, training=False))),
    "no_grad_inside": Case(plain(lambda y: _without_grad(y))),
    "curved_first_layer": Case(net(lambda s, x: s.b(F.relu(s.c(F.gelu(s.a(x))))), a=conv, c=lambda: conv(4, 4), b=lambda: conv(4, 5))),
    "layer_norm_of_the_input": Case(net(lambda s, x: s.b(F.relu(s.a(s.n(x)))), a=conv, b=lambda: conv(4, 5), n=lambda: nn.LayerNorm([3, 8, 8]))),
    "gated_by_the_input": Case(net(lambda s, x: s.b(F.relu(s.a(x)) * torch.sigmoid(x.mean((1, 2, 3), keepdim=True))), a=conv, b=lambda: conv(4, 5))),
    "over_the_input": Case(net(lambda s, x: s.b(F.relu(s.a(x)) / (1 + x.std(1, keepdim=True))), a=conv, b=lambda: conv(4, 5))),
    "log_of_the_input": Case(net(lambda s, x: s.b(F.relu(s.a(torch.log(x.clamp(min=0.01))))), a=conv, b=lambda: conv(4, 5))),
    "masked_by_the_input": Case(net(lambda s, x: s.b(torch.where(x[:, :1] > 0.3, F.relu(s.a(x)), 0.1).masked_fill(x[:, 1:2] > 0.8, 0.0)), a=conv, b=lambda: conv(4, 5))),
    "matrix_from_the_input": Case(net(lambda s, x: s.b(torch.softmax(x, -1)[:, :1] @ F.relu(s.a(x))), a=conv, b=lambda: conv(4, 5))),
    "times_the_batch_size": Case(net(lambda s, x: s.b(F.relu(s.a(x)) * x.shape[0]) / x.shape[0], a=conv, b=lambda: conv(4, 5))),
    "index_from_the_input": Case(net(lambda s, x: s.b(F.relu(s.a(x)).gather(1, (4 * x[:, :2]).long().clamp(0, 3))), a=conv, b=lambda: conv(2, 5))),
    "head_softmax": Case(net(lambda s, x: torch.softmax(s.b(F.relu(s.a(x))).mean((2, 3)), 1), a=conv, b=lambda: conv(4, 5))),
    "head_sigmoid_gate": Case(net(lambda s, x: torch.sigmoid(s.b(F.relu(s.a(x)))) * s.b(F.relu(s.a(x))), a=conv, b=lambda: conv(4, 5))),
    # functions and products of signals
    "gelu": Case(plain(F.gelu)),
    "silu": Case(plain(F.silu)),
    "hardswish": Case(plain(F.hardswish)),
    "hardswish_by_hand": Case(behind(lambda y: y * F.relu6(y + 3) / 6)),
    "tanh_between": Case(plain(lambda y: torch.tanh(F.relu(y)))),
    "square": Case(plain(lambda y: F.relu(y) ** 2)),
    "gelu_behind_neurons": Case(behind(F.gelu)),
    "gelu_in_the_middle": Case(behind(lambda y: F.relu(F.gelu(y)))),
    "squeeze_and_excitation": Case(behind(lambda y: F.relu(y) * torch.sigmoid(y.mean((2, 3), keepdim=True)))),
    "attention": Case(plain(lambda y: torch.softmax(F.relu(y) @ y.transpose(2, 3), -1) @ y)),
    "layer_norm": Case(net(lambda s, x: s.b(s.n(F.relu(s.a(x)))), a=conv, b=lambda: conv(4, 5), n=lambda: nn.LayerNorm([4, 8, 8]))),
    "instance_norm": Case(net(lambda s, x: s.b(s.n(F.relu(s.a(x)))), a=conv, b=lambda: conv(4, 5), n=lambda: nn.InstanceNorm2d(4))),
    "logarithm": Case(behind(lambda y: torch.log(F.softplus(y)))),
    "masked_attention": Case(behind(lambda y: torch.softmax(F.relu(y) @ y.transpose(2, 3) + torch.full((y.shape[-2], y.shape[-2]), -torch.inf).triu(1), -1) @ y)),
    "gated_linear_unit": Case(behind(lambda y: F.glu(torch.cat([y, F.relu(y)], 1), 1))),
    "division_of_signals": Case(plain(lambda y: F.relu(y) / (1 + F.relu(-y)))),
}


def _assigned(s: Any, x: Tensor) -> Tensor:
    y = F.relu(s.a(x)).clone()
    y[:, 0] = 0.5
    y[:, 1, 2:4] = y[:, 2, 4:6]
    return s.b(y)


def _without_grad(y: Tensor) -> Tensor:
    with torch.no_grad():
        return F.relu(y) * 2


def _value_branch(s: Any, x: Tensor) -> Tensor:
    return s.b(F.relu(s.a(x))) if x.sum() > 0 else s.b(s.a(x))


def _stateful(s: Any, x: Tensor) -> Tensor:
    s.memory += 1
    return s.b(F.relu(s.a(x)) + s.memory)


def _with_memory() -> nn.Module:
    made = Net(_stateful, a=conv(), b=conv(4, 5))
    made.register_buffer("memory", torch.zeros(()))
    return made


REFUSED: dict[str, Case] = {
    "log_of_a_clamp": Case(plain(lambda y: torch.log(y.clamp(min=0.1)))),
    "batch_norm_without_statistics": Case(net(lambda s, x: s.b(F.relu(s.n(s.a(x)))), a=conv, b=lambda: conv(4, 5), n=lambda: nn.BatchNorm2d(4, track_running_stats=False))),
    "max_pool_indices": Case(plain(lambda y: F.max_unpool2d(*F.max_pool2d(F.relu(y), 2, return_indices=True), 2))),
    "thresholded_relu": Case(plain(lambda y: F.threshold(y, 0.3, 0.0))),
    "sort": Case(plain(lambda y: F.relu(y).sort(1)[0])),
    "branch_on_values": Case(net(_value_branch, a=conv, b=lambda: conv(4, 5))),
    "memory_between_calls": Case(_with_memory),
    "fixed_batch_size": Case(net(lambda s, x: s.b(F.relu(s.a(x)).view(64, -1)), a=conv, b=lambda: nn.Linear(256, 5))),
    "batch_into_channels": Case(net(lambda s, x: s.b(F.relu(s.a(x)).view(-1, 8, 8, 8)), a=conv, b=lambda: conv(8, 5))),
    "random_forward": Case(plain(lambda y: F.relu(y) + torch.rand_like(y))),
    "linear_only": Case(plain(lambda y: 2 * y)),
}

SIGNED = {
    "curved_first_layer",
    "gelu",
    "silu",
    "hardswish",
    "hardswish_by_hand",
    "tanh_between",
    "square",
    "gelu_behind_neurons",
    "gelu_in_the_middle",
    "squeeze_and_excitation",
    "attention",
    "layer_norm",
    "instance_norm",
    "logarithm",
    "masked_attention",
    "gated_linear_unit",
    "division_of_signals",
}
"""Networks of the zoo that need spikes of either sign."""


def setting(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """The options, with signed neurons where others have no spikes that the network needs."""
    given = options.get("neuron", "auto")
    fits = name not in SIGNED or (given in ("signed", "multi_threshold", "auto") and options.get("max_spikes", 1) == 1)
    return options if fits else {**options, "neuron": "signed"}


MEET = {
    "mean_over_the_batch",
    "sequence_first",
    "relu_behind_the_sequence_axis",
    "relu_with_the_batch_last",
    "times_the_batch_size",
}
"""Networks of the zoo in which samples meet or do not come first."""
