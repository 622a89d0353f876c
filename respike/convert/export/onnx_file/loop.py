"""From one step to a loop over T of them, in which only what changes from step to step is computed again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from .names import reads, renamed, unused

if TYPE_CHECKING:
    import onnx

TIMESTEPS = "timesteps"
"""Name of the input that says how many steps to run."""


def looped(
    step: onnx.ModelProto, clock: tuple[str, str], states: Mapping[str, str], initial: Iterable[onnx.TensorProto]
) -> onnx.ModelProto:
    """The same network with T as an input, and without states.

    Nodes that no state reaches come before the loop, once. Those that lead to the next states are its body, with the
    weights that they read, which onnxruntime lays out for them when it loads the file. What only the outputs need
    comes behind it, once, from the last states.

    Args:
        step: One step; its inputs and outputs are the network's, and then the states'.
        clock: The names of the state that counts steps, before the step and behind it: the loop counts by itself.
        states: The names of the other states' inputs in that graph, and of their outputs.
        initial: These states before the first step, under the names of the inputs.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph, (elapsed, now) = step.graph, clock
    outputs = [value for value in graph.output if value.name not in (now, *states.values())]
    inputs = [value for value in graph.input if value.name not in (elapsed, *states)]
    timesteps = unused(TIMESTEPS, [value.name for value in [*inputs, *outputs]])
    varying = _reached(graph, [elapsed, *states])
    body = _leading_to(graph, states.values(), varying, {now, *states})
    after = _leading_to(graph, [value.name for value in outputs], varying, {now, *states.values()})
    before = [node for node in graph.node if not varying.intersection(node.output)]

    weights = {value.name: value for value in graph.initializer}
    inside = {name for node in body for name in reads(node)}
    counted = now in inside
    inside &= weights.keys()
    outside = {name for node in [*before, *after] for name in reads(node)} & weights.keys()
    outside |= {value.name for value in outputs} & weights.keys()
    # Behind the loop some names occur again: those of the last states, and what is computed from them there too.
    again = {name for node in after for name in node.output} & {name for node in body for name in node.output}
    in_loop = {name: f"{name}.in_loop" for name in (inside & outside) | again | {now, *states.values()}}

    go_on, index = "loop.go_on", "loop.step"
    nodes = [helper.make_node("Identity", [go_on], [f"{go_on}.in_loop"])]
    constants = [_named(weights[name], in_loop.get(name, name)) for name in sorted(inside)]
    if counted:
        nodes.append(helper.make_node("Add", [index, "loop.one"], ["loop.count"]))
        nodes.append(helper.make_node("Cast", ["loop.count"], [in_loop[now]], to=TensorProto.FLOAT))
        constants.append(numpy_helper.from_array(np.array(1), "loop.one"))
    loop_graph = helper.make_graph(
        [*nodes, *(renamed(node, in_loop) for node in body)],
        "step",
        [
            helper.make_tensor_value_info(index, TensorProto.INT64, []),
            helper.make_tensor_value_info(go_on, TensorProto.BOOL, []),
            *(_open(name) for name in states),
        ],
        [
            helper.make_tensor_value_info(f"{go_on}.in_loop", TensorProto.BOOL, []),
            *(_open(in_loop[name]) for name in states.values()),
        ],
        constants,
    )
    starts = [_named(value, f"initial.{value.name}") for value in initial]
    loop = helper.make_node(
        "Loop",
        [timesteps, "loop.begin", *(value.name for value in starts)],
        list(states.values()),
        "loop",
        body=loop_graph,
    )
    main = helper.make_graph(
        [*before, loop, helper.make_node("Cast", [timesteps], [now], to=TensorProto.FLOAT), *after],
        graph.name,
        [*inputs, helper.make_tensor_value_info(timesteps, TensorProto.INT64, [])],
        outputs,
        [*(weights[name] for name in sorted(outside)), numpy_helper.from_array(np.array(True), "loop.begin"), *starts],
    )
    made = onnx.ModelProto()
    made.CopyFrom(step)
    made.graph.CopyFrom(main)
    return made


def _reached(graph: onnx.GraphProto, sources: Iterable[str]) -> set[str]:
    """Names of the values that depend on one of these, and these."""
    found = set(sources)
    for node in graph.node:
        if not found.isdisjoint(reads(node)):
            found.update(node.output)
    return found


def _leading_to(
    graph: onnx.GraphProto, targets: Iterable[str], varying: set[str], ends: set[str]
) -> list[onnx.NodeProto]:
    """The nodes that compute these values from the ends and from what does not vary, in order."""
    wanted = set(targets)
    found = []
    for node in reversed(graph.node):
        here = wanted.intersection(node.output)
        if not here.isdisjoint(varying) and not here <= ends:
            found.append(node)
            wanted.update(name for name in reads(node) if name in varying and name not in ends)
    return found[::-1]


def _open(name: str) -> onnx.ValueInfoProto:
    """A state inside the loop: its shape is not said, as it grows to the batch's in the first step."""
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info(name, TensorProto.FLOAT, None)


def _named(value: onnx.TensorProto, name: str) -> onnx.TensorProto:
    copy = type(value)()
    copy.CopyFrom(value)
    copy.name = name
    return copy
