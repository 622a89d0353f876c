"""The documentation site: these pages and the docstrings. ``sphinx-build -W --keep-going -b html docs OUT``.

It is built without a network. What a page links to is a file of the repository, so that links work where the pages are
read as they are, too; only ``site:NAME`` is a file that the build makes, and no link elsewhere.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.util.inspect import TypeAliasForwardRef

sys.path.append(str(Path(__file__).parents[1] / "scripts"))

import pages

project = "respike"
author = "the respike authors"
project_copyright = author
version = release = version_of("respike")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = "respike"
html_theme_options = {
    kind: {"code-font-size": "var(--font-size--small--2)"} for kind in ("light_css_variables", "dark_css_variables")
}
html_show_copyright = False
html_copy_source = False
highlight_language = "text"
pygments_style = "a11y-light"
pygments_dark_style = "a11y-dark"

myst_heading_anchors = 4
myst_url_schemes = {"http": None, "https": None, "site": {"url": "{{path}}"}}

autodoc_default_options = {"special-members": "__call__"}
autodoc_inherit_docstrings = False  # torch's texts speak of pages that are not here
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_type_aliases = {"Curve": "Curve"}
TypeAliasForwardRef.__repr__ = lambda self: self.name  # else properties show this class around the alias
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"
napoleon_use_rtype = False
napoleon_attr_annotations = False  # the signature has them


def lead_inside(app: Sphinx, page: str, source: list[str]) -> None:
    """Lead from any page to this site's copy of one outside of ``docs``, and to files that the build makes."""
    source[0] = source[0].replace("](../../CONTRIBUTING.md", "](/contributing.md")
    source[0] = source[0].replace("](../CONTRIBUTING.md", "](/contributing.md")
    source[0] = source[0].replace("](site:", "](site:" + "../" * page.count("/"))


def plain_defaults(*args: Any) -> tuple[str | None, str | None]:
    """A signature that Sphinx can read, which ``<factory>`` of a dataclass is not."""
    signature, returns = args[-2:]
    return signature and signature.replace("<factory>", "..."), returns


def write_extras(app: Sphinx, error: Exception | None) -> None:
    """Put the pages beside the others that ``site:`` leads to: the playground, and the report that a tutorial makes."""
    if error is not None or app.builder.format != "html":
        return
    from respike.files import written_whole
    from respike.report.playground import playground_page

    with written_whole(Path(app.outdir) / "playground.html") as temporary:
        temporary.write_text(playground_page(), encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), contextlib.redirect_stdout(None):
        pages.run(Path(app.srcdir) / "tutorials" / "reading-the-report.md")
        shutil.copy("mnist_mlp.html", app.outdir)


def setup(app: Sphinx) -> None:
    app.connect("source-read", lead_inside)
    app.connect("autodoc-process-signature", plain_defaults)
    app.connect("build-finished", write_extras)
