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
from kling_nb.core.formatting import one_line, shorten
from kling_nb.core.stored_input import StoredInput
from kling_nb.display.html.markup import data_uri
from kling_nb.display.links import relative_path
from kling_nb.jobs.background_loop import background_loop, in_thread
from kling_nb.kie.http import Downloader
from kling_nb.media import input_store
from kling_nb.media.audio_video import AudioVideoInput
from kling_nb.media.images import ImageInput, shrink
from kling_nb.media.inputs import Attachment, check_upload, read_attachment
from kling_nb.models.parameter_kind import Medium
from kling_nb.models.parameters import Media
from kling_nb.models.spec import Parameter

from .fields import Field, words_of
from .widgets import Picker

__all__ = [
    "FileValue",
    "MediaField",
    "Preview",
    "Surroundings",
    "chosen_from",
    "is_url",
    "name_of",
    "path_beside",
    "preview",
]

_NOUNS = {"image": "picture", "video": "video", "audio": "sound"}
"""How an object without a name reads in a cell: as a variable to be filled in."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a name may mean here, and where files are kept."""

    variables: Callable[[], Mapping[str, object]]
    """The notebook's variables, now."""
    is_emulated: Callable[[], bool]
    """Whether a file that cannot be fetched is replaced."""
    folder: Callable[[], Path]
    """The folder of clips."""

    def named(self, text: str) -> FileValue:
        """What a path, a URL or the name of a variable means."""
        known = self.variables() if text.isidentifier() else {}
        if text in known:
            return FileValue(known[text], text, text)
        return FileValue(text, text, text.rpartition("/")[2] if is_url(text) else "")


@dataclass(frozen=True, slots=True)
class FileValue:
    """One file as it was given."""

    value: object = field(repr=False)
    written: str
    """How it reads in a cell."""
    name: str = ""
    """For people; empty for the one that the value suggests."""


def chosen_from(value: object, written: str = "", medium: str = "image") -> FileValue:
    """What was given in Python, or in another request.

    Args:
        value: A path, a URL or any object that a file can be made of.
        written: How it reads in a cell, where that is known.
        medium: What it is: `image`, `video` or `audio`.
    """
    if isinstance(value, StoredInput):
        path = path_beside(value.path) if value.path else value.url
        return FileValue(value, written or path, value.name)
    is_text = isinstance(value, str) or hasattr(value, "__fspath__")
    return FileValue(value, written or (str(value) if is_text else _NOUNS[medium]))


def path_beside(path: str) -> str:
    """A path as a cell of this notebook would give it."""
    short = relative_path(Path(path))
    return path if not short or short.startswith("..") else short


def is_url(given: object) -> bool:
    """Whether it is the address of a file on the web."""
    return isinstance(given, str) and given.lower().startswith(("http://", "https://"))


def name_of(chosen: FileValue) -> str:
    """What people call it."""
    return one_line(chosen.name, 80) or one_line(shorten(chosen.value), 80)


_ALONE_PX = (640, 360)
_ALONE_BYTES = 60_000
"""Of a picture that stands alone: as wide as its column, on a screen of twice the pixels too."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What is shown of a file, and what is held of it from now on."""

    chosen: FileValue
    src: str = ""
    facts: str = ""
    how: str = ""
    """What happens to it on its way to the service."""
    length_s: float | None = None
    """Of a video or a sound."""
    size_px: tuple[int, int] | None = None
    """Width and height; None for a sound, or if the file was not read."""

    @property
    def words(self) -> dict[str, str]:
        """For the page."""
        name = name_of(self.chosen)
        return {"src": self.src, "name": name, "facts": self.facts, "how": self.how}


async def preview(chosen: FileValue, kind: Media, around: Surroundings) -> Preview:
    """Read a file as it would be sent.

    Raises:
        MediaError: It cannot be read, or is not what the service takes.
    """
    given = chosen.value
    if is_url(given):
        try:
            given = await _fetch(str(given), kind.max_bytes)
        except MediaError as error:
            if not around.is_emulated():
                raise
            why = str(error).rstrip(".")
            return Preview(chosen, how=f"{why}. The emulator draws one in its place.")
    read = await in_thread(read_attachment, given, kind, chosen.name)
    if not is_url(chosen.value):
        check_upload(read)
    if isinstance(chosen.value, bytes):
        chosen = await in_thread(_keep, chosen, chosen.value, read, around)
    shown = _preview_of(read, chosen)
    if isinstance(read, ImageInput) and kind.max_count == 1:
        still = await in_thread(shrink, read.content, _ALONE_PX, max_bytes=_ALONE_BYTES)
        return replace(shown, src=data_uri(still))
    return shown


