"""Pending callbacks survive their process; one emulator at a time sends each."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from kling_nb.emulator import CallbackQueue, EmulatedAccount, Emulator
from kling_nb.emulator.account.callbacks import PendingCallback
from kling_nb.kie.webhooks import parse_callback
from tests.support.callback_receivers import (
    QUICK,
    Receiver,
    another_emulator,
    nothing_open,
    order,
    posts_of,
    receiving,
    wait_until,
)
from tests.support.emulator_service import in_process


def test_the_next_emulator_sends_callbacks(tmp_path: Path, receiver: Receiver, clock: Any) -> None:
    """Once, even if the clip was not rendered before."""
    service, emulator = in_process(tmp_path, limits=QUICK, clock=clock, seconds=60.0)
    emulator.backend.renderer.stopping.set()
    task_id = order(service, receiver.url)
    emulator.close()
    clock.move(61)
    assert service.account.task(task_id).clip == ""
    with another_emulator(tmp_path, clock) as again:
        (got,) = receiver.wait_for(1)
        assert parse_callback(got.body).task_id == task_id
        posts_of(again, task_id, 1)
    with another_emulator(tmp_path, clock) as third:
        assert nothing_open(third)
    assert len(receiver.received) == 1


def test_what_was_under_way_is_sent_again(tmp_path: Path, receiver: Receiver, clock: Any) -> None:
    """Closing does not wait for the answer; the next emulator begins anew."""
    receiver.hold.clear()
    service, emulator = in_process(tmp_path, limits=QUICK, clock=clock)
    order(service, receiver.url)
    receiver.wait_for(1)
    emulator.close()
    receiver.hold.set()
    with another_emulator(tmp_path, clock):
        receiver.wait_for(2)


def test_a_claim_expires_after_a_kill(tmp_path: Path, receiver: Receiver, clock: Any) -> None:
    """A killed process releases nothing."""
    service, emulator = in_process(tmp_path, limits=QUICK, clock=clock, seconds=60.0)
    order(service, receiver.url)
    (callback,) = emulator.callback_queue.pending()
    clock.move(61)
    assert emulator.callback_queue.claim(callback)
    assert not emulator.callback_queue.claim(callback)
    clock.move(21)
    receiver.wait_for(1)
    emulator.close()


def test_two_emulators_call_once(tmp_path: Path, receiver: Receiver, clock: Any) -> None:
    """The emulator that claims a callback sends it."""
    service, first = in_process(tmp_path, limits=QUICK, clock=clock, seconds=60.0)
    ids = [order(service, receiver.url) for _ in range(5)]
    second = Emulator(tmp_path, limits=QUICK, clock=clock, render="canned")
    clock.move(61)
    wait_until(lambda: not first.callback_queue.pending())
    first.close()
    second.close()
    assert sorted(parse_callback(got.body).task_id for got in receiver.received) == sorted(ids)


def test_a_file_of_an_older_version_is_migrated(tmp_path: Path) -> None:
    """New tables and columns are added; its balance and tasks stay."""
    service, emulator = in_process(tmp_path, seconds=1000)
    task_id = service.create().json()["data"]["taskId"]
    emulator.close()
    account = EmulatedAccount(tmp_path)
    account.set_balance(77)
    with account.database.transaction() as connection:
        for table in ("letters", "posts"):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("ALTER TABLE tasks DROP COLUMN unseen_s")
        connection.execute("PRAGMA user_version = 1")
    assert EmulatedAccount(tmp_path).balance() == 77
    assert [(task.task_id, task.state) for task in EmulatedAccount(tmp_path).tasks()] == [
        (task_id, "waiting")
    ]
    assert CallbackQueue(EmulatedAccount(tmp_path)).posts() == []


def test_a_database_error_does_not_stop_callbacks(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is logged, and the sender starts again."""
    monkeypatch.setattr("kling_nb.emulator.http.callback_sender.ERROR_PAUSE_S", 0.01)
    service, emulator = in_process(tmp_path, limits=QUICK)
    look, trouble = emulator.callback_queue.pending, [sqlite3.OperationalError("locked")]

    def troubled() -> list[PendingCallback]:
        if trouble:
            raise trouble.pop()
        return look()

    monkeypatch.setattr(emulator.callback_queue, "pending", troubled)
    order(service, receiver.url)
    receiver.wait_for(1)
    emulator.close()
    assert trouble == []


def test_the_first_request_reports_an_unreadable_file(tmp_path: Path) -> None:
    """Not by putting an emulator together."""
    (tmp_path / "books.sqlite3").write_bytes(b"no database " * 1000)
    emulator = Emulator(tmp_path)
    with pytest.raises(sqlite3.DatabaseError):
        emulator.account.balance()
    emulator.close()


def test_no_thread_runs_before_the_first_callback(service: Any) -> None:
    """Nor after the emulator is closed."""
    service.make()
    assert "kling emulator callbacks" not in {each.name for each in threading.enumerate()}


def test_a_served_emulator_calls_back(served: Any) -> None:
    """And shows it at its control path."""
    with receiving() as receiver:
        task_id = order(served, receiver.url)
        receiver.wait_for(1)
        posts_of(served, task_id, 1)
    shown = served.call("GET", "api", "/emulator/books", key=None).json()["callbacks"]
    assert [(each["task_id"], each["status"]) for each in shown] == [(task_id, 200)]
