"""Files that work goes on from: what is read is what was written, or it is refused with the reason."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, safe_open, save_file
from samples import slow
from torch import Tensor

from respike.files import WriteError
from respike.resume_file import Chain, ResumeError, ResumeFile, digest

BOUND: dict[str, Any] = {
    "network": digest(1),
    "data": digest(2),
    "batch_size": 100,
    "window": (1, 2),
    "labels": digest(3),
}
NUMBERS: dict[str, Any] = {"done": 3, "sums": [0.1, float("inf"), 2**70], "name": "ü"}


def tensors() -> dict[str, Tensor]:
    torch.manual_seed(0)
    counts = torch.arange(5, dtype=torch.float64)
    return {"counts": counts, "rows": torch.rand(2, 3).t(), "none": torch.zeros(0, 2), "bf": torch.rand(3).bfloat16()}


def written(path: Path, **options: Any) -> None:
    with ResumeFile(path, "evaluation", BOUND) as file:
        assert file.read() is None
        file.write(NUMBERS, tensors(), **options)


@pytest.mark.parametrize("finished", [False, True])
def test_what_is_read_is_what_was_written(tmp_path: Path, finished: bool) -> None:
    written(tmp_path / "a", finished=finished)
    found = ResumeFile(tmp_path / "a", "evaluation", dict(reversed(BOUND.items()))).read()
    assert found is not None
    assert found[0] == NUMBERS
    assert found[1].keys() == tensors().keys()
    for name, tensor in tensors().items():
        assert torch.equal(found[1][name], tensor)
        assert found[1][name].dtype == tensor.dtype
    assert os.listdir(tmp_path) == ["a"]


def test_work_that_ended_before_anything_was_written_leaves_nothing(tmp_path: Path) -> None:
    with ResumeFile(tmp_path / "a", "evaluation", BOUND) as file:
        assert file.read() is None
        assert (tmp_path / "a").exists()  # so that a full disk is found before the work begins
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"network": digest(9)}, "it belongs to another network"),
        ({"data": digest(9)}, "it belongs to other data"),
        ({"labels": digest(9)}, "it was made with other labels"),
        ({"batch_size": 50}, "it was made with batch_size=100, and this has batch_size=50"),
        ({"batch_size": 100.0}, r"it was made with batch_size=100, and this has batch_size=100\.0"),
        ({"window": None}, r"it was made with window=\[1, 2\], and this has window=None"),
        ({"seed": 1}, "it was made with seed=None, and this has seed=1"),
        ({"respike": "0.0"}, r"it was written with respike .*, and this is respike 0\.0"),
        ({"torch": "0.0"}, r"it was written with torch .*, and this is torch 0\.0"),
    ],
)
def test_each_difference_has_its_own_message(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    path = tmp_path / "a"
    written(path)
    before = path.read_bytes()
    with pytest.raises(ResumeError, match=f"^cannot go on from .*: {message}.*; give another name, or remove it to"):
        ResumeFile(path, "evaluation", {**BOUND, **changed}).read()
    assert path.read_bytes() == before


def test_less_than_the_file_says_and_another_kind_are_refused(tmp_path: Path) -> None:
    written(tmp_path / "a")
    with pytest.raises(ResumeError, match="batch_size=100, and this has batch_size=None"):
        ResumeFile(tmp_path / "a", "evaluation", {k: v for k, v in BOUND.items() if k != "batch_size"}).read()
    with pytest.raises(ResumeError, match="it is a resume file of kind evaluation, and this is conversion"):
        ResumeFile(tmp_path / "a", "conversion", BOUND).read()


def mutations(whole: bytes, count: int, seed: int) -> Any:
    """Files with a bit flipped, the end cut off, bytes put in, or a header that was edited, with its new length."""
    draw = random.Random(seed)
    header = 8 + int.from_bytes(whole[:8], "little")
    for k in range(count):
        where = header if k % 2 else len(whole)  # half of them in the header, which is what is parsed
        place = draw.randrange(where)
        kind = draw.choice(["flip", "cut", "insert", "json"])
        if kind == "flip":
            yield whole[:place] + bytes([whole[place] ^ 1 << draw.randrange(8)]) + whole[place + 1 :]
        elif kind == "cut":
            yield whole[:place]
        elif kind == "insert":
            yield whole[:place] + draw.randbytes(draw.randrange(1, 9)) + whole[place:]
        else:
            yield edited(whole, header, draw)


def edited(whole: bytes, header: int, draw: random.Random) -> bytes:
    told = json.loads(whole[8:header])
    metadata, names = told["__metadata__"], [name for name in told if name != "__metadata__"]
    about = json.loads(metadata["about"])
    way = draw.randrange(6)
    if way == 0:
        about["numbers"]["done"] = draw.choice([-1, 4, 1e99, None, [], "3"])
    elif way == 1:
        about[draw.choice(sorted(about))] = draw.choice([None, {}, 7])
    elif way == 2:
        metadata[draw.choice(sorted(metadata))] = draw.choice(["", "{}", "[" * 9999, "9" * 9999])
    elif way == 3:
        one, other = draw.sample(names, 2)
        told[one], told[other] = told[other], told[one]
    elif way == 4:
        told[draw.choice(names)][draw.choice(["dtype", "shape", "data_offsets"])] = draw.choice(
            ["F64", [5], [0, 8], 2**70]
        )
    else:
        told[f"more{draw.randrange(9)}"] = told.pop(draw.choice(names))
    if way < 2:
        metadata["about"] = json.dumps(about, sort_keys=True)
    text = json.dumps(told).encode()
    return len(text).to_bytes(8, "little") + text + whole[header:]


@pytest.mark.parametrize(("count", "seed"), [(150, 0), slow((1000, 1))])
def test_no_changed_file_is_used(tmp_path: Path, count: int, seed: int) -> None:
    path = tmp_path / "a"
    written(path, finished=True)
    whole, used, named = path.read_bytes(), 0, 0
    for broken in mutations(whole, count, seed):
        path.write_bytes(broken)
        try:
            found = ResumeFile(path, "evaluation", BOUND).read()
        except ResumeError as error:
            named += str(path) in str(error) and "give another name" in str(error)
            continue
        # Then it says the same: a space in the header, say.
        assert found is not None
        assert (found[0], digest(found[1])) == (NUMBERS, digest(tensors()))
        used += 1
    assert used < count / 20
    assert named == count - used


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a"
    save_file({"x": torch.zeros(2)}, path)
    with pytest.raises(ResumeError, match="it is not a file of the format 'respike resume 1'"):
        ResumeFile(path, "evaluation", BOUND).read()
    written(tmp_path / "b")
    with safe_open(tmp_path / "b", "pt") as file:
        metadata = file.metadata()
    save_file(load_file(tmp_path / "b"), path, {**metadata, "format": "respike resume 999"})
    with pytest.raises(ResumeError, match="it is not a file of the format 'respike resume 1'"):
        ResumeFile(path, "evaluation", BOUND).read()


def test_places_that_cannot_be_written_are_found_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="it is a folder, not a regular file"):
        ResumeFile(tmp_path, "evaluation", BOUND)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        ResumeFile(tmp_path / "missing" / "a", "evaluation", BOUND)
    if os.geteuid():
        tmp_path.chmod(0o500)
        with pytest.raises(WriteError, match="no permission to write in its folder"):
            ResumeFile(tmp_path / "a", "evaluation", BOUND)


def full(path: str, size: int) -> None:
    """In a process that may write few bytes: as on a disk that is full."""
    import resource
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with ResumeFile(path, "evaluation", BOUND) as file:
        file.read()
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        with pytest.raises(WriteError, match=r"cannot write .*; the file that was there is unchanged"):
            file.write(NUMBERS, {"more": torch.zeros(100_000)})


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limit")
def test_a_full_disk_loses_nothing_that_was_written(tmp_path: Path) -> None:
    path = tmp_path / "a"
    written(path)
    process = multiprocessing.get_context("forkserver").Process(target=full, args=(str(path), 20_000))
    process.start()
    process.join()
    assert process.exitcode == 0
    found = ResumeFile(path, "evaluation", BOUND).read()
    assert found is not None
    assert found[0] == NUMBERS
    assert os.listdir(tmp_path) == ["a"]


HOLDS = """
import sys, respike.resume_file
file = respike.resume_file.ResumeFile(sys.argv[1], "evaluation", {"batch_size": 1})
file.read()
file.write({"done": 1}, {})
print(flush=True)
sys.stdin.read()
"""


def test_two_runs_cannot_use_one_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a"
    other = subprocess.Popen([sys.executable, "-c", HOLDS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdout is not None
    other.stdout.readline()
    file = ResumeFile(path, "evaluation", {"batch_size": 1})
    try:
        with pytest.raises(
            ResumeError, match=f"in use by process {other.pid} on this machine; wait until it has ended"
        ):
            file.read()
    finally:
        other.kill()
        other.communicate()
    assert file.read() == ({"done": 1}, {})  # as a process that is no more has no use for it


def test_one_that_begins_later_stops_the_first(tmp_path: Path) -> None:
    """As where the two are on different machines, of which neither sees the other's processes."""
    first, later = (ResumeFile(tmp_path / "a", "evaluation", BOUND) for _ in range(2))
    first.read()
    first.write({"done": 1}, {})
    assert later.read() == ({"done": 1}, {})
    with pytest.raises(ResumeError, match="has been taken by another run"):
        first.write({"done": 2}, {})
    first.close()
    later.write({"done": 3}, {})
    later.close()
    assert ResumeFile(tmp_path / "a", "evaluation", BOUND).read() == ({"done": 3}, {})


