"""Multiply-accumulates that are needed for the data at hand: those whose value is not zero."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from ...convert.count.event_counter import over_batch
from ...convert.count.fan_out import FanOut
from ...convert.graph import Node
from ...convert.network import SpikingNetwork
from ...convert.run.analog import Analog
from ...convert.run.graph_walk import Walk
from ...convert.tracing.attention import without_fast_path

aten = torch.ops.aten


@contextmanager
def needed_macs(module: nn.Module) -> Iterator[NeededMacs]:
    """``NeededMacs``, and no kernel of PyTorch's that computes a whole layer of attention and shows no products."""
    with without_fast_path(), NeededMacs(module) as products:
        yield products


class NeededMacs(TorchDispatchMode):
    """Counts the multiply-accumulates of a module that runs within it, by watching each product it computes.

    A value that is zero needs none; weights, which are all that the module holds, count whatever they are. A product of
    two signals needs none where either is zero. Attention in one kernel is computed a second time, product by product.

    Args:
        module: The network.

    Attributes:
        macs: Multiply-accumulates so far, a whole number of any size.
        needed: Those of them whose value is not zero.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.macs = 0
        self.needed = 0
        self._held = {t.untyped_storage().data_ptr() for t in (*module.parameters(), *module.buffers())}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        count = _PRODUCTS.get(func)
        if count is not None:
            macs, needed = count(self, *args)
            self.macs += int(macs)
            self.needed += int(needed)
        elif func in _ATTENTION:
            with self:
                _in_products(func, args, kwargs or {})
        else:
            with self:
                found = func.decompose(*args, **(kwargs or {}))
            if found is not NotImplemented:
                return found
        return func(*args, **(kwargs or {}))

    def _convolution(self, x: Tensor, weight: Tensor, bias: Any, *settings: Any) -> tuple[float, float]:
        """By the convolution of how often each input is not zero with weights of 1, one output channel a group."""
        transposed, groups = settings[3], settings[5]
        axis = 1 if transposed else 0
        same = weight.shape[axis] // (1 if transposed else groups)  # output channels that see the same inputs
        shape = list(weight.shape)
        shape[axis] = 1 if transposed else groups
        ones = torch.ones(shape, dtype=torch.float64, device=x.device)
        batched = x if x.dim() == weight.dim() else x.unsqueeze(0)
        busy = (batched != 0).sum(0, dtype=torch.int32).double()
        both = torch.stack([torch.full_like(busy, len(batched)), busy])
        macs, needed = (aten.convolution(both, ones, None, *settings).flatten(1).sum(1).round() * same).tolist()
        return macs, needed

    def _product(self, a: Tensor, b: Tensor) -> tuple[float, float]:
        """By how often the k-th column of ``a``, and the k-th row of ``b``, are not zero."""
        if b.dim() == 1:
            b = b.unsqueeze(1)
        macs = float(a.numel() * b.shape[-1])
        return macs, float((self._busy(a, -2).double() * self._busy(b, -1).double()).sum())

    def _busy(self, x: Tensor, axis: int) -> Tensor:
        held = x.untyped_storage().data_ptr() in self._held
        return (torch.ones_like(x, dtype=torch.bool) if held else x != 0).sum(axis)


def _added(mode: NeededMacs, bias: Tensor, a: Tensor, b: Tensor) -> tuple[float, float]:
    return mode._product(a, b)


def _in_products(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Compute attention as two products with a softmax between; what a mask leaves out becomes zero."""
    names = [argument.name for argument in func._schema.arguments]
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    query, key, value = (given[name] for name in ("query", "key", "value"))
    mask = given.get("attn_mask", given.get("attn_bias"))
    causal, scale = given.get("is_causal", False), given.get("scale")
    grouped = query.shape[-3] != key.shape[-3]
    aten._scaled_dot_product_attention_math(query, key, value, mask, is_causal=causal, scale=scale, enable_gqa=grouped)


_ATTENTION = frozenset(
    getattr(aten, f"_scaled_dot_product_{name}").default
    for name in ("flash_attention_for_cpu", "flash_attention", "efficient_attention", "cudnn_attention")
    if hasattr(aten, f"_scaled_dot_product_{name}")
)
"""Kernels that compute a softmax of one product and another product with it."""
_PRODUCTS: dict[Any, Callable[..., tuple[float, float]]] = {
    aten.convolution.default: NeededMacs._convolution,
    **dict.fromkeys((aten.mm.default, aten.bmm.default, aten.mv.default), NeededMacs._product),
    **dict.fromkeys((aten.addmm.default, aten.baddbmm.default, aten.addmv.default), _added),
}


class InputMacs:
    """Counts the multiply-accumulates on a network's constant input that are needed, batch by batch.

    Args:
        snn: The network.
        work: Its fan-out.

    Attributes:
        always: Of one sample: those on what is constant within a varying value, which all count.
    """

    def __init__(self, snn: SpikingNetwork, work: FanOut) -> None:
        self.snn, self.work = snn, work
        self.always = work.once.macs - int(sum(float(macs.sum()) for _, macs in work.inputs.values()))
        wanted = {name for name, _ in work.inputs.values()}
        self.nodes: list[Node] = []
        for node in reversed(snn.plan.static):
            if node.name in wanted:
                self.nodes.insert(0, node)
                wanted.update(node.refs)

    @torch.no_grad()
    def count(self, inputs: list[Tensor]) -> int:
        """Those of a batch of the network's inputs whose value is not zero."""
        walk = Walk(self.snn.graph, self.snn.held_graph().tensors, inputs)
        walk.run(self.nodes, Analog())
        needed = 0
        for name, macs in self.work.inputs.values():
            busy = over_batch((walk.env[name] != 0).float().unsqueeze(0), macs.shape)
            needed += int(busy.double() @ macs.flatten().to(busy.device))
        return needed
