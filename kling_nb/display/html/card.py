"""Render the card of a job: the HTML that is saved in the notebook.

All states share one layout, readable in untrusted notebooks. While a job runs, its image is beside
its facts and the height does not change; a saved clip uses the full width.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import PurePath

from markupsafe import Markup

from kling_nb.core.formatting import format_bytes, replace_invisible, to_one_line
from kling_nb.core.job_state import ClipFacts, Encoding, JobState, Saved, has_ended
from kling_nb.display.html.card_failures import Wording
from kling_nb.storage.job_record import JobRecord

from .card_text import MODE_BADGE, WARNING_BADGE, describe, shown_warnings, task_of
from .markup import (
    code,
    data_uri,
    escape,
    fit_size,
    inline_styles,
    join,
    jpeg_size,
    link,
    prose,
    style_sheet,
    tag,
)
from .prices import cost_line, format_clip, format_encoding, saved_hint

_PROMPT_LIMIT = 160
_NOT_IN_FILE_NAMES = re.compile(r'[\\/:*?"<>|]')
_LABEL_LIMIT = 60
_SIDE_BOX = (144, 120)
_PLAYER_BOX = (640, 448)
"""Largest player in pixels: a card with the tallest clip, in JupyterLab's frame, is below 1000."""


def render_record(
    record: JobRecord,
    state: JobState,
    *,
    now: datetime,
    player: str = "",
    file_href: str = "",
) -> str:
    """Return the card of a job as HTML, with its style sheet.

    Args:
        record: The job.
        state: Its state.
        now: The current time, in the reader's time zone.
        player: HTML for a saved clip, used unescaped: the output of `IPython.display.Video` with
            `video_attributes`, or `poster_image`; optionally a `playback_note`. Empty shows the
            input image.
        file_href: A relative link to the whole file; other URLs are omitted.
    """
    wording = describe(record, state, now=now)
    cost = cost_line(record, state, now=now)
    if isinstance(state, Saved):
        body = _saved_body(record, state, Markup(player), cost, file_href)
    else:
        end = _ended_text(wording) if has_ended(state) else ""
        body = join(request(record, cost), warnings(record, state), _task_line(state), end)
    return str(
        tag(
            "section",
            "card",
            style_sheet(),
            head(record, wording),
            body,
            _cell_fold(record.cell),
            _actions_space(record, state),
            classes="kling-root kling-record",
            # A group and no landmark: a notebook may show a card twice.
            role="group",
            aria_label=_label(record, wording),
            data_kling_job=to_one_line(record.id),
            data_kling_state=state.name,
        )
    )


def _label(record: JobRecord, wording: Wording) -> str:
    """Return the card's name for screen readers: state, prompt and job."""
    words = to_one_line(record.prompt, _LABEL_LIMIT)
    about = ", ".join(filter(None, (words, f"job {to_one_line(record.id)}")))
    return f"Kling clip, {wording.badge.lower()}: {about}"


def head(record: JobRecord, wording: Wording) -> Markup:
    """Return the badges, the model, the job's id and the take."""
    mode = tag("span", "emulated", MODE_BADGE) if record.emulated else ""
    parts = [to_one_line(record.model), f"job {to_one_line(record.id)}"]
    if record.take != 1:
        parts.append(f"take {record.take}")
    about = tag("span", "about", " · ".join(parts))
    return tag("div", "head", tag("span", wording.tone, wording.badge), mode, about)


def request(record: JobRecord, cost: str) -> Markup:
    """Return image and prompt side by side, the same in each state without a clip."""
    thumbnail = image(record, record.thumbnail, _SIDE_BOX)
    side = tag("div", "side", thumbnail) if thumbnail else ""
    price = tag("p", "price", cost)
    facts = tag("div", "facts", title(record), prompt(record.prompt), price)
    return tag("div", "body", side, facts)


def warnings(record: JobRecord, state: JobState) -> Markup:
    """Return the warnings of a request, one line each."""
    badge = tag("span", "warn", WARNING_BADGE)
    lines = (join(badge, f" {to_one_line(w)}") for w in shown_warnings(record, state))
    return join(*(tag("p", "warning", line) for line in lines))


def _task_line(state: JobState) -> Markup:
    """Return the line with the task id; a running job without one keeps its space."""
    task_id = to_one_line(task_of(state))
    if not task_id and has_ended(state):
        return join()
    known = join("task ", code(task_id)) if task_id else "no task yet"
    return tag("p", "task", known)


def _saved_body(
    record: JobRecord, state: Saved, player: Markup, cost: str, file_href: str
) -> Markup:
    """Return the clip in full width, with its prompt and facts below."""
    player_or_image = player or image(record, record.thumbnail, _PLAYER_BOX)
    name = PurePath(state.clip.path).name
    file = join(code(name), file_link(record, state.clip, file_href))
    others = (*(PurePath(path).name for path in state.others), *state.other_urls)
    more = join(*(tag("div", "", code(to_one_line(each))) for each in others))
    facts_rows = (
        ("Clip", format_clip(state.clip)),
        ("Price", cost),
        ("File", file),
        *((("More files", more),) if others else ()),
        ("Task", code(to_one_line(state.task_id))),
    )
    shown = tag("div", "screen", player_or_image) if player_or_image else ""
    return join(shown, title(record), prompt(record.prompt), rows(facts_rows))


