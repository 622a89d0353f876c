"""ONNX files broken at random, by their bytes or by their values.

A mutant depends on nothing but its seed and the order of the files that it is made from.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import onnx
from fuzz_seeds import seeds
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hostile_build import MAX
from onnx import ModelProto, TensorProto

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
