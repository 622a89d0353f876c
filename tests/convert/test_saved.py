"""What is saved and loaded again gives the same spikes, and what is no saved network says why."""

from __future__ import annotations

import json
import re
import struct
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils import _pytree as pytree

import respike
from respike.convert import FormatError
from respike.convert.saved import limits
from respike.models import datasets

SETTINGS: list[dict[str, Any]] = [
    {},
    {"neuron": "signed", "precision": "int8"},
    {"neuron": "lif", "schedule": "pipelined", "delay": 2},
    {"neuron": "multi_threshold", "precision": "bfloat16", "levels": 3},
    {"max_spikes": 4, "schedule": "layerwise", "threshold": "max"},
    {"neuron": "iaf", "correction": "bias", "granularity": "layer", "threshold": "percentile"},
]


def again(snn: respike.SpikingNetwork, folder: Path) -> respike.SpikingNetwork:
    path = folder / "net.respike"
    snn.save(path)
    loaded = respike.load(path)
    path.unlink()
    return loaded


def told(snn: respike.SpikingNetwork, args: tuple[Tensor, ...]) -> list[Any]:
    """All spikes of all layers in all steps, what they carry, and all estimates."""
    found: list[Any] = []
    blocks = snn.blocks(*args, recorder=lambda node, *values: found.extend([node.name, *(v.clone() for v in values)]))
    return [*list(blocks), *found]


def same(a: Any, b: Any) -> bool:
    first, one = pytree.tree_flatten(a)
    second, other = pytree.tree_flatten(b)
    equal = (torch.equal(x, y) if isinstance(x, Tensor) else x == y for x, y in zip(first, second, strict=True))
    return one == other and all(equal)


def assert_same(snn: respike.SpikingNetwork, loaded: respike.SpikingNetwork, args: tuple[Tensor, ...]) -> None:
    assert same(snn(*args), loaded(*args))
    assert same(told(snn, args), told(loaded, args))
    assert loaded.as_dict() == snn.as_dict()
    assert str(loaded) == str(snn)
    assert not loaded.training


@pytest.mark.parametrize("name", respike.models.REGISTRY)
def test_the_reference_networks_come_back(name: str, tmp_path: Path) -> None:
    x = datasets.calibration()[:40]
    snn = respike.from_torch(respike.models.load(name), x, 6, correction="bias")
    assert_same(snn, again(snn, tmp_path), (x[:10],))


def small(**options: Any) -> tuple[respike.SpikingNetwork, Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 3), nn.Softmax(1))
    x = torch.rand(30, 1, 6, 6)
    return respike.from_torch(model, x, **{"timesteps": 4, "correction": "bias", **options}), x


def test_what_chose_its_options_is_told_as_before(tmp_path: Path) -> None:
    snn, x = small(timesteps="auto", precision="auto", within=20)
    other, _ = small(budget=2)
    for network in (snn, other):
        loaded = again(network, tmp_path)
        assert_same(network, loaded, (x,))
        assert loaded.choice == network.choice
        assert loaded.precision_choice == network.precision_choice
        assert loaded.allocation == network.allocation
        assert [m.options for m in loaded.neurons.values()] == [m.options for m in network.neurons.values()]
        assert [m.where for m in loaded.neurons.values()] == [m.where for m in network.neurons.values()]
    assert snn.choice is not None and snn.precision_choice is not None and other.allocation is not None


def test_what_was_changed_after_conversion_is_saved(tmp_path: Path) -> None:
    snn, x = small()
    snn.timesteps, snn.precision = 9, "int8"
    next(iter(snn.neurons.values())).threshold *= 1.25
    assert_same(snn, again(snn, tmp_path), (x,))
    twice = again(snn.double(), tmp_path)
    assert twice(x).dtype == torch.float64
    assert_same(snn, twice, (x,))


