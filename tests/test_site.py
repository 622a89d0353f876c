"""The site of docs: every page can be reached, links lead to what is there, and the reference has all public names.

The build itself, warnings as errors, is a line of .ci/run.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import respike

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.DOTALL | re.MULTILINE)


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def heading_names(page: Path) -> set[str]:
    """What links may name behind the #, as GitHub and the site spell it."""
    headings = re.findall(r"^#+ (.+)$", CODE.sub(lambda found: "" if "\n" in found[0] else found[0], read(page)), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_in_the_sites_contents_once() -> None:
    trees = re.findall(r"^```{toctree}\n(.*?)^```$", read(DOCS / "index.md"), re.DOTALL | re.MULTILINE)
    listed = [line for tree in trees for line in tree.splitlines() if line and not line.startswith(":")]
    there = [str(page.relative_to(DOCS).with_suffix("")) for page in PAGES]
    assert sorted([*listed, "index"]) == sorted(there)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_links_lead_to_files_and_headings_that_are_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", CODE.sub("", read(page))):
        if re.match(r"https?:|site:", target):
            continue
        path, _, heading = target.partition("#")
        file = page.parent / path if path else page
        assert file.is_file(), f"{page.name} links to {target}"
        assert not heading or heading in heading_names(file), f"{page.name} links to {target}"


def test_the_reference_has_all_that_respike_exports() -> None:
    listed = re.findall(r"^\.\. auto\w+:: (\w+)$", read(DOCS / "reference" / "respike.md"), re.M)
    assert set(listed) == set(respike.__all__) - {"layers", "models"}


def test_the_reference_leaves_out_only_what_stands_there_once_already() -> None:
    exported = set(respike.__all__)
    for page in DOCS.glob("reference/*.md"):
        for names in re.findall(r":exclude-members: (.+)", read(page)):
            assert set(names.split(", ")) <= exported, page.name