def _keep(chosen: FileValue, content: bytes, read: Attachment, around: Surroundings) -> FileValue:
    """A file that came from a page, as one of the folder: so that its cell can name it."""
    path = input_store.keep(around.folder(), content, "" if read.is_converted else read.mime_type)
    if not path:
        return chosen
    kept = StoredInput(read.source_sha256, chosen.name or read.name, read.mime_type, path)
    return replace(chosen, value=kept, written=path_beside(path))


async def _fetch(url: str, max_bytes: int) -> bytes:
    fetcher = Downloader()
    try:
        return (await fetcher.fetch(url, max_bytes)).content
    finally:
        await fetcher.aclose()


def _preview_of(read: Attachment, chosen: FileValue) -> Preview:
    kind = read.mime_type.partition("/")[2].upper()
    return Preview(
        replace(chosen, name=one_line(read.name, 80) or chosen.name),
        src=data_uri(read.thumbnail) if read.thumbnail else "",
        facts=read.facts,
        how=_how(read, kind),
        length_s=read.length_s if isinstance(read, AudioVideoInput) else None,
        size_px=(read.width_px, read.height_px) if read.width_px else None,
    )


def _how(read: Attachment, kind: str) -> str:
    """Return how the file is changed before the upload."""
    if read.sha256 == read.source_sha256:
        return "sent as it is"
    return (
        f"converted to {kind} for the service"
        if read.is_converted
        else ("sent without its metadata")
    )


_ROLES = re.compile(r"\bfirst\b.*\blast\b", re.IGNORECASE)
"""How the help of a pair says which of the two is which."""


