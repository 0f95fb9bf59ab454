"""Render a card as a mimebundle, and display it in a notebook or a terminal.

A mimebundle has HTML, plain text, JSON metadata and the embedded clip. Decides how much of a clip
is embedded, and embeds it with `IPython.display.Video`. `display/html` renders the card, `metadata`
defines its JSON.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from IPython.display import Video, display

from kling_nb.core.console import print_text
from kling_nb.core.errors import MediaError
from kling_nb.core.job_state import JobState, Saved
from kling_nb.display import html
from kling_nb.display.comm import hub, view_data
from kling_nb.display.front_end import FrontEnd
from kling_nb.display.links import relative_link
from kling_nb.media import clips
from kling_nb.storage.job_record import JobRecord

from .metadata import CARD_MIME, Embedded, card_json, join_cards

Embed = Literal["auto", "always", "never"]
Bundle = dict[str, Any]

_log = logging.getLogger("kling_nb")


def card_bundle(
    record: JobRecord, state: JobState, embed: Embed = "auto", *, makes_preview: bool = True
) -> Bundle:
    """Return the card of a job as a mimebundle of `text/html`, `text/plain` and its metadata.

    Args:
        record: The job.
        state: Its state.
        embed: How much of a clip is embedded: with `auto` the whole clip up to 2 MB, else a
            preview of at most 1.5 MB; with `always` the whole clip; with `never` a poster. A clip
            that some browsers cannot play is embedded as a preview.
        makes_preview: Make a missing preview, which takes seconds; if false, embed the poster.
    """
    now = datetime.now().astimezone()
    player = (
        _player(record, state, embed, makes_preview) if isinstance(state, Saved) else _NO_PLAYER
    )
    return {
        "text/html": html.render_record(
            record, state, now=now, player=player.markup, file_href=player.href
        ),
        "text/plain": html.render_text(record, state, now=now),
        CARD_MIME: card_json(record, state, player.embedded),
    }


def join_bundles(bundles: Sequence[Bundle]) -> Bundle:
    """Return several cards as one output, in order."""
    return {
        "text/html": "".join(each["text/html"] for each in bundles),
        "text/plain": "\n\n".join(each["text/plain"] for each in bundles),
        CARD_MIME: join_cards(*(each[CARD_MIME] for each in bundles)),
    }


def lacks_preview(state: JobState, embed: Embed) -> bool:
    """Whether a card shows a poster only because its preview is not made yet."""
    if embed == "never" or not isinstance(state, Saved):
        return False
    path = Path(state.clip.path)
    try:
        return _needs_preview(path, embed) and not clips.stored_preview(path)
    except (MediaError, OSError):
        return False


def make_preview(state: JobState, embed: Embed) -> bool:
    """Make the missing preview of a card, which takes seconds.

    Returns:
        Whether there is a new preview. If none can be made, the poster stays.
    """
    if not (isinstance(state, Saved) and lacks_preview(state, embed)):
        return False
    return bool(_preview(Path(state.clip.path)))


class _Player(NamedTuple):
    """The player of a card."""

    markup: str
    href: str
    """A link to the whole file if the markup does not contain it."""
    embedded: Embedded


_NO_PLAYER = _Player("", "", "")


def _player(record: JobRecord, state: Saved, embed: Embed, makes_preview: bool) -> _Player:
    path = Path(state.clip.path)
    try:
        poster = _poster(path)
        video = b"" if embed == "never" else _video_bytes(path, embed, makes_preview)
    except (MediaError, OSError) as error:
        _log.warning("clip %s cannot be shown: %s", path, error)
        return _NO_PLAYER
    note = _playback_note(path, is_preview=bool(video))
    if not video:
        return _Player(html.poster_image(record, poster) + note, relative_link(path), "poster")
    is_whole = len(video) == state.clip.size_bytes
    # With embed=True IPython writes <source src="data:…">, which JupyterLab removes from an
    # untrusted notebook; `src` of <video> is kept.
    url = "data:video/mp4;base64," + base64.b64encode(video).decode("ascii")
    attributes = html.video_attributes(record, poster=poster)
    shown = str(Video(url=url, mimetype="video/mp4", html_attributes=attributes)._repr_html_())
    if is_whole:
        return _Player(shown + note, "", "whole")
    return _Player(shown + note, relative_link(path), "preview")


def _video_bytes(path: Path, embed: Embed, makes_preview: bool) -> bytes:
    try:
        if not _needs_preview(path, embed):
            return path.read_bytes()
    except MediaError as error:
        _log.warning("clip %s does not play: %s", path, error)
        return b""
    return _preview(path) if makes_preview else clips.stored_preview(path)


def _playback_note(path: Path, *, is_preview: bool) -> str:
    """Return the note on a codec; empty if all browsers play the clip, or it cannot be read."""
    try:
        encoding = clips.encoding_of(path)
    except (MediaError, OSError):
        return ""
    return "" if encoding.plays_everywhere else html.playback_note(encoding, is_preview=is_preview)


def _needs_preview(path: Path, embed: Embed) -> bool:
    return clips.needs_preview(path, at_any_size=embed == "always")


def _preview(path: Path) -> bytes:
    """Make a preview; empty if none can be made."""
    try:
        return clips.preview(path)
    except (MediaError, OSError) as error:
        _log.warning("there is no preview of clip %s: %s", path, error)
        return b""


def _poster(path: Path) -> bytes:
    kept = path.with_suffix(".jpg")
    # A poster from another program may have any size; a large one is made again.
    is_small = kept.is_file() and kept.stat().st_size <= clips.POSTER_BYTES
    return kept.read_bytes() if is_small else clips.poster(path)


Updates = Literal["text", "end", "live"]
"""Which changes of a job an output shows: each as text; only the end; or all, live on pages."""


class Output(Protocol):
    """Output of a card."""

    updates: Updates

    def show(self, bundle: Bundle) -> None:
        """Show a bundle in place of the previous one; may be called from any thread."""


class TerminalOutput:
    """A terminal: prints the text of each bundle."""

    updates: Updates = "text"

    def show(self, bundle: Bundle) -> None:
        """Print the text."""
        print_text(bundle["text/plain"])


class _CellOutput:
    """An output of the running cell that is updated in place.

    Args:
        updates: Which changes of a job are shown.
        handle: The `DisplayHandle` of a display to replace; None makes a new one.
        with_view: Display the hub's own view, in front ends that start its module only then.
    """

    def __init__(self, updates: Updates, handle: Any, *, with_view: bool = False) -> None:
        self.updates = updates
        self._handle = handle
        self._with_view = with_view

    def show(self, bundle: Bundle) -> None:
        """Display the bundle, or update the display."""
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)
        if self._with_view:
            self._with_view = False
            display({**view_data(hub()), "text/html": "", "text/plain": ""}, raw=True)


def output_for(front_end: FrontEnd, handle: Any = None) -> Output:
    """Return the output of the running cell in a front end.

    Args:
        front_end: The front end.
        handle: The `DisplayHandle` of a display to replace; None makes a new one.
    """
    match front_end:
        case "terminal":
            return TerminalOutput()
        case "headless":
            return _CellOutput("end", handle)
        case "notebook":
            return _CellOutput("live", handle)
        case "VS Code" | "Colab":
            return _CellOutput("live", handle, with_view=True)
