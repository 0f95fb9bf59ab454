"""The field of a picture: path, URL, name of a variable, or a file; shown as it is sent.

Pictures are read beside the kernel, which stays free. What is wrong with one is the field's
`fault`; whether a picture must be there is the validator's matter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path

from .. import media, negatives
from ..errors import MediaError
from ..fetcher import Fetcher
from ..html.markup import data_uri
from ..html.units import byte_words, one_line
from ..kinds import Media, shorten
from ..links import relative_path
from ..media import Picture
from ..negatives import Negative
from ..portal import in_thread, portal
from ..specs import Parameter
from .controls import Picker
from .fields import Field, words_of

__all__ = ["Chosen", "PictureField", "Surroundings"]

_ANY = "picture"
"""How an object without a name reads in a cell: as a variable to be filled in."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a picture's name may mean here, and where pictures are kept."""

    variables: Callable[[], Mapping[str, object]]
    """The notebook's variables, now."""
    is_emulated: Callable[[], bool]
    """Whether a picture that cannot be fetched is replaced."""
    folder: Callable[[], Path]
    """The folder of clips."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """One picture as it was given."""

    value: object = field(repr=False)
    written: str
    """How it reads in a cell."""
    name: str = ""
    """For people; empty for the one that the value suggests."""


class PictureField(Field):
    """One picture or several.

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
        self.fault = ""
        """What is wrong with the picture that is there."""
        self.reading: Future[None] | None = None
        """The last reading of what is there; it never raises."""
        self._kind, self._around = kind, around
        self._held: tuple[Chosen, ...] = ()
        self._turn = 0
        several = kind.max_count > 1
        pictures_only = all(mime.startswith("image/") for mime in kind.mime_types)
        note = "; ".join((kind.allowed, *remarks))
        super().__init__(
            parameter,
            Picker(
                **words_of(parameter, note),
                several=several,
                placeholder="path, URL or variable" + (", one a line" * several),
                accept="image/*" if pictures_only else ",".join(kind.mime_types),
            ),
        )
        self.control.observe(self._take_text, "value")
        self.control.on_file = self._take_file
        self.control.on_refusal = self._take_refusal
        self.control.on_remove = self._remove

    @property
    def given(self) -> object | None:
        """The picture, or a list of several; None while there is none."""
        values = [chosen.value for chosen in self.chosen]
        return values[0] if len(values) == 1 else values or None

    @property
    def written(self) -> str | None:
        """The first picture as it is written in a cell."""
        return next((chosen.written for chosen in self.chosen), None)

    @property
    def chosen(self) -> tuple[Chosen, ...]:
        """The pictures: those that are held, then those that are named in the line of text."""
        lines = [line.strip() for line in str(self.control.value).splitlines()]
        return (*self._held, *(self._named(line) for line in lines if line))

    def give(self, value: object, written: str = "") -> None:
        """Hold this picture: text goes into the line of text, objects are kept."""
        items = list(value) if isinstance(value, list | tuple) else [value]
        if all(isinstance(item, str) or hasattr(item, "__fspath__") for item in items):
            self._held = ()
            self.control.value = "\n".join(map(str, items))
        else:
            self.take(tuple(_chosen(item, written) for item in items))

    def hold(self, shown: object) -> None:
        """Hold the line of text that a page shows."""
        self.control.value = shown if isinstance(shown, str) else ""

    def take(self, chosen: tuple[Chosen, ...]) -> None:
        """Hold these pictures and no others."""
        self._held = chosen
        if self.control.value:
            self.control.value = ""  # which looks, too
        else:
            self._look()

    def clear(self) -> None:
        """Hold no picture."""
        self.take(())

    def close(self) -> None:
        """Take the field away; a reading that still runs shows nothing any more."""
        self._turn += 1
        super().close()

    def _named(self, text: str) -> Chosen:
        known = self._around.variables() if text.isidentifier() else {}
        if text in known:
            return Chosen(known[text], text, text)
        return Chosen(text, text, text.rpartition("/")[2] if _is_url(text) else "")

    def _take_text(self, _: object) -> None:
        # Where one picture is wanted the last way to give it counts.
        if self.control.value.strip() and self._kind.max_count == 1:
            self._held = ()
        self._look()

    def _take_file(self, name: str, content: bytes) -> None:
        given = Chosen(content, _ANY, one_line(name, 80))
        if self._kind.max_count == 1:
            self.take((given,))
        else:
            self._held = (*self._held, given)
            self._look()

    def _take_refusal(self, words: str) -> None:
        self.fault = one_line(words, 300)
        self.changed()

    def _remove(self, at: int) -> None:
        held, lines = len(self._held), str(self.control.value).split("\n")
        if at < held:
            self._held = tuple(each for place, each in enumerate(self._held) if place != at)
            self._look()
        else:
            left = [line for line in lines if line.strip()]
            self.control.value = "\n".join(left[: at - held] + left[at - held + 1 :])

    def _look(self) -> None:
        """Read what is there now; an earlier reading that still runs shows nothing any more."""
        self._turn += 1
        self.fault = ""
        chosen = self.chosen
        if not chosen:
            self.control.pictures = []
        self.changed()
        if chosen:
            self.reading = portal().submit(self._read(self._turn, chosen))

    async def _read(self, turn: int, chosen: tuple[Chosen, ...]) -> None:
        fault, shown, held = "", [], []
        for one in chosen:
            try:
                view, kept = await self._view(one)
            except MediaError as error:
                fault = fault or str(error)
                view, kept = {"src": "", "name": _name_of(one), "facts": "", "how": ""}, one
            shown.append(view)
            held.append(kept)
        if turn == self._turn:
            self.fault = fault
            self._held = tuple(held[: len(self._held)])
            self.control.pictures = shown
            self.changed()

    async def _view(self, chosen: Chosen) -> tuple[dict[str, str], Chosen]:
        given, kind = chosen.value, self._kind
        if _is_url(given):
            try:
                given = await _fetch(str(given), kind.max_bytes)
            except MediaError as error:
                if not self._around.is_emulated():
                    raise
                how = f"{error} The emulator draws one in its place."
                return {"src": "", "name": _name_of(chosen), "facts": "", "how": how}, chosen
        picture = await in_thread(
            media.read_picture,
            given,
            name=chosen.name,
            mime_types=kind.mime_types,
            max_bytes=kind.max_bytes,
        )
        if isinstance(chosen.value, bytes):
            chosen = await in_thread(self._keep, chosen, chosen.value, picture)
        return _view_of(picture, chosen), chosen

    def _keep(self, chosen: Chosen, content: bytes, picture: Picture) -> Chosen:
        """A file that came from a page, as one of the folder: so that its cell can name it."""
        is_same = content == picture.content
        folder = self._around.folder()
        path = negatives.keep(folder, content, picture.mime_type if is_same else "")
        if not path:
            return chosen
        sha256 = hashlib.sha256(content).hexdigest()
        kept = Negative(sha256, chosen.name or picture.name, picture.mime_type, path)
        return replace(chosen, value=kept, written=_beside(path))


