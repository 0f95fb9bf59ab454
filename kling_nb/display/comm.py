"""The comm between a kernel and the pages that show it: containers for cards, mounts for widgets.

Saved outputs are plain HTML. A single widget that is never displayed, the hub, opens a comm to
each page; its module finds our HTML there and makes it interactive. So a notebook never contains
the view of a widget, which would not work when the notebook is opened again.

Must not depend on jobs: the creator of a container defines its content and handles its clicks.
JupyterLab 4.6 starts the module of a widget that is not displayed (measured); VS Code and Colab
start it only for a displayed view (not tested).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any
from uuid import uuid4

import anywidget
import comm
import traitlets

from kling_nb.core.forks import renew_in_child

from . import html
from .assets import CLIPBOARD, STATIC, joined_script
from .front_end import present_front_end

__all__ = ["VIEW_MIME", "Hub", "Page", "Place", "hub", "mounted", "view_data", "without_comms"]

VIEW_MIME = "application/vnd.jupyter.widget-view+json"
"""What displays a widget's view; in our outputs only where nothing else starts a widget."""

MISSED = (
    "This page was reloaded: run the cell once more (0 credits) so that the saved notebook keeps "
    "the clip."
)
"""Said where a page shows what its notebook has missed."""

Answer = Callable[[Mapping[str, Any]], None]

_MODULES = (
    "links.js",
    "persist_outputs.js",
    "scroll_anchor.js",
    "timers.js",
    "live_region.js",
    "widget_mounts.js",
    "cards.js",
    "comm.js",
)
_WORD_LENGTH = 400

_replacing = threading.RLock()
_log = logging.getLogger("kling_nb")


@dataclass(frozen=True, slots=True)
class Page:
    """What a page told of itself."""

    front_end: str = ""
    """`JupyterLab`, `Jupyter Notebook`, `VS Code`; empty where the page does not say it."""
    version: str = ""
    h264: str = ""
    """What the browser answers whether it plays H.264: `probably`, `maybe` or nothing."""
    aac: str = ""
    """The same for H.264 with AAC sound."""
    reduced_motion: bool = False
    agent: str = ""
    """The browser's own name for itself."""

    @classmethod
    def parse(cls, told: object) -> Page:
        """Read a hello; what is missing or of another kind is left at its default."""
        if not isinstance(told, Mapping):
            return cls()
        known: dict[str, Any] = {}
        for each in fields(cls):
            value = told.get(each.name)
            if type(value) is type(each.default):
                known[each.name] = value[:_WORD_LENGTH] if isinstance(value, str) else value
        return cls(**known)


class Hub(anywidget.AnyWidget):
    """Knows the places of this kernel and carries messages between them and the pages.

    Several pages may be connected, and each hears everything that is told.
    """

    _esm = joined_script(CLIPBOARD, *(STATIC / name for name in _MODULES))
    _css = STATIC / "comm.css"
    hub_id = traitlets.Unicode().tag(sync=True)
    """Which places and mounts on a page are this kernel's; also the id of the widget's model."""
    page = traitlets.Instance(Page, allow_none=True, default_value=None)
    """What the page told that came last; None until one is there. Can be observed."""

    def __init__(self) -> None:
        own_id = uuid4().hex
        self._answers: dict[str, Answer] = {}
        super().__init__(model_id=own_id, hub_id=own_id)
        self.on_msg(self._receive)

    def place(self, answer: Answer) -> str:
        """Make a place.

        Args:
            answer: Called on the kernel's thread with each message of this place: a click is
                `{"do": WORD, "job": ID, "turn": N}`; `{"do": "seen", "version": N}` comes from
                a page that shows the place and wants to know what is drawn there, and
                `{"do": "show"}` from one that lost an update.

        Returns:
            Its id, for `data-kling-place`.
        """
        place_id = uuid4().hex[:12]
        self._answers[place_id] = answer
        return place_id

    def tell(self, place_id: str, **content: Any) -> None:
        """Send something about a place to all pages, from any thread.

        Args:
            place_id: The place.
            content: `version` of its HTML, `feet` by job, `cells` to copy by job, and for pages
                that lost an update the whole `bundle`, with `missed` to be said where it cannot
                be put into the notebook.
        """
        if place_id in self._answers:
            self.send({"place": place_id, **content})

    def drop(self, place_id: str) -> None:
        """Forget a place; nobody is answered there any more."""
        self._answers.pop(place_id, None)

    def _receive(self, _widget: Any, content: Any, _buffers: Any) -> None:
        if not isinstance(content, Mapping):
            return
        if content.get("do") == "hello":
            self.page = Page.parse(content.get("page"))
        elif content.get("do") == "seen":
            self._answer_seen(content.get("places"))
        else:
            self._pass_on(content.get("place"), content)

    def _answer_seen(self, places: object) -> None:
        if isinstance(places, Mapping):
            for place_id, version in places.items():
                self._pass_on(place_id, {"do": "seen", "version": version})

    def _pass_on(self, place_id: object, content: Mapping[str, Any]) -> None:
        answer = self._answers.get(place_id) if isinstance(place_id, str) else None
        if answer is None:
            return
        try:
            answer(content)
        except Exception:
            _log.exception("a click or question could not be answered: %r", content.get("do"))


