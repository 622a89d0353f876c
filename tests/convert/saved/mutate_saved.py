"""Break a saved network thousands of times, and say what became of each; run as a program, by a test.

A mutant depends on nothing but its number, so a failure can be seen again: ``mutate_saved.py FOLDER FIRST LAST`` breaks
it at random, ``mutate_saved.py FOLDER each`` puts each of a list of values into each place of its graph, and
``mutate_saved.py FOLDER each 40`` does so with every 40th of these pairs.
"""

from __future__ import annotations

import json
import random
import struct
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

import respike
from respike.convert import FormatError
from respike.convert.saved.allowed_operations import operations

NUMBERS = [0, 1, -1, 2, 3, 7, 77, 1 << 16, 1 << 20, (1 << 31) - 1, 1 << 31, 1 << 40, (1 << 63) - 1, 1 << 63, 1 << 80]
OTHERS = [None, True, False, 0.5, -1.0, 1e-30, 1e30, "", "x", "\x00", [], {}, [1], {"ref": "x"}, {"float": "inf"}]
EACH = [
    *(
        "1" + "0" * 400,
        str(1 << 63),
        str(1 << 62),
        str(-(1 << 63)),
        "-1",
        "0",
        "1",
        "2",
        "0.5",
        "-0.0",
        "1e308",
        "5e-324",
    ),
    *(
        "1e999",
        "NaN",
        "-Infinity",
        "true",
        "null",
        '""',
        '"*"',
        '"none"',
        '"\\ud800"',
        '"\\u001b[2J"',
        f'"{"x" * 5000}"',
    ),
    *("[]", "{}", "[[]]", "[" * 950 + "]" * 950, '{"a":' * 950 + "1" + "}" * 950, "[1" + "0" * 400 + "]"),
    *('{"ref": "x"}', '{"ref": "\\ud800"}', '{"ref": "x", "ref": "y"}', '{"float": "inf"}', '{"dtype": "bool"}'),
    *("[null, 268435456, 268435456]", "[4611686018427387904]", '{"tuple": [["*"]]}'),
]
"""What is put into each place, as JSON: of each type what is small, large, or means something elsewhere in a file."""


class Small(nn.Module):
    """A bit of most that graphs hold: synapses, pools, sizes, a residual, pieces, a head, two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 1), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> dict[str, Any]:
        y = torch.relu(self.a(x))
        left, right = (torch.relu(self.b(y)) + y).chunk(2, 1)
        y = nn.functional.interpolate(torch.max_pool2d(torch.cat([right, left], 1), 2), scale_factor=2.0)
        y = self.c(nn.functional.avg_pool2d(y, 2).view(x.size(0), -1).clamp(0, 2))
        return {"p": y.softmax(1), "parts": [y, None]}


def original(path: Path) -> Tensor:
    """Save the network that is broken; an input for it."""
    torch.manual_seed(0)
    x = torch.rand(5, 1, 4, 4)
    respike.from_torch(Small(), x, 3, correction="bias").save(path)
    return x


def split(data: bytes) -> tuple[dict[str, Any], Any, bytes]:
    """A file's header, its graph and its numbers."""
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    return header, json.loads(header["__metadata__"]["network"]), data[8 + length :]


def joined(header: dict[str, Any], graph: str, numbers: bytes) -> bytes:
    header["__metadata__"]["network"] = graph
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + numbers


def flipped(data: bytearray, r: random.Random) -> None:
    for _ in range(r.choice([1, 1, 2, 8])):
        data[r.randrange(len(data))] ^= 1 << r.randrange(8)


def removed(data: bytearray, r: random.Random) -> None:
    at = r.randrange(len(data))
    del data[at : at + r.choice([1, 1, 4, 40])]


def inserted(data: bytearray, r: random.Random) -> None:
    at = r.randrange(len(data))
    data[at:at] = r.randbytes(r.choice([1, 1, 4, 40]))


def truncated(data: bytearray, r: random.Random) -> None:
    del data[r.randrange(len(data)) :]


def spots(tree: Any) -> list[tuple[Any, Any]]:
    """Each value in a JSON tree, as its holder and its place in that."""
    pairs = list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree)) if isinstance(tree, list) else []
    return [spot for key, value in pairs for spot in [(tree, key), *spots(value)]]


