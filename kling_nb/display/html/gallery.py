"""Render the gallery: the text of each clip, and the list that is saved in the notebook.

The live gallery, the saved list and the plain text share the text. Readable in notebooks that are
not trusted: a plain list of images with their facts, with literal styles. Must not depend on the
ledger or on files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePath

from kling_nb.core.formatting import date_words, number_words, one_line, visible
from kling_nb.core.job_state import JobFacts, Saved
from kling_nb.core.money import dollar_words, price_words

from .markup import Markup, code, data_uri, escape, fitted, jpeg_size, style_sheet, tag
from .plain_text import MODE_BADGE, table_text
from .prices import clip_words
from .tables import render_notice

__all__ = [
    "Exhibit",
    "Label",
    "gallery_text",
    "heading",
    "label_of",
    "nothing",
    "nothing_text",
    "render_gallery",
    "render_nothing",
]

FRAME = (208, 117)
"""Of a picture in the saved form, in pixels: 16:9; an upright clip stands in its middle."""
PROMPT_LIMIT = 110
ROWS = 17
"""Of the plain text: with its heads and a line about the rest it stays below 20 lines."""

DIM, INK = "kling-quiet", "kling-prompt"
"""Classes of the card whose colours follow the theme, where styles live."""

AGAIN = "Run this cell again to play, filter, star and compare them: 0 credits."
NONE_YET = (
    "Make one in a `%%kling` cell, or with `%kling panel`; it appears here once it is saved.",
    "Clips that lie in another folder: `kling.configure(folder=…)`, then this cell again.",
)
STRAY = (
    "Their ledger is gone, which told what they are. `%kling recover NOTEBOOK.ipynb` notes them "
    "again from a notebook that shows them: 0 credits.",
    "`%kling doctor` tells more.",
)
NONE_FIT = (
    "`%kling gallery` alone shows every clip of this folder but those that are hidden.",
    "Also these: `kling.gallery(hidden=True)`, or the button Show hidden.",
)


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A saved clip on show."""

    facts: JobFacts
    state: Saved
    starred: bool = False
    hidden: bool = False
    fault: str = ""
    """Why its file cannot be played; empty where it can."""
    still: bytes = field(default=b"", repr=False)
    """A small JPEG; empty where there is none."""


@dataclass(frozen=True, slots=True)
class Label:
    """What stands below a clip, in words."""

    prompt: str
    about: str
    price: str
    cost: str
    """The price in the few words that a narrow tile has room for."""
    date: str
    length: str
    clip: str
    file: str
    """The file's name; empty where the file cannot be played."""
    fault: str


def label_of(exhibit: Exhibit, *, now: datetime) -> Label:
    """Give the words for a clip.

    Args:
        exhibit: The clip.
        now: The present, in the reader's time zone; dates follow its calendar.
    """
    facts, state = exhibit.facts, exhibit.state
    take = f" · take {facts.take}" if facts.take != 1 else ""
    length = f"{number_words(round(state.clip.duration_s, 1))} s"
    return Label(
        prompt=visible(facts.prompt).strip(),
        about=one_line(facts.model) + take,
        price=price_of(facts, state),
        cost=cost_of(facts, state),
        date=date_words(state.finished_at, now),
        length=f"{length} · sound" if state.clip.audio_codec else length,
        clip=clip_words(state.clip),
        file="" if exhibit.fault else PurePath(state.clip.path).name,
        fault=one_line(exhibit.fault),
    )


def price_of(facts: JobFacts, state: Saved) -> str:
    """Say what a clip cost: the service's figure first, else the price of our table."""
    told = credits_of(facts, state)
    if told is None:
        return "price not known"
    return f"would cost {price_words(told)}" if facts.emulated else price_words(told)


def cost_of(facts: JobFacts, state: Saved) -> str:
    """Say the same more briefly, where it was not paid."""
    told = credits_of(facts, state)
    if told is None or not facts.emulated:
        return price_of(facts, state)
    return f"would cost {dollar_words(told)}"


def credits_of(facts: JobFacts, state: Saved) -> float | None:
    """Give what the service took, else the price of our table."""
    return state.credits if state.credits is not None else facts.price_credits


def heading(shown: int, matching: int, kept: int) -> str:
    """Say how many clips are on show, of how many.

    Args:
        shown: On show, the newest.
        matching: Fit what was asked for.
        kept: In the folder.
    """
    clips = "1 clip" if kept == 1 else f"{kept:,} clips"
    if shown < matching:
        of = f"{matching:,} that fit, of {clips}" if matching < kept else clips
        return f"The newest {shown:,} of {of}"
    return f"{matching:,} of {clips}" if matching < kept else clips


