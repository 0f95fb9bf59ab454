"""The gallery: browse, star, hide, delete and compare the saved clips of a folder.

The page requests what it needs: a few clips at a time, and a video just before it plays. Threads
answer its requests, so that the kernel stays free. A clip that changes in this kernel is sent to
the pages by itself; a page asks for changes by other kernels when it becomes visible.
`html/gallery` renders the clips.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import anywidget
import traitlets
from IPython.display import HTML

from kling_nb.core.errors import KlingError, MediaError, NoTrash
from kling_nb.core.job_state import Saved
from kling_nb.display import html
from kling_nb.display.assets import CLIPBOARD, KERNEL, SCROLLER, STATIC, join_scripts
from kling_nb.display.comm import mount_widget, without_comms
from kling_nb.display.gallery_views import View, Views
from kling_nb.display.html.gallery import (
    GalleryItem,
    clip_text,
    describe_empty,
    format_count,
    gallery_text,
    render_gallery,
)
from kling_nb.display.links import relative_link, relative_path
from kling_nb.display.notice import notice_bundle
from kling_nb.jobs.clip_files import stray_clips
from kling_nb.jobs.default_session import default_session
from kling_nb.jobs.job_from_record import state_of
from kling_nb.jobs.session import Session
from kling_nb.media import clips, images
from kling_nb.storage.clip_events import ClipChange, ignore_clips, observe_clips
from kling_nb.storage.clip_search import ClipFilter
from kling_nb.storage.job_record import JobRecord

PAGE_SIZE = 24
"""Number of clips sent at a time, and shown in a saved notebook."""

_PARTS = ("elements", "films", "step", "stage", "deletion", "tile", "details", "gallery")
_SCRIPTS = (CLIPBOARD, KERNEL, SCROLLER, *(STATIC / "gallery" / f"{part}.js" for part in _PARTS))
_log = logging.getLogger("kling_nb")

_POSTER_PX: Final = (400, 400)
POSTER_BYTES: Final = 17_000
"""Largest poster; 24 of this size, as base64, are 550 kB in a saved notebook."""

_NO_TRASH: Final = "This system has no trash for the file. Delete it permanently?"
_AGAIN: Final = "Run its cell again to download it for 0 credits."

Video = tuple[bytes, bool]
"""An MP4, and whether it is a preview."""

# Reading a video may take seconds: two at a time, not in the threads of a session.
_video_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="kling_nb film")
# One at a time, so that a list requested after a clip was starred shows its star.
_list_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="kling_nb gallery")

Reply = tuple[dict[str, Any], list[bytes]]


def parse_filter(sent: Mapping[str, object]) -> ClipFilter:
    """Parse the filter of a page; values of another type are ignored."""
    words, model = sent.get("words"), sent.get("model")
    return ClipFilter(
        words=words if isinstance(words, str) else "",
        model=model if isinstance(model, str) else "",
        starred=sent.get("starred") is True,
        hidden=sent.get("hidden") is True,
    )


@without_comms()
def gallery(
    words: str = "",
    *,
    model: str = "",
    starred: bool = False,
    hidden: bool = False,
    session: Session | None = None,
) -> Gallery:
    """Return the gallery of the saved clips of this folder, newest first.

    Args:
        words: Only clips with all of these words in title, prompt, model, file name or job id.
        model: Only clips of this model.
        starred: Only starred clips.
        hidden: Include hidden clips.
        session: The session of the folder; by default the current default session.

    Raises:
        ConfigurationError: There is no session, e.g. live mode without a key.
    """
    current = default_session if session is None else lambda: session
    return Gallery(current, ClipFilter(words, model, starred, hidden))


@dataclass(frozen=True, slots=True)
class Shown:
    """The clips shown, and how many match the filter and exist."""

    items: Sequence[GalleryItem]
    matching: int
    kept: int
    models: Sequence[str]
    numbers: Sequence[int]
    """The row number of each clip."""


class Gallery(anywidget.AnyWidget):
    """A widget to browse clips.

    Args:
        session: Returns the session.
        wanted: The initial filter.
    """

    _esm = join_scripts(*_SCRIPTS)
    _css = STATIC / "gallery" / "gallery.css"
    asked = traitlets.Dict().tag(sync=True)
    """The initial filter."""
    first = traitlets.Dict().tag(sync=True)
    """The first reply, so that the gallery appears at once, even while the kernel is busy."""

    def __init__(self, session: Callable[[], Session], wanted: ClipFilter) -> None:
        self._session, self._wanted = session, wanted
        self._answers: Mapping[str, Callable[[Mapping[str, Any]], Reply]] = {
            "list": self._list,
            "check": self._check,
            "film": self._video,
            "star": self._mark,
            "hide": self._mark,
            "delete": self._delete,
        }
        self._views = Views()
        content, posters = self._page(self._shown(wanted))
        super().__init__(asked=asdict(wanted), first=content | {"stills": posters})
        self.on_msg(self._receive)
        observe_clips(self)

    def close(self) -> None:
        """Close the gallery; it no longer follows clips."""
        ignore_clips(self)
        super().close()

    def on_clip_change(self, change: ClipChange) -> None:
        """Send a changed clip of this folder to the pages."""
        with suppress(RuntimeError):  # the interpreter is shutting down
            _list_thread.submit(self._send_change, change)

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        """Return the saved view; the page replaces it with the live gallery."""
        shown, now = self._shown(self._wanted), datetime.now().astimezone()
        items, matching, kept = shown.items, shown.matching, shown.kept
        if not items:
            title, *lines = self._describe_empty()
            return mount_widget(self, notice_bundle("info", title, lines))
        markup = render_gallery(items, matching=matching, kept=kept, now=now)
        text = gallery_text(items, matching=matching, kept=kept, now=now)
        return mount_widget(self, {"text/html": markup, "text/plain": text})

    def __dir__(self) -> list[str]:
        """Return the names for people, without those of all widgets."""
        own = (name for name, value in vars(Gallery).items() if callable(value))
        return ["close", *(name for name in own if not name.startswith("_"))]

    def __repr__(self) -> str:
        return f"<Gallery of {self.first['heading']} in {self.first['folder']}>"

    def _display_(self) -> HTML:
        """Return the saved view, which marimo shows."""
        return HTML(self._repr_mimebundle_()["text/html"])

    def _receive(self, _widget: Any, content: Any, _buffers: Any) -> None:
        if not isinstance(content, dict):
            return
        if content.get("do") == "leave":
            _list_thread.submit(self._views.remove, content.get("view"))
        elif content.get("do") in self._answers:
            threads = _video_threads if content["do"] == "film" else _list_thread
            threads.submit(self._answer, content)

    def _answer(self, message: dict[str, Any]) -> None:
        """Answer a message; the reply repeats the message, so that the page can match it."""
        reply: dict[str, Any] = {}
        buffers: list[bytes] = []
        try:
            reply, buffers = self._answers[message["do"]](message)
        except KlingError as error:
            reply = {"fault": str(error)}
        except Exception as error:
            _log.exception("the gallery could not answer %r", message.get("do"))
            reply = {"fault": f"Error in kling_nb: {type(error).__name__}: {error}"}
        self.send(message | reply, buffers)

    def _list(self, message: Mapping[str, Any]) -> Reply:
        wanted, stamp = parse_filter(message), self._stamp
        shown = self._shown(wanted, max(PAGE_SIZE, _number(message.get("count"))))
        listed = {each.record.id: each.record for each in shown.items}
        view = View(wanted, listed, shown.matching, shown.kept, stamp)
        self._views.add(message.get("view"), view)
        content, posters = self._page(shown)
        return _without_known(content, posters, message.get("known"))

    def _check(self, message: Mapping[str, Any]) -> Reply:
        """Answer with a list if the file of the jobs has changed since the last one."""
        view = self._views.find(message.get("view"))
        if view is not None and view.stamp == self._stamp:
            return {"same": True, "known": []}, []
        return self._list(message)

    @property
    def _stamp(self) -> str:
        ledger = self._session().ledger
        return f"{ledger.folder} {ledger.file_stamp}"

    def _send_change(self, change: ClipChange) -> None:
        """Send one message about a changed clip, unless the pages show the same of it."""
        try:
            if self._views and self._session().ledger.folder == change.folder:
                self._send_clip(change, _change_entry(change.before), _change_entry(change.after))
        except KlingError:
            return  # the page finds out when it asks next
        except Exception:
            _log.exception("the gallery could not show a change of job %s", change.after.id)

    def _send_clip(self, change: ClipChange, before: dict[str, Any], after: dict[str, Any]) -> None:
        if before == after:
            return
        content = {"do": "change", "id": change.after.id, "views": self._views.count(change)}
        posters: list[bytes] = []
        if after:
            after["number"] = self._session().ledger.clip_search.number_of(change.after.id)
            posters = [] if before else [read_poster(change.after)]
        self.send(content | {"clip": after}, [each for each in posters if each])

    def _video(self, message: Mapping[str, Any]) -> Reply:
        content, is_preview = read_video(self._session().ledger.row(str(message.get("id"))))
        return {"preview": is_preview}, [content]

    def _mark(self, message: Mapping[str, Any]) -> Reply:
        session = self._session()
        mark = session.star if message["do"] == "star" else session.hide
        record = mark(str(message.get("id")), message.get("on") is True)
        return {"starred": record.starred, "hidden": record.hidden}, []

    def _delete(self, message: Mapping[str, Any]) -> Reply:
        permanently = message.get("permanently") is True
        try:
            record = self._session().delete(str(message.get("id")), permanently=permanently)
        except NoTrash:
            return {"question": _NO_TRASH}, []
        again = "downloads it again for 0 credits while the service keeps it."
        return {"deleted": True, "said": f"%kling resume {record.id} {again}"}, []

    def _page(self, shown: Shown) -> Reply:
        now = datetime.now().astimezone()
        pairs = zip(shown.items, shown.numbers, strict=True)
        content = {
            "clips": [_entry(one, now) | {"number": number} for one, number in pairs],
            "framed": [one.record.id for one in shown.items if one.poster],
            "matching": shown.matching,
            "heading": format_count(shown.matching, shown.matching, shown.kept),
            "nothing": [] if shown.items else self._describe_empty(),
            "models": list(shown.models),
            "folder": str(self._session().settings.folder),
        }
        return content, [one.poster for one in shown.items if one.poster]

    def _shown(self, wanted: ClipFilter, count: int = PAGE_SIZE) -> Shown:
        page = self._session().ledger.clip_search.find(wanted, count)
        items = [_item(record) for record in page.records]
        return Shown(items, page.matching, page.kept, page.models, page.numbers)

    def _describe_empty(self) -> list[str]:
        """Return title and next steps for an empty gallery."""
        session = self._session()
        folder = session.settings.folder
        kept = len(session.clips(limit=1, hidden=True))
        strays = 0 if kept else len(stray_clips(folder, session.ledger.ids()))
        title, lines = describe_empty(kept, relative_path(folder) or folder.name, strays)
        return [title, *lines]


def _without_known(content: dict[str, Any], posters: list[bytes], known: object) -> Reply:
    """Omit the posters that the page has already: hundreds of them are megabytes."""
    known_ids = {each for each in known if isinstance(each, str)} if isinstance(known, list) else ()
    pairs = zip(content["framed"], posters, strict=True)
    new = {job_id: poster for job_id, poster in pairs if job_id not in known_ids}
    return content | {"framed": list(new), "known": []}, list(new.values())


def _number(sent: object) -> int:
    """Return a count from the page; invalid values are 0."""
    return max(0, sent) if isinstance(sent, int) else 0


def _item(record: JobRecord) -> GalleryItem:
    return replace(_item_without_poster(record), poster=read_poster(record))


def _item_without_poster(record: JobRecord) -> GalleryItem:
    state = state_of(record, already=False)
    assert isinstance(state, Saved)  # only saved clips are found
    return GalleryItem(record, state, record.starred, record.hidden, _find_fault(record))


def _change_entry(record: JobRecord | None) -> dict[str, Any]:
    """Return the data of a record for the page; empty without a saved clip."""
    if record is None or not record.has_clip:
        return {}
    return _entry(_item_without_poster(record), datetime.now().astimezone())


def _entry(item: GalleryItem, now: datetime) -> dict[str, Any]:
    """Return the data of a clip for the page."""
    facts, clip = item.record, item.state.clip
    return {
        **asdict(clip_text(item, now=now)),
        "id": facts.id,
        "model": facts.model,
        "task": html.to_one_line(item.state.task_id),
        "emulated": facts.emulated,
        "starred": item.starred,
        "hidden": item.hidden,
        "sound": bool(clip.audio_codec),
        "ratio": clip.width_px / max(1, clip.height_px),
        "cell": facts.cell,
        "path": clip.path,
        "href": _served_link(Path(clip.path)),
    }


def _served_link(path: Path) -> str:
    """Return a link to the file if it is below the notebook's folder, else an empty string."""
    link = relative_link(path)
    return "" if link.startswith("..") else link