def test_the_clock_that_is_asked_is_not_the_one_that_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = ResumeFile(tmp_path / "a", "evaluation", BOUND, interval=100)
    now = time.monotonic()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert not file.due()
    monkeypatch.setattr(time, "monotonic", lambda: now + 101)
    assert file.due()
    file.write({}, {})
    assert not file.due()


def test_writing_that_takes_long_is_done_less_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = ResumeFile(tmp_path / "a", "evaluation", BOUND, interval=1)
    clock = iter([0.0, 10.0, 100.0, 211.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    file.write({}, {})
    assert not file.due()
    assert file.due()


@pytest.mark.parametrize("given", ["soon", "-1", "inf", "nan"])
def test_the_interval_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("RESPIKE_INTERVAL", given)
    with pytest.raises(ValueError, match=f"RESPIKE_INTERVAL must be a number of seconds, 0 or more; got '{given}'"):
        ResumeFile(tmp_path / "a", "evaluation", BOUND)
    monkeypatch.setenv("RESPIKE_INTERVAL", "0")
    assert ResumeFile(tmp_path / "a", "evaluation", BOUND).due()


DIFFERENT: list[Any] = [
    *(None, 0, 0.0, -0.0, False, "", "0", b"", b"0x", [], [[]], [0, 0], {}, {"a": 0}, {"b": 0}, float("nan")),
    *(torch.zeros(2), torch.zeros(2, 1), torch.zeros(2).double(), -torch.zeros(2), torch.zeros(0)),
    *(torch.zeros(2).numpy(), torch.zeros(1, 2).numpy(), object()),
]


def test_digests_tell_values_apart() -> None:
    assert len({digest(value) for value in DIFFERENT}) == len(DIFFERENT)
    assert digest(1, 2) != digest([1, 2])
    assert digest(torch.rand(3, 2, generator=torch.Generator().manual_seed(0)).t()) == digest(
        torch.rand(3, 2, generator=torch.Generator().manual_seed(0)).t().contiguous()
    )
    one, other = Chain(), Chain()
    one.add(1, 2)
    other.add(1)
    other.add(2)
    assert one.value != other.value
