"""Test `console`: text is written to streams of any encoding."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import UTC, datetime

import pytest

from kling_nb.__main__ import main
from kling_nb.core.console import accept_all_characters, print_text, readable
from kling_nb.core.job_state import ClipFacts
from kling_nb.display.cards.mimebundle import TerminalOutput
from kling_nb.errors import MediaError
from kling_nb.jobs.clip import Clip
from kling_nb.jobs.session import Session
from tests.support.records import record_of

ENCODINGS = ("cp1252", "cp932", "ascii")
AT = datetime(2026, 11, 22, tzinfo=UTC)
CLIP = Clip(
    record_of("ab12cd34", "kling-2.6/text-to-video", "→ 狐", AT, emulated=True),
    ClipFacts("/clips/狐.mp4", 640, 360, 5.0, 24.0, "h264", "", 100),
    "task",
    "",
    55.0,
    AT,
)


@pytest.fixture(params=ENCODINGS)
def stdout(request: pytest.FixtureRequest) -> io.TextIOWrapper:
    """Return a strict stream of another encoding."""
    return io.TextIOWrapper(io.BytesIO(), encoding=request.param, errors="strict")


def written(stream: io.TextIOWrapper) -> str:
    """Return the text that was written."""
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode(stream.encoding)


def test_characters_have_readable_replacements() -> None:
    """Arrows and signs in ASCII, letters without accents, the rest as `?`."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    text = "64×36 → “é” … 5 − 3 · 狐 ★"
    assert readable(text, stream) == '64x36 -> "e" ... 5 - 3 - ? *'


def test_text_that_a_stream_can_encode_is_unchanged() -> None:
    """Also if the encoding is not known."""
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        assert readable("→ 狐", io.TextIOWrapper(io.BytesIO(), encoding=encoding)) == "→ 狐"
    assert readable("64×36", io.TextIOWrapper(io.BytesIO(), encoding="cp932")) == "64×36"
    assert readable("→ 狐", io.StringIO()) == "→ 狐"


@pytest.mark.parametrize(
    "say",
    [
        lambda: print_text("→ 狐"),
        lambda: print(CLIP),
        lambda: print(MediaError("狐.png: 64×36 → too small")),
        lambda: TerminalOutput().show({"text/plain": "→ 狐"}),
    ],
    ids=["print_text", "clip", "error", "card"],
)
def test_printing_raises_no_error(stdout: io.TextIOWrapper, say: Callable[[], None]) -> None:
    """The stream is strict, as in a script without a front end."""
    with redirect_stdout(stdout):
        say()
    assert "→" not in written(stdout) or stdout.encoding == "cp932"


def test_the_command_line_raises_no_error(stdout: io.TextIOWrapper, session: Session) -> None:
    """`python -m kling_nb jobs` prints any prompt."""
    session.text_to_video("→ 狐 × ★").result(20)
    with redirect_stdout(stdout):
        assert main(["jobs"]) == 0
    assert "saved" in written(stdout)


def test_a_terminal_accepts_all_characters(stdout: io.TextIOWrapper) -> None:
    """After loading in IPython, for all output, including tracebacks and `display`."""
    with redirect_stdout(stdout):
        accept_all_characters()
        print("→ ★")
    assert written(stdout).strip() in {"-> *", "→ ★"}
    assert stdout.errors != "strict"


def test_some_streams_stay_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    """One with its own error handler, one that is UTF-8, and a missing one."""
    for stream in (
        io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="ignore"),
        io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="strict"),
        None,
    ):
        before = getattr(stream, "errors", None)
        monkeypatch.setattr(sys, "stdout", stream)
        accept_all_characters()
        assert getattr(stream, "errors", None) == before
