"""Render the gallery: the text of each clip, and the list that is saved in the notebook.

The live gallery, the saved list and the plain text use the same text. The list is readable in
untrusted notebooks: images with their facts, with literal styles. Must not depend on the ledger or
on files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePath

from markupsafe import Markup

from kling_nb.core.formatting import (
    format_date,
    format_number,
    replace_invisible,
    table_text,
    to_one_line,
)
from kling_nb.core.job_state import Saved
from kling_nb.core.money import format_dollars, format_price
from kling_nb.storage.job_record import JobRecord

from .card_text import MODE_BADGE
from .markup import code, data_uri, fit_size, jpeg_size, style_sheet, tag
from .prices import format_clip

_FRAME = (208, 117)
"""Size of an image in the saved list, in pixels: 16:9, with an upright clip centred."""
_PROMPT_LIMIT = 110
_ROWS = 17
"""Rows of the plain text: with header and summary it stays below 20 lines."""

DIM, INK = "kling-quiet", "kling-prompt"
"""Classes of the card; with the style sheet, their colours follow the theme."""

_AGAIN = "Run this cell again to play, filter, star and compare them: 0 credits."
_NONE_YET = (
    "Make one in a `%%kling` cell, or with `%kling panel`; it appears here once it is saved.",
    "For clips in another folder: `kling.configure(folder=…)`, then run this cell again.",
)
_STRAY = (
    "Their ledger is missing. `%kling recover NOTEBOOK.ipynb` restores their records from a "
    "notebook that shows them: 0 credits.",
    "`%kling doctor` shows details.",
)
_NONE_FIT = (
    "`%kling gallery` without options shows all clips of this folder that are not hidden.",
    "Hidden clips: `kling.gallery(hidden=True)`, or the button Show hidden.",
)


@dataclass(frozen=True, slots=True)
class GalleryItem:
    """A saved clip in the gallery."""

    record: JobRecord
    state: Saved
    starred: bool = False
    hidden: bool = False
    fault: str = ""
    """Why its file cannot be played; empty if it can."""
    poster: bytes = field(default=b"", repr=False)
    """A small JPEG; empty if there is none."""


@dataclass(frozen=True, slots=True)
class _ClipText:
    """The text below a clip."""

    title: str
    """Empty if the user has set none."""
    prompt: str
    about: str
    price: str
    cost: str
    """The price, short enough for a narrow tile."""
    date: str
    length: str
    clip: str
    file: str
    """The file's name; empty if the file cannot be played."""
    fault: str


def clip_text(item: GalleryItem, *, now: datetime) -> _ClipText:
    """Return the text for a clip; `now` is in the reader's time zone."""
    record, state = item.record, item.state
    take = f" · take {record.take}" if record.take != 1 else ""
    length = f"{format_number(round(state.clip.duration_s, 1))} s"
    return _ClipText(
        title=replace_invisible(record.title),
        prompt=replace_invisible(record.prompt).strip(),
        about=to_one_line(record.model) + take,
        price=_format_cost(record, state),
        cost=_format_cost(record, state, is_brief=True),
        date=format_date(state.finished_at, now),
        length=f"{length} · sound" if state.clip.audio_codec else length,
        clip=format_clip(state.clip),
        file="" if item.fault else PurePath(state.clip.path).name,
        fault=to_one_line(item.fault),
    )


def _format_cost(record: JobRecord, state: Saved, *, is_brief: bool = False) -> str:
    """Format the price of a clip: the service's figure, else the listed price."""
    charged = state.credits if state.credits is not None else record.price_credits
    if charged is None:
        return "price not known"
    if not record.emulated:
        return format_price(charged)
    return f"would cost {format_dollars(charged) if is_brief else format_price(charged)}"


