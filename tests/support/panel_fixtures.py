"""Panels that share a session, and the threads in which they work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kling_nb.display import threads as workers
from kling_nb.display.panel.panel import Panel, panel
from kling_nb.models import catalog
from tests.support.panes import INVENTED, Beside, png
from tests.support.reels import sound, video


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> Iterator[Beside]:
    """The threads that answer pages."""
    with Beside() as threads:
        monkeypatch.setattr(workers, "_clicks", threads)
        monkeypatch.setattr(workers, "_drawing", threads)
        yield threads


@pytest.fixture
def make(open_session: Callable[..., Any], beside: Beside) -> Iterator[Callable[..., Panel]]:
    """Makes panels that share a session."""
    session = open_session()

    def begin(model: str = catalog.IMAGE_TO_VIDEO.name, **values: Any) -> Panel:
        made = panel(model, session=session, **values)
        beside.rest()
        return made

    yield begin
    beside.rest()


def write(path: Path, content: bytes) -> Path:
    """Write a file, and return its path."""
    path.write_bytes(content)
    return path


@pytest.fixture
def fox(tmp_path: Path) -> Path:
    """An image on disk."""
    return write(tmp_path / "fox.png", png())


@pytest.fixture
def dance(tmp_path: Path) -> Path:
    """A video of 4 s on disk."""
    return write(tmp_path / "dance.mp4", video(4.0, (640, 480)))


@pytest.fixture
def long_dance(tmp_path: Path) -> Path:
    """A video of 12 s on disk."""
    return write(tmp_path / "long.mp4", video(12.0, (640, 480)))


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """Audio of 2 s on disk."""
    return write(tmp_path / "speech.wav", sound(seconds=2.0))


@pytest.fixture
def invented(monkeypatch: pytest.MonkeyPatch) -> str:
    """The invented model in the catalogue; its name."""
    monkeypatch.setitem(catalog.CATALOGUE, INVENTED.name, INVENTED)  # type: ignore[arg-type]
    return INVENTED.name
