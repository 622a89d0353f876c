"""ONNX files as people have them, held against onnxruntime: one row for each file.

    python scripts/import_corpus.py
    python scripts/import_corpus.py --only flatten positions
    python scripts/import_corpus.py --files DIR --no-write

PyTorch's two exporters write the modules of ``corpus_modules.py`` with a fixed batch of 1, of 3, and an open one; Keras
(tf2onnx) and scikit-learn (skl2onnx) write the networks of ``corpus_keras.py`` and ``corpus_sklearn.py`` in
``tests/convert/onnx_import/fixtures``. Writers that are not installed are left out: run those two in an environment of
their own, ``python corpus_keras.py DIR``, and give the folder as ``--files``. Beside each file lies a ``.npz`` with
samples, one array for each input; ``y`` is not looked at.

Each file is read by ``load_onnx`` and run on the batch that it declares, and on all samples, which are another number;
onnxruntime runs it at the same sizes, in pieces of the declared one where that is fixed. A file is then

    equal     to within 1e-5 of the largest output, at both sizes
    declared  equal at the batch it declares; any other is refused (it mixes samples, say)
    refused   by an error that names the node, or the output with the one to take instead, which is then tried
    wrong     anything else; the exit code is 1
    not run   onnxruntime itself does not run it, so there is nothing to compare with

Needs ``pip install 'respike[verify]' onnxscript``.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import logging
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from corpus_modules import NETWORKS
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from respike.convert import ConversionError, load_onnx, verify_onnx
from respike.convert.onnx_import.choose_outputs import suggested
from respike.convert.onnx_import.node_order import label

BAR = 1e-5
EXPORTERS = ("dynamo", "legacy")
BATCHES = (1, 3, None)
FIXTURES = Path(__file__).parents[1] / "tests" / "convert" / "onnx_import" / "fixtures"
OTHERS = {"keras": "tf2onnx", "sklearn": "skl2onnx"}
"""Writers that are scripts of their own, with the package that each needs."""


@dataclass
class Verdict:
    """What became of a file: one of the kinds above, the larger of the two differences, and why."""

    kind: str
    difference: float | None = None
    why: str = ""


def export(model: nn.Module, x: Tensor, exporter: str, batch: int | None, path: Path) -> None:
    """Writes the module by one of PyTorch's exporters, for so many samples or for any."""
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # what the exporters say of themselves
        if exporter == "dynamo":
            shapes = None if batch else (({0: torch.export.Dim("batch", min=1, max=4096)},),)
            torch.onnx.export(model, (x[: batch or 2],), path, dynamo=True, verbose=False, dynamic_shapes=shapes)
        else:
            axes = None if batch else {"x": {0: "batch"}}
            torch.onnx.export(model, (x[: batch or 2],), path, dynamo=False, input_names=["x"], dynamic_axes=axes)


def written(names: Sequence[str]) -> Iterator[Path | str]:
    """The files that PyTorch writes, each there until the last is asked for; or why it does not write one."""
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            entry = NETWORKS[name]
            model, x = entry.build()
            for exporter in EXPORTERS:
                for batch in (1,) if entry.alone else BATCHES:
                    path = Path(folder) / f"{name}, {exporter}, batch {batch or 'open'}.onnx"
                    try:
                        export(model, x, exporter, batch, path)
                    except Exception as error:  # an exporter's refusal is no file
                        yield f"{path.stem}: not written: {type(error).__name__}: {str(error).strip()[:100]}"
                        continue
                    np.savez(path.with_suffix(".npz"), x=x.numpy())
                    yield path


def judged(path: Path) -> Verdict:
    """Holds one file against onnxruntime."""
    samples = samples_of(path)
    try:
        return compared(path, samples, None)
    except ConversionError as error:
        why = str(error)
        if not runs(path, samples):
            return Verdict("not run", None, why)
        graph = onnx.load(path, load_external_data=False).graph
        instead = suggested(graph)
        named = [*(o.name for o in graph.output), *(label(node, i) for i, node in enumerate(graph.node))]
        if not any(repr(name) in why or f"{name} (" in why for name in named if name):
            return Verdict("wrong", None, f"refused without the name of a node: {why}")
        offered = f"outputs={instead}"
        if not instead or instead == [o.name for o in graph.output]:
            return Verdict("refused", None, why)
    try:
        verdict = compared(path, samples, instead)
    except ConversionError as error:
        return Verdict("wrong", None, f"its advice, {offered}, is refused: {error}")
    verdict.why = f"with {offered}"
    return verdict


