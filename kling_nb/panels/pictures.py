"""The field of a picture: path, URL, name of a variable, or a chosen file; shown as it is sent.

Pictures are read beside the kernel, which stays free. What is wrong with one is the field's
`fault`; whether a picture must be there is the validator's matter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import ipywidgets as widgets

from .. import media
from ..errors import MediaError
from ..fetcher import Fetcher
from ..html.markup import data_uri, escape, joined, tag
from ..html.units import byte_words, one_line
from ..kinds import Media, shorten
from ..media import Picture
from ..portal import in_thread, portal
from ..specs import Parameter
from .fields import Field, help_of, label_of, quiet

__all__ = ["PictureField", "Surroundings"]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a picture's name may mean here."""

    variables: Callable[[], Mapping[str, object]]
    """The notebook's variables, now."""
    is_emulated: Callable[[], bool]
    """Whether a picture that cannot be fetched is replaced."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """One picture as it was given."""

    value: object = field(repr=False)
    written: str
    """How it reads in a cell."""
    name: str = ""
    """For people; empty for the one that the value suggests."""


class PictureField(Field):
    """A text field and a button for files, with the picture below.

    Args:
        parameter: What it is for.
        kind: What the service takes. Source: `ModelSpec`.
        around: What a name may mean.
    """

    def __init__(self, parameter: Parameter, kind: Media, around: Surroundings) -> None:
        self.fault = ""
        """What is wrong with the picture that is there."""
        self.reading: Future[None] | None = None
        """The last reading of what is there; it never raises."""
        self._kind, self._around = kind, around
        self._held: tuple[Chosen, ...] = ()
        self._turn = 0
        several = kind.max_count > 1
        self._text = (widgets.Textarea if several else widgets.Text)(
            description=label_of(parameter),
            placeholder="path, URL, or the name of a variable" + (", one a line" * several),
            continuous_update=False,  # a path is looked for when it is whole
        )
        pictures_only = all(mime.startswith("image/") for mime in kind.mime_types)
        self._upload = widgets.FileUpload(
            accept="image/*" if pictures_only else ",".join(kind.mime_types),
            multiple=several,
            description="Choose files" if several else "Choose a file",
            tooltip=f"{label_of(parameter)}: choose a file. Give a large one as a path.",
        )
        self._remove = widgets.Button(
            description="Remove", tooltip=f"Take away: {label_of(parameter)}"
        )
        self._preview = widgets.HTML()
        self._shown = widgets.HBox([self._preview, self._remove])
        self._shown.add_class("kling-preview")
        row = widgets.HBox([self._text, self._upload])
        row.add_class("kling-source-row")
        row.add_class("kling-several" if several else "kling-single")
        super().__init__(parameter, row, self._shown, note=f"{help_of(parameter)}; {kind.allowed}")
        self._show("")
        self._text.observe(self._take_text, "value")
        self._upload.observe(self._take_files, "value")
        self._remove.on_click(lambda _: self._hold(()))

    @property
    def given(self) -> object | None:
        """The picture, or a list of several; None while there is none."""
        values = [chosen.value for chosen in self._chosen()]
        return values[0] if len(values) == 1 else values or None

    @property
    def written(self) -> str | None:
        """The first picture as it is written in a cell."""
        return next((chosen.written for chosen in self._chosen()), None)

    def give(self, value: object) -> None:
        """Hold this picture: text goes into the text field, objects are kept."""
        items = list(value) if isinstance(value, list | tuple) else [value]
        if all(isinstance(item, str) or hasattr(item, "__fspath__") for item in items):
            self._text.value = "\n".join(map(str, items))
        else:
            self._hold(tuple(Chosen(item, "picture") for item in items))

    def _chosen(self) -> tuple[Chosen, ...]:
        if self._held:
            return self._held
        lines = [line.strip() for line in str(self._text.value).splitlines()]
        return tuple(self._named(line) for line in lines if line)

    def _named(self, text: str) -> Chosen:
        known = self._around.variables() if text.isidentifier() else {}
        if text in known:
            return Chosen(known[text], text, text)
        return Chosen(text, text, text.rpartition("/")[2] if _is_url(text) else "")

    def _take_text(self, _: object) -> None:
        if self._text.value.strip():
            self._held = ()
            self._upload.value = ()
        if not self._held:
            self._look()

    def _take_files(self, _: object) -> None:
        files = tuple(self._upload.value)
        if files:
            self._hold(tuple(Chosen(bytes(f["content"]), "picture", f["name"]) for f in files))

    def _hold(self, chosen: tuple[Chosen, ...]) -> None:
        self._held = chosen
        self._text.value = ""
        if not chosen:
            self._upload.value = ()
        self._look()

    def _look(self) -> None:
        """Read what is there now; an earlier reading that still runs shows nothing any more."""
        self._turn += 1
        self.fault = ""
        chosen = self._chosen()
        self._show(quiet("Reading …") if chosen else "")
        self.changed()
        if chosen:
            self.reading = portal().submit(self._read(self._turn, chosen))

    async def _read(self, turn: int, chosen: tuple[Chosen, ...]) -> None:
        fault, shown = "", ""
        try:
            shown = joined(*[await self._view(one) for one in chosen])
        except MediaError as error:
            fault = str(error)
        if turn == self._turn:
            self.fault = fault
            self._show(shown)
            self.changed()

    async def _view(self, chosen: Chosen) -> Any:
        given, kind = chosen.value, self._kind
        if _is_url(given):
            try:
                given = await _fetch(str(given), kind.max_bytes)
            except MediaError as error:
                if not self._around.is_emulated():
                    raise
                return tag("p", "", escape(f"{error} The emulator draws one in its place."))
        picture = await in_thread(
            media.read_picture,
            given,
            name=chosen.name,
            mime_types=kind.mime_types,
            max_bytes=kind.max_bytes,
        )
        return _thumbnail(picture)

    def _show(self, markup: str) -> None:
        self._preview.value = markup
        self._shown.layout.display = None if markup else "none"
        self.note.layout.display = "none" if self._chosen() else None


def _is_url(given: object) -> bool:
    return isinstance(given, str) and given.lower().startswith(("http://", "https://"))


async def _fetch(url: str, max_bytes: int) -> bytes:
    fetcher = Fetcher()
    try:
        return await fetcher.fetch(url, max_bytes)
    finally:
        await fetcher.aclose()


def _thumbnail(picture: Picture) -> Any:
    name = one_line(picture.name, 80) or shorten(picture.content)
    kind = picture.mime_type.partition("/")[2].upper()
    size = f"{picture.width_px:,} × {picture.height_px:,} px"
    facts = f"{size} · {kind} · {byte_words(len(picture.content))}"
    return tag(
        "div",
        "",
        tag("img", "", src=data_uri(picture.thumbnail), alt=f"Picture {name}"),
        tag("div", "", tag("strong", "", escape(name)), tag("span", "", escape(facts))),
        classes="kling-thumbnail",
    )
