"""Paths and links from a notebook to a file near it: a path in a cell, a link in a page.

A front end starts a kernel in its notebook's folder, so paths are relative to the working
directory.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote


def relative_path(path: Path, folder: Path | None = None) -> str:
    """Return the path relative to a folder; empty on another drive."""
    try:
        return Path(os.path.relpath(path, folder or os.curdir)).as_posix()
    except ValueError:
        return ""


def relative_link(path: Path, folder: Path | None = None) -> str:
    """Return the same path as a quoted URL."""
    return quote(relative_path(path, folder))
