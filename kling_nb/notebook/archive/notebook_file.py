"""Notebook files: find the current one, read its displays, and write it without other changes.

Handles JSON on disk, the name of the current notebook, and its trust signature. Must not depend on
cards: it returns the mimebundles of displays, which may be changed in place. A notebook is written
with its original indentation, order and line ends, so that only the changes differ.
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

__all__ = ["NOTEBOOK_BYTES", "NotebookFile", "check_place", "current_notebook", "told_notebooks"]

SUFFIX = ".ipynb"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
WIDGET = re.compile(r"IPY_MODEL_([0-9A-Za-z_-]+)")
"""The form of a reference to another widget in a widget's state."""

NOTEBOOK_BYTES = 1_000_000_000
"""A larger notebook is not read: it would take several times as much memory."""

_log = logging.getLogger("kling_nb")


def current_notebook(variables: Mapping[str, object], environ: Mapping[str, str]) -> Path:
    """The file of the notebook that this kernel works for, where the front end tells it.

    Args:
        variables: Of the person's namespace; VS Code leaves `__vsc_ipynb_file__` there.
        environ: Jupyter Server 2 and later leaves the path as JPY_SESSION_NAME; a notebook that
            was renamed since keeps its old name there.

    Raises:
        InvalidInput: It is not told, or there is no such file.
    """
    names = told_notebooks(variables, environ)
    for name in names:
        if os.path.isfile(name):
            return Path(name)
    given = f"{names[0]} is not there: renamed, perhaps" if names else "not told by this front end"
    raise InvalidInput.of("notebook", given, "name it, e.g. `%kling pack NOTEBOOK.ipynb`")


def told_notebooks(variables: Mapping[str, object], environ: Mapping[str, str]) -> list[str]:
    """The paths that the front end tells, there or not, the surest first; see above."""
    told = [str(variables.get("__vsc_ipynb_file__", "")), environ.get("JPY_SESSION_NAME", "")]
    return [name for name in told if name.endswith(SUFFIX)]


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file of JSON is laid out, so that what is put back differs only where it changed."""

    indent: str | None
    """None where all of it is one line."""
    separators: tuple[str, str]
    line_end: str
    end: str
    """What comes behind the last brace."""
    is_ascii: bool

    @classmethod
    def of(cls, text: str) -> Layout:
        """The layout of a text that is one JSON object."""
        lines = re.match(r"\s*\{(\r?\n)([ \t]*)", text)
        is_tight = not lines and re.match(r'\s*\{"[^"]*":\S', text)
        return cls(
            indent=lines[2] if lines else None,
            separators=(",", ":") if is_tight else (",", ": ") if lines else (", ", ": "),
            line_end=lines[1] if lines else "\n",
            end=text[len(text.rstrip()) :],
            is_ascii=text.isascii(),
        )

    def pieces(self, value: object) -> Iterator[bytes]:
        """The file of a value, piece by piece: a notebook with its clips is large enough as it is.

        Raises:
            RecursionError: It is nested too deeply.
        """
        encoder = json.JSONEncoder(
            ensure_ascii=self.is_ascii, indent=self.indent, separators=self.separators
        )
        for piece in encoder.iterencode(value):
            # Within a text JSON escapes line ends: all that are seen here are its own.
            yield encoded(piece.replace("\n", self.line_end))
        yield self.end.encode("ascii", "ignore")


@dataclass(slots=True)
class NotebookFile:
    """A notebook that was read from disk, and when it was saved there."""

    path: Path
    saved_at: datetime
    size_bytes: int
    is_trusted: bool
    """Whether this person's Jupyter trusts its outputs."""
    _book: dict[str, Any] = field(repr=False)
    _layout: Layout = field(repr=False)
    _digest: str = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> NotebookFile:
        """A notebook of format 4, the one of every present front end.

        Raises:
            InvalidInput: There is no such file, or it is not such a notebook.
        """
        try:
            with open_plain(path, NOTEBOOK_BYTES) as file:
                content, at = file.read(NOTEBOOK_BYTES), os.fstat(file.fileno()).st_mtime
        except OSError as error:
            given = f"{str(path)!r} cannot be read ({error.strerror})"
            raise InvalidInput.of("notebook", given, "give the path of an .ipynb file") from None
        try:
            text = content.decode("utf-8")
            book = _notebook(text)
        except (ValueError, RecursionError) as error:
            given = f"{path.name} cannot be read as a notebook ({str(error)[:120]})"
            raise InvalidInput.of("notebook", given, "save it again in Jupyter") from None
        return cls(
            path=path.absolute(),
            saved_at=datetime.fromtimestamp(at, UTC),
            size_bytes=len(content),
            is_trusted=_trust(book, check=True),
            _book=book,
            _layout=Layout.of(text),
            _digest=hashlib.sha256(content).hexdigest(),
        )

    def bundles(self) -> Iterator[dict[str, Any]]:
        """Every display's MIME bundle, to be changed in place."""
        for cell in self._cells():
            outputs = cell.get("outputs")
            for output in outputs if isinstance(outputs, list) else ():
                if isinstance(output, dict) and isinstance(data := output.get("data"), dict):
                    yield data

    def drop_unshown_widgets(self) -> int:
        """Remove the saved state of widgets that no output shows; return their number."""
        state: Any = self._book
        for key in ("metadata", "widgets", WIDGET_STATE, "state"):
            state = state.get(key) if isinstance(state, dict) else None
        if not isinstance(state, dict):
            return 0
        unshown = state.keys() - _reachable(state, self._shown_widgets())
        for name in unshown:
            del state[name]
        if not state:
            del self._book["metadata"]["widgets"]
        return len(unshown)

    def _shown_widgets(self) -> set[str]:
        views = (data.get(WIDGET_VIEW) for data in self.bundles())
        return {str(view.get("model_id")) for view in views if isinstance(view, dict)}

    def sources(self) -> Iterator[str]:
        """The text of every cell with code."""
        for cell in self._cells():
            if cell.get("cell_type") == "code":
                given = cell.get("source")
                lines = given if isinstance(given, list) else [given]
                yield "".join(line for line in lines if isinstance(line, str))

    def write(self, target: Path, *, replace: bool = False) -> int:
        """Write the notebook beside its place and rename it; gives its size in bytes.

        One that was trusted is trusted as it is now, since what has changed is this package's.

        Raises:
            InvalidInput: There is a file already, or the place cannot be written to; or it is
                this notebook's own, and somebody has saved it since it was read.
        """
        check_place(target, replace=replace)
        pieces = self._layout.pieces(self._book)
        try:
            _write_whole(target, pieces, self._check_unchanged, like=self.path)
        except OSError as error:
            given = f"{str(target)!r} cannot be written ({error.strerror})"
            raise InvalidInput.of("to", given, "make room, or give another place") from None
        except RecursionError:
            given = f"{self.path.name} is nested too deeply to be written"
            raise InvalidInput.of("notebook", given, "nothing was written") from None
        if self.is_trusted:
            _trust(self._book, check=False)
        return target.stat().st_size

    def _cells(self) -> Iterator[dict[str, Any]]:
        return (cell for cell in self._book["cells"] if isinstance(cell, dict))

    def _check_unchanged(self, target: Path) -> None:
        """See that an hour of work is not written over: the page may save at any moment."""
        if not target.exists() or not os.path.samefile(target, self.path):
            return
        if hashlib.sha256(target.read_bytes()).hexdigest() != self._digest:
            given = f"{self.path.name} was saved by somebody else while it was being changed"
            raise InvalidInput.of("notebook", given, "it was left as it is now; run this again")


