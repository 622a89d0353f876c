"""Weights in the forms in which training scripts and frameworks leave them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from respike.sources import SourceError
from respike.weights_file import fill

State = dict[str, Tensor]


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))


def before(prefix: str, state: State) -> State:
    return {prefix + key: value for key, value in state.items()}


def other() -> State:
    return nn.Linear(5, 5).state_dict()


WRITTEN: dict[str, Callable[[State], Any]] = {
    "plain": lambda s: s,
    "DataParallel": lambda s: before("module.", s),
    "torch.compile": lambda s: before("_orig_mod.", s),
    "compiled, then DataParallel": lambda s: before("module._orig_mod.", s),
    "Lightning": lambda s: {"state_dict": before("model.", s), "epoch": 1, "hyper_parameters": {"lr": 0.1}},
    "Lightning, compiled": lambda s: {"state_dict": before("model._orig_mod.", s)},
    "Lightning with a loss": lambda s: {"state_dict": {**before("net.", s), "criterion.weight": torch.ones(3)}},
    "model_state_dict": lambda s: {"model_state_dict": s, "optimizer_state_dict": {"state": {}}, "epoch": 3},
    "net and accuracy": lambda s: {"net": s, "acc": np.float64(93.5)},
    "options": lambda s: {"state_dict": s, "args": argparse.Namespace(lr=0.1)},
    "model in a trainer's dict": lambda s: {"trainer": {"model": before("module.", s)}},
    "ema beside another network": lambda s: {"discriminator": other(), "ema": before("module.", s)},
    "averaged": lambda s: {"n_averaged": torch.tensor(3), **before("module.", s)},
    "an unusual name": lambda s: before("classifier_v2.", s),
    "without batch counters": lambda s: {k: v for k, v in s.items() if "num_batches" not in k},
}


@pytest.mark.parametrize("form", WRITTEN)
def test_every_usual_form_gives_the_same_network(form: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    trained, x = network().eval(), torch.rand(4, 1, 4, 4)
    path = tmp_path / "w.pth"
    torch.save(WRITTEN[form](dict(trained.state_dict())), path)
    found = network().eval()
    fill(found, path, "net")
    assert torch.equal(found(x), trained(x))


def test_safetensors_with_a_prefix(tmp_path: Path) -> None:
    trained, found = network(), network()
    save_file(before("module.", dict(trained.state_dict())), tmp_path / "W.SAFETENSORS")
    fill(found, tmp_path / "W.SAFETENSORS", "net")
    assert all(torch.equal(a, b) for a, b in zip(found.parameters(), trained.parameters(), strict=True))


def test_a_name_of_the_model_that_is_also_a_prefix(tmp_path: Path) -> None:
    """``module.`` belongs to the model's own names: nothing is cut off."""
    trained, found = (nn.ModuleDict({"module": nn.Linear(2, 2), "model": nn.Linear(2, 2)}) for _ in range(2))
    torch.save(trained.state_dict(), tmp_path / "w.pt")
    fill(found, tmp_path / "w.pt", "net")
    assert all(torch.equal(a, b) for a, b in zip(found.parameters(), trained.parameters(), strict=True))


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    state = before("module.", dict(network().state_dict()))
    state["module.5.weight"] = state.pop("module.4.weight")
    state["module.0.bias"] = torch.zeros(7)
    path = tmp_path / "w.pt"
    torch.save({"state_dict": state}, path)
    with pytest.raises(SourceError) as caught:
        fill(network(), path, "net")
    said = str(caught.value)
    assert "missing 4.weight; unexpected 5.weight; 0.bias has shape (7,), expected (2,)" in said


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ({"epoch": 3}, "no state_dict, but a dict of epoch"),
        ([1, 2], "no state_dict, but a list"),
        (nn.Linear(2, 2), "never run"),
    ],
)
def test_what_holds_no_weights_says_what_to_save(held: Any, said: str, tmp_path: Path) -> None:
    torch.save(held, tmp_path / "w.pt")
    with pytest.raises(SourceError, match=said) as caught:
        fill(network(), tmp_path / "w.pt", "net")
    assert "ave model.state_dict()" in str(caught.value)
