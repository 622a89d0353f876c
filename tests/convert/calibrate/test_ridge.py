"""Ridge repair against the least squares solution, and against what it is for."""

from __future__ import annotations

import warnings

import pytest
import torch
from samples import one_in
from torch import nn

import respike
from respike.convert import ConversionWarning, normal_form
from respike.convert.calibrate import second_pass as sequential
from respike.convert.calibrate.memory_or_disk import Store
from respike.convert.calibrate.owned_batches import Piece
from respike.convert.calibrate.repair import least_squares, normal_equations
from respike.convert.calibrate.repair import ridge as repair
from respike.convert.calibrate.repair.gathered_rows import Chunk
from respike.convert.calibrate.repair.least_squares import Problem
from respike.convert.calibrate.repair.normal_equations import ByInputs, ByRows, Solver, most_rows
from respike.convert.graph import Graph, Node


def layer(module: nn.Module, x: torch.Tensor) -> tuple[Node, Graph]:
    graph = normal_form(nn.Sequential(nn.ReLU(), module), (x,))
    found = [n for n in graph.nodes if repair._repairs(n, graph)]
    return found[0], graph


def system_of(
    node: Node, graph: Graph, axis: int, wanted: torch.Tensor, batches: int = 1, steps: int = 1
) -> repair.System:
    """A system for batches that all are like this one."""
    weight, generator = graph.tensors[node.args[1].name], torch.Generator().manual_seed(0)
    positions, lengths = [wanted.numel() // wanted.shape[axis]] * batches, [len(wanted)] * batches
    store = Store(2**30, weight.device)
    return repair.System(node, weight, axis, positions, lengths, steps, True, generator, store, 2**20)


def add(system: repair.System, x: torch.Tensor, wanted: torch.Tensor, given: torch.Tensor, batch: int = 0) -> None:
    """A batch that arrives as ``(T, N, ...)``."""
    count = len(wanted)
    piece = Piece(batch, slice(0, count), count, batch * count, count)
    until = system.until(piece)
    means = [
        torch.stack([torch.stack([v[:t, n].mean(0) for n, t in enumerate(ends)]) for ends in until.tolist()])
        for v in (x, given)
    ]
    system.add(system.picked(means[0], wanted, means[1], piece))


MODULES = {
    "linear": (nn.Linear(6, 4), (6,)),
    "linear over tokens": (nn.Linear(6, 4), (5, 6)),
    "conv1d": (nn.Conv1d(3, 4, 3, stride=2, padding=1), (3, 9)),
    "conv2d": (nn.Conv2d(3, 4, (3, 2), stride=(1, 2), padding=(1, 0), dilation=(2, 1)), (3, 7, 6)),
    "grouped": (nn.Conv2d(4, 6, 3, groups=2), (4, 6, 6)),
    "depthwise": (nn.Conv2d(4, 4, 3, padding=1, groups=4), (4, 6, 6)),
    "transposed 1d": (nn.ConvTranspose1d(3, 4, 3, stride=2, padding=1), (3, 9)),
    "transposed 2d": (
        nn.ConvTranspose2d(4, 6, (3, 2), (2, 3), (1, 0), output_padding=(1, 2), groups=2, dilation=(1, 2)),
        (4, 5, 4),
    ),
}


@pytest.mark.parametrize("name", one_in(3, MODULES))
def test_a_shifted_weight_is_found_again(name: str) -> None:
    """Inputs that are scaled and noisy want other weights; without noise the exact ones come out."""
    torch.manual_seed(0)
    module, shape = MODULES[name]
    x = torch.rand(200, *shape)
    node, graph = layer(module, x)
    weight = graph.tensors[node.args[1].name]
    with torch.no_grad():
        wanted = module(x)
        arrives = 0.8 * x  # so that W' = W / 0.8 is right
        given = module(arrives)
    axis = wanted.dim() - 1 if "linear" in name else 1
    system = system_of(node, graph, axis, wanted)
    add(system, arrives[None], wanted, given[None])
    change, bias = system.solve(rectified=False, cap=None)
    assert bias.abs().max() < 0.02
    assert change.shape == weight.shape
    # The weakest λ leaves a thousandth of the way to go.
    torch.testing.assert_close(weight + change, weight / 0.8, atol=2e-3, rtol=0.05)


@pytest.mark.parametrize("name", one_in(2, MODULES))
@pytest.mark.parametrize("memory", one_in(2, [torch.channels_last, torch.contiguous_format]))
def test_windows_times_weights_are_the_layer_at_the_positions_asked_for(name: str, memory: torch.memory_format) -> None:
    torch.manual_seed(0)
    module, shape = MODULES[name]
    x = torch.randn(2, *shape)
    x = x.contiguous(memory_format=memory) if x.dim() == 4 else x
    node, graph = layer(module, x)
    windows = repair.Patches(node, graph.tensors[node.args[1].name])
    channels = -1 if isinstance(module, nn.Linear) else 1
    outputs = module(x).shape[channels] // windows.groups
    positions = module(x).movedim(channels, -1).flatten(1, -2).shape[1] if module(x).dim() > 2 else 1
    index = torch.randperm(positions)[: max(1, positions // 2)]
    rows = windows.of(x, index)  # (N, L, G, K)
    matrices = torch.randn(windows.groups, rows.shape[-1], outputs)
    with torch.no_grad():
        module.weight.copy_(windows.as_weight(matrices))
        wanted = module(x) - (module.bias if channels == -1 else module.bias.reshape(-1, *[1] * (x.dim() - 2)))
    wanted = wanted.movedim(channels, -1).reshape(2, positions, windows.groups, outputs)
    torch.testing.assert_close(torch.einsum("nlgk,gko->nlgo", rows, matrices), wanted[:, index])


def test_samples_one_by_one_give_what_they_give_together() -> None:
    torch.manual_seed(0)
    x = torch.rand(8, 40, 3, 6, 6)
    node, graph = layer(nn.Conv2d(3, 4, 3), x[0])
    wanted, given = torch.rand(40, 4, 4, 4), torch.rand(8, 40, 4, 4, 4)
    found = []
    for size in (40, 1):
        system = system_of(node, graph, 1, wanted[:size], 40 // size, len(x))
        for batch, parts in enumerate(zip(x.split(size, 1), wanted.split(size), given.split(size, 1), strict=True)):
            add(system, *parts, batch)
        found.append(system.solve(rectified=True, cap=None))
    torch.testing.assert_close(found[0], found[1])


def test_rows_that_are_fewer_than_inputs_are_solved_by_their_own_gram_matrix() -> None:
    """With weights of rows, groups, a ReLU and turns: both ways solve the same system.

    Products of rows are rounded to float32, which moves a solution by 1/λ times as much.
    """
    torch.manual_seed(0)
    groups, inputs, outputs = 2, 50, 4
    chunks = [
        Chunk(weight, torch.rand(groups, rows, inputs), *torch.randn(2, groups, rows, outputs))
        for weight, rows in ((1.0, 20), (0.1, 15), (1.0, 3))
    ]
    found = []
    for solver in (ByInputs, ByRows):
        problem = Problem(lambda: iter(chunks), (groups, inputs, outputs), torch.device("cpu"), True, solver)
        changes = list(problem.at_once())
        changes.append(problem.again(problem.response_of(changes[4]), 0.1))
        errors = [problem.errors(change, lambda: iter(chunks), None) for change in changes]
        found.append([*map(problem.equations.as_weights, changes), *errors])
    for *pair, strength in zip(*found, [1.0, 1.0, *least_squares.STRENGTHS, 0.1] * 2, strict=True):
        torch.testing.assert_close(*pair, atol=2e-6 / strength, rtol=2e-6 / strength, check_dtype=False)


@pytest.mark.parametrize("inputs", [10, 2_000, 25_088])
def test_rows_solved_for_keep_to_the_memory(inputs: int) -> None:
    rows = most_rows(inputs, 100, 3, 2**30)
    needed = [3 * (r * (11 * inputs + 48 * 100) + 16 * r**2) for r in (rows, rows + 1)]
    assert needed[0] <= 2**30 * (1 + 1e-9) < needed[1]


def test_noise_that_teaches_nothing_changes_nothing_much() -> None:
    """What is chosen on samples held back is never worse there than what was."""
    torch.manual_seed(0)
    module = nn.Linear(40, 5)
    x = torch.rand(60, 40)
    node, graph = layer(module, x)
    with torch.no_grad():
        given = module(x)
    wanted = given + 0.3 * torch.randn_like(given)
    system = system_of(node, graph, 1, wanted)
    add(system, x[None], wanted, given[None])
    change, bias = system.solve(rectified=True, cap=None)
    held = torch.arange(60) % repair.HELD_BACK == 0
    after = (given + x @ change.T + bias)[held].relu()
    before = (given[held].relu() - wanted[held].relu()).square().mean()
    assert (after - wanted[held].relu()).square().mean() <= before


def test_ridge_brings_a_network_nearer_to_its_ann() -> None:
    model, calibration = respike.models.load("mnist_mlp"), respike.models.datasets.calibration()
    images = respike.models.datasets.load("mnist").tensors[0][:500]
    with torch.no_grad():
        expected = model(images)
        errors = {
            name: float((respike.from_torch(model, calibration, 2, correction=name)(images) - expected).square().mean())
            for name in ("none", "bias", "ridge")
        }
    assert errors["ridge"] < 0.8 * errors["bias"] < 0.8 * errors["none"]


def test_one_sample_changes_no_weights() -> None:
    """What it would be fitted to would judge it."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    x, test = torch.rand(1, 1, 10, 10), torch.rand(20, 1, 10, 10)
    bias = respike.from_torch(model.eval(), x, 8, correction="bias")
    ridge = respike.from_torch(model, x, 8, correction="ridge")
    assert torch.equal(ridge(test), bias(test))


def test_a_shared_weight_is_left_alone() -> None:
    torch.manual_seed(0)
    shared = nn.Linear(5, 5)
    model = nn.Sequential(nn.Linear(5, 5), nn.ReLU(), shared, nn.ReLU(), shared, nn.ReLU())
    x = torch.rand(64, 5)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    snn = respike.from_torch(model, x, 4, correction="ridge")
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    tensors = [t for t in snn.weights.buffers() if t.shape == (5, 5)]
    assert any(torch.equal(t, shared.weight) for t in tensors)


class LinearStream(nn.Module):
    """Two residual blocks whose sums no ReLU follows, as in MobileNet."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.into, self.out = nn.Linear(8, 12), nn.Linear(12, 5)
        self.up, self.down = (nn.ModuleList(nn.Linear(*sizes) for _ in range(2)) for sizes in ((12, 40), (40, 12)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.into(x).relu()
        for up, down in zip(self.up, self.down, strict=True):
            x = x + down(up(x).relu())
        return self.out(x)


def test_a_current_that_several_neurons_read_is_mended_once() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.LeakyReLU(), nn.Flatten(), nn.Linear(64, 3)
    )
    x = torch.rand(32, 1, 8, 8)
    snn = respike.from_torch(model, x, 64, correction="ridge")
    with torch.no_grad():
        torch.testing.assert_close(snn(x), model(x), atol=0.02, rtol=0)


def test_a_linear_stream_is_mended_where_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = LinearStream().eval(), torch.randn(512, 8)
    found = [(end.rectified, [n.path for n in end.layers]) for end in repair.ends(normal_form(model, (x,))).values()]
    assert (False, ["down.0"]) in found  # read by the next block and by the next sum
    assert (True, ["up.0"]) in found and (True, ["up.1"]) in found

    def error() -> float:
        snn = respike.from_torch(model, x, 4, correction="ridge")
        with torch.no_grad():
            return float((snn(x) - model(x)).square().mean())

    mended = error()

    def others(graph: Graph) -> dict[str, repair.End]:
        return {name: end for name, end in repair.ends(graph).items() if end.layers[0].path != "down.0"}

    monkeypatch.setattr(sequential, "ends", others)
    assert mended < error()


def rank_deficient(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs with channels that are constant, copies, sums and zeros, of sizes that differ by orders, and targets."""
    torch.manual_seed(seed)
    rows, columns = int(torch.randint(3, 60, (1,))), int(torch.randint(1, 5, (1,)))
    free = torch.rand(rows, columns) * 10.0 ** torch.randint(-4, 5, (columns,))
    mixed = free @ torch.randn(free.shape[1], 6)
    constant = torch.ones(rows, 4) * 10.0 ** torch.randint(-3, 4, (4,))
    x = torch.cat([free, free, mixed, constant, constant, torch.zeros(rows, 2)], 1)
    return x[:, torch.randperm(x.shape[1])], torch.randn(rows, 3) * 10.0 ** torch.randint(-2, 3, (1,))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("solver", [ByInputs, ByRows])
def test_any_inputs_can_be_solved_and_give_the_least_penalised_square(
    solver: Solver, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against LAPACK's solution by singular values, in float64; the Gram matrix in several stripes."""
    monkeypatch.setattr(normal_equations, "STRIPE", 5)
    x, missing = rank_deficient(seed)
    chunk = Chunk(1.0, x[None], torch.zeros_like(missing)[None], missing[None])
    problem = Problem(lambda: iter([chunk]), (1, x.shape[1], 3), x.device, False, solver)
    inputs, targets = x.double(), missing.double()
    centred, count = inputs - inputs.mean(0), inputs.shape[1]
    for strength, change in zip(least_squares.STRENGTHS, list(problem.at_once())[2:], strict=True):
        change = problem.equations.as_weights(change)
        assert bool(change.isfinite().all())
        penalty = (strength * inputs.square().sum() / count).sqrt()
        stacked = torch.cat([centred, penalty * torch.eye(count, dtype=torch.double)])
        right = torch.cat([targets - targets.mean(0), torch.zeros(count, 3, dtype=torch.double)])
        least = torch.linalg.lstsq(stacked, right, driver="gelsd").solution
        weights, bias = change[0, :-1].double(), change[0, -1].double()
        found, best = (
            (targets - inputs @ w - b).square().sum() + (penalty * w).square().sum()
            for w, b in ((weights, bias), (least, (targets - inputs @ least).mean(0)))
        )
        # A change is rounded to float32, and at an optimum an error counts by its square.
        assert float(found) <= float(best) * (1 + 1e-6)


@pytest.mark.parametrize("seed", one_in(5, range(5)))
def test_channels_that_always_fire_convert(seed: int) -> None:
    """Their inputs are what a bias could be as well: the system is singular but for the penalty."""
    torch.manual_seed(seed)
    first, second = nn.Conv2d(1, 4, 1), nn.Conv2d(4, 4, 1)
    nn.init.constant_(first.weight, 0.01)
    nn.init.constant_(first.bias, 1.0)
    nn.init.normal_(second.weight)
    model = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Flatten(), nn.Linear(256, 3)).eval()
    x = torch.rand(512, 1, 8, 8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConversionWarning)  # some of these layers never fire
        snn = respike.from_torch(model, x, 8)
    with torch.no_grad():
        wanted = model(x)
        assert float((snn(x) - wanted).square().mean()) < 0.01 * float(wanted.square().mean())
