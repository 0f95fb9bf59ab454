"""Widgets of the panel: their values and events in Python; their scripts draw them.

Each is an anywidget, since the controls of ipywidgets cannot show validation messages
(`aria-invalid`, `aria-describedby`) and support no drop, paste or keys. Must not depend on
parameters or models: `fields`, `file_field` and the panel pass the labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import anywidget
import traitlets
from ipywidgets import widget_serialization

from kling_nb.display.assets import CLIPBOARD, STATIC, joined_script

__all__ = ["Actions", "Control", "Labelled", "Picker", "Recents", "Rows"]

_HERE = STATIC / "panel"
_FILE_BYTES = 50_000_000
"""A file that a page may send; larger ones are given as a path."""


def _script(*names: str) -> str:
    return joined_script(CLIPBOARD, *(_HERE / name for name in ("element.js", *names)))


class Labelled(anywidget.AnyWidget):
    """What every control of a field is told: its words, and what is wrong below it."""

    kind = traitlets.Unicode().tag(sync=True)
    name = traitlets.Unicode().tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)
    note = traitlets.Unicode().tag(sync=True)
    placeholder = traitlets.Unicode().tag(sync=True)
    problem = traitlets.Unicode().tag(sync=True)
    required = traitlets.Bool(True).tag(sync=True)


class Control(Labelled):
    """A labelled control; its kind is `text`, `segments`, `list`, `switch` or `number`."""

    _esm = _script("control.js")
    options = traitlets.List().tag(sync=True)
    """Of value and words; with a third, the group that it stands in."""
    limits = traitlets.List().tag(sync=True)
    """Lowest, highest, step; for text the numbers of characters."""
    value = traitlets.Any(None, allow_none=True).tag(sync=True)
    """As the page gives it: nothing here judges it."""


class Picker(Labelled):
    """A place for pictures, videos or sounds: drop, paste, file dialog, and a line of text.

    Args:
        given: The traits at first.
    """

    _esm = _script("picker.js")
    kind = traitlets.Unicode("picture").tag(sync=True)
    medium = traitlets.Unicode("image").tag(sync=True)
    """`image`, `video` or `audio`."""
    several = traitlets.Bool(False).tag(sync=True)
    roles = traitlets.List().tag(sync=True)
    """What each of several is, in their order; empty where only their order counts."""
    accept = traitlets.Unicode("image/*").tag(sync=True)
    most_bytes = traitlets.Int(_FILE_BYTES).tag(sync=True)
    arriving = traitlets.Bool(False).tag(sync=True)
    """The page is sending a file."""
    pictures = traitlets.List().tag(sync=True)
    """What is shown of each: `src`, `name`, `facts`, `how`."""
    value = traitlets.Unicode().tag(sync=True)
    """The line of text."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.on_file: Callable[[str, bytes], None] | None = None
        """Called with name and content of each whole file."""
        self.on_remove: Callable[[int], None] | None = None
        """Called with the place of a picture that is taken away."""
        self.on_move: Callable[[int, int], None] | None = None
        """Called with the place of a picture, and the place where it shall be."""
        self.on_refusal: Callable[[str], None] | None = None
        """Called with what is wrong with a file that was not sent."""
        self._arriving: tuple[str, bytearray] = ("", bytearray())
        self.on_msg(self._receive)

    def _receive(self, _widget: Any, content: Any, buffers: Any) -> None:
        match content:
            case {"do": "piece", "key": str(key), "name": str(name), "last": bool(is_last)}:
                self._take_piece(key, name, b"".join(map(bytes, buffers)), is_last)
            case {"do": "refuse", "words": str(words)} if self.on_refusal is not None:
                self.on_refusal(words)
            case {"do": "remove", "at": int(at)} if self.on_remove is not None:
                self.on_remove(at)
            case {"do": "move", "at": int(at), "to": int(to)} if self.on_move is not None:
                self.on_move(at, to)

    def _take_piece(self, key: str, name: str, piece: bytes, is_last: bool) -> None:
        # One file at a time comes from a page; what another left half sent is dropped.
        if key != self._arriving[0]:
            self._arriving = (key, bytearray())
        whole = self._arriving[1]
        if len(whole) <= self.most_bytes:
            whole += piece
        if is_last:
            self._arriving = ("", bytearray())
            if len(whole) <= self.most_bytes and self.on_file is not None:
                self.on_file(name, bytes(whole))


