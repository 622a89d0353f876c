"""What README says runs; the pages in docs have a test of their own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import respike
from respike.cli import main as cli

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_python_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", README, re.S)
    assert len([line for line in code.splitlines() if line.strip()]) <= 11
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import pages

    values = pages.run(ROOT / "README.md")
    assert values["y"].shape == (10, 10)  # type: ignore[attr-defined]
    assert values["steps"].shape == (10, 8, 10)  # type: ignore[attr-defined]
    assert Path("accuracy.png").stat().st_size > 10_000
    assert "ANN" in capsys.readouterr().out


def test_what_it_points_to_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).is_file(), target
    for folder in re.findall(r"^(\S+/)  ", README, re.M):
        assert (ROOT / folder).is_dir(), folder
    for script in re.findall(r"train|evaluate_mnist|plot_activation_curves|convert_pretrained", README):
        assert (ROOT / "scripts" / f"{script}.py").is_file()
    for command in re.findall(r"`?respike (\w+)", README):
        assert command in {*cli.commands, "turns"}


def test_the_options_it_lists_are_those_of_from_torch() -> None:
    import inspect

    parameters = inspect.signature(respike.from_torch).parameters
    for name, default in re.findall(r"^\| `(\w+)` \| `?\"?(\w+)", README, re.M):
        assert str(parameters[name].default) == default
