"""Write the figures of pages in docs by running their examples, and check what they print.

python scripts/plot_pages.py docs/neurons.md docs/early-exit.md
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import tempfile
from pathlib import Path

import pages

DOCS = Path(__file__).parents[1] / "docs"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("pages", nargs="+", type=Path, help="pages to run")
    parser.add_argument("-o", "--output", type=Path, default=DOCS / "figures", help="folder for the figures")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    folder = options.output.resolve()
    for page in options.pages:
        path = page.resolve()
        with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
            pages.run(path)
            for figure in Path(scratch).glob("*.png"):
                shutil.copy(figure, folder)


if __name__ == "__main__":
    main()
