"""Valid files, broken at random: whatever is left of them loads and runs, or is refused, and nothing else.

A mutant depends on nothing but its seed and the seeds' order, so a failure names all that is needed to see it again.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
from fuzz_mutants import NUMBERS, Mutation, mutant
from fuzz_seeds import external, seeds
from hostile_sandbox import Sandbox
from onnx import ModelProto

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limits are those of Linux")

BATCH = 25  # files for one child: a fork costs as much as a few of them


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    made = Sandbox(tmp_path_factory.mktemp("sandbox"))
    yield made
    made.close()


def survive(sandbox: Sandbox, folder: Path, mutants: Iterator[Mutation]) -> Counter[str]:
    """How many loaded and how many were refused; fails with every mutant that did anything else."""
    told = list(mutants)
    paths = [folder / f"{i}.onnx" for i in range(len(told))]
    for path, (_, data) in zip(paths, told, strict=True):
        path.write_bytes(data)
    found = [answer for i in range(0, len(paths), BATCH) for answer in sandbox(paths[i : i + BATCH], "run")]
    wrong = [
        f"{path}: {what}\n    {answer['outcome']} at {answer['stage'] or '?'}: {answer['message'][-700:]}"
        for path, (what, _), answer in zip(paths, told, found, strict=True)
        if answer["outcome"] not in ("loaded", "refused")
    ]
    assert not wrong, f"{len(wrong)} of {len(told)}:\n" + "\n".join(wrong[:20])
    return Counter(answer["outcome"] for answer in found)


@pytest.mark.slow
def test_the_seeds_themselves_load_and_run(sandbox: Sandbox, tmp_path: Path) -> None:
    paths = [external(tmp_path)]
    for name, data in seeds().items():
        paths.append(tmp_path / f"{name}.onnx")
        paths[-1].write_bytes(data)
    for path, answer in zip(paths, sandbox(paths, "run"), strict=True):
        assert answer["outcome"] == "loaded" and answer["stage"] == "run", (path.stem, answer)


def chunk(sandbox: Sandbox, folder: Path, seed: str, size: int) -> None:
    found = survive(sandbox, folder, (mutant(f"{seed}:{i}") for i in range(size)))
    # neither a reader that refuses everything, nor one that looks at nothing
    assert found["loaded"] > size // 20 and found["refused"] > size // 4, found


@pytest.mark.parametrize("seed", range(2))
def test_mutants_load_or_are_refused(seed: int, sandbox: Sandbox, tmp_path: Path) -> None:
    chunk(sandbox, tmp_path, f"quick {seed}", 100)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(int(os.environ.get("RESPIKE_FUZZ", "1"))))  # 8 for 10,000 mutants
def test_many_more_mutants_load_or_are_refused(seed: int, sandbox: Sandbox, tmp_path: Path) -> None:
    chunk(sandbox, tmp_path, f"slow {seed}", 1250)


@pytest.mark.slow
def test_weights_in_a_broken_file_beside_it(sandbox: Sandbox, tmp_path: Path) -> None:
    def mutants() -> Iterator[Mutation]:
        proto = onnx.load(external(tmp_path), load_external_data=False)
        for i in range(100):
            copy = ModelProto.FromString(proto.SerializeToString())
            r = random.Random(f"external {i}")
            entry = r.choice(r.choice(copy.graph.initializer).external_data)
            entry.value = r.choice(
                [*map(str, NUMBERS), entry.value + "0", "", "..", "w.bin/", "0.onnx", "./w.bin", "1e9", " 4"]
            )
            yield f"{entry.key} = {entry.value!r}", copy.SerializeToString()

    survive(sandbox, tmp_path, mutants())
    data = tmp_path / "w.bin"
    for size in (0, 1, 95, 159, 160, 100_000):
        shutil.copy(data, tmp_path / "kept.bin")
        with data.open("r+b") as file:
            file.truncate(size)
        survive(sandbox, tmp_path, iter([(f"w.bin of {size} bytes", (tmp_path / "external.onnx").read_bytes())]))
        shutil.move(tmp_path / "kept.bin", data)
