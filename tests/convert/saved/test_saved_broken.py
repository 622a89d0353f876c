"""What is no saved network, or a broken one, says why; nothing of it is run."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from samples import one_in
from saved_networks import small
from torch import Tensor, nn

import respike
from respike.convert import FormatError
from respike.convert.saved import limits

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
        lambda g, t, m: m.update(format="respike network 6"),
        "version 6 of the format, .* reads versions up to 5",
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
    "no scale": (lambda g, t, m: g.update(encodings={"input": {"encoder": "rate"}}), "or there is no scale"),
    "odd encoding": (lambda g, t, m: g.update(encodings={"input": {"gain": 1}}), "with 'gain'"),
    "no such encoder": (lambda g, t, m: g.update(encodings={"input": {"encoder": "morse"}}), "encoder must be 'rate'"),
    "zero scale": (lambda g, t, m: g.update(encodings={"input": {"scale": 0}}), "scale must be a number"),
    "still events": (lambda g, t, m: g.update(encodings={"input": {"encoder": "delta"}}), "holds still"),
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
    "huge input": (lambda g, t, m: g["inputs"][0].update(shape=[None, 1, HUGE, 6]), "an impossible shape"),
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
    "one more tensor": (lambda g, t, m: t.update(extra=torch.zeros(1)), "'extra' is not used"),
    "read nowhere": (lambda g, t, m: node(g, RELU).update(args=[{"ref": "gone"}]), "reads 'gone', which is nowhere"),
    "out of order": (lambda g, t, m: moved_first(g, RELU), "out of order or wait for each other"),
    "cycle": (lambda g, t, m: node(g, "conv2d").update(args=[{"ref": node(g, RELU)["name"]}]), "wait for each other"),
    "itself": (lambda g, t, m: node(g, RELU).update(args=[{"ref": node(g, RELU)["name"]}]), "wait for each other"),
    "two of a name": (lambda g, t, m: g["nodes"].append(g["nodes"][-1]), "is given 2 times"),
    "bad name": (lambda g, t, m: node(g, "softmax").update(name="a.b"), "is not a name"),
    "reserved name": (lambda g, t, m: renamed(g, t, "training"), "training"),
    "no output": (lambda g, t, m: g.update(outputs=[{"ref": "gone"}]), "output 'gone' is nowhere"),
    "too many outputs": (lambda g, t, m: g.update(outputs=2 * g["outputs"]), "structure has 1 places"),
    "arguments of no call": (lambda g, t, m: g.update(arguments={"tuple": ["*"]}), "arguments must be a tuple of"),
    "bad structure": (lambda g, t, m: g.update(output={"set": ["*"]}), "not a structure of inputs or outputs"),
    "bad names in it": (lambda g, t, m: g.update(output={"namedtuple": ["x", [["a b", "*"]]]}), "cannot be made"),
    "deep structure": (lambda g, t, m: g.update(output=deep(20)), "not a structure of inputs or outputs"),
    "deeper structure": (lambda g, t, m: g.update(output=deep(60)), "nested more than 72 deep"),
    "nested": (lambda g, t, m: g["leaves"].append(nested(300)), "nested more than 72 deep"),
    "escape sequence": (
        lambda g, t, m: node(g, RELU).update(path="\x1b]0;owned\x07\x1b[2J"),
        "it holds the text '.]0;own",
    ),
    "lone surrogate": (lambda g, t, m: node(g, RELU).update(kind="\ud800"), "all of them printable"),
    "beyond 64 bits": (lambda g, t, m: node(g, "conv2d")["args"].append([10**400] * 2), "holds 1000.*must be from -2"),
    "tau beyond 64 bits": (lambda g, t, m: neuron(g).update(tau_mem=10**400), "must be from -2"),
    "one more argument": (
        lambda g, t, m: node(g, "softmax")["kwargs"].update(dim=1),
        "does not take, or lacks some: dim",
    ),
    "a type for a number": (
        lambda g, t, m: node(g, "softmax")["args"].__setitem__(1, {"dtype": "bool"}),
        "another kind",
    ),
    "one argument less": (lambda g, t, m: node(g, "conv2d").update(args=[]), "lacks some: input, weight"),
    "bad argument": (
        lambda g, t, m: node(g, "conv2d")["args"].append({"call": "x"}),
        "not an argument of an operation",
    ),
    "long argument": (lambda g, t, m: node(g, "conv2d")["args"].append([0] * 5000), "not an argument of an operation"),
    "many pieces": (lambda g, t, m: cut_up(g, 4_000), "too many tensors"),
    "long pieces": (lambda g, t, m: cut_up(g, 1, 1 << 20), "cuts something of more than 65,536"),
    "much at once": (lambda g, t, m: cut_up(g, 0, 1 << 28), "an impossible shape"),
    "much in secret": (lambda g, t, m: cut_up(g, 0, 1 << 28, -1), "gives more than"),
    "much as input": (lambda g, t, m: g["inputs"][0].update(shape=[None, 3, 1 << 28, 1 << 28]), "an impossible shape"),
    "many operations": (lambda g, t, m: cut_up(g, 7_000), "the most that is read is 6,000"),
    "bad dtype": (lambda g, t, m: node(g, "conv2d")["args"].append({"dtype": "qint8"}), "no dtype 'qint8'"),
    "huge pad": (lambda g, t, m: node(g, "conv2d")["args"].extend([1, HUGE]), "argument beyond"),
    "bad axis": (lambda g, t, m: node(g, "softmax").update(args=[node(g, "softmax")["args"][0], 7]), "wants axis"),
    "wrong role": (lambda g, t, m: node(g, "conv2d").update(role="constant"), "role 'constant', and is 'linear'"),
    "no role": (lambda g, t, m: node(g, RELU).update(role="spikes"), "role 'spikes', and is 'spike'"),
    "needless analog": (lambda g, t, m: node(g, "conv2d").update(role="analog"), "need not be"),
    "curved": (
        lambda g, t, m: node(g, "max_pool2d").update(op="aten.exp.default", args=[{"ref": node(g, RELU)["name"]}]),
        "has the role 'max', and is 'function'",
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
    "closeness": (lambda g, t, m: g.update(closeness=[1]), "closeness is no JSON object|closeness is without"),
    "agreement": (lambda g, t, m: g["closeness"].update(agreement=1.5), "closeness is wrong: agreement must be"),
    "error": (lambda g, t, m: g["closeness"].update(error=-0.5), "closeness is wrong: error must be"),
    "judged by none": (lambda g, t, m: g["closeness"].update(samples=0), "closeness is wrong: samples must be"),
    "judged at T = 0": (lambda g, t, m: g["closeness"].update(timesteps=0), "closeness is wrong: timesteps must be"),
    "judged by nothing": (lambda g, t, m: g["closeness"].update(agreement=None, error=None), "agreement must be"),
    "judged in words": (lambda g, t, m: g["closeness"].update(agreement="all"), "closeness.agreement must be float"),
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


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file as it should be."""
    path = tmp_path_factory.mktemp("sound") / "net.respike"
    small()[0].save(path)
    return path.read_bytes()


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_with_the_reason(name: str, sound: bytes, tmp_path: Path) -> None:
    change, message = BROKEN[name]
    path = tmp_path / "net.respike"
    path.write_bytes(sound)
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
        (lambda data: data[:4], "damaged or not a safetensors"),
        (lambda data: data[: len(data) // 2], "damaged or not a safetensors"),
        (lambda data: data[:-1], "damaged or not a safetensors"),
        (lambda data: data + b"\0", "damaged or not a safetensors"),
        (lambda data: b"\xff" * 8 + data[8:], "damaged or not a safetensors"),
        (lambda data: b"PK\x03\x04" + data, "damaged or not a safetensors"),
    ],
)
def test_damaged_bytes_are_refused(data: Callable[[bytes], bytes], message: str, sound: bytes, tmp_path: Path) -> None:
    path = tmp_path / "net.respike"
    path.write_bytes(data(sound))
    with pytest.raises(respike.ConversionError, match=rf"cannot load {re.escape(str(path))}: .*{message}"):
        respike.load(path)


