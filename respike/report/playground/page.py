"""Put the page together from the files beside this one."""

from __future__ import annotations

from importlib.resources import files
from os import PathLike

from ...files import written_whole
from ..theme import base_style

STYLES = ("page", "drawing")
SCRIPTS = "neurons stimuli models measure draw controls bucket_picture bucket bench curve page".split()
"""In this order: each uses only what stands before it."""


def write_playground(path: str | PathLike[str]) -> None:
    """Write ``playground_page`` to a file.

    Raises:
        OSError: it cannot be written.
    """
    with written_whole(path) as temporary:
        temporary.write_text(playground_page(), encoding="utf-8")


def playground_page() -> str:
    """The playground as one HTML text that needs nothing else: a bucket, a neuron bench and an activation curve.

    ``window.respike`` in the page has ``trace(settings)`` and ``curve(settings)``, which the drawings are made of
    and tests can call; ``page.js`` says what they take and give.
    """
    folder = files(__package__)

    def joined(names: tuple[str, ...] | list[str], ending: str) -> str:
        return "\n".join(folder.joinpath(f"{name}.{ending}").read_text(encoding="utf-8") for name in names)

    page = joined(("page",), "html")
    return page.replace("{{style}}", f"{base_style()}\n{joined(STYLES, 'css')}").replace(
        "{{script}}", joined(SCRIPTS, "js")
    )