class Rows(Labelled):
    """Rows of controls that can be added, moved and taken away.

    Args:
        given: The traits at first.
    """

    _esm = _script("rows.js")
    kind = traitlets.Unicode("rows").tag(sync=True)
    noun = traitlets.Unicode().tag(sync=True)
    """What one row is, e.g. `shot`."""
    most = traitlets.Int(1).tag(sync=True)
    """How many rows there may be."""
    columns = traitlets.Int(1).tag(sync=True)
    """How many controls a row has."""
    children = traitlets.List(trait=traitlets.Instance(Labelled)).tag(
        sync=True, **widget_serialization
    )
    """The controls, row by row."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.on_add: Callable[[], None] | None = None
        """Called when one more is wanted."""
        self.on_remove: Callable[[int], None] | None = None
        """Called with the place of a row that is taken away."""
        self.on_move: Callable[[int, int], None] | None = None
        """Called with the place of a row, and the place where it shall be."""
        self.on_msg(self._receive)

    def _receive(self, _widget: Any, content: Any, _buffers: Any) -> None:
        match content:
            case {"do": "add"} if self.on_add is not None:
                self.on_add()
            case {"do": "remove", "at": int(at)} if self.on_remove is not None:
                self.on_remove(at)
            case {"do": "move", "at": int(at), "to": int(to)} if self.on_move is not None:
                self.on_move(at, to)


class Actions(anywidget.AnyWidget):
    """The price, *Generate* and *Copy cell*, and the keys of the whole panel."""

    _esm = _script("listener.js", "actions.js")
    _css = joined_script(_HERE / "panel.css", _HERE / "arrangement.css")
    controls = traitlets.Dict().tag(sync=True)
    """The model id of each control by its name: a page tells what they hold with each click."""
    busy = traitlets.Bool(False).tag(sync=True)
    price = traitlets.Unicode().tag(sync=True)
    amount = traitlets.Unicode().tag(sync=True)
    """What of the price line stands out: the words of the sum."""
    hint = traitlets.Unicode().tag(sync=True)
    warnings = traitlets.List().tag(sync=True)
    """Warnings about inputs that the service may refuse, shown before payment."""
    cell = traitlets.Unicode().tag(sync=True)

    def __init__(self) -> None:
        super().__init__()
        self.on_press: Callable[[str, Mapping[str, object]], None] | None = None
        """Called with `generate` or `copy`, and what each control holds."""
        self.on_msg(self._receive)

    def _receive(self, _widget: Any, content: Any, _buffers: Any) -> None:
        match content:
            case {"do": "hear"}:
                self.send({"here": True})
            case {"do": ("generate" | "copy") as word, "held": dict(held)} if self.on_press:
                self.on_press(word, held)


class Recents(anywidget.AnyWidget):
    """Posters of clips to start from."""

    _esm = _script("recents.js")
    clips = traitlets.List().tag(sync=True)
    """`id`, `src` and `prompt` of each."""
    takes_pictures = traitlets.Bool(True).tag(sync=True)
    """Whether the form has a place for a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.on_choice: Callable[[str, str], None] | None = None
        """Called with `frame` or `settings`, and the id of a clip."""
        self.on_msg(self._receive)

    def _receive(self, _widget: Any, content: Any, _buffers: Any) -> None:
        match content:
            case {"do": ("frame" | "settings") as word, "id": str(job_id)} if self.on_choice:
                self.on_choice(word, job_id)
