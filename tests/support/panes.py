"""A panel as a test sees and uses it: controls by their labels, words on the screen, clicks.

A page is stood in for by the messages that it sends; what it does with them is tested in a browser.
"""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import date
from typing import Any

import ipywidgets as widgets
from PIL import Image

from kling_nb.display.panel.fields import Field
from kling_nb.display.panel.file_field import MediaField
from kling_nb.display.panel.panel import Panel
from kling_nb.display.panel.records_field import RowsField
from kling_nb.display.panel.widgets import Actions, Control, Labelled, Picker
from kling_nb.models.parameters import Choice, Flag, Media, Number, Text
from kling_nb.models.prices import Price, PriceList
from kling_nb.models.rules import Needs, OnlyWith
from kling_nb.models.spec import ModelSpec, Parameter

__all__ = [
    "INVENTED",
    "WAIT_S",
    "Beside",
    "actions",
    "choose_file",
    "controls",
    "fields",
    "find",
    "labels",
    "png",
    "press",
    "read_all",
    "text_of",
    "until",
    "walk",
]

WAIT_S = 30.0

INVENTED = ModelSpec(
    name="invented-9/all-kinds",
    title="Invented 9, all kinds",
    parameters=(
        Parameter("prompt", Text(50), "what happens"),
        Parameter("mood", Text(20), "how it feels", required=False),
        Parameter("image", Media(("image/png",), 1_000_000), "the first frame"),
        Parameter(
            "references", Media(("image/png",), 1_000_000, max_count=3), "more", required=False
        ),
        Parameter("duration", Choice(("3", "4"), unit="s"), "length", default="3"),
        Parameter("ratio", Choice(tuple("abcdefg")), "shape", default="a"),
        Parameter("sound", Flag("sound", "no sound"), "sound", default=False),
        Parameter("shots", Number(1, 5, integer=True), "how many", default=2),
        Parameter("cfg_scale", Number(0, 1, 0.1), "how close", required=False),
    ),
    prices=PriceList((Price(7, {"duration": "3"}), Price(9)), date(2026, 11, 1), "invented"),
    usual_s=10.0,
    source="invented",
    rules=(OnlyWith("cfg_scale", "sound", (True,)), Needs("references", "mood")),
)
"""A model that does not exist, with every kind, and rules."""


class Beside(ThreadPoolExecutor):
    """The threads of clicks, which tests can wait for."""

    def __init__(self) -> None:
        super().__init__(max_workers=4)
        self.begun: list[Future[Any]] = []

    def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
        """Note what was begun."""
        self.begun.append(super().submit(*args, **kwargs))
        return self.begun[-1]

    def rest(self) -> None:
        """Wait until all is done."""
        while any(not one.done() for one in self.begun):
            wait(tuple(self.begun), WAIT_S)


def png(size: tuple[int, int] = (400, 300), colour: str = "orange") -> bytes:
    """An image as bytes."""
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return out.getvalue()


def walk(widget: Any) -> Iterator[Any]:
    """The widget and all within it, in the order of the Tab key."""
    yield widget
    for child in getattr(widget, "children", ()):
        yield from walk(child)


def controls(made: Panel) -> list[Any]:
    """What a person fills in, in the order of the Tab key."""
    return [one for one in walk(made) if isinstance(one, Control | Picker)]


def labels(made: Panel) -> list[str]:
    """Their labels."""
    return [one.label for one in controls(made)]


def find(made: Panel, label: str) -> Any:
    """The control with that label."""
    found = [one for one in controls(made) if one.label == label]
    assert len(found) == 1, f"{label}: {labels(made)}"
    return found[0]


def actions(made: Panel) -> Actions:
    """The foot of the form."""
    return next(one for one in walk(made) if isinstance(one, Actions))


def press(made: Panel, word: str = "generate", **held: object) -> None:
    """Click *Generate*, or *Copy cell*; `held` is what the page shows and the kernel may lack."""
    actions(made)._handle_custom_msg({"do": word, "held": held}, [])


def choose_file(picker: Picker, content: bytes, name: str, piece_bytes: int = 1_000_000) -> None:
    """Drop, paste or choose a file: what a page sends of it, in pieces."""
    starts = range(0, max(1, len(content)), piece_bytes)
    for start in starts:
        message = {"do": "piece", "key": name, "name": name, "last": start == starts[-1]}
        picker._handle_custom_msg(message, [memoryview(content[start : start + piece_bytes])])


def text_of(made: Any) -> str:
    """All words that are shown."""
    shown: list[str] = []
    for one in walk(made):
        if isinstance(one, widgets.HTML) and one.layout.display != "none":
            shown.append(re.sub("<style>.*?</style>", "", one.value, flags=re.DOTALL))
        elif isinstance(one, Actions):
            shown += [one.price, one.hint, one.cell]
        elif isinstance(one, Labelled):
            shown += [one.label, one.note, one.problem]
            shown += [" ".join(each.values()) for each in getattr(one, "pictures", ())]
    return "\n".join(shown)


def read_all(made: Panel) -> None:
    """Wait until every file that is there was read."""
    for field in fields(made):
        if isinstance(field, MediaField) and field.reading is not None:
            field.reading.result(WAIT_S)


def fields(made: Panel) -> list[Field]:
    """Every field, those in rows too."""
    found: list[Field] = []
    for field in made._form._fields.values():
        found += [field, *(field.fields if isinstance(field, RowsField) else ())]
    return found


def until(holds: Callable[[], bool]) -> None:
    """Wait for what another thread brings about; it fails when that never happens."""
    end = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < end
        threading.Event().wait(0.01)
