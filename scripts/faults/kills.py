"""Kill processes at random moments, resume until the work is done, and compare with work that nobody interrupted.

    python scripts/faults/kills.py --kills 200 --data-dir data
    python scripts/faults/kills.py --work convert --ranks 2 --kills 20 --torchrun
    python scripts/faults/kills.py --work evaluate --ranks 3 --kills 5 --by stop

Each row of the table is one command with ``--resume`` on so many ranks. It is begun, one of its processes is killed
(SIGKILL) at a moment drawn from the time that the whole takes, and it is begun again with the same file, until it ends
by itself; then with a new file, until all kills are done. What must hold:

    equal     the result of each run that ended is that of the uninterrupted one in one process: the JSON that is
              printed, and the network, bit for bit
    damaged   files to resume from that could not be read after a kill: none
    left      files in the folder beside the result and the file to resume from, when a run has ended: none
    lost      the longest time, in intervals, from the last writing to the kill: one, and what a batch or a layer takes
    quiet     kills after which other ranks failed and said nothing, or more than one error: none
    end       the longest time, in seconds of patience, that the other ranks took to end

With ``--by stop`` a process is stopped (SIGSTOP) and the others must end, and say so, within twice the patience.
The exit code is 1 if any of that does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from processes import Run

import respike
from respike.convert.identity import digest_of_network
from respike.resume_file import FORMAT
from respike.sealed_file import SealError, read_sealed
from respike.text import table

WORKS = {
    "evaluate": ["evaluate", "../net.respike", "--ann", "mnist_cnn", "--data", "mnist", "--part", "1/5"],
    "convert": ["convert", "fashion_resnet", "--samples", "128", "-T", "4", "-o", "made.respike"],
    "finetune": ["finetune", "mnist_mlp", "--steps", "300", "-T", "2", "-o", "made.respike"],
}
"""What runs, in a folder of its own below that of the network ``net.respike``."""
FILE = "resume"
KEPT = {FILE, "made.respike", "out", "err"}
"""What may lie in the folder in the end."""
LONGEST = 600.0
"""Seconds that a whole run may take."""
GRACE = 5.0
"""Seconds beside patience until all processes have ended."""
PIECE = 0.3
"""Share of the whole time that the longest piece of work between two looks at the clock takes: a batch, a layer."""


@dataclass
class Row:
    """What was found of one command on so many ranks."""

    work: str
    ranks: int
    seconds: float
    found: Counter[str] = field(default_factory=Counter)
    lost: float = 0.0
    end: float = 0.0
    notes: list[str] = field(default_factory=list)

    def bad(self, what: str, note: str) -> None:
        """Count what must not be."""
        self.found[what] += 1
        self.notes.append(f"{self.work} on {self.ranks}: {what}: {note}")


class Harness:
    """Kills and compares.

    Args:
        options: Of the command line.
        folder: For everything that is written.
    """

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.draw = random.Random(options.seed)
        self.settings = {"RESPIKE_INTERVAL": str(options.interval), "RESPIKE_PATIENCE": str(options.patience)}

    def begun(self, work: str, ranks: int, folder: Path, resume: bool = True) -> Run:
        """A run of a command."""
        folder.mkdir(exist_ok=True)
        data = [] if self.options.data_dir is None else ["--data-dir", str(self.options.data_dir.resolve())]
        resumed = ["--resume", FILE] if resume else []
        return Run([*WORKS[work], *data, "--json", *resumed], ranks, folder, self.settings, self.options.torchrun)

    def whole(self, work: str, ranks: int, resume: bool = True) -> tuple[Any, float]:
        """What a run that nobody interrupts gives, and its seconds."""
        folder = self.folder / f"{work}-{ranks}-whole"
        since = time.monotonic()
        run = self.begun(work, ranks, folder, resume)
        if not run.wait(LONGEST) or any(run.codes()):
            run.end()
            raise SystemExit(f"{work} on {ranks} ranks failed without any kill:\n{run.text('err')}")
        return result(run), time.monotonic() - since

    def row(self, work: str, ranks: int, kills: int, wanted: Any) -> Row:
        """Kill, resume and compare."""
        found, seconds = self.whole(work, ranks)
        row = Row(work, ranks, seconds)
        if found != wanted:
            row.bad("unequal", "even without a kill")
        while row.found["kills"] < kills:
            folder = self.folder / f"{work}-{ranks}"
            shutil.rmtree(folder, ignore_errors=True)
            self.until_done(row, folder, kills, wanted)
        return row

    def until_done(self, row: Row, folder: Path, kills: int, wanted: Any) -> None:
        """One result, through as many kills as it takes."""
        done = -1
        while True:
            run = self.begun(row.work, row.ranks, folder)
            if row.found["kills"] < kills:
                moment = self.draw.uniform(0.1, 1.0) * row.seconds
                if not run.wait(moment) and self.kill(row, run):
                    done = self.judged_file(row, folder / FILE, done)
                    continue
            if not run.wait(LONGEST):
                row.bad("hung", run.text("err"))
                run.end()
                return
            if any(run.codes()):
                row.bad("failed", run.text("err"))
                return
            row.found["results"] += 1
            if result(run) == wanted:
                row.found["equal"] += 1
            else:
                row.bad("unequal", f"after {row.found['kills']} kills")
            left = set(os.listdir(folder)) - KEPT
            if left:
                row.bad("left", ", ".join(sorted(left)))
            return

    def kill(self, row: Row, run: Run) -> bool:
        """End one process of a run, and see how the others end; False: it had ended by itself."""
        rank = self.draw.randrange(row.ranks)
        stopped = self.options.by == "stop"
        if not run.kill(rank, signal.SIGSTOP if stopped else signal.SIGKILL):
            return False
        row.found["kills"] += 1
        since = time.monotonic()
        written = run.folder / FILE
        if written.exists() and not run.text("out") and written.stat().st_mtime > run.since:
            row.lost = max(row.lost, time.time() - written.stat().st_mtime)
        ended = run.wait(self.options.patience * (2 if stopped else 1) + GRACE, but=rank if stopped else None)
        row.end = max(row.end, time.monotonic() - since)
        if stopped:
            run.kill(rank)
        if not ended:
            row.bad("hung", f"rank {rank} was killed: {run.text('err')}")
        run.end()
        errors = run.text("err").count("Error: ")
        failed = any(code is not None and code > 0 for code in run.codes())
        if errors != failed:
            row.bad("quiet", f"{errors} errors after the kill of rank {rank}: {run.text('err')}")
        return True

    def judged_file(self, row: Row, path: Path, done: int) -> int:
        """How far the file is after a kill; it must be whole, and never less far than before."""
        if not path.exists():
            return done
        try:
            about, _ = read_sealed(path, FORMAT)
        except SealError as error:
            row.bad("damaged", str(error))
            return done
        numbers = about["numbers"] or {}
        # Batches or steps that are done; of a conversion, how many parts have noted something.
        now = next((numbers[name] for name in ("done", "step") if name in numbers), len(numbers))
        if now < done:
            row.bad("fell back", f"from {done} to {now}")
        row.found["resumed"] += now > max(done, 0)
        return int(now)


def result(run: Run) -> tuple[Any, str]:
    """What was printed, and a digest of the network that was written."""
    made = run.folder / "made.respike"
    return json.loads(run.text("out")), digest_of_network(respike.load(made)) if made.exists() else ""


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", nargs="+", choices=WORKS, default=["evaluate", "convert"], help="which commands")
    parser.add_argument("--ranks", nargs="+", type=int, default=[1, 2, 3], help="on how many processes each")
    parser.add_argument("--kills", type=int, default=200, help="in all, shared out over the rows")
    parser.add_argument("--by", choices=["kill", "stop"], default="kill", help="end processes, or let them hang")
    parser.add_argument(
        "--torchrun", action="store_true", help="start the ranks by torch.distributed.run, which is slow"
    )
    parser.add_argument("--interval", type=float, default=0.5, help="seconds from one writing to the next")
    parser.add_argument("--patience", type=float, default=20.0, help="seconds that ranks wait for each other")
    parser.add_argument("--data-dir", type=Path, help="torchvision's data sets; by default what respike comes with")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and processes")
    options = parser.parse_args()
    cases = [(work, ranks) for work in options.work for ranks in options.ranks]
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, calibration = respike.models.load("mnist_cnn"), respike.models.datasets.calibration()
        respike.from_torch(model, calibration, timesteps=8).save(folder / "net.respike")
        harness = Harness(options, folder)
        wanted: dict[str, Any] = {}
        for k, (work, ranks) in enumerate(cases):
            if work not in wanted:
                wanted[work] = harness.whole(work, 1, resume=False)[0]
            kills = options.kills // len(cases) + (k < options.kills % len(cases))
            rows.append(harness.row(work, ranks, kills, wanted[work]))
            print(told(rows[-1:], options), flush=True)
    late = [row for row in rows if row.lost > options.interval + PIECE * row.seconds]
    for row in late:
        row.bad("lost", f"{row.lost:.1f} seconds of work with an interval of {options.interval:g}")
    print(told(rows, options))
    notes = [note for row in rows for note in row.notes]
    print("\n".join(notes))
    kills, results, equal = (sum(row.found[name] for row in rows) for name in ("kills", "results", "equal"))
    print(f"{kills} kills, {results} results, {equal} of them equal; {len(notes)} things that must not be")
    sys.exit(bool(notes))


def told(rows: list[Row], options: argparse.Namespace) -> str:
    """A table of the rows."""
    names = ("kills", "resumed", "results", "equal", "damaged", "left", "hung", "failed", "quiet", "fell back")
    found = [["work", "ranks", *names, "lost", "end"]]
    for row in rows:
        last = [f"{row.lost / options.interval:.1f}", f"{row.end / options.patience:.2f}"]
        found.append([row.work, str(row.ranks), *(str(row.found[name]) for name in names), *last])
    return "\n".join(table(found, "<>"))


if __name__ == "__main__":
    main()
