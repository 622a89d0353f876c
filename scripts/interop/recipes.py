"""The code of docs/interop.md that loads a NIR file in other simulators, and where it runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "interop.md"


@dataclass(frozen=True)
class Reader:
    """Another simulator.

    Attributes:
        heading: Of its recipe in the page.
        module: What it is imported as.
        packages: What is installed in its environment, without what these depend on.
    """

    heading: str
    module: str
    packages: tuple[str, ...]

    @property
    def recipe(self) -> str:
        """The page's code: the functions ``load`` and ``outputs``."""
        found = re.search(rf"^### {self.heading}\n.*?^```py\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.M)
        if found is None:
            raise ValueError(f"{PAGE} has no code below the heading {self.heading}")
        return found[1]


_NEW = ("nir==1.0.8", "nirtorch==2.6", "h5py==3.16.0")
READERS = {
    "sinabs": Reader(
        "Sinabs", "sinabs", ("sinabs==3.1.3", "nir==1.0.4", "nirtorch==2.0.2", "h5py==3.16.0", "pbr==7.1.3")
    ),
    "spikingjelly": Reader(
        "SpikingJelly", "spikingjelly", ("spikingjelly==2.0.0", *_NEW, "loguru==0.7.3", "tqdm==4.67.1")
    ),
    "snntorch": Reader("snnTorch", "snntorch", ("snntorch==1.0.0", *_NEW)),
}
