"""The notebook's file: where it lies, whether it is trusted, and whether links from it lead home.

A link to a clip is a path from the notebook; a server follows it only within the folder that it
shows, and never into what is hidden.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from kling_nb.core.errors import InvalidInput
from kling_nb.display.html import Finding
from kling_nb.notebook.archive.notebook_file import NotebookFile

__all__ = ["check_links", "check_notebook"]

LARGEST_BYTES = 100_000_000
"""A larger one is not read: that would take seconds."""


def check_notebook(told: Sequence[str], cwd: Path) -> Finding:
    """Which file the notebook is, and whether what it shows is trusted.

    Args:
        told: What the front end tells of its path, the surest first.
        cwd: Where the kernel works.
    """
    path = next((Path(name) for name in told if os.path.isfile(name)), None)
    if path is None:
        said = f"{told[0]} is not there: renamed, perhaps" if told else "not told by this front end"
        fix = "Name it where a command asks for it, e.g. `%kling pack NOTEBOOK.ipynb`."
        return Finding("Notebook", "warn" if told else "ok", said, fix)
    home = path.absolute().parent
    if home.resolve() != cwd.resolve():
        said = f"{path.name} lies in {home}, and this kernel works in {cwd}: links to clips fail"
        fix = f"`import os; os.chdir({str(home)!r})`, then run the cells again: 0 credits."
        return Finding("Notebook", "warn", said, fix)
    try:
        is_plain = shows_plain(path)
    except (InvalidInput, OSError) as error:
        return Finding("Notebook", "warn", str(error), "Save it once more.")
    if is_plain:
        said = f"{path.name}: not trusted as it was saved, so that older cards show plain"
        fix = (
            "Run its cells again, for 0 credits, and save it. Or, if you know where it comes from, "
            f"`jupyter trust {path.name}` in a terminal, and reload the page."
        )
        return Finding("Notebook", "warn", said, fix)
    return Finding("Notebook", "ok", path.name)


def check_links(folder: Path, root: Path | None) -> list[Finding]:
    """Whether a page can open files of the folder; nothing where it can, or nobody can tell.

    Args:
        folder: Where clips go.
        root: What the Jupyter server shows.
    """
    if root is None:
        return []
    try:
        parts = folder.resolve().relative_to(root.expanduser().resolve()).parts
    except ValueError:
        why = f"{folder} is not within {root}, which is what Jupyter shows"
    else:
        hidden = [part for part in parts if part.startswith(".")]
        if not hidden:
            return []
        why = f"Jupyter shows nothing of what is hidden: {hidden[0]}"
    fix = "Choose a folder that the file browser shows: argument `folder` or KLING_NB_FOLDER."
    said = f"clips play in their cards, and the links to their files do not open: {why}"
    return [Finding("Links", "warn", said, fix)]


def shows_plain(path: Path) -> bool:
    """Whether there are outputs that a page cleans before it shows them."""
    if path.stat().st_size > LARGEST_BYTES:
        return False
    book = NotebookFile.read(path)
    return not book.is_trusted and any("text/html" in bundle for bundle in book.bundles())
