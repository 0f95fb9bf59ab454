"""The scripts of widgets: a module from its parts, since it cannot import another file.

Owns what several of them share; knows no widget.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["CLIPBOARD", "STATIC", "joined_script"]

STATIC = Path(__file__).parent / "static"
"""The folder of all scripts and style sheets."""

CLIPBOARD = STATIC / "clipboard.js"
"""Gives `copyText`."""


def joined_script(*parts: Path) -> str:
    """The parts as one module, in their order: names of a part are known in all of them."""
    return "\n".join(part.read_text(encoding="utf-8") for part in parts)