LAYERS = {
    "pads": lambda: nn.Sequential(nn.ReflectionPad2d((1, 2, 0, 1)), nn.ReplicationPad2d(1), nn.ZeroPad2d((0, 1, 2, 0))),
    "pads by operator": lambda: Curve(lambda y: torch.ops.aten.reflection_pad2d(y, [1, 2, 0, 1])),
    "pools": lambda: nn.Sequential(nn.MaxPool2d((2, 1), 1, (1, 0)), nn.AvgPool2d((1, 3), (1, 2))),
    "folds": lambda: nn.Sequential(nn.Unfold(2, padding=1), nn.Fold((8, 8), 2, padding=1), nn.PixelUnshuffle(2)),
    "axes": lambda: nn.Sequential(nn.Flatten(2), nn.Unflatten(2, (8, 4, 2)), nn.Flatten(-2, -1), nn.ChannelShuffle(2)),
    "samples": lambda: nn.Sequential(nn.Upsample(scale_factor=(1.5, 0.7)), nn.Upsample(size=5, mode="bilinear")),
    "long": lambda: nn.Sequential(
        nn.Flatten(2), nn.AdaptiveMaxPool1d(9), nn.AvgPool1d(3, 1, 1), nn.ConstantPad1d(2, 1)
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_with_odd_arguments_come_back(name: str, tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), LAYERS[name](), nn.Flatten(), nn.LazyLinear(5))
    x = torch.rand(20, 3, 8, 8)
    model(x)
    snn = respike.from_torch(model, x, 3)
    assert_same(snn, again(snn, tmp_path), (x,))
    exact = snn.double()
    assert same(snn(x).argmax(1), exact.normalised()(x).argmax(1))


class Pair(NamedTuple):
    scores: Tensor
    rest: Any


class Shapes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("w", torch.randn(5, 7).t())  # not contiguous

    def forward(self, batch: dict[str, Any], scale: float = 2.0) -> Pair:
        y = torch.relu(nn.functional.linear(batch["x"], self.w) + scale * batch["y"][0])
        return Pair(nn.functional.linear(y, self.w.t()), OrderedDict(b=[y], a=(None, 3)))


def test_structures_of_inputs_and_outputs_come_back(tmp_path: Path) -> None:
    batch = {"x": torch.randn(9, 5), "y": (torch.randn(9, 7),)}
    snn = respike.from_torch(Shapes(), [(batch, None)], 5, correction="none")
    loaded = again(snn, tmp_path)
    before, after = snn(batch), loaded(batch)
    assert type(after).__name__ == "Pair" and after._fields == ("scores", "rest")
    assert same(tuple(before), tuple(after))
    assert same(told(snn, (batch,)), told(loaded, (batch,)))  # type: ignore[arg-type]
    assert all(t.is_contiguous() for t in snn.weights.buffers())
    with pytest.raises(ValueError, match="structured as when traced"):
        loaded(batch["x"])


def test_analog_parts_come_back_or_are_named(tmp_path: Path) -> None:
    x = torch.rand(4, 3, 8, 8)
    snn = analog(lambda y: y * torch.sigmoid(y))
    assert_same(snn, again(snn, tmp_path), (x,))
    odd = analog(torch.asinh)
    with pytest.raises(FormatError, match=r"cannot be saved: operation 'asinh' is 'aten.asinh.default', which is not"):
        odd.save(tmp_path / "odd.respike")
    assert not list(tmp_path.iterdir())


class Curve(nn.Module):
    def __init__(self, curve: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.curve = curve

    def forward(self, x: Tensor) -> Tensor:
        return self.curve(x)


def analog(curve: Callable[[Tensor], Tensor]) -> respike.SpikingNetwork:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), Curve(curve), nn.Conv2d(4, 5, 3))
    return respike.from_torch(model, torch.rand(8, 3, 8, 8), 3, analog=["2"])


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    snn, _ = small()
    path = tmp_path / "net.respike"
    snn.save(path)
    before = path.read_bytes()
    broken, _ = small()
    next(iter(broken.neurons.values())).threshold[0] = float("nan")
    with pytest.raises(FormatError, match="not finite"):
        broken.save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["net.respike"]
    with pytest.raises(FileNotFoundError, match="folder"):
        snn.save(tmp_path / "nowhere" / "net.respike")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_network_on_a_gpu_is_loaded_to_the_cpu(tmp_path: Path) -> None:
    snn, x = small()
    loaded = again(snn.cuda(), tmp_path)
    assert {b.device.type for b in loaded.buffers()} == {"cpu"}
    assert_same(snn, loaded.cuda(), (x.cuda(),))


