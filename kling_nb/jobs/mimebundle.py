"""Render jobs and clips for `_repr_mimebundle_`, with a renderer that a higher layer sets.

Jobs know no HTML. The package sets the renderer when it is imported; every front end, with IPython
or without, gets the same saved card.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kling_nb.core.job_state import JobFacts, JobState

__all__ = ["Renderer", "render_mimebundle", "set_renderer"]

Renderer = Callable[["JobFacts", "JobState"], dict[str, Any]]
"""Takes a job and its state; returns data by MIME type, including `text/html` and `text/plain`."""

_renderers: list[Renderer] = []


def set_renderer(renderer: Renderer) -> None:
    """Set the renderer of all jobs and clips."""
    _renderers[:] = [renderer]


def render_mimebundle(facts: JobFacts, state: JobState) -> dict[str, Any]:
    """Return the card of a job as data by MIME type."""
    return _renderers[0](facts, state)
