"""The documentation site. A page has the path that its source has in the repository.

uv run --group docs sphinx-build --fail-on-warning -c docs . dist/site
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from langcache import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "langcache for Python"
author = "The langcache for Python authors"
release = __version__
root_doc = "docs/index"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_llms_txt",
]
include_patterns = [
    "*.md",
    "docs/**.md",
    "codegen/README.md",
    "mockserver/README.md",
    "models/*/README.md",
]
exclude_patterns = [".*", "dist", "src", "tests", "**/node_modules"]

myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autodoc_typehints_format = "short"
default_role = "code"
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"{project} {release}"
html_show_copyright = False
html_extra_path = ["_root"]
copybutton_exclude = ".linenos, .gp, .go"


def mark_code(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Mark the indented blocks of a docstring as code, as Markdown does."""
    del app, what, name, thing, options
    starts = [
        number
        for number, (previous, line) in enumerate(pairwise(lines), start=1)
        if line.startswith("    ") and not previous.strip()
    ]
    for number in reversed(starts):
        above = next((line for line in reversed(lines[:number]) if line.strip()), "")
        if not above.startswith(" ") and not above.endswith("::"):
            lines[number:number] = [".. code-block:: python", ""]


def setup(app: Sphinx) -> None:
    """Connect the function above, before the one that reads the sections of a docstring."""
    app.connect("autodoc-process-docstring", mark_code, priority=400)