def samples_of(path: Path) -> tuple[Tensor, ...]:
    """Those that lie beside the file."""
    with np.load(path.with_suffix(".npz")) as arrays:
        return tuple(torch.from_numpy(arrays[name]) for name in arrays.files if name != "y")


def compared(path: Path, samples: Sequence[Tensor], outputs: list[str] | None) -> Verdict:
    """The file against onnxruntime at two batch sizes.

    Raises:
        ConversionError: the file is refused.
    """
    net = load_onnx(path, outputs=outputs)
    declared = next((spec.shape[0] for spec in net.inputs if spec.shape), None) or 1
    try:
        found = [verify_onnx(net, path, [x[:declared] for x in samples])]
        if net.batch is None:
            found.append(verify_onnx(net, path, samples))
    except ConversionError as error:
        return Verdict("wrong", None, str(error))
    if not max(found) < BAR:
        return Verdict("wrong", max(found), "above the bar")
    if net.batch is None:
        return Verdict("equal", max(found))
    try:
        net(*samples)
    except ConversionError as error:
        return Verdict("declared", max(found), str(error))
    return Verdict("wrong", None, f"runs {len(samples[0])} samples, and says that it takes {net.batch}")


def runs(path: Path, samples: Sequence[Tensor]) -> bool:
    """Whether onnxruntime runs the file on the batch that it declares."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        count = session.get_inputs()[0].shape[0]
        some = [x[:count] if isinstance(count, int) else x for x in samples]
        session.run(None, {i.name: x.numpy() for i, x in zip(session.get_inputs(), some, strict=True)})
    except Exception:  # onnxruntime's own exceptions have no common base
        return False
    return True


def others(folder: Path, console: Console) -> None:
    """Has Keras and scikit-learn write their files, where they are installed."""
    for writer, package in OTHERS.items():
        script = FIXTURES / f"corpus_{writer}.py"
        if importlib.util.find_spec(package) is None:
            console.print(
                f"left out: the files of {writer}, as {package} is not installed. Where it is: "
                f"python {script.relative_to(FIXTURES.parents[3])} DIR, and here --files DIR",
                soft_wrap=True,
            )
            continue
        subprocess.run([sys.executable, script, folder], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=NETWORKS, metavar="NAME", help="modules of corpus_modules.py")
    parser.add_argument("--files", nargs="*", type=Path, default=[], metavar="DIR", help="folders of files to read too")
    parser.add_argument("--no-write", action="store_true", help="read those folders and write nothing")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    console, table = Console(width=130), Table("file", "verdict", "difference", "why", title="not simply equal")
    verdicts: list[Verdict] = []
    for folder in args.files:
        if not any(folder.glob("*.onnx")):
            parser.error(f"there is no .onnx file in {folder}")
        for path in folder.glob("*.onnx"):
            if not path.with_suffix(".npz").exists():
                parser.error(f"there are no samples beside {path}: an .npz of the same name, an array for each input")

    def judge(path: Path) -> None:
        try:
            verdict = judged(path)
        except Exception as error:  # whatever happens is a row of the table
            verdict = Verdict("wrong", None, f"{type(error).__name__}: {error}")
        difference = "" if verdict.difference is None else f"{verdict.difference:.0e}"
        row = (path.stem, verdict.kind, difference, " ".join(verdict.why.split()))
        console.print(" | ".join(row), style="dim", markup=False, highlight=False, soft_wrap=True)
        if verdict.kind != "equal":
            table.add_row(*(cell.replace("[", r"\[") for cell in row))
        verdicts.append(verdict)

    for item in [] if args.no_write else written(args.only or list(NETWORKS)):
        if isinstance(item, Path):
            judge(item)
        else:
            console.print(item, style="dim", markup=False, highlight=False, soft_wrap=True)
    with tempfile.TemporaryDirectory() as scratch:
        if not args.no_write and not args.only:
            others(Path(scratch), console)
        for folder in (*args.files, Path(scratch)):
            for path in sorted(folder.glob("*.onnx")):
                judge(path)
    counts = Counter(verdict.kind for verdict in verdicts)
    console.print(table)
    kinds = ("equal", "declared", "refused", "not run", "wrong")
    console.print(f"{len(verdicts)} files: " + ", ".join(f"{counts[kind]} {kind}" for kind in kinds))
    if counts["wrong"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
