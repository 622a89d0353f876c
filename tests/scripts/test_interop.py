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
