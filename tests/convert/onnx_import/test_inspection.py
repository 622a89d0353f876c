"""What ``inspect_onnx`` says of smooth networks is what conversion does."""

from __future__ import annotations

import io
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import respike
from respike.convert.onnx_import.inspection import inspect_onnx


class Attention(nn.Module):
    """One head, without a ReLU or a smooth activation."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.out = nn.LayerNorm(8), nn.Linear(8, 3)
        self.q, self.k, self.v = (nn.Linear(8, 8) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        shares = (self.q(h) @ self.k(h).transpose(1, 2) / 8**0.5).softmax(-1)
        found: Tensor = self.out((shares @ self.v(h)).mean(1))
        return found


MODELS = {
    "gelu": lambda: nn.Sequential(nn.Linear(8, 6), nn.GELU(), nn.Flatten(), nn.Linear(30, 3)),
    "attention": lambda: nn.Sequential(nn.Linear(8, 8), nn.SiLU(), Attention()),
    "nothing to convert": lambda: nn.Sequential(nn.Linear(8, 6), nn.Flatten(), nn.Linear(30, 3)),
}


@pytest.mark.parametrize("name", MODELS)
def test_it_converts_where_conversion_does(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, x, path = MODELS[name]().eval(), torch.randn(16, 5, 8), tmp_path / "net.onnx"
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        axes = {"dynamic_axes": {"input": {0: "batch"}}, "input_names": ["input"]}
        torch.onnx.export(model, (x[:2],), path, opset_version=17, dynamo=False, **axes)
    about = inspect_onnx(path)
    if name == "nothing to convert":
        with pytest.raises(respike.ConversionError) as refused:
            respike.from_onnx(path, x, 4)
        assert about.problem == str(refused.value)
        return
    snn = respike.from_onnx(path, x, 4)
    assert not about.problem and str(about).endswith("converts")
    said = " ".join(node.verdict for node in about.nodes)
    assert ("product of the sums so far" in said) == bool(snn.as_dict()["product"])
    assert said.count("neurons of either sign") == len(snn.layers())
