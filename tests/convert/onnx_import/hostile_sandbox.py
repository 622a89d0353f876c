"""Reads files in children under limits of time and memory: whatever becomes of a child, its parent has an answer.

The client is ``Sandbox``. The server, this file run as a program, imports respike once and forks for each batch of
files: a fork is a hundred times cheaper than an import, and a crash, an endless loop or an exhausted memory takes no
more than one child with it.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import onnx
import torch

import respike
from respike.convert.errors import ConversionWarning

SECONDS = 5  # of the processor, so that a busy machine is no reason to fail
WAITING = 60  # of the clock, for what waits for something that never comes
BYTES = 1 << 30
LARGEST_SAMPLE = 1_000_000
DTYPES = {1: torch.float32, 6: torch.int32, 7: torch.int64, 9: torch.bool, 10: torch.float16, 11: torch.float64}


class Sandbox:
    """Reads files elsewhere, in an empty folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = os.pathsep.join([str(Path(respike.__file__).parents[1]), *filter(None, [os.getenv("PYTHONPATH")])])
        self.server = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path},
        )

    def __call__(self, paths: Sequence[Path], then: str = "load") -> list[dict[str, Any]]:
        """What became of each file: ``outcome``, ``message``, ``seconds`` and ``mib`` above where the child began.

        ``outcome`` is "loaded", "refused" (with a ConversionError), "raised" (with anything else, the message is the
        traceback) or "killed" by a signal. With ``then`` as "run" a model that loads runs on one sample too, with
        "convert" it becomes a spiking network besides; ``stage`` says how far it came.
        """
        assert self.server.stdin is not None and self.server.stdout is not None
        print(json.dumps([then, *map(str, paths)]), file=self.server.stdin, flush=True)
        answer = self.server.stdout.readline()
        assert answer, "the sandbox itself has died"
        found: list[dict[str, Any]] = json.loads(answer)
        return found

    def close(self) -> None:
        assert self.server.stdin is not None and self.server.stdout is not None
        self.server.kill()
        self.server.stdin.close()
        self.server.stdout.close()
        self.server.wait()


def status(key: str) -> int:
    """A size of this process in bytes."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{key}:"))
    return 1024 * int(line.split()[1])


def samples(path: str) -> list[torch.Tensor] | None:
    """One sample as the file declares it, or None if it does not say, or says too much."""
    graph = onnx.load(path, load_external_data=False).graph
    weights = {tensor.name for tensor in graph.initializer}
    found = []
    for tensor in (given.type.tensor_type for given in graph.input if given.name not in weights):
        dims = tensor.shape.dim  # one without a number is the batch, or a side of the image
        sizes = [d.dim_value if d.HasField("dim_value") else (2, 3, 8)[min(i, 2)] for i, d in enumerate(dims)]
        dtype = DTYPES.get(tensor.elem_type)
        if not tensor.HasField("shape") or dtype is None or min(sizes, default=1) < 0 or len(sizes) > 9:
            return None
        if math.prod(size for size in sizes if size) > LARGEST_SAMPLE:
            return None
        found.append(torch.linspace(-1, 1, math.prod(sizes)).reshape(sizes).to(dtype))
    return found


def attempt(path: str, then: str) -> dict[str, Any]:
    stage, message, y = "load", "", None
    try:
        module = respike.convert.load_onnx(path)
        x = samples(path) if then != "load" else None
        if x is not None:
            stage = "run"
            with torch.no_grad():
                y = module(*x)
        if x is not None and then == "convert":
            stage = "convert"
            assert str(module) and module.state_dict() is not None
            respike.from_torch(module, torch.rand(8, *x[0].shape[1:]), 2)(*x)
        outcome = "loaded"
    except respike.ConversionError as error:
        outcome, message = "refused", str(error)
    except BaseException:
        outcome, message = "raised", traceback.format_exc()[-3000:]
    rows = y.tolist() if isinstance(y, torch.Tensor) and y.numel() < 1000 else None
    return {"outcome": outcome, "message": message, "stage": stage, "y": rows}


def child(paths: Sequence[str], then: str, answers: int) -> None:
    """Answers one line for each file, for as long as it lives."""
    import resource  # Windows has none: there the tests are skipped, but this file is imported

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (status("VmSize") + BYTES,) * 2)
    warnings.simplefilter("error")  # as pytest has it: nobody wants to read numpy's thoughts on a hostile file
    warnings.simplefilter("ignore", ConversionWarning)
    begin = status("VmRSS")
    for path in paths:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # both kill
        signal.setitimer(signal.ITIMER_REAL, WAITING)
        used = resource.getrusage(resource.RUSAGE_SELF)
        found = attempt(path, then)
        now = resource.getrusage(resource.RUSAGE_SELF)
        found["seconds"] = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
        found["mib"] = max(0, status("VmHWM") - begin) >> 20
        os.write(answers, json.dumps(found).encode() + b"\n")


def fork(paths: Sequence[str], then: str) -> Iterator[dict[str, Any]]:
    """The answers of one child; the last is the death of it, if it did not come to its end."""
    end, answers = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(end)
            child(paths, then, answers)
        finally:
            os._exit(0)
    os.close(answers)
    answered = 0
    with os.fdopen(end) as lines:
        for line in lines:
            answered += 1
            yield json.loads(line)
    how = os.waitpid(pid, 0)[1]
    if answered < len(paths):
        name = signal.Signals(how).name if how else "the child ended without an answer"
        yield {"outcome": "killed", "message": name, "stage": "", "y": None, "seconds": SECONDS, "mib": 0}


def serve() -> None:
    torch.set_num_threads(1)  # threads do not survive a fork
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a file makes the importer print, is no answer
    # What is imported when it is first needed shall be here before the first child is measured.
    from hostile_build import mlp, write

    sample = write(mlp(), Path.cwd())
    attempt(str(sample), "convert")
    sample.unlink()
    for line in sys.stdin:
        then, *paths = json.loads(line)
        found: list[dict[str, Any]] = []
        while len(found) < len(paths):
            found.extend(fork(paths[len(found) :], then))
        print(json.dumps(found), file=answers, flush=True)


if __name__ == "__main__":
    serve()
