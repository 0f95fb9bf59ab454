"""The placeholder of a card: shown at once, before the libraries for the card are loaded.

The first `%%kling` cell of a kernel loads the models, HTTP, SQLite and codecs; then it reads its
inputs. Must not depend on any of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from IPython.display import clear_output, display

from kling_nb.core.formatting import to_one_line
from kling_nb.core.text import join_lines
from kling_nb.display.front_end import front_end
from kling_nb.display.html.markup import style_sheet, tag

_MODEL = re.compile(r"(?:^|\s)(?:--model|-m)[=\s]\s*(\S+)")
_PROMPT_CHARS = 160
_BADGE = "Preparing"
_NOTE = "Nothing has been sent yet."


@dataclass(slots=True)
class Placeholder:
    """The display of a placeholder, until a card replaces it."""

    handle: Any = None
    """Its `DisplayHandle`; None if there is no placeholder."""
    is_replaced: bool = False

    def remove(self) -> None:
        """Remove it with the next output: a message or an error. A card stays."""
        if self.handle is not None and not self.is_replaced:
            clear_output(wait=True)


@contextmanager
def showing_placeholder(shell: Any, line: str, body: str) -> Iterator[Placeholder]:
    """Show a placeholder for a `%%kling` cell; an error in the block removes it.

    Nothing is shown in a terminal and in a headless run.

    Args:
        shell: The interactive shell; its running cell must have no other output.
        line: The line of the cell, with its options.
        body: The body of the cell.
    """
    if front_end(shell) in ("terminal", "headless"):
        yield Placeholder()
        return
    placeholder = Placeholder(display(_bundle(line, body), raw=True, display_id=True))
    try:
        yield placeholder
    except BaseException:
        placeholder.remove()
        raise


def _bundle(line: str, body: str) -> dict[str, str]:
    """Return the placeholder as HTML and plain text."""
    options, prompt = join_lines(line, body)
    given = _MODEL.search(options)
    model = to_one_line(given[1], 80) if given else ""
    words = to_one_line(prompt, _PROMPT_CHARS)
    badge = tag("span", "run", _BADGE)
    markup = tag(
        "section",
        "card",
        style_sheet(),
        tag("div", "head", badge, tag("span", "about", model) if model else ""),
        tag("p", "prompt", words) if words else "",
        tag("div", "room", tag("p", "quiet", _NOTE)),
        classes="kling-root",
        aria_label=f"Kling clip, {_BADGE.lower()}",
    )
    text = "\n".join(filter(None, (" · ".join(filter(None, (_BADGE, model))), words, _NOTE)))
    return {"text/html": str(markup), "text/plain": text}
