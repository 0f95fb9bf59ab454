"""Render jobs, clips and notices for `_repr_mimebundle_`, with renderers that a higher layer sets.

`jobs` contains no HTML. The package sets the renderers when it is imported, so that every front
end, with or without IPython, gets the same saved card.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kling_nb.core.job_state import JobState
    from kling_nb.storage.job_record import JobRecord

_CardRenderer = Callable[["JobRecord", "JobState"], dict[str, Any]]
"""Takes a job and its state; returns data by MIME type, including `text/html` and `text/plain`."""
_NoticeRenderer = Callable[[str, Sequence[str]], str]
"""Takes a title and lines; returns HTML."""

_renderers: list[tuple[_CardRenderer, _NoticeRenderer]] = []


def set_renderers(card: _CardRenderer, notice: _NoticeRenderer) -> None:
    """Set the renderers of all jobs and clips, and of all notices."""
    _renderers[:] = [(card, notice)]


def render_mimebundle(record: JobRecord, state: JobState) -> dict[str, Any]:
    """Return the card of a job as data by MIME type."""
    return _renderers[0][0](record, state)


def render_notice(title: str, lines: Sequence[str]) -> str:
    """Return a notice as HTML."""
    return _renderers[0][1](title, lines)
