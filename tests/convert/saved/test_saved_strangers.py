"""Nothing in a file from a stranger is run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

import respike
from respike.convert import FormatError


class Runs:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("touched"),))


def test_a_pickle_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(Runs(), tmp_path / "net.respike")
    with pytest.raises(FormatError, match="not a safetensors"):
        respike.load(tmp_path / "net.respike")
    assert not Path("touched").exists()


def test_no_operation_of_the_table_writes_draws_or_reads_by_address() -> None:
    from respike.convert.saved.allowed_operations import operations

    names = operations()
    assert len(names) > 300
    for name in names:
        if name.startswith("aten."):
            packet, overload = name.removeprefix("aten.").split(".")
            found = getattr(getattr(torch.ops.aten, packet, None), overload, None)
            assert found is None or not found._schema.is_mutable, name
    assert not re.search(r"rand|dropout|bernoulli|strided|from_file|_pin_memory", " ".join(names))
    assert {name for name in names if "." in name and not name.startswith("aten.")} == {
        "respike.relu",
        *(f"operator.{name}" for name in "getitem add sub mul floordiv truediv mod neg".split()),
    }
