"""Notebook files: find the current one, read it, and write it with nbformat, as Jupyter does.

`NotebookFile` returns the mimebundles of outputs, which may be changed in place. The format's minor
version, unknown metadata and attachments stay as they are. Must not depend on cards.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kling_nb.core.errors import InvalidInput
from kling_nb.core.files import open_plain
from kling_nb.display.front_end import reported_notebooks

_SUFFIX = ".ipynb"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
WIDGET = re.compile(r"IPY_MODEL_([0-9A-Za-z_-]+)")
"""A reference to another widget in the state of a widget."""

NOTEBOOK_BYTES = 1_000_000_000
"""Largest notebook that is read; it takes several times as much memory."""

_log = logging.getLogger("kling_nb")


def current_notebook(variables: Mapping[str, object], environ: Mapping[str, str]) -> Path:
    """Return the file of the notebook of this kernel, as the front end reports it.

    Args:
        variables: The user's namespace; VS Code sets `__vsc_ipynb_file__`.
        environ: Jupyter Server 2 and later sets JPY_SESSION_NAME when the kernel starts; it does
            not change when the notebook is renamed.

    Raises:
        InvalidInput: The front end reports no file, or the file does not exist.
    """
    names = reported_notebooks(variables, environ)
    for name in names:
        if os.path.isfile(name):
            return Path(name)
    value = (
        f"{names[0]} does not exist; was it renamed?"
        if names
        else "the front end does not report its path"
    )
    raise InvalidInput.of("notebook", value, "name it, e.g. `%kling pack NOTEBOOK.ipynb`")


def text_of(bundle: Mapping[str, Any], mime: str) -> str:
    """Return a text of a mimebundle; empty if it has none."""
    text = bundle.get(mime)
    return text if isinstance(text, str) else ""


@dataclass(slots=True)
class NotebookFile:
    """A notebook as it was read from disk."""

    path: Path
    saved_at: datetime
    size_bytes: int
    is_trusted: bool
    """Whether the user's Jupyter trusts its outputs."""
    _book: Any = field(repr=False)
    """The `NotebookNode`."""
    _digest: str = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> NotebookFile:
        """Read a notebook of format 4, which all current front ends write.

        Raises:
            InvalidInput: There is no such file, or it is not such a notebook.
        """
        try:
            with open_plain(path, NOTEBOOK_BYTES) as file:
                content, at = file.read(NOTEBOOK_BYTES), os.fstat(file.fileno()).st_mtime
        except OSError as error:
            value = f"{str(path)!r} cannot be read ({error.strerror})"
            raise InvalidInput.of("notebook", value, "give the path of an .ipynb file") from None
        book = _parse(path.name, content)
        return cls(
            path=path.absolute(),
            saved_at=datetime.fromtimestamp(at, UTC),
            size_bytes=len(content),
            is_trusted=_with_notary(lambda notary: notary.check_signature(book)),
            _book=book,
            _digest=hashlib.sha256(content).hexdigest(),
        )

    def bundles(self) -> Iterator[dict[str, Any]]:
        """Yield the mimebundle of each output; it may be changed in place."""
        for cell in self._code_cells():
            for output in cell.get("outputs", ()):
                if output.get("output_type") in {"display_data", "execute_result"}:
                    yield output.get("data", {})

    def sources(self) -> Iterator[str]:
        """Yield the text of each code cell."""
        return (text_of(cell, "source") for cell in self._code_cells())

    def drop_unshown_widgets(self) -> int:
        """Remove the saved state of widgets that no output shows; return their number."""
        state: Any = self._book.metadata
        for key in ("widgets", WIDGET_STATE, "state"):
            state = state.get(key) if isinstance(state, dict) else None
        if not isinstance(state, dict):
            return 0
        views = (bundle.get(WIDGET_VIEW) for bundle in self.bundles())
        shown = {str(view.get("model_id")) for view in views if isinstance(view, dict)}
        unshown = state.keys() - _reachable(state, shown)
        for name in unshown:
            del state[name]
        if not state:
            del self._book.metadata["widgets"]
        return len(unshown)

    def write(self, target: Path, *, replace: bool = False) -> int:
        """Write the notebook beside its place, rename it, and return its size in bytes.

        If the notebook was trusted, sign the new one: only this package's outputs changed.

        Raises:
            InvalidInput: There is a file already, or the place cannot be written to; or it is
                the notebook itself, and it was saved since it was read.
        """
        check_place(target, replace=replace)
        content = _serialize(self.path.name, self._book)
        try:
            _write_atomically(target, content, self._check_unchanged, like=self.path)
        except OSError as error:
            value = f"{str(target)!r} cannot be written ({error.strerror})"
            raise InvalidInput.of(
                "to", value, "free some space, or choose another folder"
            ) from None
        if self.is_trusted:
            _with_notary(lambda notary: notary.sign(self._book))
        return len(content)

    def _code_cells(self) -> Iterator[Any]:
        return (cell for cell in self._book.cells if cell.get("cell_type") == "code")

    def _check_unchanged(self, target: Path) -> None:
        """Check that an open page has not saved the notebook since it was read."""
        if not target.exists() or not os.path.samefile(target, self.path):
            return
        if hashlib.sha256(target.read_bytes()).hexdigest() != self._digest:
            value = f"{self.path.name} was saved by another program while it was being changed"
            raise InvalidInput.of("notebook", value, "it was not overwritten; run this again")