def _chosen(item: object, written: str) -> Chosen:
    if isinstance(item, Negative):
        return Chosen(item, written or (_beside(item.path) if item.path else item.url), item.name)
    return Chosen(item, written or (str(item) if isinstance(item, str) else _ANY))


def _beside(path: str) -> str:
    """A path as a cell of this notebook would give it."""
    short = relative_path(Path(path))
    return path if not short or short.startswith("..") else short


def _is_url(given: object) -> bool:
    return isinstance(given, str) and given.lower().startswith(("http://", "https://"))


async def _fetch(url: str, max_bytes: int) -> bytes:
    fetcher = Fetcher()
    try:
        return await fetcher.fetch(url, max_bytes)
    finally:
        await fetcher.aclose()


def _name_of(chosen: Chosen) -> str:
    return one_line(chosen.name, 80) or one_line(shorten(chosen.value), 80)


def _view_of(picture: Picture, chosen: Chosen) -> dict[str, str]:
    kind = picture.mime_type.partition("/")[2].upper()
    size = f"{picture.width_px:,} × {picture.height_px:,} px"
    is_same = hashlib.sha256(picture.content).hexdigest() == picture.source_sha256
    return {
        "src": data_uri(picture.thumbnail),
        "name": one_line(picture.name, 80) or _name_of(chosen),
        "facts": f"{size} · {kind} · {byte_words(len(picture.content))}",
        "how": "sent as it is" if is_same else f"converted to {kind} for the service",
    }