def test_what_is_no_file_or_too_large_is_refused(sound: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FormatError, match="no such file"):
        respike.load(tmp_path / "net.respike")
    with pytest.raises(FormatError, match="it is not a regular file"):
        respike.load(tmp_path)
    (tmp_path / "net.respike").write_bytes(sound)
    monkeypatch.setattr(limits, "FILE_BYTES", 1000)
    with pytest.raises(FormatError, match="networks have from 1 to 1,000"):
        respike.load(tmp_path / "net.respike")


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "conv1d": lambda: nn.Conv1d(2, 4, 3, groups=2),
    "conv2d": lambda: nn.Conv2d(2, 4, 3),
    "conv_transpose1d": lambda: nn.ConvTranspose1d(2, 4, 3),
    "conv_transpose2d": lambda: nn.ConvTranspose2d(2, 4, 3, groups=2),
    "linear": lambda: nn.Linear(5, 4),
    "embedding": lambda: nn.Embedding(7, 5),
}


@pytest.mark.parametrize("name", one_in(3, LAYERS))
def test_weights_of_other_lengths_are_refused_or_run(name: str, tmp_path: Path) -> None:
    """Each tensor of a layer with each of its lengths changed: what ``load`` takes, torch takes."""
    torch.manual_seed(0)
    layer, path = LAYERS[name](), tmp_path / "net.respike"
    x = torch.randint(0, 1, (4, 3)) if name == "embedding" else torch.rand(4, 2, *[5] * (2 if "2d" in name else 1))
    model = nn.Sequential(layer, nn.ReLU(), nn.Flatten(), nn.Linear(layer(x)[0].numel(), 3))
    respike.from_torch(model, x, 2, correction="none").save(path)
    tensors, metadata = load_file(path), metadata_of(path)
    refused = 0
    for key, value in tensors.items():
        shapes = [(0,), ()]
        for axis, length in enumerate(value.shape):
            shapes += [(*value.shape[:axis], n, *value.shape[axis + 1 :]) for n in {0, 1, length - 1, 2 * length}]
        for shape in shapes:
            save_file({**tensors, key: torch.ones(shape)}, path, metadata)
            try:
                loaded = respike.load(path)
            except FormatError:
                refused += 1
            else:
                assert loaded(x).isfinite().all(), (key, shape)
    assert refused > 10