def _ended_text(wording: Wording) -> Markup:
    """Return the text of a job that ended without a clip."""
    entries = [(code(entry.name), entry.text) for entry in wording.entries]
    return tag(
        "div",
        "say",
        tag("p", "headline", wording.headline),
        tag("p", "line", prose(wording.cost)) if wording.cost else "",
        tag("blockquote", "quote", wording.quote) if wording.quote.strip() else "",
        *(tag("p", "line", prose(line)) for line in wording.lines),
        _answer_fold(wording.answer) if wording.answer else "",
        rows(entries) if entries else "",
    )


def _answer_fold(answer: str) -> Markup:
    """Return the service's raw answer, folded."""
    summary = tag("summary", "copy", "Answer of the service")
    return tag("details", "cell", summary, tag("pre", "source", answer))


def rows(pairs: Iterable[tuple[str, str]]) -> Markup:
    """Return names and values as two columns."""
    cells = (join(tag("dt", "label", name), tag("dd", "value", value)) for name, value in pairs)
    return tag("dl", "rows", *cells)


def file_link(record: JobRecord, clip: ClipFacts, href: str) -> Markup:
    """Return a link to a clip's file; a clip with a title is downloaded under that name."""
    size = format_bytes(clip.size_bytes)
    if not record.title:
        return link(href, f"Open the file ({size})")
    stem = _NOT_IN_FILE_NAMES.sub("-", to_one_line(record.title)).strip(". ")
    name = f"{stem or record.id}{PurePath(clip.path).suffix}"
    return link(href, f"Download the file ({size})", download=name)


def title(record: JobRecord) -> Markup:
    """Return the title of a clip; empty without one."""
    return tag("p", "title", to_one_line(record.title)) if record.title else join()


def prompt(text: str) -> Markup:
    """Return the prompt; a long one is cut here, since sanitizers remove line clamps."""
    whole = replace_invisible(text).strip()
    short = to_one_line(whole, _PROMPT_LIMIT)
    if len(whole) <= _PROMPT_LIMIT and whole.count("\n") < 3:
        return tag("p", "prompt", whole)
    summary = tag("summary", "summary", short)
    return tag("details", "fold", summary, tag("p", "whole", whole))


def _cell_fold(cell: str) -> Markup:
    """Return the cell that makes the same request, folded."""
    if not cell:
        return join()
    note = "Invisible characters are shown as \ufffd: a copy of this text makes another request."
    warning = tag("p", "quiet", note) if replace_invisible(cell) != cell else ""
    return tag(
        "details", "cell", tag("summary", "copy", "Cell"), warning, tag("pre", "source", cell)
    )


def _actions_space(record: JobRecord, state: JobState) -> Markup:
    """Return the space in which a live page draws the actions, with a hint in a saved page."""
    if has_ended(state):
        return tag("div", "", classes="kling-foot")
    hint = tag("p", "saved-only", saved_hint(record, state))
    return tag("div", "room", hint, classes="kling-foot")


def image(record: JobRecord, jpeg: bytes, box: tuple[int, int]) -> Markup:
    """Return an image with known width and height; empty without bytes."""
    if not jpeg:
        return join()
    size = jpeg_size(jpeg)
    width, height = map(str, fit_size(size, box)) if size else ("", "")
    return tag(
        "img", "picture", src=data_uri(jpeg), alt=_image_label(record), width=width, height=height
    )


def _image_label(record: JobRecord) -> str:
    """Return the alternative text of the image."""
    name = to_one_line(str(record.values.get("image", "")), 80)
    return f"Image {name}" if name else f"Image for: {to_one_line(record.prompt, 80)}"


def poster_image(record: JobRecord, jpeg: bytes) -> str:
    """Return a poster for `render_record(player=...)` if the clip is not embedded."""
    return str(image(record, jpeg, _PLAYER_BOX))


def playback_note(encoding: Encoding, *, is_preview: bool) -> str:
    """Return the note below a clip that some browsers cannot play.

    Args:
        encoding: The encoding of the clip's file.
        is_preview: Whether a preview is shown, not a still image.
    """
    file = f"the file is {format_encoding(encoding)}, which some browsers cannot play."
    text = f"H.264 preview: {file}" if is_preview else f"T{file[1:]} Open it in a video player."
    return str(tag("p", "playback", text))


def video_attributes(
    record: JobRecord, *, poster: bytes = b"", size_px: tuple[int, int] | None = None
) -> str:
    """Return `html_attributes` for `IPython.display.Video`, which writes them unescaped.

    Pass neither `width` nor `height` to `Video`: they are included. The label for screen readers
    is in `title` as well, since untrusted notebooks lose ARIA.

    Args:
        record: The job; its prompt is the label.
        poster: A JPEG of the first frame, embedded as data: a relative URL is never resolved.
        size_px: Width and height of the clip, to reserve its space while it loads; None reads them
            from the poster.
    """
    label = f"Clip: {to_one_line(record.prompt, 200)}"
    size = size_px or jpeg_size(poster)
    width, height = fit_size(size, _PLAYER_BOX) if size else (_PLAYER_BOX[0], 0)
    values = {
        "title": label,
        "aria-label": label,
        "class": "kling-video",
        "width": str(width),
        "height": str(height or ""),
        "style": inline_styles()["video"],
        "poster": data_uri(poster) if poster else "",
    }
    named = " ".join(f'{name}="{escape(value)}"' for name, value in values.items() if value)
    return f'controls loop playsinline preload="metadata" {named}'