def format_count(shown: int, matching: int, kept: int) -> str:
    """Format how many of the matching clips are shown, and how many the folder has."""
    clips = "1 clip" if kept == 1 else f"{kept:,} clips"
    if shown < matching:
        of = f"{matching:,} matching, of {clips}" if matching < kept else clips
        return f"The newest {shown:,} of {of}"
    return f"{matching:,} of {clips}" if matching < kept else clips


def describe_empty(kept: int, folder: str, strays: int = 0) -> tuple[str, Sequence[str]]:
    """Return title and next steps for an empty gallery; backticks mark commands.

    Args:
        kept: Number of clips in the folder, including hidden ones.
        folder: The folder.
        strays: Number of clip files in it that its ledger does not contain.
    """
    if kept:
        return "No clip matches", _NONE_FIT
    if strays:
        clips = "1 clip" if strays == 1 else f"{strays:,} clips"
        return f"{clips} in {to_one_line(folder)} without a record", _STRAY
    return f"No clips yet in {to_one_line(folder)}", _NONE_YET


def render_gallery(items: Sequence[GalleryItem], *, matching: int, kept: int, now: datetime) -> str:
    """Return the gallery as HTML for a saved notebook.

    Args:
        items: The clips shown, at least one.
        matching: Number of clips that match the filter; `items` are the newest.
        kept: Number of clips in the folder.
        now: The current time, in the reader's time zone.
    """
    title = tag("strong", "title", format_count(len(items), matching, kept))
    return str(
        tag(
            "section",
            "gallery",
            style_sheet(),
            tag("div", "head", title),
            tag("ul", "shelf", *(_render_item(item, clip_text(item, now=now)) for item in items)),
            tag("p", "again", _AGAIN, classes=DIM),
            classes="kling-root",
            role="group",
            aria_label="Gallery of clips",
        )
    )


def _render_item(item: GalleryItem, label: _ClipText) -> Markup:
    """Return one clip: its image above its facts."""
    marks = (
        tag("span", "starred", "★ Starred", classes=DIM) if item.starred else "",
        tag("span", "emulated", MODE_BADGE) if item.record.emulated else "",
        tag("span", "length", label.length, classes=DIM),
    )
    # Cut, not folded: long prompts would hide the images. The title has the whole prompt.
    short = to_one_line(label.title or label.prompt, _PROMPT_LIMIT)
    return tag(
        "li",
        "exhibit",
        _poster_frame(item, label),
        tag("div", "marks", *marks),
        tag("p", "caption-of", short, title=label.prompt, classes=INK),
        tag("p", "price", label.price),
        tag("p", "about", label.date),
        tag("p", "about", label.about),
        tag("p", "about", label.fault if label.fault else code(label.file)),
    )


def _poster_frame(item: GalleryItem, label: _ClipText) -> Markup:
    """Return the poster in a frame of fixed size."""
    size = jpeg_size(item.poster)
    if not size:
        return tag("div", "frame", tag("span", "empty", "No image"))
    width, height = map(str, fit_size(size, _FRAME))
    alt = f"Clip: {to_one_line(label.title or label.prompt, 80)}"
    src = data_uri(item.poster)
    return tag("div", "frame", tag("img", "still", src=src, alt=alt, width=width, height=height))


def gallery_text(items: Sequence[GalleryItem], *, matching: int, kept: int, now: datetime) -> str:
    """Return the gallery as plain text: a table of at most 20 lines."""
    shown = items[:_ROWS]
    rows = [line(item, clip_text(item, now=now)) for item in shown]
    table = table_text(("", "job", "made", "price", "prompt", "file"), rows)
    return f"{format_count(len(shown), matching, kept)}\n{table}"


def line(item: GalleryItem, label: _ClipText) -> tuple[str, ...]:
    """Return one clip as the cells of a row."""
    mark = "★" if item.starred else ""
    mode = f" · {MODE_BADGE.lower()}" if item.record.emulated else ""
    name = to_one_line(label.title or label.prompt, 48)
    file = label.file or to_one_line(label.fault, 40)
    return mark, item.record.id, label.date, label.price + mode, name, file