def another(now: Any, r: random.Random, words: list[str]) -> Any:
    if type(now) is int:
        return r.choice([*NUMBERS, now + 1, now - 1, -now, 2 * now, float(now), r.choice(OTHERS)])
    if type(now) is float:
        return r.choice([*NUMBERS, -now, 2 * now, now / 2, float("nan"), float("inf"), 1e-40, r.choice(OTHERS)])
    if isinstance(now, str):
        return r.choice([*r.sample(words, 4), r.choice(sorted(operations())), now[:-1], now * 9, r.choice(OTHERS)])
    return r.choice(OTHERS)


def changed(graph: Any, r: random.Random) -> None:
    """Change one thing in the graph."""
    found = spots(graph["nodes"]) if r.random() < 0.6 else spots(graph)
    holder, key = r.choice(found)
    words = [holder[key] for holder, key in found if isinstance(holder[key], str)] + ["x", "cap", "device", "linear"]
    what = r.choice(["delete", "repeat", "swap", "change", "change", "change"])
    if what == "delete":
        del holder[key]
    elif what == "repeat" and isinstance(holder, list):
        holder.insert(key, holder[key])
    elif what == "repeat":
        holder[r.choice(words)] = holder[key]
    elif what == "swap":
        other = r.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        holder[key], holder[other] = holder[other], holder[key]
    else:
        holder[key] = another(holder[key], r, words)


def mutant(data: bytes, number: int) -> bytes:
    r = random.Random(number)
    header, graph, numbers = split(data)
    kind = r.random()
    if kind < 0.3:  # anywhere
        broken = bytearray(data)
        r.choice([flipped, removed, inserted, truncated])(broken, r)
        return bytes(broken)
    if kind < 0.4:  # where the weights are
        broken = bytearray(numbers)
        flipped(broken, r)
        return joined(header, json.dumps(graph), bytes(broken))
    if kind < 0.5:  # in the JSON as text
        text = bytearray(json.dumps(graph).encode())
        r.choice([flipped, removed, inserted, truncated])(text, r)
        return joined(header, text.decode(errors="replace"), numbers)
    if kind < 0.6:  # in what safetensors says of the tensors
        holder, key = r.choice(spots(header))
        holder[key] = another(holder[key], r, ["F32", "I32", "F64", *header])
        if isinstance(header.get("__metadata__"), dict) and "network" in header["__metadata__"]:
            return joined(header, header["__metadata__"]["network"], numbers)
        text = json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + numbers
    for _ in range(r.choice([1, 1, 2])):
        changed(graph, r)
    return joined(header, json.dumps(graph), numbers)


def replaced(data: bytes, one_in: int) -> Iterator[tuple[int, bytes]]:
    """Files with one of ``EACH`` in one place of the graph, numbered."""
    header, graph, numbers = split(data)
    count = 0
    for holder, key in spots(graph):
        now, holder[key] = holder[key], "@"
        text = json.dumps(graph)
        holder[key] = now
        for value in EACH:
            count += 1
            if count % one_in == 0:
                yield count, joined(header, text.replace('"@"', value), numbers)


def outcome(path: Path, x: Tensor) -> str:
    try:
        snn = respike.load(path)
    except FormatError as error:
        return "refused" if str(error).startswith(f"cannot load {path}: ") and str(error).isprintable() else "raised"
    assert all(line.isprintable() for line in f"{snn.summary()}\n{snn.choice}".split("\n"))
    json.dumps(snn.as_dict(), allow_nan=False)
    try:
        snn.timesteps = min(snn.timesteps, 20)
        args, kwargs = snn.graph.in_spec.unflatten([x for _ in snn.graph.leaves])
        found = snn(*args, **kwargs)
    except RuntimeError:  # of torch, for what only numbers reveal: a softmax of 8-bit integers, say
        return "refused by torch"
    assert all(isinstance(y, (Tensor, int, float, str, type(None))) for y in pytree.tree_leaves(found))
    return "ran"


def main(folder: Path, mutants: Callable[[bytes], Iterator[tuple[int, bytes]]]) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    path = folder / "net.respike"
    x = original(path)
    counts: Counter[str] = Counter()
    for number, broken in mutants(path.read_bytes()):
        (folder / "number").write_text(str(number))  # to be there if this process is not, any more
        path.write_bytes(broken)
        try:
            counts[outcome(path, x)] += 1
        except BaseException:
            print(f"mutant {number}: {traceback.format_exc()}", file=sys.stderr)
            counts["raised"] += 1
    print(json.dumps(counts))


if __name__ == "__main__":
    place, first, *rest = sys.argv[1:]
    if first == "each":
        one_in = int(rest[0]) if rest else 1
        main(Path(place), lambda data: replaced(data, one_in))
    else:
        main(Path(place), lambda data: ((n, mutant(data, n)) for n in range(int(first), int(rest[0]))))
