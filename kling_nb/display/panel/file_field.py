"""The file field: choose, check and preview an image, a video or an audio file.

Worker threads read the files. A preview shows what is sent to the service.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path

from kling_nb.core.errors import MediaError, Problem
from kling_nb.core.formatting import shorten, to_one_line
from kling_nb.core.stored_input import StoredInput
from kling_nb.display.html.markup import data_uri
from kling_nb.display.links import relative_path
from kling_nb.jobs.background_loop import background_loop, in_thread
from kling_nb.kie.http import Downloader
from kling_nb.media import input_store
from kling_nb.media.audio_video import AudioVideoInput
from kling_nb.media.images import ImageInput, shrink
from kling_nb.media.inputs import MediaInput, check_upload, read_input
from kling_nb.models.cell import VARIABLES
from kling_nb.models.parameter_kind import Medium
from kling_nb.models.parameters import Media
from kling_nb.models.spec import Parameter

from .fields import Field, control_traits
from .widgets import Picker


@dataclass(frozen=True, slots=True)
class FileContext:
    """Resolves names of files and variables, and provides the folder to store files in."""

    variables: Callable[[], Mapping[str, object]]
    """Returns the notebook's current variables."""
    is_emulated: Callable[[], bool]
    """Returns whether the emulator is used; it replaces files that cannot be downloaded."""
    folder: Callable[[], Path]
    """Returns the folder of clips."""

    def named(self, text: str) -> FileValue:
        """Return the file of a path, a URL or the name of a variable."""
        known = self.variables() if text.isidentifier() else {}
        if text in known:
            return FileValue(known[text], text, text)
        return FileValue(text, text, text.rpartition("/")[2] if _is_url(text) else "")


@dataclass(frozen=True, slots=True)
class FileValue:
    """A file, as the user entered it."""

    value: object = field(repr=False)
    written: str
    """How it is written in a cell."""
    name: str = ""
    """Display name; empty derives it from the value."""


def _file_value(value: object, written: str = "", medium: str = "image") -> FileValue:
    """Return a file from a Python value or from another request.

    Args:
        value: A path, a URL, or an object that can be read as a file.
        written: How it is written in a cell, if known.
        medium: `image`, `video` or `audio`.
    """
    if isinstance(value, StoredInput):
        path = _path_near_notebook(value.path) if value.path else value.url
        return FileValue(value, written or path, value.name)
    is_text = isinstance(value, str) or hasattr(value, "__fspath__")
    return FileValue(value, written or (str(value) if is_text else VARIABLES[medium]))


def _path_near_notebook(path: str) -> str:
    """Return a path relative to the notebook if it is below its folder, else unchanged."""
    short = relative_path(Path(path))
    return path if not short or short.startswith("..") else short


def _is_url(value: object) -> bool:
    """Whether a value is an HTTP URL."""
    return isinstance(value, str) and value.lower().startswith(("http://", "https://"))


def display_name(file: FileValue) -> str:
    """Return the display name of a file."""
    return to_one_line(file.name, 80) or to_one_line(shorten(file.value), 80)


_ALONE_PX = (640, 360)
_ALONE_BYTES = 60_000
"""Limits of the preview of a single image: the width of its column at two pixels per point."""


@dataclass(frozen=True, slots=True)
class _Preview:
    """The preview of a file, and the file as it is stored."""

    file: FileValue
    src: str = ""
    facts: str = ""
    how: str = ""
    """How it is changed before the upload."""
    duration_s: float | None = None
    """Duration of a video or audio file."""
    size_px: tuple[int, int] | None = None
    """Width and height; None for audio, or if the file was not read."""

    @property
    def page_data(self) -> dict[str, str]:
        """The preview as data for the page."""
        name = display_name(self.file)
        return {"src": self.src, "name": name, "facts": self.facts, "how": self.how}


