"""Operations that are linear in a signal, in many spellings: layer by layer each is the ANN with quantised ReLU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from samples import one_in
from torch import Tensor, nn

import respike

Operation = Callable[[Tensor, Tensor], Tensor]

MASK = torch.eye(8, dtype=torch.bool)
ROW = torch.linspace(0.2, 1.4, 8)
SQUARE = torch.linspace(-1, 1, 64).reshape(8, 8)
CHANNELS = torch.tensor([0, 2, 2, 1])


def everywhere(h: Tensor, places: Tensor) -> Tensor:
    """Places along axis 1, the same for all samples and pixels."""
    return places.view(1, -1, 1, 1).expand(h.shape[0], -1, 8, 8)


def wanted(x: Tensor) -> Tensor:
    """Places that the input names."""
    return (3.9 * x[:, :2]).long()


def assigned(h: Tensor, values: Tensor) -> Tensor:
    found = h.clone()
    found[:, :, CHANNELS[:2], CHANNELS[1:3]] = values
    return found


# Of the signal (N, 4, 8, 8) and the input (N, 3, 8, 8).
OPERATIONS: dict[str, Operation] = {
    "gather": lambda h, x: h.gather(1, everywhere(h, CHANNELS)),
    "gather_by_the_input": lambda h, x: h.gather(1, wanted(x)),
    "take_along_dim": lambda h, x: torch.take_along_dim(h, CHANNELS[:2].view(1, 2, 1, 1), 1),
    "take_along_dim_by_the_input": lambda h, x: torch.take_along_dim(h, wanted(x), 1),
    "index_select": lambda h, x: h.index_select(1, CHANNELS),
    "scatter": lambda h, x: torch.zeros_like(h).scatter(1, everywhere(h, torch.tensor([3, 0, 2, 1])), h),
    "scatter_value": lambda h, x: h.scatter(1, everywhere(h, torch.tensor([3])), 0.5),
    "scatter_add": lambda h, x: torch.zeros_like(h).scatter_add(1, everywhere(h, CHANNELS), h),
    "scatter_add_by_the_input": lambda h, x: h.scatter_add(1, wanted(x), 2 * h),
    "index_add": lambda h, x: torch.zeros_like(h).index_add(1, CHANNELS, h, alpha=0.5),
    "index_add_of_the_input": lambda h, x: h.index_add(1, CHANNELS[:3], x),
    "index_copy": lambda h, x: torch.zeros_like(h).index_copy(1, torch.tensor([3, 0, 2, 1]), h),
    "index_fill": lambda h, x: h.index_fill(1, CHANNELS[:2], 0.5),
    "index_put": lambda h, x: h.index_put((torch.arange(h.shape[0])[:, None], CHANNELS[:2]), x[:, :2]),
    "assignment": lambda h, x: assigned(h, torch.tensor(0.5)),
    "assignment_of_the_input": lambda h, x: assigned(h, x[:, :1, 2:4, 0]),
    "addcmul": lambda h, x: torch.addcmul(h, x[:, :1], x[:, 1:2], value=0.5),
    "addcmul_of_a_signal": lambda h, x: torch.addcmul(x[:, :1], h, ROW, value=0.5),
    "addcdiv": lambda h, x: torch.addcdiv(h, h.flip(1), x[:, :1] + 1, value=0.5),
    "lerp": lambda h, x: torch.lerp(h, h.flip(1) + 1, 0.3),
    "lerp_by_the_input": lambda h, x: torch.lerp(h, h.flip(1), x[:, :1]),
    "masked_fill": lambda h, x: h.masked_fill(MASK, 0.5),
    "masked_fill_with_a_tensor": lambda h, x: h.masked_fill(x[:, :1] > 0.5, ROW[0]),
    "where": lambda h, x: torch.where(MASK, h, h.flip(1)),
    "where_by_the_input": lambda h, x: torch.where(x[:, :1] > 0.5, h, x[:, 1:2]),
    "diff": lambda h, x: h.diff(dim=2),
    "second_diff": lambda h, x: torch.diff(h, n=2, dim=3),
    "diag_embed": lambda h, x: torch.diag_embed(h[:, :, 0], 1),
    "diagonal_scatter": lambda h, x: torch.diagonal_scatter(h, 2 * h[:, :, 0], 0, 2, 3),
    "kron": lambda h, x: torch.kron(h, torch.full((1, 1, 2, 2), 0.5)),
    "tensordot": lambda h, x: torch.tensordot(h, SQUARE, dims=([3], [0])),
    "inner": lambda h, x: torch.inner(h, SQUARE),
    "multi_dot": lambda h, x: torch.linalg.multi_dot([h[:, 0, 0], SQUARE, SQUARE]),
    "vecdot": lambda h, x: torch.linalg.vecdot(h, SQUARE),
    "addbmm": lambda h, x: torch.addbmm(ROW, h[:, 0], SQUARE.expand(h.shape[0], 8, 8), alpha=0.1) + x[:, 0],
    "addmv": lambda h, x: torch.addmv(h[:, 0, 0, 0], h[:, 0, 1], ROW)[:, None],
    "addr": lambda h, x: torch.addr(h[:, 0, 0], h[:, 0, 1, 0], ROW),
    "outer": lambda h, x: torch.outer(h[:, 0, 0, 0], ROW),
    "bilinear": lambda h, x: F.bilinear(h[:, 0, 0], x[:, 0, 0], SQUARE.expand(5, 8, 8), torch.ones(5)),
    "bilinear_of_the_second": lambda h, x: F.bilinear(x[:, 0, 0], h[:, 0, 0], SQUARE.expand(5, 8, 8)),
    "cross": lambda h, x: torch.cross(h[:, :3], x, dim=1),
    "fliplr": lambda h, x: torch.fliplr(h),
    "hstack": lambda h, x: torch.hstack([h, x]),
    "dstack": lambda h, x: torch.dstack([h, 2 * h]),
    "column_stack": lambda h, x: torch.column_stack([h, x]),
    "unsafe_chunk": lambda h, x: torch.cat(torch.unsafe_chunk(h, 2, 1)[::-1], 1),
    "broadcast_tensors": lambda h, x: torch.broadcast_tensors(h[:, :1], x)[0],
    "sum_to_size": lambda h, x: h.sum_to_size(h.shape[0], 1, 8, 8),
    "trapezoid": lambda h, x: torch.trapezoid(h, dim=1),
    "cumulative_trapezoid": lambda h, x: torch.cumulative_trapezoid(h, dim=2),
    "nansum": lambda h, x: h.nansum(1),
    "nan_to_num": lambda h, x: h.nan_to_num(),
    "true_divide": lambda h, x: torch.true_divide(h, 2.0),
    "deg2rad": lambda h, x: h.deg2rad(),
    "nearest_exact": lambda h, x: F.interpolate(h, size=(5, 11), mode="nearest-exact"),
    "bilinear_antialias": lambda h, x: F.interpolate(h, size=(5, 5), mode="bilinear", antialias=True),
    "bicubic_antialias": lambda h, x: F.interpolate(h, size=(5, 5), mode="bicubic", antialias=True),
    "einsum": lambda h, x: torch.einsum("nchw,hk,wl->nckl", h, SQUARE, SQUARE),
    "circular_padding": lambda h, x: F.pad(h, (1, 1, 1, 1), mode="circular"),
    "tensor_split": lambda h, x: torch.cat(h.tensor_split(3, 1)[::-1], 1),
}

WHOLE = {"index_put", "addbmm"}
"""Those that work across the batch, or that are not proven to leave it alone."""


class Model(nn.Module):
    """Weights, ReLU, the operation, weights."""

    def __init__(self, operation: Operation) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.operation, self.relu = operation, nn.ReLU()
        self.a = nn.Conv2d(3, 4, 3, padding=1)
        wide = operation(torch.rand(4, 4, 8, 8), torch.rand(4, 3, 8, 8)).flatten(1).shape[1]
        self.b = nn.Linear(wide, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.operation(self.relu(self.a(x)), x).flatten(1))


class Steps(nn.Module):
    """ReLU in T + 1 values, written without respike."""

    def __init__(self, threshold: Tensor, steps: int) -> None:
        super().__init__()
        self.threshold, self.steps = threshold, steps

    def forward(self, x: Tensor) -> Tensor:
        return torch.floor(x * self.steps / self.threshold + 0.5).clamp(0, self.steps) * self.threshold / self.steps


@pytest.mark.parametrize("name", one_in(4, OPERATIONS))
def test_layer_by_layer_it_is_the_quantised_ann(name: str) -> None:
    model, x = Model(OPERATIONS[name]), torch.rand(16, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    snn = respike.from_torch(model, x, 4, schedule="layerwise", threshold="max", correction="none")
    (neurons,) = snn.neurons.values()
    found = snn(x)
    model.relu = Steps(neurons.threshold, 4)
    with torch.no_grad():
        torch.testing.assert_close(found, model(x), rtol=1e-4, atol=1e-5)
    assert snn.plan.apart is (name not in WHOLE)
    snn.schedule = "synchronous"  # time is folded into the batch, or not: no matter
    before, snn.memory_budget = snn(x), 1
    torch.testing.assert_close(snn(x), before)


def reached(model: Model, x: Tensor) -> Tensor:
    """Synapses behind each neuron: the outputs' weights through which anything of it arrives, by differentiation."""
    h = torch.full((1, 4, 8, 8), 0.5, requires_grad=True)
    flat = model.operation(h, x).flatten(1)
    matrix = torch.stack([torch.autograd.grad(y, h, retain_graph=True)[0][0] for y in flat[0]])
    return 3 * (matrix != 0).sum(0)


