"""Every public function and class of respike and of respike.layers has an example in its docstring, and it runs."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

import respike
from respike import layers

NUMBER = re.compile(r"(?<![\w.])-?\d+\.\d*(?:e[+-]?\d+)?")


def public(module: ModuleType, names: list[str]) -> dict[str, Any]:
    """The functions and classes among these names, by where a user finds them."""
    found = {name: getattr(module, name) for name in names if not name.startswith("_")}
    return {f"{module.__name__}.{name}": x for name, x in found.items() if not isinstance(x, ModuleType)}


def own(module: ModuleType) -> list[str]:
    return [name for name, x in vars(module).items() if callable(x) and x.__module__ == module.__name__]


PUBLIC = {
    **public(respike, respike.__all__),
    **public(layers, dir(layers)),
    **public(layers.encoders, own(layers.encoders)),
    **public(layers.equations, own(layers.equations)),
    **public(layers.stimuli, own(layers.stimuli)),
}
GLOBALS = {"torch": torch, "nn": nn, "respike": respike, **{n: x for n, x in vars(layers).items() if n[0] != "_"}}


class Checker(doctest.OutputChecker):
    """Compares numbers with a point as numbers: processors that sum in another order print other last digits."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        wanted, found = ([float(x) for x in NUMBER.findall(text)] for text in (want, got))
        texts = ("".join(NUMBER.sub("#", text).split()) for text in (want, got))
        return len(set(texts)) == 1 and found == pytest.approx(wanted, rel=1e-3, abs=1e-4)


def run(name: str, docstring: str) -> int:
    """How many lines of the examples were run.

    Raises:
        AssertionError: one of them printed something else, or raised.
    """
    test = doctest.DocTestParser().get_doctest(docstring, dict(GLOBALS), name, None, None)
    report: list[str] = []
    torch.manual_seed(0)
    result = doctest.DocTestRunner(Checker(), verbose=False).run(test, out=report.append)
    assert not result.failed, "".join(report)
    return result.attempted


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's quick ONNX exporter is the old one
@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_has_an_example_that_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docstring = vars(PUBLIC[name]).get("__doc__", PUBLIC[name].__doc__)
    assert docstring and ">>> " in docstring, f"{name} has no example (>>>) in its docstring"
    monkeypatch.chdir(tmp_path)
    assert run(name, docstring) > 0


METHODS = {
    f"{name}.{member}": f.__doc__
    for name, x in PUBLIC.items()
    if isinstance(x, type)
    for base in reversed(x.__mro__)
    if base.__module__.partition(".")[0] == "respike"
    for member, f in vars(base).items()
    if callable(f) and ">>> " in (f.__doc__ or "")
}


@pytest.mark.parametrize("name", METHODS)
def test_the_examples_of_methods_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(name, METHODS[name] or "") > 0


def test_public_names_are_found() -> None:
    assert {"respike.SpikingNetwork.to_module", "respike.SpikingNetwork.with_floor"} < set(METHODS)
    assert {"respike.from_torch", "respike.layers.LIF", "respike.layers.encoders.rate"} < set(PUBLIC)
    assert len(PUBLIC) > 90


@pytest.mark.parametrize("shown", ["0.33", "0.3333, 0.3333", "1", "[0.3333]"])
def test_an_example_that_shows_something_else_fails(shown: str) -> None:
    assert run("right", ">>> 1 / 3\n0.33333\n") == 1
    with pytest.raises(AssertionError, match="Expected"):
        run("wrong", f">>> 1 / 3\n{shown}\n")


def test_an_example_that_raises_fails() -> None:
    with pytest.raises(AssertionError, match="nothing_of_that_name"):
        run("wrong", ">>> nothing_of_that_name\n")
