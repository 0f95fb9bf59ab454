"""What a new task owes whoever asked to be called back."""

from __future__ import annotations

from typing import Any

import pytest

from kling_nb.emulator import Books
from kling_nb.emulator.account.callback_plan import plan_letters
from kling_nb.emulator.faults.effects import Errand

ROW: dict[str, Any] = {
    "task_id": "t1",
    "callback_url": "http://127.0.0.1:9/hook",
    "fate": "",
    "created_at": 1000.0,
    "ready_at": 1010.0,
}
END = {
    "task_id": "t1",
    "url": "http://127.0.0.1:9/hook",
    "kind": "end",
    "due_at": 1010.0,
    "after_s": 0.0,
}


@pytest.mark.parametrize(
    ("errand", "letters"),
    [
        (None, [END]),
        (Errand("never"), []),
        (Errand("late", seconds=4.0), [{**END, "after_s": 4.0}]),
        (Errand("twice"), [END, END]),
        (Errand("forged"), [{**END, "kind": "forged", "due_at": 1005.0}, END]),
        (Errand("garbled"), [{**END, "kind": "garbled"}]),
    ],
)
def test_a_fault_decides_what_is_sent(errand: Errand | None, letters: list[Any]) -> None:
    """One letter where nothing goes wrong."""
    assert plan_letters(ROW, errand) == letters


@pytest.mark.parametrize("changes", [{"callback_url": "https://example.com/"}, {"fate": "vanish"}])
def test_nothing_is_owed(changes: dict[str, Any]) -> None:
    """To another machine, or for a task that nobody will ever see."""
    assert plan_letters(ROW | changes, None) == []


def test_only_lateness_takes_an_argument(tmp_path: Any) -> None:
    """A number of seconds."""
    books = Books(tmp_path)
    books.inject("callback-late", argument="2.5")
    for name, argument in (("callback-twice", "2"), ("callback-late", "soon")):
        with pytest.raises(ValueError, match="argument"):
            books.inject(name, argument=argument)
    assert [fault.argument for fault in books.faults()] == ["2.5"]
