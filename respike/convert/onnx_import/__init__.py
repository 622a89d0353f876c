"""ONNX files in: each becomes an ordinary module, and then takes the same road as any other.

``onnx`` itself is imported when one of these functions is called.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from .. import checks
from ..caller_state import undisturbed

if TYPE_CHECKING:
    from .module import OnnxModule


@undisturbed()
def load_onnx(path: str | os.PathLike[str], *, outputs: Sequence[str] | None = None) -> OnnxModule:
    """The network in an ONNX file, as a module of PyTorch in eval mode.

    Args:
        path: The file. Weights in other files are read from its own folder only.
        outputs: Names of the values to return; any value of the graph may be named. All outputs of the
            graph by default. What they do not depend on is not read, so a classifier's labels and maps can be
            cut away.

    Returns:
        A module that takes the inputs its outputs depend on, in the file's order, batch first, and computes in
        float32. Nodes are its submodules, named after the file's nodes.

    Raises:
        ConversionError: no such file, a damaged or hostile one, or one with operators that cannot be
            imported (all of them listed).
    """
    from .build import load

    checks.path("path", path)
    return load(path, None if outputs is None else checks.names("outputs", outputs))


@undisturbed()
def verify_onnx(net: OnnxModule, path: str | os.PathLike[str], inputs: Sequence[Tensor] | None = None) -> float:
    """The largest difference of an imported network from onnxruntime, relative to the largest output.

    Args:
        net: What ``load_onnx`` made of the file, on the CPU.
        path: The file.
        inputs: For both; noise of the declared shapes by default.

    Raises:
        ConversionError: onnxruntime is not installed or cannot run the file, the file leaves the shape of
            its input open and there are no ``inputs``, or the difference is above 1e-3.
    """
    from .verify import verify

    checks.path("path", path)
    return verify(net, path, inputs)
