"""What `_repr_mimebundle_` of jobs and clips returns: rendering that a higher layer provides.

Jobs know no HTML. The package sets the renderer when it is imported; every front end, with IPython
or without, gets the same saved card.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .states import JobFacts, JobState

__all__ = ["Renderer", "render_mimebundle", "set_renderer"]

Renderer = Callable[["JobFacts", "JobState"], dict[str, Any]]
"""Takes a job and its state, returns data by MIME type, `text/html` and `text/plain` among it."""

_renderers: list[Renderer] = []


def set_renderer(renderer: Renderer) -> None:
    """Render all jobs and clips with this from now on."""
    _renderers[:] = [renderer]


def render_mimebundle(facts: JobFacts, state: JobState) -> dict[str, Any]:
    """Return the card of a job as data by MIME type."""
    return _renderers[0](facts, state)