def test_a_state_dict_and_a_file_hold_the_same_tensors(tmp_path: Path) -> None:
    snn, _ = small()
    snn.save(tmp_path / "net.respike")
    stored, state = load_file(tmp_path / "net.respike"), snn.state_dict()
    assert stored.keys() == state.keys()
    assert all(torch.equal(stored[name], state[name]) for name in state)


Break = Callable[[Any, dict[str, Tensor], dict[str, str]], Any]


def node(graph: Any, op: str) -> Any:
    return next(n for n in graph["nodes"] if n["op"].startswith(f"aten.{op}.") or n["op"] == op)


def put(tensors: dict[str, Tensor], end: str, value: Any) -> None:
    name = next(name for name in tensors if name.endswith(end))
    tensors[name] = value(tensors[name])


def filled(value: float) -> Callable[[Tensor], Tensor]:
    return lambda x: torch.full_like(x, value)


def moved_first(graph: Any, op: str) -> None:
    graph["nodes"].insert(0, graph["nodes"].pop(graph["nodes"].index(node(graph, op))))


RELU, HUGE = "respike.relu", 1 << 40
BROKEN: dict[str, tuple[Break, str]] = {
    "newer": (
        lambda g, t, m: m.update(format="respike network 3"),
        "version 3 of the format, .* reads versions up to 2",
    ),
    "other": (lambda g, t, m: m.update(format="pt"), "tensors but no network"),
    "no graph": (lambda g, t, m: m.pop("network"), "tensors but no network"),
    "no json": (lambda g, t, m: m.update(network="{"), "not JSON"),
    "deep json": (lambda g, t, m: m.update(network="[" * 100_000), "not JSON"),
    "long number": (lambda g, t, m: m.update(network="1" * 10_000), "whole numbers must be from"),
    "not a number": (lambda g, t, m: m.update(network='{"timesteps": NaN}'), "NaN, which is not a finite number"),
    "infinite": (lambda g, t, m: m.update(network='{"timesteps": 1e999}'), "1e999, which is not a finite number"),
    "repeated key": (lambda g, t, m: m.update(network='{"delay": 1, "delay": 2}'), "a key is repeated"),
    "much json": (lambda g, t, m: m.update(network=" " * (limits.TEXT + 1)), "most that is read"),
    "not an object": (lambda g, t, m: m.update(network="[]"), "no JSON object|without"),
    "missing key": (lambda g, t, m: g.pop("delay"), "without 'delay'"),
    "unknown key": (lambda g, t, m: g.update(hook="x"), "with 'hook'"),
    "unknown op": (lambda g, t, m: node(g, "conv2d").update(op="aten.system.default"), "not in the table"),
    "python": (lambda g, t, m: node(g, "conv2d").update(op="operator.__import__"), "not in the table"),
    "in place": (lambda g, t, m: node(g, RELU).update(op="aten.relu_.default"), "not in the table"),
    "random": (lambda g, t, m: node(g, RELU).update(op="aten.rand_like.default"), "not in the table"),
    "by address": (lambda g, t, m: node(g, RELU).update(op="aten.as_strided.default"), "not in the table"),
    "wrong weight": (lambda g, t, m: put(t, "0_weight", lambda x: x[:, :, :2]), "gives .* where the file says"),
    "wrong weight axes": (lambda g, t, m: put(t, "0_weight", lambda x: x.flatten(1)), "cannot be computed"),
    "wrong shape": (lambda g, t, m: node(g, "conv2d").update(shape=[None, 4, 5, 4]), "where the file says"),
    "fixed batch": (lambda g, t, m: node(g, "conv2d").update(shape=[2, 4, 4, 4]), "where the file says"),
    "wrong input": (lambda g, t, m: g["inputs"][0].update(shape=[None, 1, 7, 6]), "where the file says"),
    "huge input": (lambda g, t, m: g["inputs"][0].update(shape=[None, 1, HUGE, 6]), "no possible shape"),
    "wrong kind": (lambda g, t, m: put(t, "0_weight", lambda x: x.double()), "reads torch.float|computed"),
    "whole numbers": (lambda g, t, m: put(t, "0_weight", lambda x: x.int()), "reads torch.int32|computed"),
    "complex": (lambda g, t, m: put(t, "0_weight", lambda x: x.to(torch.complex64)), "type C64, which no network has"),
    "weight is nan": (lambda g, t, m: put(t, "0_weight", filled(float("nan"))), "weight .* not finite"),
    "weight is inf": (lambda g, t, m: put(t, "0_weight", filled(float("inf"))), "weight .* not finite"),
    "threshold is inf": (lambda g, t, m: put(t, "threshold", filled(float("inf"))), "threshold.* not finite"),
    "threshold is 0": (lambda g, t, m: put(t, "threshold", filled(0)), "not above 0"),
    "wrong threshold": (lambda g, t, m: put(t, "threshold", lambda x: x[:3]), "its layer wants"),
    "no threshold": (lambda g, t, m: [t.pop(n) for n in list(t) if n.endswith("threshold")], "threshold' is missing"),
    "no weight": (lambda g, t, m: [t.pop(n) for n in list(t) if n.endswith("0_weight")], "0_weight' is missing"),
    "one more tensor": (lambda g, t, m: t.update(extra=torch.zeros(1)), "'extra' belongs to nothing"),
    "read nowhere": (lambda g, t, m: node(g, RELU).update(args=[{"ref": "gone"}]), "reads 'gone', which is nowhere"),
    "out of order": (lambda g, t, m: moved_first(g, RELU), "out of order or wait for each other"),
    "cycle": (lambda g, t, m: node(g, "conv2d").update(args=[{"ref": node(g, RELU)["name"]}]), "wait for each other"),
    "itself": (lambda g, t, m: node(g, RELU).update(args=[{"ref": node(g, RELU)["name"]}]), "wait for each other"),
    "two of a name": (lambda g, t, m: g["nodes"].append(g["nodes"][-1]), "is given 2 times"),
    "bad name": (lambda g, t, m: node(g, "softmax").update(name="a.b"), "is no name"),
    "reserved name": (lambda g, t, m: renamed(g, t, "training"), "training"),
    "no output": (lambda g, t, m: g.update(outputs=[{"ref": "gone"}]), "output 'gone' is nowhere"),
    "too many outputs": (lambda g, t, m: g.update(outputs=2 * g["outputs"]), "structure has 1 places"),
    "bad structure": (lambda g, t, m: g.update(output={"set": ["*"]}), "no structure of inputs or outputs"),
    "bad names in it": (lambda g, t, m: g.update(output={"namedtuple": ["x", [["a b", "*"]]]}), "cannot be made"),
    "deep structure": (lambda g, t, m: g.update(output=deep(20)), "no structure of inputs or outputs"),
    "deeper structure": (lambda g, t, m: g.update(output=deep(60)), "nested more than 72 deep"),
    "nested": (lambda g, t, m: g["leaves"].append(nested(300)), "nested more than 72 deep"),
    "escape sequence": (
        lambda g, t, m: node(g, RELU).update(path="\x1b]0;owned\x07\x1b[2J"),
        "it holds the text '.]0;own",
    ),
    "lone surrogate": (lambda g, t, m: node(g, RELU).update(kind="\ud800"), "all of them printable"),
    "beyond 64 bits": (lambda g, t, m: node(g, "conv2d")["args"].append([10**400] * 2), "holds 1000.*must be from -2"),
    "tau beyond 64 bits": (lambda g, t, m: neuron(g).update(neuron="lif", tau_mem=10**400), "must be from -2"),
    "one more argument": (
        lambda g, t, m: node(g, "softmax")["kwargs"].update(dim=1),
        "does not take, or lacks some: dim",
    ),
    "a type for a number": (
        lambda g, t, m: node(g, "softmax")["args"].__setitem__(1, {"dtype": "bool"}),
        "another kind",
    ),
    "one argument less": (lambda g, t, m: node(g, "conv2d").update(args=[]), "lacks some: input, weight"),
    "bad argument": (lambda g, t, m: node(g, "conv2d")["args"].append({"call": "x"}), "no argument of an operation"),
    "long argument": (lambda g, t, m: node(g, "conv2d")["args"].append([0] * 5000), "no argument of an operation"),
    "many pieces": (lambda g, t, m: cut_up(g, 4_000), "too many tensors"),
    "long pieces": (lambda g, t, m: cut_up(g, 1, 1 << 20), "cuts something of more than 65,536"),
    "much at once": (lambda g, t, m: cut_up(g, 0, 1 << 28), "no possible shape"),
    "much in secret": (lambda g, t, m: cut_up(g, 0, 1 << 28, -1), "gives more than"),
    "much as input": (lambda g, t, m: g["inputs"][0].update(shape=[None, 3, 1 << 28, 1 << 28]), "no possible shape"),
    "many operations": (lambda g, t, m: cut_up(g, 7_000), "the most that is read is 6,000"),
    "bad dtype": (lambda g, t, m: node(g, "conv2d")["args"].append({"dtype": "qint8"}), "no dtype 'qint8'"),
    "huge pad": (lambda g, t, m: node(g, "conv2d")["args"].extend([1, HUGE]), "argument beyond"),
    "bad axis": (lambda g, t, m: node(g, "softmax").update(args=[node(g, "softmax")["args"][0], 7]), "wants axis"),
    "wrong role": (lambda g, t, m: node(g, "conv2d").update(role="constant"), "role 'constant', and is 'linear'"),
    "no role": (lambda g, t, m: node(g, RELU).update(role="spikes"), "role 'spikes', and is 'spike'"),
    "needless analog": (lambda g, t, m: node(g, "conv2d").update(role="analog"), "need not be"),
    "curved": (
        lambda g, t, m: node(g, "max_pool2d").update(op="aten.exp.default", args=node(g, RELU)["args"][:1]),
        "cannot be part",
    ),
    "T = 0": (lambda g, t, m: g.update(timesteps=0), "timesteps must be"),
    "T = true": (lambda g, t, m: g.update(timesteps=True), "timesteps must be int"),
    "T = 2^40": (lambda g, t, m: g.update(timesteps=HUGE), "beyond"),
    "schedule": (lambda g, t, m: g.update(schedule="later"), "schedule must be 'synchronous' or"),
    "delay": (lambda g, t, m: g.update(delay=-2), "delay must be a whole number, 0 or more"),
    "precision": (lambda g, t, m: g.update(precision="int4"), "precision must be"),
    "neuron": (lambda g, t, m: neuron(g).update(neuron="hh"), "neuron must be 'iaf' or"),
    "levels": (lambda g, t, m: neuron(g).update(levels=9), "levels must be"),
    "tau": (lambda g, t, m: neuron(g).update(tau_mem=-1.0), "tau_mem must be a number, above 0"),
    "axis": (lambda g, t, m: neuron(g).update(axis=4), "no channel axis 4"),
    "batch axis": (lambda g, t, m: neuron(g).update(axis=-1), "no channel axis -1"),
    "no neurons": (lambda g, t, m: g.update(neurons={}), "neurons are not those of its spiking layers"),
    "cap": (lambda g, t, m: node(g, RELU).update(kwargs={"cap": -1.0}), "arguments that no ReLU has"),
    "choice": (lambda g, t, m: g.update(choice={"chosen": 1}), "choice is without"),
}


