"""Cards of jobs and clips: saved HTML, and its updates while a kernel runs.

The saved part is HTML behind a display id. The page draws progress and buttons below it, through
`comm`. `mimebundle` renders cards, `outputs` displays them, `card` decides what is shown and when,
`metadata` is the machine-readable part; the HTML is in `display/html`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kling_nb.core.console import accept_all_characters
from kling_nb.display.front_end import FrontEnd, front_end
from kling_nb.jobs.job import Job

from .card import Card
from .mimebundle import Bundle, Embed, card_bundle, join_bundles
from .outputs import Output, output_for

__all__ = [
    "Bundle",
    "Card",
    "Embed",
    "FrontEnd",
    "Output",
    "card_bundle",
    "front_end",
    "join_bundles",
    "register",
    "show",
]


def show(job: Job, shell: Any, embed: Embed = "auto") -> Card:
    """Display a job's card in the running cell."""
    card = Card(job, output_for(front_end(shell)), embed)
    card.display()
    return card


def register(shell: Any, show_job: Callable[[Job], object]) -> None:
    """Display jobs of a shell as live cards; repeated calls change nothing."""
    accept_all_characters()
    shell.display_formatter.ipython_display_formatter.for_type(Job, show_job)