COUNTED = [
    "gather", "take_along_dim", "scatter", "scatter_value", "scatter_add", "index_add", "index_copy", "index_fill",
    "assignment", "diagonal_scatter", "diag_embed", "index_select", "nearest_exact", "nansum",
]  # fmt: skip


@pytest.mark.parametrize("name", one_in(4, COUNTED))
def test_synapses_behind_it_are_counted(name: str) -> None:
    model, x = Model(OPERATIONS[name]), torch.rand(16, 3, 8, 8)
    snn = respike.from_torch(model, x, 4, threshold="max", correction="none")
    (events,) = snn.fan_out.events.values()
    assert torch.equal(events[0].long(), reached(model, x[:1]))


def test_an_index_from_the_input_counts_as_all_places_that_it_may_name() -> None:
    x = torch.rand(16, 3, 8, 8)
    for name, each in (("gather_by_the_input", 2 * 3), ("scatter_add_by_the_input", 3 + 4 * 3)):
        snn = respike.from_torch(Model(OPERATIONS[name]), x, 4, threshold="max", correction="none")
        (events,) = snn.fan_out.events.values()
        assert int(events[0, 0].min()) == int(events[0, 0].max()) == each


@pytest.mark.parametrize("name", ["scatter_add", "gather_by_the_input", "index_put", "nearest_exact"])
def test_it_can_be_saved(name: str, tmp_path: Path) -> None:
    x = torch.rand(16, 3, 8, 8)
    snn = respike.from_torch(Model(OPERATIONS[name]), x, 4, threshold="max", correction="none")
    snn.save(tmp_path / "a.respike")
    assert torch.equal(respike.load(tmp_path / "a.respike")(x), snn(x))


