"""The configuration of Sphinx; `build.py` writes the source folder and runs it."""

from __future__ import annotations

import re

import kling_nb

project = "kling_nb"
version = release = kling_nb.__version__
html_title = f"kling_nb {version}"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]

html_theme = "furo"  # system fonts, light and dark; loads nothing from other hosts
highlight_language = "text"  # of blocks without a language
pygments_dark_style = "github-dark"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_copy_source = False
html_show_copyright = False
copybutton_selector = "div:not(.output) > div.highlight > pre"

nb_execution_mode = "off"  # the pages show the outputs that are saved in the notebooks
suppress_warnings = ["mystnb.unknown_mime_type"]  # the metadata of cards
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
autodoc_type_aliases = {"JobState": "JobState"}
default_role = "py:obj"  # docstrings write names and code in single backticks


def _literal_blocks(_app, _what, _name, _obj, _options, lines: list[str]) -> None:
    """Turn the fenced blocks of a docstring into literal blocks of reStructuredText."""
    text = "\n".join(lines)
    lines[:] = re.sub(
        r"^```\n(.*?)^```",
        lambda block: "::\n\n" + re.sub(r"^", "    ", block[1], flags=re.M),
        text,
        flags=re.M | re.S,
    ).split("\n")


def setup(app) -> None:
    """Register the hooks."""
    app.connect("autodoc-process-docstring", _literal_blocks)
