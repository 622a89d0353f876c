"""The examples of the pages in docs run, print what the pages show, and write the figures that bear a page's name."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from samples import quick_are

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
sys.path.append(str(ROOT / "scripts"))

import pages  # noqa: E402


def figures(page: Path) -> set[str]:
    """The figures that a page shows and that bear its name."""
    return set(re.findall(rf"\]\((?:\.\./)?figures/({page.stem}-[\w-]+\.png)\)", page.read_text(encoding="utf-8")))


QUICK = {"adding-an-op", "conversion"}


@pytest.mark.parametrize("page", quick_are([p for p in PAGES if p.stem in QUICK], PAGES), ids=lambda page: page.stem)
def test_the_examples_of_a_page_run_from_top_to_bottom(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))  # as of a script that lies there
    pages.run(page)
    written = {file.name: file.stat().st_size for file in tmp_path.glob("*.png")}
    assert set(written) == figures(page)
    assert all(10_000 < size < 125_000 for size in written.values()), written


def test_the_figures_that_pages_show_are_in_docs() -> None:
    shown = [name for page in PAGES for name in figures(page)]
    assert len(shown) >= 10
    for name in shown:
        assert 10_000 < (DOCS / "figures" / name).stat().st_size < 125_000, name


def page_of(tmp_path: Path, text: str) -> Path:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    return page


def test_a_number_that_drifts_fails_with_the_line_of_its_example(tmp_path: Path) -> None:
    page = page_of(tmp_path, "Words.\n\n```python\nn = 2\nprint(n * 47)\n```\n\n```text\n95\n```\n")
    with pytest.raises(ValueError, match=r"(?s)page.md, line 4.*95.*94"):
        pages.run(page)


def test_an_example_sees_those_above_and_an_error_names_the_line_of_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = "```python\nn = 2\nprint(n)\n```\n\n```text\n2\n```\n", "\n```python\nprint(n)\nn / 0\n```\n"
    assert pages.run(page_of(tmp_path, first))["n"] == 2
    with pytest.raises(ZeroDivisionError) as caught:
        pages.run(page_of(tmp_path, first + second))
    assert caught.traceback[-1].lineno + 1 == 12
    assert capsys.readouterr().out == "2\n2\n"


def test_examples_that_print_what_no_page_shows_may_print_anything(tmp_path: Path) -> None:
    text = "```python\nprint(1)\n```\n\nWords.\n\n```text\n2\n```\n\n```\nshell\n```\n\n```python\nprint(3)\n```\n"
    pages.run(page_of(tmp_path, text))


def test_every_shown_output_of_the_neurons_page_is_compared() -> None:
    """A text block that does not stand right behind its example would be compared with nothing."""
    text = (DOCS / "neurons.md").read_text(encoding="utf-8")
    compared = [shown for _, shown in pages.EXAMPLE.findall(text) if shown]
    assert len(compared) == text.count("```text") >= 15
