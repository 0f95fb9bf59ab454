"""Find saved cards in an output, extract their clips and replace their players.

Reads only HTML that this package has written. In it, every `<`, `>` and quote in a text of a user
or of the service is escaped, so a mark is always the package's own. A notebook of 40 MB can thus be
searched without a parser. Anything without these marks is not changed. A notebook may come from
a stranger: a tag is read only up to the next `<`, so that the search time stays proportional to
the length of the text.
"""

from __future__ import annotations

import html
import re
from base64 import b64decode
from dataclasses import dataclass

_SECTION = re.compile(r"<section\b[^<>]*>")
_DIV = re.compile(r"<div\b[^<>]*>")
_PARAGRAPH = re.compile(r"(<p\b[^<>]*>)([^<]*)</p>")
RECORD = re.compile(r"\bkling-record\b")
_JOB = re.compile(r'\bdata-kling-job="([0-9A-Za-z_-]{1,64})"')
_STATE = re.compile(r'\bdata-kling-state="([a-z]{1,30})"')
_SCREEN = re.compile(r'\bclass="kling-screen\b')
PROMPT = re.compile(r'\bclass="kling-(?:prompt|whole)\b')
_HUB = re.compile(r' data-kling-hub="[0-9A-Za-z_-]{0,100}"')
_CLOSING = "</section>"
_VIDEO = "data:video/mp4;base64,"
JPEG = "data:image/jpeg;base64,"
_ENDS = {"<video": "</video>", "<img": ">"}
_NOTE = re.compile(r'<p class="kling-playback"[^<>]*>[^<]*</p>')
"""The playback note below a player; it is removed together with the player."""


@dataclass(frozen=True, slots=True)
class Section:
    """One card inside the HTML of an output."""

    markup: str
    job_id: str
    state: str
    """The `name` of the state, e.g. `saved`."""

    @property
    def video(self) -> bytes:
        """The embedded clip or preview; empty without one."""
        return self._data(f' src="{_VIDEO}')

    @property
    def poster(self) -> bytes:
        """The poster, a JPEG; empty without one."""
        if not (span := self._player()):
            return b""
        name = "poster" if self.markup.startswith("<video", span[0]) else "src"
        return self._data(f' {name}="{JPEG}')

    @property
    def prompt(self) -> str:
        """The prompt as shown."""
        for paragraph in _PARAGRAPH.finditer(self.markup):
            if PROMPT.search(paragraph[1]):
                text = html.unescape(paragraph[2])
                return text.encode("utf-8", "replace").decode("utf-8")  # no lone surrogates
        return ""

    @property
    def player(self) -> str:
        """The HTML of the video or poster, with its playback note; empty without one."""
        span = self._player()
        return self.markup[slice(*span)] if span else ""

    def with_player(self, player: str) -> str:
        """Return the HTML with another player; unchanged if it has none."""
        if not (span := self._player()):
            return self.markup
        return self.markup[: span[0]] + player + self.markup[span[1] :]

    def _player(self) -> tuple[int, int] | None:
        """Return start and end of the player of a saved clip, or None."""
        ends = (div.end() for div in _DIV.finditer(self.markup) if _SCREEN.search(div[0]))
        if (start := next(ends, None)) is None:
            return None
        for name, closing in _ENDS.items():
            if self.markup.startswith(name, start):
                end = self.markup.find(closing, start)
                return (start, self._after_note(end + len(closing))) if end > 0 else None
        return None

    def _after_note(self, end: int) -> int:
        note = _NOTE.match(self.markup, end)
        return note.end() if note else end

    def _data(self, mark: str) -> bytes:
        span = self._player()
        start = self.markup.find(mark, *span) if span else -1
        if start < 0:
            return b""
        start += len(mark)
        try:
            return b64decode(self.markup[start : self.markup.index('"', start)], validate=True)
        except ValueError:
            return b""


def find_sections(markup: str) -> list[Section]:
    """Return the cards in the HTML of an output, in order."""
    found, at = [], 0
    for opening in _SECTION.finditer(markup):
        job = _JOB.search(opening[0])
        if opening.start() < at or job is None or not RECORD.search(opening[0]):
            continue
        at = markup.find(_CLOSING, opening.end()) + len(_CLOSING)
        if at < len(_CLOSING):
            break
        state = _STATE.search(opening[0])
        found.append(Section(markup[opening.start() : at], job[1], state[1] if state else ""))
    return found


def without_hub_ids(markup: str) -> str:
    """Remove hub ids from the HTML of an output, so that no kernel updates the copy."""
    return _DIV.sub(lambda div: _HUB.sub("", div[0]), markup)