def _find_fault(record: JobRecord) -> str:
    """Return why a clip's file cannot be played; empty if it seems playable."""
    if record.clip is None:
        return "There is no clip yet."
    path = Path(record.clip.path)
    if path.is_file():
        return "" if path.stat().st_size else f"{path.name} is empty. {_AGAIN}"
    return f"{path.name} no longer exists. {_AGAIN}"


def read_poster(record: JobRecord) -> bytes:
    """Return a small JPEG of a clip: its poster, a frame of the clip, or its input image."""
    if record.clip is None:
        return record.thumbnail
    path = Path(record.clip.path)
    for source in (path.with_suffix(".jpg"), path):
        try:
            return _shrink(source, source.stat().st_mtime_ns)
        except (MediaError, OSError):
            continue
    return record.thumbnail


def read_video(record: JobRecord) -> Video:
    """Return the whole clip; a preview if it is over 2 MB or some browsers cannot play it.

    Raises:
        MediaError: The file does not exist or does not play.
    """
    fault = _find_fault(record)
    if fault or record.clip is None:
        raise MediaError(fault)
    path = Path(record.clip.path)
    if clips.needs_preview(path):
        return clips.preview(path), True
    content = path.read_bytes()
    # Raises for a broken clip; the page would show a black frame without an error.
    clips.probe_clip(path)
    return content, False


@lru_cache(maxsize=1000)
def _shrink(path: Path, _changed_ns: int) -> bytes:
    content = path.read_bytes() if path.suffix == ".jpg" else clips.poster(path)
    return images.shrink(content, _POSTER_PX, max_bytes=POSTER_BYTES)
