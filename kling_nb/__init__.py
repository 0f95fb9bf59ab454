"""Kling clips in Jupyter: `%%kling` cells, a panel, and a client for any Python program.

    %load_ext kling_nb

    import kling_nb as kling
    job = kling.image_to_video("fox.png", "A red fox shakes the snow off its coat", duration=5)
    clip = job.result()

Importing the package loads neither IPython nor httpx nor PyAV: public names are loaded on first
use.
"""

from __future__ import annotations

import importlib
import logging
import sys
from typing import TYPE_CHECKING, Any

from . import errors
from .core.version import __version__ as __version__
from .jobs.mimebundle import set_renderers

# Without a handler, Python prints warnings into the cell that runs; the cards already show them.
# A program that needs the log adds its own handler.
logging.getLogger(__name__).addHandler(logging.NullHandler())

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kling_nb.callbacks.listen import listen
    from kling_nb.core.job_state import JobState
    from kling_nb.display.cards.mimebundle import Bundle
    from kling_nb.display.gallery import gallery
    from kling_nb.display.panel.panel import panel
    from kling_nb.jobs.clip import Clip
    from kling_nb.jobs.default_session import configure, default_session
    from kling_nb.jobs.job import Job
    from kling_nb.jobs.prepare import Quote
    from kling_nb.jobs.run_coroutine import run
    from kling_nb.jobs.session import Session
    from kling_nb.models.catalog import CATALOGUE
    from kling_nb.notebook.archive.pack import pack, slim
    from kling_nb.notebook.archive.recover import recover
    from kling_nb.notebook.quote.quote import quote
    from kling_nb.storage.job_record import JobRecord

    adopt = Session.adopt
    balance = Session.balance
    budget = Session.budget
    clips = Session.clips
    forget = Session.forget
    generate = Session.generate
    image_to_video = Session.image_to_video
    job = Session.job
    resume = Session.resume
    text_to_video = Session.text_to_video

__all__ = [
    "CATALOGUE",
    "Clip",
    "Job",
    "Quote",
    "Session",
    "adopt",
    "balance",
    "budget",
    "clips",
    "configure",
    "default_session",
    "errors",
    "forget",
    "gallery",
    "generate",
    "image_to_video",
    "job",
    "listen",
    "load_ipython_extension",
    "pack",
    "panel",
    "quote",
    "recover",
    "resume",
    "run",
    "slim",
    "text_to_video",
    "unload_ipython_extension",
]

_MODULES = {
    "CATALOGUE": "models.catalog",
    "Clip": "jobs.clip",
    "Job": "jobs.job",
    "Quote": "jobs.prepare",
    "Session": "jobs.session",
    "configure": "jobs.default_session",
    "default_session": "jobs.default_session",
    "gallery": "display.gallery",
    "listen": "callbacks.listen",
    "pack": "notebook.archive.pack",
    "panel": "display.panel.panel",
    "quote": "notebook.quote.quote",
    "recover": "notebook.archive.recover",
    "run": "jobs.run_coroutine",
    "slim": "notebook.archive.pack",
}
_SESSION_METHODS = frozenset(
    {
        "adopt",
        "balance",
        "budget",
        "clips",
        "forget",
        "generate",
        "image_to_video",
        "job",
        "resume",
        "text_to_video",
    }
)


def load_ipython_extension(shell: Any) -> None:
    """Register the magics; `%load_ext kling_nb` calls this."""
    from kling_nb.notebook.extension import load

    load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Remove the magics; `%unload_ext kling_nb` calls this."""
    from kling_nb.notebook.extension import unload

    unload(shell)


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    """Return the extension points; a Jupyter server with this extension enabled calls this."""
    from kling_nb.callbacks.jupyter_extension import extension_points

    return extension_points()


def _load_jupyter_server_extension(server: Any) -> None:
    """Load the extension into a Jupyter server."""
    from kling_nb.callbacks.jupyter_extension import load

    load(server)


def _render_card(facts: JobRecord, state: JobState) -> Bundle:
    """Return the saved card of a job; the first call loads the display packages."""
    from kling_nb.display.cards.mimebundle import card_bundle

    return card_bundle(facts, state)


def _render_notice(title: str, lines: Sequence[str]) -> str:
    """Render a titled message as HTML; the first call loads the display packages."""
    from kling_nb.display.html import render_notice

    return render_notice("info", title, lines)


set_renderers(_render_card, _render_notice)


def __getattr__(name: str) -> Any:
    if name in _SESSION_METHODS:
        _register_displays()
        default = importlib.import_module(".jobs.default_session", __name__)
        return getattr(default.default_session(), name)
    if name in _MODULES:
        _register_displays()
        return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


def _register_displays() -> None:
    """In IPython, display jobs and clips as cards even if the magics are not loaded."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is not None:
        from kling_nb.notebook.extension import teach_displays

        teach_displays(shell)
