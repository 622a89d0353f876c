"""What each node of NIR without a state is in the graph."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..graph import Ref
from .building import Building, Place


def affine(place: Place, x: Ref, made: Building) -> Ref:
    weight = place.weights("weight", 2)
    if made.sides(x) != weight.shape[1:]:
        raise place.wrong(f"takes {weight.shape[1]} numbers and reads {made.sides(x)}")
    if place.node.type == "Linear":
        return made.add(place, "aten.linear.default", x, made.tensor(weight))
    bias = place.weights("bias", 1)
    found = _as_factor(place, x, weight, bias, made)
    return found or made.add(place, "aten.linear.default", x, made.tensor(weight), made.tensor(bias))


def convolution(place: Place, x: Ref, made: Building) -> Ref:
    rank = int(place.node.type[-2])
    weight, bias = place.weights("weight", rank + 2), place.weights("bias", 1)
    if len(made.sides(x)) != rank + 1:
        raise place.wrong(f"reads {made.sides(x)}, which has no channels and {rank} other axes")
    stride, dilation = place.whole("stride", rank, 1), place.whole("dilation", rank, 1)
    (groups,) = place.whole("groups", 1, 1)
    padding = place.node.fields["padding"]
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise place.wrong("has a padding that is neither numbers nor 'same' or 'valid'")
        kind, pads = "padding", padding
    else:
        kind, pads = "default", place.whole("padding", rank, 0)  # type: ignore[assignment]
        if not any(pads) and set(stride) == {1}:
            found = _as_factor(place, x, weight, bias, made)
            if found is not None:
                return found
    if groups == 1:
        weight, groups = _as_groups(place, weight)
    op = f"aten.conv{rank}d.{kind}"
    return made.add(place, op, x, made.tensor(weight), made.tensor(bias), stride, pads, dilation, groups)


def _as_factor(place: Place, x: Ref, weight: Tensor, bias: Tensor, made: Building) -> Ref | None:
    """What respike has written as weights because readers have no factors, if that is what it is: no synapses."""
    channels = len(weight)
    if not place.node.factor or weight.shape != (channels, channels, *[1] * (weight.dim() - 2)):
        return None
    if made.sides(x)[0] != channels or bias.shape != (channels,):
        return None
    flat = weight.reshape(channels, channels)
    if int((flat != 0).sum()) != int((flat.diagonal() != 0).sum()):
        return None
    shape = (channels, *[1] * (weight.dim() - 2))
    found = made.add(place, "aten.mul.Tensor", x, made.tensor(flat.diagonal().reshape(shape).contiguous()))
    return made.add(place, "aten.add.Tensor", found, made.tensor(bias.reshape(shape))) if bool(bias.any()) else found


def _as_groups(place: Place, weight: Tensor) -> tuple[Tensor, int]:
    """The weights of a convolution that respike has spread to dense ones, if nothing but zeros is between them."""
    groups = place.node.groups
    if groups <= 1 or len(weight) % groups or weight.shape[1] % groups:
        return weight, 1
    outputs, inputs = len(weight) // groups, weight.shape[1] // groups
    parts = weight.unflatten(1, (groups, inputs)).unflatten(0, (groups, outputs))  # (groups, outputs, groups, inputs)
    own = torch.stack([parts[i, :, i] for i in range(groups)])
    if int((own != 0).sum()) != int((weight != 0).sum()):
        return weight, 1
    return own.flatten(0, 1).contiguous(), groups


def pool(place: Place, x: Ref, made: Building) -> Ref:
    kernel, stride = place.whole("kernel_size", 2, 1), place.whole("stride", 2, 1)
    if len(made.sides(x)) != 3:
        raise place.wrong(f"reads {made.sides(x)}, which is no channels of images")
    args = [kernel, stride, place.whole("padding", 2, 0), False, True]
    return made.add(place, "aten.avg_pool2d.default", x, *args, *([1] if place.node.type == "SumPool2d" else []))


def flatten(place: Place, x: Ref, made: Building) -> Ref:
    axes = len(made.sides(x))
    first, last = (place.whole(name, 1, -axes)[0] for name in ("start_dim", "end_dim"))
    if max(first, last) >= axes:
        raise place.wrong(f"flattens the axes {first} to {last} of {made.sides(x)}")
    first, last = (axis + 1 if axis >= 0 else axis for axis in (first, last))
    return made.add(place, "aten.flatten.using_ints", x, first, last)


def scale(place: Place, x: Ref, made: Building) -> Ref:
    value = place.float32(place.array("scale"), "scale")
    found = made.add(place, "aten.mul.Tensor", x, made.tensor(value))
    if made.sides(found) != made.sides(x):
        raise place.wrong(f"has a scale of shape {tuple(value.shape)} for {made.sides(x)}")
    return found


OPERATORS: dict[str, Callable[[Place, Ref, Building], Ref]] = {
    "Affine": affine,
    "Linear": affine,
    "Conv1d": convolution,
    "Conv2d": convolution,
    "SumPool2d": pool,
    "AvgPool2d": pool,
    "Flatten": flatten,
    "Scale": scale,
}
