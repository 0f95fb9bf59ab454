"""The threads that answer pages."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from kling_nb.display import threads

PATIENCE_S = 20.0


@pytest.mark.parametrize("later", [threads.work_later, threads.draw_later])
def test_the_cells_context_goes_along(later: Callable[..., None]) -> None:
    """It says where an output belongs."""
    cell = contextvars.ContextVar("cell", default="")
    cell.set("the third")
    done, found = threading.Event(), list[Any]()

    def work(given: str) -> None:
        found.extend([cell.get(), given, threading.current_thread()])
        done.set()

    later(work, "given")
    assert done.wait(PATIENCE_S)
    assert found[:2] == ["the third", "given"]
    assert found[2] is not threading.current_thread()


def test_drawing_does_not_wait_behind_clicks() -> None:
    """However many wait for a session."""
    gate, drawn = threading.Event(), threading.Event()
    for _ in range(20):
        threads.work_later(gate.wait, PATIENCE_S)
    threads.draw_later(drawn.set)
    is_drawn = drawn.wait(PATIENCE_S)
    gate.set()
    assert is_drawn


def test_at_the_programs_end_nothing_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is raised in whoever asked."""
    closed = ThreadPoolExecutor(1)
    closed.shutdown()
    monkeypatch.setattr(threads, "_drawing", closed)
    threads.draw_later(print)
