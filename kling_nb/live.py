"""The live part of a card: a small widget that carries progress, and the clip after a reload.

One widget with its own buttons costs one comm; HTML strings come from `html`, clicks go to
whoever made it. After a reload of the page it is all that still reaches the screen.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets

__all__ = ["LiveView"]

_HERE = Path(__file__).parent


class LiveView(anywidget.AnyWidget):
    """Shows `html`; sends `{"do": "detach" | "show"}`.

    Args:
        job_id: Which record in the same output belongs to it.
        html: What to show first.
        on_message: Called with the word of each message, on the kernel's thread.
    """

    _esm = _HERE / "live.js"
    _css = _HERE / "live.css"
    job_id = traitlets.Unicode().tag(sync=True)
    html = traitlets.Unicode().tag(sync=True)
    ended = traitlets.Bool(False).tag(sync=True)

    def __init__(self, job_id: str, html: str, on_message: Callable[[str], None]) -> None:
        super().__init__(job_id=job_id, html=html)
        self._on_message = on_message
        self.on_msg(self._receive)

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, Any], dict[str, Any]]:
        """The widget, and nothing where there is none: the record above it is the text."""
        data, metadata = super()._repr_mimebundle_()
        return {**data, "text/plain": "", "text/html": ""}, metadata

    def _repr_keys(self) -> list[str]:
        return ["job_id", "ended"]

    def _receive(self, _widget: Any, content: Any, _buffers: Any) -> None:
        if isinstance(content, dict) and isinstance(content.get("do"), str):
            self._on_message(content["do"])
