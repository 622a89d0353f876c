"""What layers with weights say in their arguments."""

from __future__ import annotations

from .node import Node


def layer_groups(node: Node) -> int:
    """Groups of channels of such a layer."""
    groups: int = node.args[6] if node.op != "aten.linear.default" and len(node.args) > 6 else 1
    return groups
