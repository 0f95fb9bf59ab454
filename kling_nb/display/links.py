"""Write paths and links from a notebook to a file: a path for a cell, a link for a page.

A front end starts a kernel in its notebook's folder, so paths are relative to the working
directory.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote


def relative_path(path: Path, folder: Path | None = None) -> str:
    """Return a path relative to a folder (default: working directory); empty on another drive."""
    try:
        return Path(os.path.relpath(path, folder or os.curdir)).as_posix()
    except ValueError:
        return ""


def relative_link(path: Path, folder: Path | None = None) -> str:
    """Return the relative path as a percent-encoded URL."""
    return quote(relative_path(path, folder))
