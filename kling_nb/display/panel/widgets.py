"""Widgets of the panel: their values and events in Python; their scripts draw them.

Each is an anywidget, since the controls of ipywidgets cannot show validation messages
(`aria-invalid`, `aria-describedby`) and support no drop, paste or keys. Must not depend on
parameters or models: `fields`, `file_field` and the panel pass the labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from ipywidgets import widget_serialization

from kling_nb.display.assets import CLIPBOARD, KERNEL, STATIC, join_scripts

_HERE = STATIC / "panel"
_FILE_BYTES = 50_000_000
"""Largest file that a page may send; a larger one needs a path."""


def _script(*names: str, shared: tuple[Path, ...] = ()) -> str:
    return join_scripts(CLIPBOARD, *shared, *(_HERE / name for name in ("element.js", *names)))


class Labelled(anywidget.AnyWidget):
    """A control with label, note and validation message."""

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
    """Pairs of value and text; an optional third item is the group."""
    limits = traitlets.List().tag(sync=True)
    """Minimum, maximum and step; for text, minimum and maximum number of characters."""
    value = traitlets.Any(None, allow_none=True).tag(sync=True)
    """The value from the page, not validated."""


class _Movable(Labelled):
    """A control with items that the user can move and remove."""

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self.on_remove: Callable[[int], None] | None = None
        """Called with the index of a removed item."""
        self.on_move: Callable[[int, int], None] | None = None
        """Called with the old and new index of an item."""
        self.on_msg(self._receive)

    def _receive(self, _widget: Any, content: Any, _buffers: Any) -> None:
        match content:
            case {"do": "remove", "at": int(at)} if self.on_remove is not None:
                self.on_remove(at)
            case {"do": "move", "at": int(at), "to": int(to)} if self.on_move is not None:
                self.on_move(at, to)


class Picker(_Movable):
    """A control for images, videos or audio: drop, paste, file dialog, and a line of text."""

    _esm = _script("picker.js")
    kind = traitlets.Unicode("picture").tag(sync=True)
    medium = traitlets.Unicode("image").tag(sync=True)
    """`image`, `video` or `audio`."""
    several = traitlets.Bool(False).tag(sync=True)
    roles = traitlets.List().tag(sync=True)
    """Role of each of several files, in order; empty if only the order matters."""
    accept = traitlets.Unicode("image/*").tag(sync=True)
    most_bytes = traitlets.Int(_FILE_BYTES).tag(sync=True)
    arriving = traitlets.Bool(False).tag(sync=True)
    """Whether the page is sending a file."""
    pictures = traitlets.List().tag(sync=True)
    """`src`, `name`, `facts` and `how` of each file."""
    value = traitlets.Unicode().tag(sync=True)
    """The line of text."""

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self.on_file: Callable[[str, bytes], None] | None = None
        """Called with name and content of each whole file."""
        self.on_refusal: Callable[[str], None] | None = None
        """Called with the error of a file that was not sent."""
        self._arriving: tuple[str, bytearray] = ("", bytearray())

    def _receive(self, _widget: Any, content: Any, buffers: Any) -> None:
        match content:
            case {"do": "piece", "key": str(key), "name": str(name), "last": bool(is_last)}:
                self._add_piece(key, name, b"".join(map(bytes, buffers)), is_last)
            case {"do": "refuse", "words": str(words)} if self.on_refusal is not None:
                self.on_refusal(words)
            case _:
                super()._receive(_widget, content, buffers)

    def _add_piece(self, key: str, name: str, piece: bytes, is_last: bool) -> None:
        # A page sends one file at a time; an incomplete earlier one is dropped.
        if key != self._arriving[0]:
            self._arriving = (key, bytearray())
        whole = self._arriving[1]
        if len(whole) <= self.most_bytes:
            whole += piece
        if is_last:
            self._arriving = ("", bytearray())
            if len(whole) <= self.most_bytes and self.on_file is not None:
                self.on_file(name, bytes(whole))


class Rows(_Movable):
    """Rows of controls that can be added, moved and removed."""

    _esm = _script("rows.js")
    kind = traitlets.Unicode("rows").tag(sync=True)
    noun = traitlets.Unicode().tag(sync=True)
    """Name of a row, e.g. `shot`."""
    most = traitlets.Int(1).tag(sync=True)
    """Largest number of rows."""
    columns = traitlets.Int(1).tag(sync=True)
    """Number of controls in a row."""
    children = traitlets.List(trait=traitlets.Instance(Labelled)).tag(
        sync=True, **widget_serialization
    )
    """The controls, row by row."""

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self.on_add: Callable[[], None] | None = None
        """Called to add a row."""

    def _receive(self, _widget: Any, content: Any, buffers: Any) -> None:
        match content:
            case {"do": "add"} if self.on_add is not None:
                self.on_add()
            case _:
                super()._receive(_widget, content, buffers)


class Actions(anywidget.AnyWidget):
    """The price, *Generate* and *Copy cell*, and the keys of the whole panel."""

    _esm = _script("listener.js", "actions.js", shared=(KERNEL,))
    _css = join_scripts(_HERE / "panel.css", _HERE / "arrangement.css")
    controls = traitlets.Dict().tag(sync=True)
    """Model id of each control by name; each click sends the values of these controls."""
    form_of = traitlets.Unicode().tag(sync=True)
    """Name of the model of the form; while another model is chosen, the form takes no input."""
    busy = traitlets.Bool(False).tag(sync=True)
    price = traitlets.Unicode().tag(sync=True)
    amount = traitlets.Unicode().tag(sync=True)
    """The part of the price line that is emphasized."""
    hint = traitlets.Unicode().tag(sync=True)
    warnings = traitlets.List().tag(sync=True)
    """Warnings about inputs that the service may refuse, shown before payment."""
    cell = traitlets.Unicode().tag(sync=True)

    def __init__(self) -> None:
        super().__init__()
        self.on_press: Callable[[str, Mapping[str, object]], None] | None = None
        """Called with `generate` or `copy`, and the value of each control."""
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
    expected = traitlets.Int(0).tag(sync=True)
    """Number of clips to keep a place for until `clips` has them."""
    takes_pictures = traitlets.Bool(True).tag(sync=True)
    """Whether the form has an image field."""

    def __init__(self) -> None:
        super().__init__()
        self.on_choice: Callable[[str, str], None] | None = None
        """Called with `frame` or `settings`, and the id of a clip."""
        self.on_msg(self._receive)

    def _receive(self, _widget: Any, content: Any, _buffers: Any) -> None:
        match content:
            case {"do": ("frame" | "settings") as word, "id": str(job_id)} if self.on_choice:
                self.on_choice(word, job_id)