def check_place(target: Path, *, replace: bool) -> None:
    """See that it can be a notebook's place, and that nothing is overwritten unless asked for.

    Raises:
        InvalidInput: It cannot, or there is a file already.
    """
    if target.suffix != SUFFIX:
        allowed = f"name a file that ends in {SUFFIX}, or a folder that is there"
        raise InvalidInput.of("to", repr(str(target)), allowed)
    if not target.parent.is_dir():
        given = f"there is no folder {str(target.parent)!r}"
        raise InvalidInput.of("to", given, "make it first, or name another place")
    if target.exists() and not replace:
        given = f"{str(target)!r} exists"
        raise InvalidInput.of("to", given, "`--replace` overwrites it, `--to FILE` names another")


def _write_whole(
    target: Path, content: Iterable[bytes], check: Callable[[Path], None], *, like: Path
) -> None:
    """Write a file beside its place, check once more, rename it; nothing is left of a failure."""
    target = target.resolve()  # a link stays a link
    name = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    # As `cp` does it: the bits of the one that it is made from, without those that the umask takes.
    bits = stat.S_IMODE(like.stat().st_mode)
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), bits)
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(content)
            file.flush()
            os.fsync(file.fileno())
        if target == like.resolve():
            shutil.copymode(target, name)
        check(target)
        os.replace(name, target)
    except BaseException:
        name.unlink(missing_ok=True)
        raise


def _notebook(text: str) -> dict[str, Any]:
    book = json.loads(text)
    if not isinstance(book, dict) or not isinstance(book.get("cells"), list):
        raise ValueError("it has no cells")
    if book.get("nbformat") != 4:
        raise ValueError(f"its format is {book.get('nbformat')}, not 4")
    return book


def encoded(piece: str) -> bytes:
    """A piece of JSON in UTF-8, which has no half characters: JSON escapes them."""
    try:
        return piece.encode("utf-8")
    except UnicodeEncodeError:
        whole = re.sub("[\ud800-\udfff]", lambda half: f"\\u{ord(half[0]):04x}", piece)
        return whole.encode("utf-8")


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


def _trust(book: dict[str, Any], *, check: bool) -> bool:
    """Whether this person's Jupyter trusts the outputs; without `check` it does from now on."""
    from jupyter_core.paths import jupyter_data_dir
    from nbformat import sign, v4

    data = jupyter_data_dir()
    if not os.path.isfile(os.path.join(data, "notebook_secret")):
        return False  # nothing was ever signed here, and a notary would make a secret of its own
    try:
        with sign.NotebookNotary(data_dir=data) as notary:
            notebook = v4.nbjson.JSONReader().to_notebook(book)  # a copy, as one that is read
            if not check:
                notary.sign(notebook)
            return bool(notary.check_signature(notebook))
    except Exception as error:
        _log.info("the notebook's signature cannot be used: %s", error)
        return False