def check_place(target: Path, *, replace: bool) -> None:
    """Check that a notebook can be written here, and that no file is overwritten by accident.

    Raises:
        InvalidInput: It cannot, or there is a file already.
    """
    if target.suffix != _SUFFIX:
        allowed = f"name a file that ends in {_SUFFIX}, or an existing folder"
        raise InvalidInput.of("to", repr(str(target)), allowed)
    if not target.parent.is_dir():
        value = f"there is no folder {str(target.parent)!r}"
        raise InvalidInput.of("to", value, "create it first, or choose another folder")
    if target.exists() and not replace:
        value = f"{str(target)!r} exists"
        raise InvalidInput.of("to", value, "`--replace` overwrites it, `--to FILE` names another")


def _parse(name: str, content: bytes) -> Any:
    """Return the `NotebookNode` of a file.

    `nbformat.reads` would also validate: that logs errors, and adds ids to cells without one.
    """
    from nbformat import ValidationError, reader

    try:
        book = reader.reads(content.decode("utf-8"))
        major, _ = reader.get_version(book)
        if major != 4:
            raise ValueError(f"its format is {major}, not 4")
    except (ValidationError, AttributeError, TypeError, ValueError, RecursionError) as error:
        value = f"{name} cannot be read as a notebook ({str(error)[:120]})"
        raise InvalidInput.of("notebook", value, "save it again in Jupyter") from None
    return book


def _serialize(name: str, book: Any) -> bytes:
    """Return the content of a file, in the form in which Jupyter writes it."""
    from nbformat import v4

    try:
        text = v4.writes(book)
    except (AttributeError, RecursionError) as error:
        value = f"{name} cannot be written as a notebook ({str(error)[:120]})"
        raise InvalidInput.of("notebook", value, "save it again in Jupyter") from None
    # UTF-8 has no half surrogate pairs; a backslash escape is their form in JSON.
    return f"{text}\n".encode("utf-8", "backslashreplace")


def _write_atomically(
    target: Path, content: bytes, check: Callable[[Path], None], *, like: Path
) -> None:
    """Write a file beside its place, check once more, rename it; clean up after a failure."""
    target = target.resolve()  # a link stays a link
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    # As `cp` does: the mode of the original, reduced by the umask.
    bits = stat.S_IMODE(like.stat().st_mode)
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), bits)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if target == like.resolve():
            shutil.copymode(target, part)
        check(target)
        os.replace(part, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _reachable(state: Mapping[str, object], shown: Iterable[str]) -> set[str]:
    """Return the shown widgets, and those that their states refer to."""
    found: set[str] = set()
    left = [*shown]
    while left:
        name = left.pop()
        if name in state and name not in found:
            found.add(name)
            left += WIDGET.findall(json.dumps(state[name]))
    return found


def _with_notary(act: Callable[[Any], object]) -> bool:
    """Return the result of an action with the user's signatures; false if they cannot be used."""
    from jupyter_core.paths import jupyter_data_dir
    from nbformat.sign import NotebookNotary

    folder = jupyter_data_dir()
    if not os.path.isfile(os.path.join(folder, "notebook_secret")):
        return False  # no signatures yet, and a notary would create a secret
    try:
        with NotebookNotary(data_dir=folder) as notary:
            return bool(act(notary))
    except Exception as error:
        _log.info("the notebook's signature cannot be used: %s", error)
        return False
