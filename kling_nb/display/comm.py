"""The comm between a kernel and its pages: containers for cards, mounts for widgets.

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

from kling_nb.core.forks import ForkSafeLock, renew_in_child

from . import html
from .assets import CLIPBOARD, KERNEL, SCROLLER, STATIC, join_scripts
from .front_end import present_front_end

VIEW_MIME = "application/vnd.jupyter.widget-view+json"
"""The MIME type of a widget's view; needed in front ends that start a widget in no other way."""

MISSED = "This page was reloaded: run the cell again (0 credits) to save the clip in the notebook."
"""A page shows it if the notebook missed an update."""

_MessageHandler = Callable[[Mapping[str, Any]], None]

_MODULES = (
    "links.js",
    "persist_outputs.js",
    "earlier.js",
    "scroll_anchor.js",
    "timers.js",
    "live_region.js",
    "widget_mounts.js",
    "cards.js",
    "comm.js",
)
_MOST_CHARS = 400

_comm_lock = threading.RLock()
_log = logging.getLogger("kling_nb")


@dataclass(frozen=True, slots=True)
class Page:
    """What a page reported about itself."""

    front_end: str = ""
    """`JupyterLab`, `Jupyter Notebook`, `VS Code`; empty if unknown."""
    version: str = ""
    h264: str = ""
    """Whether the browser plays H.264: `probably`, `maybe` or empty."""
    aac: str = ""
    """The same for H.264 with AAC audio."""
    reduced_motion: bool = False
    agent: str = ""
    """The browser's user agent."""

    @classmethod
    def parse(cls, message: object) -> Page:
        """Parse a hello message; missing values and values of another type get the default."""
        if not isinstance(message, Mapping):
            return cls()
        known: dict[str, Any] = {}
        for each in fields(cls):
            value = message.get(each.name)
            if type(value) is type(each.default):
                known[each.name] = value[:_MOST_CHARS] if isinstance(value, str) else value
        return cls(**known)


class Hub(anywidget.AnyWidget):
    """The kernel's end of the comm: passes messages between card containers and pages.

    Several pages may be connected; each receives every message.
    """

    _esm = join_scripts(CLIPBOARD, KERNEL, SCROLLER, *(STATIC / name for name in _MODULES))
    _css = STATIC / "comm.css"
    hub_id = traitlets.Unicode().tag(sync=True)
    """Marks the containers and mounts of this kernel on a page; also the id of the model."""
    page = traitlets.Instance(Page, allow_none=True, default_value=None)
    """The page that connected last, or None. Can be observed."""
    earlier = traitlets.Dict()
    """Cards of earlier kernels that may have changed since: the state of each job, by container.
    Can be observed; an observer empties it."""

    def __init__(self) -> None:
        own_id = uuid4().hex
        self._handlers: dict[str, _MessageHandler] = {}
        super().__init__(model_id=own_id, hub_id=own_id)
        self.on_msg(self._receive)

    def add_container(self, answer: _MessageHandler) -> str:
        """Create a container.

        Args:
            answer: Called on the kernel's thread with each message about this container: a click is
                `{"do": WORD, "job": ID, "turn": N}`; a page that shows the container sends
                `{"do": "seen", "version": N}`, and `{"do": "show"}` if it lost an update.

        Returns:
            Its id, for `data-kling-place`.
        """
        place_id = uuid4().hex[:12]
        self._handlers[place_id] = answer
        return place_id

    def send_update(self, place_id: str, **content: Any) -> None:
        """Send a message about a container to all pages, from any thread.

        Args:
            place_id: The container.
            content: `version` of its HTML, `feet` (actions) by job, `cells` to copy by job, and
                for pages that lost an update the whole `bundle`, with the message `missed` for
                pages that cannot add it to the notebook.
        """
        if place_id in self._handlers:
            self.send({"place": place_id, **content})

    def remove_container(self, place_id: str) -> None:
        """Remove a container; its messages are ignored from now on."""
        self._handlers.pop(place_id, None)

    def _receive(self, _widget: Any, content: Any, _buffers: Any) -> None:
        match content:
            case {"do": "hello"}:
                self.page = Page.parse(content.get("page"))
            case {"do": "seen", "places": Mapping() as places}:
                for place_id, version in places.items():
                    self._handle(place_id, {"do": "seen", "version": version})
            case {"do": "earlier", "places": Mapping() as places}:
                self.earlier = {**self.earlier, **_parse_states(places)}
            case {"place": place_id}:
                self._handle(place_id, content)

    def _handle(self, place_id: object, content: Mapping[str, Any]) -> None:
        answer = self._handlers.get(place_id) if isinstance(place_id, str) else None
        if answer is None:
            return
        try:
            answer(content)
        except Exception:
            _log.exception("a message from a page could not be handled: %r", content.get("do"))


