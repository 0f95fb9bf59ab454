"""How a notebook names a file near it: as a path in a cell, as a link in a page.

A front end starts a kernel in its notebook's folder, so the working directory stands for it.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

__all__ = ["relative_link", "relative_path"]


def relative_path(path: Path) -> str:
    """The file from the notebook's folder, with slashes; empty on another drive."""
    try:
        return Path(os.path.relpath(path)).as_posix()
    except ValueError:
        return ""


def relative_link(path: Path) -> str:
    """The same as a link: what an address would read in another way is quoted."""
    return quote(relative_path(path))
