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
    for script in re.findall(r"scripts/\w+\.py", README):
        assert (ROOT / script).is_file(), script
    for command in re.findall(r"`?respike (\w+)", README):
        assert command in {*cli.commands, "converts"}


def test_it_fits_on_three_screens() -> None:
    assert README.count("\n") <= 110


def test_the_page_on_conversion_lists_all_options_of_from_torch_with_their_defaults() -> None:
    import inspect

    page = (ROOT / "docs" / "conversion.md").read_text(encoding="utf-8")
    parameters = inspect.signature(respike.from_torch).parameters
    listed = dict(re.findall(r"^\| `(\w+)` \| `\"?([^`\"]+)\"?`", page, re.M))
    assert listed == {name: str(x.default) for name, x in parameters.items() if x.default is not x.empty}
