"""Break a saved network at random, thousands of times, and say what became of each; run as a program, by a test.

A mutant depends on nothing but its number, so a failure can be seen again: ``mutate_saved.py FOLDER FIRST LAST``.
"""

from __future__ import annotations

import json
import random
import struct
import sys
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

import respike
from respike.convert import FormatError
from respike.convert.saved.table import operations

NUMBERS = [0, 1, -1, 2, 3, 7, 77, 1 << 16, 1 << 20, (1 << 31) - 1, 1 << 31, 1 << 40, (1 << 63) - 1, 1 << 63, 1 << 80]
OTHERS = [None, True, False, 0.5, -1.0, 1e-30, 1e30, "", "x", "\x00", [], {}, [1], {"ref": "x"}, {"float": "inf"}]


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


def outcome(path: Path, x: Tensor) -> str:
    try:
        snn = respike.load(path)
    except FormatError as error:
        return "refused" if str(error).startswith(f"cannot load {path}: ") else "raised"
    try:
        snn.timesteps = min(snn.timesteps, 20)
        found = snn(x)
    except RuntimeError:  # of torch, for what only numbers reveal: a softmax of 8-bit integers, say
        return "refused by torch"
    assert all(isinstance(y, (Tensor, int, float, str, type(None))) for y in pytree.tree_leaves(found))
    return "ran"


def main(folder: Path, first: int, last: int) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    path = folder / "net.respike"
    x = original(path)
    data = path.read_bytes()
    counts: Counter[str] = Counter()
    for number in range(first, last):
        (folder / "number").write_text(str(number))  # to be there if this process is not, any more
        path.write_bytes(mutant(data, number))
        try:
            counts[outcome(path, x)] += 1
        except BaseException:
            print(f"mutant {number}: {traceback.format_exc()}", file=sys.stderr)
            counts["raised"] += 1
    print(json.dumps(counts))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
