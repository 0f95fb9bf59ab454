"""The gallery: browse, star, hide and play side by side the saved clips of a folder.

The page requests what it needs: a few clips at a time, and a video just before it plays. `filters`
selects the clips, `thumbnails` reads them, `display/html` renders them. Threads answer the requests
of the page, so that the kernel stays free.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from kling_nb.core.errors import KlingError
from kling_nb.core.job_state import Saved
from kling_nb.display import html
from kling_nb.display.assets import CLIPBOARD, STATIC, joined_script
from kling_nb.display.comm import mounted, without_comms
from kling_nb.display.html.gallery import (
    GalleryItem,
    clip_text,
    describe_empty,
    empty_text,
    format_count,
    gallery_text,
    render_empty,
    render_gallery,
)
from kling_nb.display.links import relative_link, relative_path
from kling_nb.jobs.default_session import default_session
from kling_nb.jobs.download import stray_clips
from kling_nb.jobs.job_from_record import facts_of, state_of
from kling_nb.jobs.session import Session
from kling_nb.storage import JobRecord

from .filters import Selection, parse_selection
from .thumbnails import fault_of, film, still

__all__ = ["Gallery", "gallery"]

PAGE_SIZE = 24
"""Clips sent at a time, and clips in a saved notebook."""

_PARTS = ("elements.js", "films.js", "step.js", "stage.js", "tile.js", "gallery.js")
_log = logging.getLogger("kling_nb")

# A film may need seconds of work: two at a time, and never in the threads a session needs.
_films = ThreadPoolExecutor(max_workers=2, thread_name_prefix="kling_nb film")
# One after the other, so that a list that was asked for after a star knows of it.
_words = ThreadPoolExecutor(max_workers=1, thread_name_prefix="kling_nb gallery")

Reply = tuple[dict[str, Any], list[bytes]]


@without_comms()
def gallery(
    words: str = "",
    *,
    model: str = "",
    starred: bool = False,
    hidden: bool = False,
    session: Session | None = None,
) -> Gallery:
    """The saved clips of this folder, newest first.

    Args:
        words: Only clips with all of these in prompt, model or file name.
        model: Only clips of this model.
        starred: Only starred clips.
        hidden: Hidden clips, too.
        session: Whose folder; the default session's unless told, also after `configure`.

    Raises:
        ConfigurationError: There is no session, e.g. live mode without a key.
    """
    current = default_session if session is None else lambda: session
    return Gallery(current, Selection(words, model, starred, hidden))


@dataclass(frozen=True, slots=True)
class Shown:
    """Some of the clips that fit a selection, and how many there are."""

    items: Sequence[GalleryItem]
    matching: int
    kept: int
    models: Sequence[str]


class Gallery(anywidget.AnyWidget):
    """Clips to look through; display it.

    Args:
        session: Gives the session whose clips are shown.
        selection: What to show at first.
    """

    _esm = joined_script(CLIPBOARD, *(STATIC / "gallery" / part for part in _PARTS))
    _css = STATIC / "gallery" / "gallery.css"
    asked = traitlets.Dict().tag(sync=True)
    """The selection to begin with."""
    first = traitlets.Dict().tag(sync=True)
    """The first answer, so that the gallery is there at once, also while the kernel is busy."""

    def __init__(self, session: Callable[[], Session], selection: Selection) -> None:
        self._session, self._selection = session, selection
        self._answers: Mapping[str, Callable[[Mapping[str, Any]], Reply]] = {
            "list": self._list,
            "film": self._film,
            "star": self._star,
            "hide": self._hide,
        }
        content, stills = self._page(selection)
        super().__init__(asked=asdict(selection), first=content | {"stills": stills})
        self.on_msg(self._receive)

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        """What is saved: pictures and facts; the page shows the living gallery in their place."""
        shown, now = self._shown(self._selection), datetime.now().astimezone()
        items, matching, kept = shown.items, shown.matching, shown.kept
        if not items:
            title, *lines = self._nothing()
            text = empty_text(title, lines)
            return mounted(self, render_empty(title, lines), text=text)
        fallback = render_gallery(items, matching=matching, kept=kept, now=now)
        text = gallery_text(items, matching=matching, kept=kept, now=now)
        return mounted(self, fallback, text=text)

    def _receive(self, _widget: Any, content: Any, _buffers: Any) -> None:
        if isinstance(content, dict) and content.get("do") in self._answers:
            threads = _films if content["do"] == "film" else _words
            threads.submit(self._answer, content)

    def _answer(self, asked: dict[str, Any]) -> None:
        """Answer one message; what was asked goes back with it, so that the page knows it."""
        reply: dict[str, Any] = {}
        films: list[bytes] = []
        try:
            reply, films = self._answers[asked["do"]](asked)
        except KlingError as error:
            reply = {"fault": str(error)}
        except Exception as error:
            _log.exception("the gallery could not answer %r", asked.get("do"))
            reply = {"fault": f"Something broke in kling_nb: {type(error).__name__}: {error}"}
        self.send(asked | reply, films)

    def _list(self, asked: Mapping[str, Any]) -> Reply:
        count = max(PAGE_SIZE, _number(asked.get("count")))
        content, stills = self._page(parse_selection(asked), count)
        return _without_known(content, stills, asked.get("known"))

    def _film(self, asked: Mapping[str, Any]) -> Reply:
        content, is_preview = film(self._row(asked))
        return {"preview": is_preview}, [content]

    def _star(self, asked: Mapping[str, Any]) -> Reply:
        row = self._session().star(str(asked.get("id")), asked.get("on") is True)
        return {"starred": row.starred, "hidden": row.hidden}, []

    def _hide(self, asked: Mapping[str, Any]) -> Reply:
        row = self._session().hide(str(asked.get("id")), asked.get("on") is True)
        return {"starred": row.starred, "hidden": row.hidden}, []

    def _row(self, asked: Mapping[str, Any]) -> JobRecord:
        return self._session().ledger.row(str(asked.get("id")))

    def _page(self, selection: Selection, count: int = PAGE_SIZE) -> Reply:
        shown = self._shown(selection, count)
        now = datetime.now().astimezone()
        content = {
            "clips": [_entry(one, now) for one in shown.items],
            "framed": [one.facts.id for one in shown.items if one.still],
            "matching": shown.matching,
            "heading": format_count(shown.matching, shown.matching, shown.kept),
            "nothing": [] if shown.items else self._nothing(),
            "models": list(shown.models),
            "folder": str(self._session().settings.folder),
        }
        return content, [one.still for one in shown.items if one.still]

    def _shown(self, selection: Selection, count: int = PAGE_SIZE) -> Shown:
        rows = self._session().clips(limit=-1, hidden=True)
        fitting = selection.of(rows)
        return Shown(
            items=[_exhibit(row) for row in fitting[:count]],
            matching=len(fitting),
            kept=sum(not row.hidden or selection.hidden for row in rows),
            models=sorted({row.model for row in rows}),
        )

    def _nothing(self) -> list[str]:
        """Why there is no clip to see, and what to do."""
        session = self._session()
        folder = session.settings.folder
        kept = len(session.clips(limit=1, hidden=True))
        known = {row.id for row in session.ledger.rows(limit=-1)}
        strays = 0 if kept else len(stray_clips(folder, known))
        title, lines = describe_empty(kept, relative_path(folder) or folder.name, strays)
        return [title, *lines]


def _without_known(content: dict[str, Any], stills: list[bytes], known: object) -> Reply:
    """Leave out the stills that a page has: of hundreds they are megabytes, after each click."""
    has = {of for of in known if isinstance(of, str)} if isinstance(known, list) else set()
    new = [
        (of, still) for of, still in zip(content["framed"], stills, strict=True) if of not in has
    ]
    return content | {"framed": [of for of, _ in new], "known": []}, [still for _, still in new]


def _number(sent: object) -> int:
    """A count from the page; what is none counts as 0."""
    return max(0, sent) if isinstance(sent, int) else 0


def _exhibit(row: JobRecord) -> GalleryItem:
    state = state_of(row, already=False)
    assert isinstance(state, Saved)  # `Session.clips` gives nothing else
    return GalleryItem(facts_of(row), state, row.starred, row.hidden, fault_of(row), still(row))


def _entry(item: GalleryItem, now: datetime) -> dict[str, Any]:
    """One clip as the page gets it: words to show, and what its controls need."""
    facts, clip = item.facts, item.state.clip
    return {
        **asdict(clip_text(item, now=now)),
        "id": facts.id,
        "task": html.one_line(item.state.task_id),
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
    """The file as the notebook's server may know it: below the notebook's own folder."""
    link = relative_link(path)
    return "" if link.startswith("..") else link
