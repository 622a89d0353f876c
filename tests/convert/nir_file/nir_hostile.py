"""Broken and malicious NIR files, by name what is done to a good one and a word of the error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from nir_networks import converted
from torch import nn

Change = Callable[[Any], None]
NODES = "node/nodes"


def good(path: Path) -> None:
    """A file with a node of each kind that ``to_nir`` writes."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2)
    )
    converted(model, torch.rand(16, 1, 6, 6)).to_nir(path)


def set_to(place: str, value: Any, **options: Any) -> Change:
    def change(file: Any) -> None:
        del file[place]
        file.create_dataset(place, data=value, **options)

    return change


def edit(place: str, key: Any, value: Any) -> Change:
    def change(file: Any) -> None:
        array = file[place][()]
        array[key] = value
        set_to(place, array)(file)

    return change


def without(place: str) -> Change:
    return lambda file: file.__delitem__(place)


def link(place: str, target: Any) -> Change:
    def change(file: Any) -> None:
        del file[place]
        file[place] = target

    return change


def add(place: str, value: Any) -> Change:
    return lambda file: file.create_dataset(place, data=value)


def loop(file: Any) -> None:
    del file[f"{NODES}/n_0"]
    file[f"{NODES}/n_0"] = file[NODES]


def huge(shape: tuple[int, ...], **options: Any) -> Change:
    """Declared, but never written."""

    def change(file: Any) -> None:
        del file[f"{NODES}/n_0/weight"]
        file.create_dataset(f"{NODES}/n_0/weight", shape, "f4", **options)

    return change


def object_reference(file: Any) -> None:
    set_to(f"{NODES}/n_0/weight", file["node"].ref, dtype=h5py.ref_dtype)(file)


