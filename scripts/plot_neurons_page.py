"""Write the figures of docs/neurons.md by running its examples, and check what they print.

python scripts/plot_neurons_page.py -o docs/figures
"""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path

import pages

DOCS = Path(__file__).parents[1] / "docs"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=DOCS / "figures", help="folder for the figures")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.chdir(folder):
        pages.run(DOCS / "neurons.md")


if __name__ == "__main__":
    main()
