"""Types of options: how a value is read, written again, and completed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from ..errors import InputError
from ..files import check_writable
from ..source_names import SourceError, ending, lengths
from ..text import did_you_mean


class Choice(click.Choice):  # type: ignore[type-arg]  # generic in new versions of click only
    """One of a few words; a mistyped one is met with the nearest."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return str(super().convert(value, param, ctx))
        except click.BadParameter as error:
            hint = did_you_mean(str(value), self.choices)
            raise click.BadParameter(error.message.rstrip(".") + hint, ctx, param) from None


class Several(click.ParamType):  # type: ignore[type-arg]
    """Several values in one word on the command line, or as a list in a TOML file.

    Attributes:
        between: What separates them on the command line.
    """

    between = ","

    def spell(self, values: Sequence[Any]) -> str:
        """As they are written on the command line."""
        return self.between.join(map(str, values))


class Steps(Several):
    """Numbers of timesteps, as a sorted list."""

    name = "steps"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        parts = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else [value]
        try:
            steps = [int(str(part)) for part in parts]
        except ValueError:
            self.fail(f"{value!r} is not a list of whole numbers such as 4,8,16", param, ctx)
        if not steps or min(steps) < 1:
            self.fail("timesteps must be 1 or more", param, ctx)
        return sorted(set(steps))


class StepsOrAuto(click.ParamType):  # type: ignore[type-arg]
    """A number of timesteps, or the word ``auto``."""

    name = "steps or auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if value == "auto":
            return "auto"
        try:
            return int(value)
        except ValueError:
            hint = did_you_mean(value, ["auto"])
            self.fail(f"{value!r} is neither a whole number nor auto{hint}", param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return _starting([*(str(2**k) for k in range(7)), "auto"], incomplete)


class Part(click.ParamType):  # type: ignore[type-arg]
    """One of several parts, as ``2/5``: a pair of numbers."""

    name = "part"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", str(value), re.ASCII)
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            self.fail(f"{value!r} is not of the form 2/5, the second of five parts", param, ctx)
        return int(found[1]), int(found[2])


class Lengths(Several):
    """The shape of a sample."""

    name = "lengths"
    between = "x"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        try:
            return lengths(value if isinstance(value, str) else self.spell(value))
        except SourceError as error:
            self.fail(str(error), param, ctx)


class Names(Several):
    """Names with commas between them."""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        names = value.split(",") if isinstance(value, str) else value
        return [name for name in names if name]


class ModelName(click.ParamType):  # type: ignore[type-arg]
    """What stands for a network; see ``sources.find_model``."""

    name = "model"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from ..pretrained import torchvision_models, torchvision_weights
        from ..sources import MODELS

        names = [*MODELS, "torchvision:"]
        if incomplete.startswith("torchvision:"):  # only then, as importing it takes a second
            network, colon, _ = incomplete.removeprefix("torchvision:").partition(":")
            several = [f"{network}:{name}" for name in torchvision_weights(network)] if colon else torchvision_models()
            names = [f"torchvision:{name}" for name in several]
        return [CompletionItem(incomplete, type="file"), *_starting(names, incomplete)]


class DataName(ModelName):
    """What stands for a data set; see ``sources.find_test_data``."""

    name = "data"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from ..sources import DATA, IMAGE_DATA

        names = [*DATA, *IMAGE_DATA] + (["random:"] if param.name == "calibration" else [])
        return [CompletionItem(incomplete, type="file"), *_starting(names, incomplete)]


class Output(click.Path):
    """A file to write. Looked at before the work begins, so that an hour of it is not lost to a mistyped name.

    Args:
        endings: What the file may end in; ``None`` for what matplotlib can write.
        folder: It is a folder for files, which is made if it is not there.
    """

    def __init__(self, endings: Sequence[str] | None = None, *, folder: bool = False) -> None:
        super().__init__(path_type=Path, dir_okay=folder, file_okay=not folder)
        self.endings, self.folder = endings, folder

    def check(self, path: Path) -> None:
        """Whether the file can be written.

        Raises:
            OSError: the folder does not exist, or what is there is no file that may be written.
            ValueError: another ending.
        """
        if self.folder:
            if not path.parent.is_dir():
                raise FileNotFoundError(f"cannot write {path}: the folder {path.parent} does not exist")
            return
        check_writable(path)
        known = self.endings
        if known is None:
            from ..figures.style import endings

            known = endings()
        if ending(path).lstrip(".") not in known:
            raise InputError(f"cannot write {path}: its ending must be one of {', '.join(known)}")


def _starting(names: Sequence[str], start: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(start)]