async def preview(file: FileValue, kind: Media, context: FileContext) -> _Preview:
    """Read a file and return a preview of what would be sent.

    Raises:
        MediaError: It cannot be read, or the service does not accept it.
    """
    value = file.value
    if _is_url(value):
        try:
            value = await _fetch(str(value), kind.max_bytes)
        except MediaError as error:
            if not context.is_emulated():
                raise
            why = str(error).rstrip(".")
            return _Preview(file, how=f"{why}. The emulator generates one instead.")
    read = await in_thread(read_input, value, kind, file.name)
    if not _is_url(file.value):
        check_upload(read)
    if isinstance(file.value, bytes):
        file = await in_thread(_store, file, file.value, read, context)
    shown = _preview_of(read, file)
    if isinstance(read, ImageInput) and kind.max_count == 1:
        still = await in_thread(shrink, read.content, _ALONE_PX, max_bytes=_ALONE_BYTES)
        return replace(shown, src=data_uri(still))
    return shown


def _store(file: FileValue, content: bytes, read: MediaInput, context: FileContext) -> FileValue:
    """Store a file from a page in the folder, so that a cell can name it."""
    path = input_store.store_input(
        context.folder(), content, "" if read.is_converted else read.mime_type
    )
    if not path:
        return file
    kept = StoredInput(read.source_sha256, file.name or read.name, read.mime_type, path)
    return replace(file, value=kept, written=_path_near_notebook(path))


async def _fetch(url: str, max_bytes: int) -> bytes:
    fetcher = Downloader()
    try:
        return (await fetcher.fetch(url, max_bytes)).content
    finally:
        await fetcher.aclose()


def _preview_of(read: MediaInput, file: FileValue) -> _Preview:
    kind = read.mime_type.partition("/")[2].upper()
    return _Preview(
        replace(file, name=to_one_line(read.name, 80) or file.name),
        src=data_uri(read.thumbnail) if read.thumbnail else "",
        facts=read.facts,
        how=_how(read, kind),
        duration_s=read.duration_s if isinstance(read, AudioVideoInput) else None,
        size_px=(read.width_px, read.height_px) if read.width_px else None,
    )


def _how(read: MediaInput, kind: str) -> str:
    """Return how the file is changed before the upload."""
    if read.sha256 == read.source_sha256:
        return "sent unchanged"
    return f"converted to {kind} for the service" if read.is_converted else "sent without metadata"


_ROLES = re.compile(r"\bfirst\b.*\blast\b", re.IGNORECASE)
"""Matches the help of a pair of frames."""