def _parse_states(places: Mapping[Any, Any]) -> dict[str, dict[str, str]]:
    """Return the containers of a page's report with texts as ids and states."""
    return {
        place_id: dict(states)
        for place_id, states in places.items()
        if isinstance(states, Mapping) and all(isinstance(each, str) for each in states.values())
    }


_hubs: list[Hub] = []
_hub_lock = ForkSafeLock()
_inherited: list[Hub] = []
"""The parent's hub, in a forked child. Kept, since closing it would close the parent's comm."""


def _start_child() -> None:
    """Remove the hub in a forked child, since pages are connected to the parent."""
    _inherited.extend(_hubs)
    _hubs.clear()


renew_in_child(_start_child)


def hub() -> Hub:
    """Return the hub of this process; create it if there is none or it was closed."""
    with _hub_lock:
        if not _hubs or _hubs[-1].comm is None:
            _hubs[:] = [Hub()]
        return _hubs[-1]


class CardContainer:
    """A card container: a part of an output that pages keep up to date, also after a reload.

    Args:
        answer: See `Hub.add_container`.
        missed: The message a page shows if it cannot add missed updates to the notebook.
    """

    def __init__(self, answer: _MessageHandler, missed: str = MISSED) -> None:
        self._answer, self._missed = answer, missed
        self._hub = hub()
        self.id = self._hub.add_container(answer)
        self.version = 0
        """Version of the content; increases with each update."""

    def start_version(self) -> None:
        """Start a new version, on a new hub if the old one was closed."""
        self.version += 1
        if self._hub is not hub():
            self._hub = hub()
            self.id = self._hub.add_container(self._answer)

    def wrap(self, bundle: Mapping[str, Any]) -> dict[str, Any]:
        """Return a mimebundle as the current version of this container."""
        markup = html.render_container(
            bundle["text/html"],
            hub_id=self._hub.hub_id,
            place_id=self.id,
            version=self.version,
        )
        return {**bundle, "text/html": markup}

    def send_update(self, bundle: Mapping[str, Any] | None = None, **content: Any) -> None:
        """Send content to all pages, with the wrapped `bundle` for pages that missed updates."""
        if bundle is not None:
            content |= {"bundle": bundle, "missed": self._missed}
        self._hub.send_update(self.id, version=self.version, **content)

    def close(self) -> None:
        """Ignore messages from now on."""
        self._hub.remove_container(self.id)


@contextmanager
def without_comms() -> Iterator[None]:
    """In a headless run, open no comm for widgets that are created inside.

    No page shows them there, and nbclient and papermill would save the state of each in the
    notebook. They still work from Python. The user's own widgets keep their comms.
    """
    if present_front_end() != "headless":
        yield
        return
    with _comm_lock:
        create = comm.create_comm
        comm.create_comm = comm.DummyComm
        try:
            yield
        finally:
            comm.create_comm = create


def mount_widget(widget: Any, saved: Mapping[str, str]) -> dict[str, Any]:
    """Return a widget as an output with a saved view.

    Args:
        widget: Any widget. Its view replaces the saved view while the kernel runs.
        saved: The saved view as `text/html` and `text/plain`.

    Returns:
        A mimebundle for `display(…, raw=True)`: in a headless run the saved view alone; in VS Code
        and Colab (not tested) also the widget's own view.
    """
    front_end = present_front_end()
    if front_end == "headless":
        return {**saved}
    hub_id, model_id = hub().hub_id, widget.model_id
    markup = html.render_mount(saved["text/html"], hub_id=hub_id, model_id=model_id)
    view = view_data(widget) if front_end in ("VS Code", "Colab") else {}
    return {**saved, "text/html": markup, **view}


def view_data(widget: Any) -> dict[str, Any]:
    """Return the part of a mimebundle that displays a widget's own view."""
    return {VIEW_MIME: {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}}