def nothing(kept: int, folder: str, strays: int = 0) -> tuple[str, Sequence[str]]:
    """Say that there is nothing on show, and what to do; backticks hold what is to be typed.

    Args:
        kept: How many clips the folder has, the hidden ones among them.
        folder: Which one it is.
        strays: How many files in it are clips that its ledger does not know.
    """
    if kept:
        return "No clip fits", NONE_FIT
    if strays:
        clips = "1 clip" if strays == 1 else f"{strays:,} clips"
        return f"{clips} in {one_line(folder)} of which nothing is known", STRAY
    return f"No clips yet in {one_line(folder)}", NONE_YET


def render_nothing(title: str, lines: Sequence[str]) -> str:
    """Give as HTML what `nothing` says."""
    return render_notice("info", title, lines)


def nothing_text(title: str, lines: Sequence[str]) -> str:
    """Give the same as plain text, which has no backticks."""
    return "\n".join([title, *(each.replace("`", "") for each in lines)])


def render_gallery(exhibits: Sequence[Exhibit], *, matching: int, kept: int, now: datetime) -> str:
    """Give the gallery as HTML for a saved notebook.

    Args:
        exhibits: What is shown, with their pictures; one at least.
        matching: How many clips fit, of which these are the newest.
        kept: How many the folder has.
        now: The present, in the reader's time zone.
    """
    title = tag("strong", "title", escape(heading(len(exhibits), matching, kept)))
    return tag(
        "section",
        "gallery",
        style_sheet(),
        tag("div", "head", title),
        tag("ul", "shelf", *(item(exhibit, label_of(exhibit, now=now)) for exhibit in exhibits)),
        tag("p", "again", escape(AGAIN), classes=DIM),
        classes="kling-root",
        aria_label="Gallery of clips",
    )


def item(exhibit: Exhibit, label: Label) -> Markup:
    """Write one clip: its picture above its facts."""
    starred = tag("span", "starred", escape("★ Starred"), classes=DIM)
    marks = [starred] if exhibit.starred else []
    marks += [tag("span", "emulated", escape(MODE_BADGE))] if exhibit.facts.emulated else []
    marks.append(tag("span", "length", escape(label.length), classes=DIM))
    # Cut by us and without a fold: a wall of opened prompts is no gallery. The title has it whole.
    short = one_line(label.prompt, PROMPT_LIMIT)
    return tag(
        "li",
        "exhibit",
        picture(exhibit, label),
        tag("div", "marks", *marks),
        tag("p", "caption-of", escape(short), title=label.prompt, classes=INK),
        tag("p", "price", escape(label.price)),
        tag("p", "about", escape(label.date)),
        tag("p", "about", escape(label.about)),
        tag("p", "about", escape(label.fault) if label.fault else code(label.file)),
    )


def picture(exhibit: Exhibit, label: Label) -> Markup:
    """Write the still in a frame whose room does not depend on it."""
    size = jpeg_size(exhibit.still)
    if not size:
        return tag("div", "frame", tag("span", "empty", escape("No picture")))
    width, height = map(str, fitted(size, FRAME))
    alt = f"Clip: {one_line(label.prompt, 80)}"
    still = data_uri(exhibit.still)
    return tag("div", "frame", tag("img", "still", src=still, alt=alt, width=width, height=height))


def gallery_text(exhibits: Sequence[Exhibit], *, matching: int, kept: int, now: datetime) -> str:
    """Give the same as plain text: a table of at most twenty lines."""
    shown = exhibits[:ROWS]
    rows = [line(exhibit, label_of(exhibit, now=now)) for exhibit in shown]
    table = table_text(("", "job", "made", "price", "prompt", "file"), rows)
    return f"{heading(len(shown), matching, kept)}\n{table}"


def line(exhibit: Exhibit, label: Label) -> tuple[str, ...]:
    """Give one clip as the cells of a row."""
    mark = "★" if exhibit.starred else ""
    mode = f" · {MODE_BADGE.lower()}" if exhibit.facts.emulated else ""
    prompt, file = one_line(label.prompt, 48), label.file or one_line(label.fault, 40)
    return mark, exhibit.facts.id, label.date, label.price + mode, prompt, file