class MediaField(Field):
    """One or several files of one medium; `remarks` are notes from the model's rules."""

    control: Picker

    def __init__(
        self, parameter: Parameter, kind: Media, context: FileContext, remarks: Sequence[str] = ()
    ) -> None:
        self.reading: Future[None] | None = None
        """The last read of the files; its result never raises."""
        self.duration_s: float | None = None
        """Total duration of the files, if all were read."""
        self.sizes_px: tuple[tuple[int, int], ...] = ()
        """Width and height of each image and video read."""
        self._error = ""
        self._kind, self._context = kind, context
        self._held: tuple[FileValue, ...] = ()
        self._turn = 0
        several = kind.max_count > 1
        what = parameter.help.partition(":")[0]
        super().__init__(
            parameter,
            Picker(
                **control_traits(
                    parameter, "; ".join(filter(None, (what, kind.allowed, *remarks)))
                ),
                medium=kind.medium,
                several=several,
                roles=_roles(parameter, kind),
                placeholder="path, URL or variable" + (", one per line" * several),
                accept="image/*" if kind.medium == "image" else ",".join(kind.mime_types),
            ),
        )
        self.control.observe(self._on_text, "value")
        self.control.on_file = self._on_file
        self.control.on_refusal = self._on_refusal
        self.control.on_remove = self._remove
        self.control.on_move = self._move

    @property
    def value(self) -> object | None:
        """The file, or a list of several; None if there is none."""
        values = [file.value for file in self.files]
        return values[0] if len(values) == 1 else values or None

    @property
    def written(self) -> object | None:
        """The file as written in a cell, or a list of several."""
        words = [file.written for file in self.files]
        return words[0] if len(words) == 1 else words or None

    @property
    def kept(self) -> tuple[FileValue, ...]:
        """The files."""
        return self.files

    @property
    def error(self) -> str:
        """The error of a file."""
        return self._error

    @property
    def medium(self) -> Medium:
        """`image`, `video` or `audio`."""
        return self._kind.medium

    @property
    def files(self) -> tuple[FileValue, ...]:
        """The files: first the stored ones, then those named in the line of text."""
        lines = [line.strip() for line in str(self.control.value).splitlines()]
        return (*self._held, *(self._context.named(line) for line in lines if line))

    def set_value(self, value: object, written: object = None) -> None:
        """Set the file: text goes into the line of text, objects are held in the field."""
        items, words = _items(value), _items(written)
        if all(isinstance(item, FileValue) for item in items):
            self.set_files(tuple(item for item in items if isinstance(item, FileValue)))
        elif all(isinstance(item, str) or hasattr(item, "__fspath__") for item in items):
            self._held = ()
            self.control.value = "\n".join(map(str, items))
        else:
            texts = [str(word or "") for word in words] if len(words) == len(items) else []
            pairs = zip_longest(items, texts, fillvalue="")
            self.set_files(tuple(_file_value(item, text, self.medium) for item, text in pairs))

    def sync_values(self, shown: Mapping[str, object]) -> None:
        """Set the line of text that a page shows."""
        text = shown.get(self.parameter.name)
        if isinstance(text, str):
            self.control.value = text

    def set_files(self, files: tuple[FileValue, ...]) -> None:
        """Set these files and no others."""
        self._held = files
        if self.control.value:
            self.control.value = ""  # this calls `_start_reading`
        else:
            self._start_reading()

    def clear(self) -> None:
        """Remove all files."""
        self.set_files(())

    def add_problem(self, problem: Problem) -> None:
        """Add a problem of the current file."""
        if self.value is not None:
            self._error = f"{problem.given}; {problem.allowed}"

    def shows(self, problem: Problem) -> bool:
        """Whether the field shows that problem now; errors of a file are always shown."""
        return super().shows(problem) or bool(self.error)

    def close(self) -> None:
        """Close the field; the result of a read in progress is ignored."""
        self._turn += 1
        super().close()

    def _on_text(self, _: object) -> None:
        # With one file, the last input wins.
        if self.control.value.strip() and self._kind.max_count == 1:
            self._held = ()
        self._start_reading()

    def _on_file(self, name: str, content: bytes) -> None:
        value = replace(_file_value(content, medium=self.medium), name=to_one_line(name, 80))
        if self._kind.max_count == 1:
            self.set_files((value,))
        else:
            self._held = (*self._held, value)
            self._start_reading()

    def _on_refusal(self, words: str) -> None:
        self._error = to_one_line(words, 300)
        self.changed()

    def _remove(self, at: int) -> None:
        held = len(self._held)
        if at < held:
            self._held = tuple(each for index, each in enumerate(self._held) if index != at)
            self._start_reading()
        else:
            left = [line for line in str(self.control.value).split("\n") if line.strip()]
            self.control.value = "\n".join(left[: at - held] + left[at - held + 1 :])

    def _move(self, at: int, to: int) -> None:
        files = list(self.files)
        if 0 <= at < len(files) and 0 <= to < len(files):
            files.insert(to, files.pop(at))
            self.set_files(tuple(files))

    def _start_reading(self) -> None:
        """Read the current files; results of earlier reads in progress are ignored."""
        self._turn += 1
        self._error, self.duration_s, self.sizes_px = "", None, ()
        files = self.files
        if not files:
            self.control.pictures = []
        self.changed()
        if files:
            self.reading = background_loop().submit(self._read(self._turn, files))

    async def _read(self, turn: int, files: tuple[FileValue, ...]) -> None:
        message, shown = "", []
        for one in files:
            try:
                shown.append(await preview(one, self._kind, self._context))
            except MediaError as error:
                message = message or str(error)
                shown.append(_Preview(one))
        if turn == self._turn:
            self._error = message
            self._held = tuple(each.file for each in shown[: len(self._held)])
            lengths = [each.duration_s for each in shown if each.duration_s is not None]
            self.duration_s = sum(lengths) if len(lengths) == len(shown) else None
            self.sizes_px = tuple(each.size_px for each in shown if each.size_px is not None)
            self.control.pictures = [each.page_data for each in shown]
            self.changed()


def _items(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _roles(parameter: Parameter, kind: Media) -> list[str]:
    """Return the role of each of two files if the help names a first and a last frame."""
    is_pair = kind.max_count == 2 and _ROLES.search(parameter.help)
    return ["First frame", "Last frame"] if is_pair else []