class MediaField(Field):
    """One file or several of one medium.

    Args:
        parameter: What it is for.
        kind: What the service takes. Source: `ModelSpec`.
        around: What a name may mean.
        remarks: What the model's rules say of it.
    """

    control: Picker

    def __init__(
        self, parameter: Parameter, kind: Media, around: Surroundings, remarks: Sequence[str] = ()
    ) -> None:
        self.reading: Future[None] | None = None
        """The last reading of what is there; it never raises."""
        self.length_s: float | None = None
        """How long what is there is together, where that was read."""
        self.sizes_px: tuple[tuple[int, int], ...] = ()
        """Width and height of each image and video that was read."""
        self._fault = ""
        self._kind, self._around = kind, around
        self._held: tuple[FileValue, ...] = ()
        self._turn = 0
        several = kind.max_count > 1
        what = parameter.help.partition(":")[0]
        super().__init__(
            parameter,
            Picker(
                **words_of(parameter, "; ".join(filter(None, (what, kind.allowed, *remarks)))),
                medium=kind.medium,
                several=several,
                roles=_roles(parameter, kind),
                placeholder="path, URL or variable" + (", one a line" * several),
                accept="image/*" if kind.medium == "image" else ",".join(kind.mime_types),
            ),
        )
        self.control.observe(self._take_text, "value")
        self.control.on_file = self._take_file
        self.control.on_refusal = self._take_refusal
        self.control.on_remove = self._remove
        self.control.on_move = self._move

    @property
    def given(self) -> object | None:
        """The file, or a list of several; None while there is none."""
        values = [chosen.value for chosen in self.chosen]
        return values[0] if len(values) == 1 else values or None

    @property
    def written(self) -> object | None:
        """The file as it is written in a cell, or a list of several."""
        words = [chosen.written for chosen in self.chosen]
        return words[0] if len(words) == 1 else words or None

    @property
    def kept(self) -> tuple[FileValue, ...]:
        """The files as they were chosen."""
        return self.chosen

    @property
    def fault(self) -> str:
        """What is wrong with a file that is there."""
        return self._fault

    @property
    def medium(self) -> Medium:
        """What it holds: `image`, `video` or `audio`."""
        return self._kind.medium

    @property
    def chosen(self) -> tuple[FileValue, ...]:
        """The files: those that are held, then those that are named in the line of text."""
        lines = [line.strip() for line in str(self.control.value).splitlines()]
        return (*self._held, *(self._around.named(line) for line in lines if line))

    def give(self, value: object, written: object = None) -> None:
        """Hold this file: text goes into the line of text, objects are kept."""
        items, words = _items(value), _items(written)
        if all(isinstance(item, FileValue) for item in items):
            self.take(tuple(item for item in items if isinstance(item, FileValue)))
        elif all(isinstance(item, str) or hasattr(item, "__fspath__") for item in items):
            self._held = ()
            self.control.value = "\n".join(map(str, items))
        else:
            texts = [str(word or "") for word in words] if len(words) == len(items) else []
            pairs = zip_longest(items, texts, fillvalue="")
            self.take(tuple(chosen_from(item, text, self.medium) for item, text in pairs))

    def hold(self, shown: Mapping[str, object]) -> None:
        """Hold the line of text that a page shows."""
        text = shown.get(self.parameter.name)
        if isinstance(text, str):
            self.control.value = text

    def take(self, chosen: tuple[FileValue, ...]) -> None:
        """Hold these files and no others."""
        self._held = chosen
        if self.control.value:
            self.control.value = ""  # which looks, too
        else:
            self._look()

    def clear(self) -> None:
        """Hold no file."""
        self.take(())

    def blame(self, problem: Problem) -> None:
        """Hear what is wrong with the file that is there."""
        if self.given is not None:
            self._fault = f"{problem.given}; {problem.allowed}"

    def shows(self, problem: Problem) -> bool:
        """Whether a person is to see it now: what is wrong with a file that is there, always."""
        return super().shows(problem) or bool(self.fault)

    def close(self) -> None:
        """Take the field away; a reading that still runs shows nothing any more."""
        self._turn += 1
        super().close()

    def _take_text(self, _: object) -> None:
        # Where one file is wanted the last way to give it counts.
        if self.control.value.strip() and self._kind.max_count == 1:
            self._held = ()
        self._look()

    def _take_file(self, name: str, content: bytes) -> None:
        given = replace(chosen_from(content, medium=self.medium), name=one_line(name, 80))
        if self._kind.max_count == 1:
            self.take((given,))
        else:
            self._held = (*self._held, given)
            self._look()

    def _take_refusal(self, words: str) -> None:
        self._fault = one_line(words, 300)
        self.changed()

    def _remove(self, at: int) -> None:
        held = len(self._held)
        if at < held:
            self._held = tuple(each for place, each in enumerate(self._held) if place != at)
            self._look()
        else:
            left = [line for line in str(self.control.value).split("\n") if line.strip()]
            self.control.value = "\n".join(left[: at - held] + left[at - held + 1 :])

    def _move(self, at: int, to: int) -> None:
        chosen = list(self.chosen)
        if 0 <= at < len(chosen) and 0 <= to < len(chosen):
            chosen.insert(to, chosen.pop(at))
            self.take(tuple(chosen))

    def _look(self) -> None:
        """Read what is there now; an earlier reading that still runs shows nothing any more."""
        self._turn += 1
        self._fault, self.length_s, self.sizes_px = "", None, ()
        chosen = self.chosen
        if not chosen:
            self.control.pictures = []
        self.changed()
        if chosen:
            self.reading = background_loop().submit(self._read(self._turn, chosen))

    async def _read(self, turn: int, chosen: tuple[FileValue, ...]) -> None:
        fault, shown = "", []
        for one in chosen:
            try:
                shown.append(await preview(one, self._kind, self._around))
            except MediaError as error:
                fault = fault or str(error)
                shown.append(Preview(one))
        if turn == self._turn:
            self._fault = fault
            self._held = tuple(each.chosen for each in shown[: len(self._held)])
            lengths = [each.length_s for each in shown if each.length_s is not None]
            self.length_s = sum(lengths) if len(lengths) == len(shown) else None
            self.sizes_px = tuple(each.size_px for each in shown if each.size_px is not None)
            self.control.pictures = [each.words for each in shown]
            self.changed()


def _items(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _roles(parameter: Parameter, kind: Media) -> list[str]:
    """What each of a pair is, in the words of its help: the first frame and the last."""
    is_pair = kind.max_count == 2 and _ROLES.search(parameter.help)
    return ["First frame", "Last frame"] if is_pair else []
