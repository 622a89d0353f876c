"""Valid files, broken at random: whatever is left of them loads and runs, or is refused, and nothing else.

A mutant depends on nothing but its seed and the seeds' order, so a failure names all that is needed to see it again.
"""

from __future__ import annotations

import os
import random
import shutil
import struct
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import onnx
import pytest
from fuzz_seeds import external, seeds
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hostile_build import MAX
from hostile_sandbox import Sandbox
from onnx import ModelProto, TensorProto

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limits are those of Linux")

BATCH = 25  # files for one child: a fork costs as much as a few of them
Mutation = tuple[str, bytes]


def flipped(data: bytearray, r: random.Random, other: bytes) -> None:
    for _ in range(r.choice([1, 1, 2, 8])):
        data[r.randrange(len(data))] ^= 1 << r.randrange(8)


def overwritten(data: bytearray, r: random.Random, other: bytes) -> None:
    data[r.randrange(len(data))] = r.choice([0, 1, 127, 128, 255])


def inserted(data: bytearray, r: random.Random, other: bytes) -> None:
    at = r.randrange(len(data))
    data[at:at] = r.randbytes(r.choice([1, 1, 4, 40]))


def removed(data: bytearray, r: random.Random, other: bytes) -> None:
    at = r.randrange(len(data))
    del data[at : at + r.choice([1, 1, 4, 40])]


def repeated(data: bytearray, r: random.Random, other: bytes) -> None:
    at = r.randrange(len(data))
    data[at:at] = data[at : at + r.choice([4, 40, 400])]


def truncated(data: bytearray, r: random.Random, other: bytes) -> None:
    del data[r.randrange(len(data)) :]


def spliced(data: bytearray, r: random.Random, other: bytes) -> None:
    data[r.randrange(len(data)) :] = other[r.randrange(len(other)) :]


BYTES: list[Callable[[bytearray, random.Random, bytes], None]] = [
    flipped, overwritten, inserted, removed, repeated, truncated, spliced,
]  # fmt: skip
NUMBERS = [0, 1, -1, 2, 3, 7, 77, 1 << 16, (1 << 31) - 1, 1 << 31, 1 << 32, 1 << 40, (1 << 63) - 1, -(1 << 63)]
SIZES = {TensorProto.FLOAT: 4, TensorProto.INT64: 8}
REALS = [0.0, -1.0, 0.5, 1e-38, 1e38, float("nan"), float("inf"), -float("inf")]


@cache
def op_types() -> list[str]:
    return sorted({schema.name for schema in onnx.defs.get_all_schemas() if not schema.domain})


def leaves(message: Message) -> Iterator[tuple[Message, FieldDescriptor, int]]:
    """Each value in a message, as its holder, its field and its place in that (-1: not a list)."""
    for descriptor, held in message.ListFields():
        items = held if descriptor.is_repeated else [held]
        for i, item in enumerate(items):
            yield message, descriptor, i if descriptor.is_repeated else -1
            if isinstance(item, Message):
                yield from leaves(item)