class Clamped(nn.Module):
    """Weights, ReLU, bounds that the input gives, weights."""

    def __init__(self, bound: Operation) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.bound = nn.Linear(6, 8), nn.Linear(8, 3), bound

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.bound(self.a(x).relu(), x))


BOUNDS: dict[str, Operation] = {
    "clamp_max": lambda h, x: h.clamp(max=x[:, :1]),
    "clamp_min": lambda h, x: h.clamp(min=x[:, :1]),
    "clamp_of_both": lambda h, x: h.clamp(x[:, :1] / 4, torch.full((8,), 0.5)),
    "minimum": lambda h, x: torch.minimum(x[:, :1], h),
    "fmin": lambda h, x: torch.fmin(h, x[:, :1]),
    "fmax_of_signals": lambda h, x: torch.fmax(h, h.flip(1)),
    "norm_of_order_1": lambda h, x: h * 0 + torch.linalg.vector_norm(h - 0.3, 1, 1, keepdim=True),
    "norm_of_order_inf": lambda h, x: h * 0 + (h - 0.3).norm(torch.inf, 1, keepdim=True),
}


@pytest.mark.parametrize("name", one_in(3, BOUNDS))
def test_bounds_converge_to_the_ann(name: str) -> None:
    model, x = Clamped(BOUNDS[name]), torch.rand(200, 6, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        ann = model(x)
    errors = []
    for steps in (8, 128):
        out = respike.from_torch(model, x, steps, threshold="max", correction="none")(x)
        errors.append(float((out - ann).norm() / ann.norm()))
    assert errors[1] < errors[0] / 3
