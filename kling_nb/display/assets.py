"""Join script files into the module of a widget, since that module cannot import files.

Also contains the parts that several widgets share. Must not depend on a widget.
"""

from __future__ import annotations

from pathlib import Path

STATIC = Path(__file__).parent / "static"
"""The folder of all scripts and style sheets."""

CLIPBOARD = STATIC / "clipboard.js"
"""Defines `copyText`."""


def join_scripts(*parts: Path) -> str:
    """Return the parts as one module; all parts share their names."""
    return "\n".join(part.read_text(encoding="utf-8") for part in parts)
