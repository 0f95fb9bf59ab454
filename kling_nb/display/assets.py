"""Join script files into one module for a widget, since that module cannot import files.

Also names the scripts that several widgets share. Must not depend on a widget.
"""

from __future__ import annotations

from pathlib import Path

STATIC = Path(__file__).parent / "static"
"""The folder of all scripts and style sheets."""

CLIPBOARD = STATIC / "clipboard.js"
"""The script that defines `copyText`."""

KERNEL = STATIC / "kernel.js"
"""The script that defines `Sender`, for modules with buttons that need the kernel."""

SCROLLER = STATIC / "scroller.js"
"""The script that defines `scrollerOf`."""


def join_scripts(*parts: Path) -> str:
    """Return the scripts as the text of one module, in which they share one scope."""
    return "\n".join(part.read_text(encoding="utf-8") for part in parts)