def virtual(file: Any) -> None:
    del file[f"{NODES}/n_0/bias"]
    layout = h5py.VirtualLayout((2,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "data", (2,))
    file.create_virtual_dataset(f"{NODES}/n_0/bias", layout)


def external(file: Any) -> None:
    del file[f"{NODES}/n_0/bias"]
    file.create_dataset(f"{NODES}/n_0/bias", (2,), "f4", external=[("/etc/passwd", 0, 8)])


def thousands(file: Any) -> None:
    for i in range(6_001):
        file[NODES].create_group(f"more_{i}")


def one_long_name_for_all_edges(file: Any) -> None:
    name = "x" * 2**20
    set_to("node/edges", np.array([[name, name]] * 500, dtype=object), dtype=h5py.string_dtype())(file)


def many_edges(file: Any) -> None:
    set_to("node/edges", np.array([["n_0", "n_1"]] * 24_001, dtype=object), dtype=h5py.string_dtype())(file)


def edges(*pairs: tuple[str, str]) -> Change:
    def change(file: Any) -> None:
        kept = [tuple(name.decode() for name in pair) for pair in file["node/edges"][()]]
        set_to("node/edges", np.array([*kept, *pairs], dtype=object), dtype=h5py.string_dtype())(file)

    return change


def renamed(name: str) -> Change:
    return lambda file: file[NODES].move("n_0", name)


def twice(*changes: Change) -> Change:
    def change(file: Any) -> None:
        for one in changes:
            one(file)

    return change


CHANGED: dict[str, tuple[Change, str]] = {
    "no_graph": (without("node"), "no NIR graph"),
    "graph_is_an_array": (set_to("node", 1), "not a group"),
    "graph_is_one_node": (set_to("node/type", "LIF"), "single node"),
    "no_nodes": (without(NODES), "missing"),
    "no_edges": (without("node/edges"), "missing"),
    "no_type": (without(f"{NODES}/n_0/type"), "missing"),
    "type_is_a_number": (set_to(f"{NODES}/n_0/type", 7), "not texts"),
    "type_is_a_list": (set_to(f"{NODES}/n_0/type", ["Conv2d"]), "list"),
    "type_is_long": (set_to(f"{NODES}/n_0/type", "x" * 10**6), "1,000,000 bytes"),
    "no_field": (without(f"{NODES}/n_0/bias"), "no field 'bias'"),
    "unknown_field": (add(f"{NODES}/n_0/leak", 1.0), "unknown field 'leak'"),
    "soft_link": (link(f"{NODES}/n_0/weight", h5py.SoftLink("/node")), "link"),
    "dangling_link": (link(f"{NODES}/n_0/weight", h5py.SoftLink("/nowhere")), "link"),
    "link_to_another_file": (link(f"{NODES}/n_0", h5py.ExternalLink("/etc/passwd", "/")), "link"),
    "graph_in_another_file": (link("node", h5py.ExternalLink("/etc/passwd", "/")), "link"),
    "group_in_itself": (loop, "missing"),
    "array_in_another_file": (external, "another file"),
    "virtual_array": (virtual, "another file"),
    "object_reference": (object_reference, "not numbers"),
    "compound": (set_to(f"{NODES}/n_0/bias", np.zeros(2, [("a", "f4"), ("b", "f4")])), "not numbers"),
    "complex_numbers": (set_to(f"{NODES}/n_0/bias", np.zeros(2, complex)), "not numbers"),
    "text_for_numbers": (set_to(f"{NODES}/n_0/bias", "abc"), "text"),
    "empty": (set_to(f"{NODES}/n_0/bias", h5py.Empty("f4")), "empty"),
    "huge": (huge((2, 1, 2**20, 2**20), chunks=(1, 1, 2**10, 2**10)), "more than a file"),
    "huge_chunks": (huge((2, 1, 3, 3), chunks=(2, 1, 2**13, 2**14), maxshape=(2, 1, None, None)), "chunks"),
    "odd_filter": (huge((2, 1, 3, 3), chunks=(2, 1, 3, 3), scaleoffset=2), "compressed"),
    "nan": (edit(f"{NODES}/n_0/weight", 0, np.nan), "not finite"),
    "beyond_float32": (set_to(f"{NODES}/n_0/bias", np.full(2, 1e300)), "beyond float32"),
    "no_weights": (set_to(f"{NODES}/n_0/weight", np.zeros((2, 0, 3, 3), "f4")), "axes"),
    "vector_of_weights": (set_to(f"{NODES}/n_0/weight", np.zeros(18, "f4")), "axes"),
    "too_few_biases": (set_to(f"{NODES}/n_0/bias", np.zeros(1, "f4")), "n_0"),
    "half_a_stride": (set_to(f"{NODES}/n_0/stride", 0.5), "whole numbers"),
    "stride_of_zero": (set_to(f"{NODES}/n_0/stride", 0), "whole numbers"),
    "endless_stride": (set_to(f"{NODES}/n_0/stride", 2.0**70), "whole numbers"),
    "three_strides": (set_to(f"{NODES}/n_0/stride", [1, 1, 1]), "whole numbers"),
    "huge_padding": (set_to(f"{NODES}/n_0/padding", 2**30), "n_0"),
    "odd_padding": (set_to(f"{NODES}/n_0/padding", "circular"), "'same' or 'valid'"),
    "groups_of_three": (set_to(f"{NODES}/n_0/groups", 3), "does not fit"),
    "pool_of_nothing": (set_to(f"{NODES}/n_2/kernel_size", [9, 9]), "does not fit"),
    "flattens_what_is_not": (set_to(f"{NODES}/n_3_flatten/end_dim", 7), "flattens"),
    "shape_of_nothing": (set_to(f"{NODES}/input/shape", [1, 0, 6]), "whole numbers"),
    "huge_input": (set_to(f"{NODES}/input/shape", [1, 2**30, 2**30]), "numbers"),
    "other_output": (set_to(f"{NODES}/output/shape", [3]), "reads (2,)"),
    "threshold_of_zero": (edit(f"{NODES}/n_1/v_threshold", 0, 0), "not above 0"),
    "negative_resistance": (edit(f"{NODES}/n_1/r", 0, -1), "not above 0"),
    "tiny_resistance": (edit(f"{NODES}/n_1/r", 0, 1e-38), "beyond"),
    "thresholds_of_others": (set_to(f"{NODES}/n_1/v_threshold", np.ones(3)), "shape (3,)"),
    "reset_to_one": (add(f"{NODES}/n_1/v_reset", 1.0), "hard reset"),
    "start_of_others": (set_to(f"{NODES}/n_1/metadata/v_0", np.ones(3)), "shape (3,)"),
    "start_is_a_text": (set_to(f"{NODES}/n_1/metadata/v_0", "half"), "v_0"),
    "start_of_each_place": (edit(f"{NODES}/n_1/metadata/v_0", (0, 0, 0), 0.25), "within a channel"),
    "no_timesteps": (without("node/metadata/timesteps"), "timesteps"),
    "timesteps_of_zero": (set_to("node/metadata/timesteps", 0), "timesteps"),
    "timesteps_without_end": (set_to("node/metadata/timesteps", 2.0**60), "timesteps"),
    "timesteps_are_a_list": (set_to("node/metadata/timesteps", [1, 2]), "timesteps"),
    "newer": (set_to("node/metadata/respike_format", 2), "newer"),
    "other_reset": (set_to("node/metadata/reset", "zero"), "hard reset"),
    "edge_to_nowhere": (edges(("n_0", "nowhere")), "no such node"),
    "edge_twice": (edges(("n_0", "n_1")), "2 times"),
    "a_loop": (edges(("n_5", "n_0")), "a loop"),
    "a_node_reads_itself": (edges(("n_5", "n_5")), "a loop"),
    "input_is_read_from": (edges(("n_5", "input")), "input (Input)"),
    "sum_of_two_shapes": (edges(("n_0", "n_4")), "adds up values"),
    "edges_are_numbers": (set_to("node/edges", np.zeros((3, 2))), "not texts"),
    "edges_are_triples": (set_to("node/edges", np.array([["a", "b", "c"]], dtype="S1")), "pairs"),
    "many_edges": (many_edges, "pairs"),
    "one_long_name_for_all_edges": (one_long_name_for_all_edges, "1,048,576 bytes"),
    "thousands_of_nodes": (thousands, "the most that is read"),
    "control_characters": (renamed("\x1b[2J"), "printable"),
    "long_name": (renamed("x" * 1000), "printable"),
    "graph_in_the_graph": (set_to(f"{NODES}/n_1/type", "NIRGraph"), "graph within"),
    "unknown_node": (set_to(f"{NODES}/n_1/type", "Magic"), "not a node that is known"),
    "groups_of_no_node": (add("node/metadata/groups/nowhere", 2), "whole numbers of nodes"),
    "groups_are_a_text": (add("node/metadata/groups/n_0", "two"), "whole numbers of nodes"),
    "groups_are_an_array": (twice(without("node/metadata/groups"), add("node/metadata/groups", 1)), "not a group"),
    "metadata_is_an_array": (twice(without("node/metadata"), add("node/metadata", 1)), "not a group"),
}