_hubs: list[Hub] = []
_making = threading.Lock()


_inherited: list[Hub] = []
"""The parent's hub, in a forked child. Kept: closing it would end it on the parent's pages."""


def start_child() -> None:
    """Remove the hub in a forked child, since pages answer the parent."""
    global _making  # noqa: PLW0603 - a thread of the parent may have held it at the fork
    _making = threading.Lock()
    _inherited.extend(_hubs)
    _hubs.clear()


renew_in_child(start_child)


def hub() -> Hub:
    """The hub of this process, made at first need, and again where somebody closed it."""
    with _making:
        if not _hubs or _hubs[-1].comm is None:
            _hubs[:] = [Hub()]
        return _hubs[-1]


class Place:
    """A part of an output that pages show as the kernel has it, also after they are reloaded.

    Args:
        answer: See `Hub.place`.
        missed: What a page says that cannot put what was missed into the notebook.
    """

    def __init__(self, answer: Answer, missed: str = MISSED) -> None:
        self._answer, self._missed = answer, missed
        self._hub = hub()
        self.id = self._hub.place(answer)
        self.version = 0
        """Of what is shown; grows with each update."""

    def renew(self) -> None:
        """Begin a new version; at the hub of now, where somebody closed the one before."""
        self.version += 1
        if self._hub is not hub():
            self._hub = hub()
            self.id = self._hub.place(self._answer)

    def wrap(self, bundle: Mapping[str, Any]) -> dict[str, Any]:
        """A mimebundle as the present version of this place."""
        markup = html.render_container(
            bundle["text/html"],
            hub_id=self._hub.hub_id,
            place_id=self.id,
            version=self.version,
        )
        return {**bundle, "text/html": markup}

    def tell(self, bundle: Mapping[str, Any] | None = None, **content: Any) -> None:
        """Send something to all pages; with the wrapped `bundle` for those that are behind."""
        if bundle is not None:
            content |= {"bundle": bundle, "missed": self._missed}
        self._hub.tell(self.id, version=self.version, **content)

    def close(self) -> None:
        """Nobody is answered here any more."""
        self._hub.drop(self.id)


@contextmanager
def without_comms() -> Iterator[None]:
    """In a headless run, open no comm for widgets that are created inside.

    No page ever sees them there, and nbclient and papermill would keep the state of each in the
    notebook. They work as before from Python. A person's own widgets keep their comms.
    """
    if present_front_end() != "headless":
        yield
        return
    with _replacing:
        create = comm.create_comm
        comm.create_comm = comm.DummyComm
        try:
            yield
        finally:
            comm.create_comm = create


def mounted(widget: Any, fallback: str, *, text: str) -> dict[str, Any]:
    """Give a widget as an output that outlives it.

    Args:
        widget: Any widget. Its view stands in the place of `fallback` while the kernel lives.
        fallback: HTML that is saved, and comes back when the kernel is gone.
        text: The plain text twin.

    Returns:
        A mimebundle for `display(…, raw=True)`. Where no page will ever see the widget alive it is
        the saved form alone. In VS Code and Colab, as far as can be told without having tried
        them, it displays the widget's own view as well.
    """
    place = present_front_end()
    if place == "headless":
        return {"text/html": fallback, "text/plain": text}
    bundle: dict[str, Any] = {
        "text/html": html.render_mount(fallback, hub_id=hub().hub_id, model_id=widget.model_id),
        "text/plain": text,
    }
    if place in ("VS Code", "Colab"):
        bundle |= view_data(widget)
    return bundle


def view_data(widget: Any) -> dict[str, Any]:
    """What of a mimebundle displays a widget's own view."""
    view = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    return {VIEW_MIME: view}