def another(descriptor: FieldDescriptor, now: Any, r: random.Random, names: list[str]) -> Any:
    if descriptor.name == "op_type":
        return r.choice(op_types())
    if isinstance(now, bool | int):
        bits = 31 if descriptor.cpp_type in (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_ENUM) else 63
        new = r.choice([*NUMBERS, now + 1, now - 1, 2 * now, -now, r.randrange(30)])
        low = 0 if descriptor.cpp_type == FieldDescriptor.CPPTYPE_UINT64 else -(1 << bits)
        return max(low, min(new, (1 << bits) - 1))
    if isinstance(now, float):
        return r.choice([*REALS, -now, 2 * now])
    new = r.choice([*names, "", "x" * 300, 'x"\n\x00', "../w.bin", "NOTSET"])
    return (
        new if isinstance(now, str) else r.choice([new.encode(), now[:-1], now + b"\0", now[: len(now) // 2], now * 2])
    )


def renumbered(proto: ModelProto, r: random.Random) -> str:
    """Changes one number of the constants that are shapes, axes, pads and the like."""
    held = [*proto.graph.initializer, *(a.t for node in proto.graph.node for a in node.attribute if a.HasField("t"))]
    small = [t for t in held if t.data_type in SIZES and len(t.raw_data) in range(SIZES[t.data_type], 65)]
    if not small:
        return "left it"
    tensor = r.choice(small)
    data, size = bytearray(tensor.raw_data), SIZES[tensor.data_type]
    i, kind = r.randrange(len(data) // size), "<f" if size == 4 else "<q"
    (now,) = struct.unpack_from(kind, data, i * size)
    new = r.choice(REALS if size == 4 else [*NUMBERS, *(n for n in (now + 1, now - 1, -now) if -MAX <= n <= MAX)])
    struct.pack_into(kind, data, i * size, new)
    tensor.raw_data = bytes(data)
    return f"{tensor.name}[{i}] = {new}"


def mutated(proto: ModelProto, r: random.Random) -> str:
    """Changes one thing in a model, and says what."""
    if r.random() < 0.2:
        return renumbered(proto, r)
    names = [name for node in proto.graph.node for name in (*node.input, *node.output)]
    spots = list(leaves(proto))
    if not spots:
        return "nothing left"
    if r.random() < 0.4:  # what most of the importer is about: a graph that hangs together, with other numbers
        numbers = ("i", "ints", "f", "floats", "s", "dims", "dim_value")
        spots = [spot for spot in spots if spot[1].name in numbers] or spots
    # by the kind of what it is first: a model has a hundred names for each type
    kind = r.choice(sorted({f"{spot[0].DESCRIPTOR.name}.{spot[1].name}" for spot in spots}))
    holder, descriptor, i = r.choice([s for s in spots if f"{s[0].DESCRIPTOR.name}.{s[1].name}" == kind])
    held = getattr(holder, descriptor.name)
    what = r.choice(["delete", "repeat", "swap", "change", "change"])
    if i < 0 and (descriptor.message_type or what == "delete"):
        holder.ClearField(descriptor.name)
        return f"cleared {kind}"
    if i < 0:
        new = another(descriptor, held, r, names)
    elif what == "delete":
        del held[i]
        return f"deleted {kind}[{i}]"
    elif what == "repeat" or (what == "change" and descriptor.message_type):
        held.append(held[i])
        return f"repeated {kind}[{i}]"
    elif what == "swap":
        items = list(held)
        j = r.randrange(len(items))
        items[i], items[j] = items[j], items[i]
        copies = [
            type(item).FromString(item.SerializeToString()) if isinstance(item, Message) else item for item in items
        ]
        del held[:]
        held.extend(copies)
        return f"swapped {kind}[{i}] and [{j}]"
    else:
        new = another(descriptor, held[i], r, names)
    try:
        if i < 0:
            setattr(holder, descriptor.name, new)
        else:
            held[i] = new
    except ValueError:  # an enumeration of protobuf's takes no other value
        return f"left {kind}"
    return f"{kind}[{i}] = {str(new)[:60]!r}"


def mutant(seed: str) -> Mutation:
    r = random.Random(seed)
    name, other = r.choice(list(seeds())), r.choice(list(seeds()))
    if r.random() < 0.35:
        data = bytearray(seeds()[name])
        change = r.choice(BYTES)
        change(data, r, seeds()[other])
        return f"{name}, {change.__name__} (with {other})", bytes(data)
    proto = ModelProto.FromString(seeds()[name])
    done = [mutated(proto, r) for _ in range(r.choice([1, 1, 1, 2, 4]))]
    return f"{name}, {'; '.join(done)}", proto.SerializeToString()


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    made = Sandbox(tmp_path_factory.mktemp("sandbox"))
    yield made
    made.close()


def survive(sandbox: Sandbox, folder: Path, mutants: Iterator[Mutation]) -> Counter[str]:
    """How many loaded and how many were refused; fails with every mutant that did anything else."""
    told = list(mutants)
    paths = [folder / f"{i}.onnx" for i in range(len(told))]
    for path, (_, data) in zip(paths, told, strict=True):
        path.write_bytes(data)
    found = [answer for i in range(0, len(paths), BATCH) for answer in sandbox(paths[i : i + BATCH], "run")]
    wrong = [
        f"{path}: {what}\n    {answer['outcome']} at {answer['stage'] or '?'}: {answer['message'][-700:]}"
        for path, (what, _), answer in zip(paths, told, found, strict=True)
        if answer["outcome"] not in ("loaded", "refused")
    ]
    assert not wrong, f"{len(wrong)} of {len(told)}:\n" + "\n".join(wrong[:20])
    return Counter(answer["outcome"] for answer in found)


def test_the_seeds_themselves_load_and_run(sandbox: Sandbox, tmp_path: Path) -> None:
    paths = [external(tmp_path)]
    for name, data in seeds().items():
        paths.append(tmp_path / f"{name}.onnx")
        paths[-1].write_bytes(data)
    for path, answer in zip(paths, sandbox(paths, "run"), strict=True):
        assert answer["outcome"] == "loaded" and answer["stage"] == "run", (path.stem, answer)


def chunk(sandbox: Sandbox, folder: Path, seed: str, size: int) -> None:
    found = survive(sandbox, folder, (mutant(f"{seed}:{i}") for i in range(size)))
    # neither a reader that refuses everything, nor one that looks at nothing
    assert found["loaded"] > size // 20 and found["refused"] > size // 4, found


@pytest.mark.parametrize("seed", range(2))
def test_mutants_load_or_are_refused(seed: int, sandbox: Sandbox, tmp_path: Path) -> None:
    chunk(sandbox, tmp_path, f"quick {seed}", 100)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(int(os.environ.get("RESPIKE_FUZZ", "2"))))  # 8 for 10,000 mutants
def test_many_more_mutants_load_or_are_refused(seed: int, sandbox: Sandbox, tmp_path: Path) -> None:
    chunk(sandbox, tmp_path, f"slow {seed}", 1250)


@pytest.mark.slow
def test_weights_in_a_broken_file_beside_it(sandbox: Sandbox, tmp_path: Path) -> None:
    def mutants() -> Iterator[Mutation]:
        proto = onnx.load(external(tmp_path), load_external_data=False)
        for i in range(100):
            copy = ModelProto.FromString(proto.SerializeToString())
            r = random.Random(f"external {i}")
            entry = r.choice(r.choice(copy.graph.initializer).external_data)
            entry.value = r.choice(
                [*map(str, NUMBERS), entry.value + "0", "", "..", "w.bin/", "0.onnx", "./w.bin", "1e9", " 4"]
            )
            yield f"{entry.key} = {entry.value!r}", copy.SerializeToString()

    survive(sandbox, tmp_path, mutants())
    data = tmp_path / "w.bin"
    for size in (0, 1, 95, 159, 160, 100_000):
        shutil.copy(data, tmp_path / "kept.bin")
        with data.open("r+b") as file:
            file.truncate(size)
        survive(sandbox, tmp_path, iter([(f"w.bin of {size} bytes", (tmp_path / "external.onnx").read_bytes())]))
        shutil.move(tmp_path / "kept.bin", data)