def neuron(graph: Any) -> Any:
    return next(iter(graph["neurons"].values()))


def nested(levels: int) -> Any:
    found: Any = []
    for _ in range(levels):
        found = [found]
    return found


def deep(levels: int) -> Any:
    return {"tuple": [deep(levels - 1)]} if levels else "*"


def cut_up(graph: Any, times: int, length: int = 60_000, said: int | None = None) -> None:
    """Make the input long, and say so unless another length is said, and cut it up, again and again."""
    source, rest = graph["inputs"][0]["name"], {"kwargs": {}, "path": "", "kind": "", "role": "linear"}
    long = {
        "op": "aten.expand.default",
        "args": [{"ref": source}, [-1, length, 6, 6]],
        "shape": [None, said or length, 6, 6],
    }
    graph["nodes"].append({"name": "long", **long, **rest})
    one = {"op": "aten.unbind.int", "args": [{"ref": "long"}, 1], "shape": None, **rest}
    graph["nodes"].extend({"name": f"cut_{i}", **one} for i in range(times))


def renamed(graph: Any, tensors: dict[str, Tensor], name: str) -> None:
    """Another name for the first weight, wherever it stands."""
    old = graph["tensors"][0]
    graph["tensors"][0] = name
    tensors[f"weights.{name}"] = tensors.pop(f"weights.{old}")
    for one in graph["nodes"]:
        one["args"] = [{"ref": name} if arg == {"ref": old} else arg for arg in one["args"]]


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_with_the_reason(name: str, tmp_path: Path) -> None:
    change, message = BROKEN[name]
    path = tmp_path / "net.respike"
    small()[0].save(path)
    tensors, metadata = load_file(path), metadata_of(path)
    graph, text = json.loads(metadata["network"]), metadata["network"]
    change(graph, tensors, metadata)
    if metadata.get("network") == text:
        metadata["network"] = json.dumps(graph)
    save_file({key: value.contiguous() for key, value in tensors.items()}, path, metadata)
    with pytest.raises(FormatError, match=rf"cannot load {re.escape(str(path))}: .*({message})"):
        respike.load(path)


