"""Calls of the package are recorded once each, in every thread."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import call_trace
from tests.support.call_trace import CallTrace

SOURCE = """
class Body:
    pass

async def resumed(steps):
    for step in steps:
        await step

class Step:
    def __await__(self):
        yield

def plain():
    return [step for step in (1, 2)][0]
"""


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the names of a module that counts as one of the package."""
    monkeypatch.setattr(call_trace, "PACKAGE", tmp_path)
    names: dict[str, Any] = {}
    exec(compile(SOURCE, str(tmp_path / "part.py"), "exec"), names)
    return names


@pytest.fixture
def trace() -> Iterator[CallTrace]:
    """Yield a trace that is installed, and remove it."""
    before = sys.getprofile(), threading.getprofile()
    trace = CallTrace()
    trace.install()
    yield trace
    sys.setprofile(before[0])
    threading.setprofile(before[1])


def names_of(trace: CallTrace) -> list[str]:
    """Return the names of the recorded functions, without comprehensions."""
    return [code.co_name for code in trace.codes if not code.co_name.startswith("<")]


def test_a_coroutine_that_is_resumed_counts_once(trace: CallTrace, made_up: dict[str, Any]) -> None:
    """Each of its steps is a call, its continuation is none."""
    with trace.record():
        running = made_up["resumed"]([made_up["Step"](), made_up["Step"]()])
        for _ in range(2):
            running.send(None)
        with pytest.raises(StopIteration):
            running.send(None)
    assert names_of(trace) == ["resumed", "__await__", "__await__"]
    assert set(trace.modules()) == {"part"}


def test_other_threads_count(trace: CallTrace, made_up: dict[str, Any]) -> None:
    """A thread that began after the installation is recorded, too."""
    with trace.record():
        thread = threading.Thread(target=made_up["plain"])
        thread.start()
        thread.join()
    assert names_of(trace) == ["plain"]


def test_an_import_is_no_call(trace: CallTrace, made_up: dict[str, Any], tmp_path: Path) -> None:
    """Neither the body of a class nor a function that a module calls while it is imported."""
    with trace.record():
        exec(compile(SOURCE + "plain()", str(tmp_path / "other.py"), "exec"), {})
    assert names_of(trace) == []


def test_other_files_and_the_emulator_do_not_count(
    trace: CallTrace, made_up: dict[str, Any], tmp_path: Path
) -> None:
    """Only functions of the package are recorded."""
    emulated: dict[str, Any] = {}
    exec(compile(SOURCE, str(tmp_path / "emulator" / "part.py"), "exec"), emulated)
    with trace.record():
        emulated["plain"]()
        names_of(trace)
    assert names_of(trace) == []
