"""The recipes of docs/interop.md give respike's spikes in other simulators, where these are installed."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("nir", reason="NIR files need respike[nir]")

SCRIPTS = Path(__file__).parents[2] / "scripts" / "interop"
READERS = ["sinabs", "spikingjelly", "snntorch"]


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))


@pytest.mark.parametrize("name", READERS)
def test_each_reader_has_a_recipe(name: str) -> None:
    from recipes import READERS as KNOWN

    assert list(KNOWN) == READERS
    code = compile(KNOWN[name].recipe, name, "exec")
    assert {"load", "outputs"} <= set(code.co_names)
    assert f"{KNOWN[name].module}==" in KNOWN[name].packages[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_spikes_are_the_same(name: str, tmp_path: Path) -> None:
    if find_spec(name) is None or find_spec("nirtorch") is None:
        pytest.skip(f"{name} or nirtorch is not installed; scripts/interop/compare.py makes environments for them")
    import compare
    from recipes import READERS as KNOWN

    for network in compare.NETWORKS:
        compare.write(tmp_path, network, 4)
    found = compare.run(sys.executable, KNOWN[name], tmp_path, compare.NETWORKS)
    assert [found[network].get("different", found[network]) for network in compare.NETWORKS] == [0, 0, 0]
    assert all(found[network]["output error"] < 1e-5 for network in compare.NETWORKS)


@pytest.mark.slow
def test_the_file_of_the_tutorial_runs_in_sinabs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page runs from top to bottom, and then its lines for Sinabs behind those of the page on NIR."""
    if find_spec("sinabs") is None or find_spec("nirtorch") is None:
        pytest.skip("sinabs or nirtorch is not installed; pip install 'respike[peers]' brings them")
    monkeypatch.syspath_prepend(str(SCRIPTS.parent))
    import pages
    from recipes import READERS as KNOWN

    monkeypatch.chdir(tmp_path)
    page = SCRIPTS.parents[1] / "docs" / "tutorials" / "few-steps-and-out.md"
    names = pages.run(page)
    capsys.readouterr()
    exec(KNOWN["sinabs"].recipe, names)
    exec(page.read_text(encoding="utf-8").split("```py\n")[1].split("```")[0], names)
    assert capsys.readouterr().out == "True\n"