def metadata_of(path: Path) -> dict[str, str]:
    data = path.read_bytes()
    found: dict[str, str] = json.loads(data[8 : 8 + struct.unpack_from("<Q", data)[0]])["__metadata__"]
    return found


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda data: b"", "0 bytes"),
        (lambda data: data[:4], "damaged or no safetensors"),
        (lambda data: data[: len(data) // 2], "damaged or no safetensors"),
        (lambda data: data[:-1], "damaged or no safetensors"),
        (lambda data: data + b"\0", "damaged or no safetensors"),
        (lambda data: b"\xff" * 8 + data[8:], "damaged or no safetensors"),
        (lambda data: b"PK\x03\x04" + data, "damaged or no safetensors"),
    ],
)
def test_damaged_bytes_are_refused(data: Callable[[bytes], bytes], message: str, tmp_path: Path) -> None:
    path = tmp_path / "net.respike"
    small()[0].save(path)
    path.write_bytes(data(path.read_bytes()))
    with pytest.raises(respike.ConversionError, match=rf"cannot load {re.escape(str(path))}: .*{message}"):
        respike.load(path)


def test_what_is_no_file_or_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FormatError, match="no such file"):
        respike.load(tmp_path / "net.respike")
    with pytest.raises(FormatError, match="no plain file"):
        respike.load(tmp_path)
    small()[0].save(tmp_path / "net.respike")
    monkeypatch.setattr(limits, "FILE_BYTES", 1000)
    with pytest.raises(FormatError, match="networks have from 1 to 1,000"):
        respike.load(tmp_path / "net.respike")


class Runs:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("touched"),))


def test_a_pickle_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(Runs(), tmp_path / "net.respike")
    with pytest.raises(FormatError, match="no safetensors"):
        respike.load(tmp_path / "net.respike")
    assert not Path("touched").exists()


def test_no_operation_of_the_table_writes_draws_or_reads_by_address() -> None:
    from respike.convert.saved.table import operations

    names = operations()
    assert len(names) > 300
    for name in names:
        if name.startswith("aten."):
            packet, overload = name.removeprefix("aten.").split(".")
            found = getattr(getattr(torch.ops.aten, packet, None), overload, None)
            assert found is None or not found._schema.is_mutable, name
    assert not re.search(r"rand|dropout|bernoulli|strided|from_file|_pin_memory", " ".join(names))
    assert {name for name in names if "." in name and not name.startswith("aten.")} == {
        "respike.relu",
        *(f"operator.{name}" for name in "getitem add sub mul floordiv truediv mod neg".split()),
    }
