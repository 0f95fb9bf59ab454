"""The account stays exact with several writers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kling_nb.emulator import UNLIMITED, EmulatedAccount
from kling_nb.emulator.account.account import CreditsInsufficient
from kling_nb.emulator.account.tasks import Fail, TaskRequest

ROOT = Path(__file__).parents[4]
WRITER = """
import sys
from pathlib import Path
from kling_nb.emulator import UNLIMITED, EmulatedAccount
from kling_nb.emulator.account.tasks import TaskRequest
account = EmulatedAccount(Path(sys.argv[1]), limits=UNLIMITED)
for _ in range(40):
    account.count_request("/path", "createTask")
    account.open_task(TaskRequest("m", {"prompt": "p"}, "", 10.0), 5)
"""


def order(credits: float = 55.0) -> TaskRequest:
    """Any order."""
    return TaskRequest("kling-2.6/text-to-video", {"prompt": "p"}, "", credits)


def test_nothing_is_on_disk_before_the_first_use(tmp_path: Path) -> None:
    """Naming a folder makes none."""
    account = EmulatedAccount(tmp_path / "deep" / "folder")
    assert not (tmp_path / "deep").exists()
    assert account.balance() == 5916
    assert (tmp_path / "deep" / "folder" / "books.sqlite3").is_file()


def test_two_processes_share_the_books(tmp_path: Path) -> None:
    """Counts, tasks, credits and faults come out exact."""
    account = EmulatedAccount(tmp_path)
    account.inject("poll-502", times=3)
    account.inject("fail-content", times=50)
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    writers = [subprocess.Popen(command, env=environment) for _ in range(2)]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert account.requests("/path") == 80
    assert account.count_tasks() == 80
    assert len({task.task_id for task in account.tasks()}) == 80
    assert account.balance() == 5916 - 800
    assert sum(task.fate == "fail" for task in account.tasks()) == 50
    assert [(f.name, f.times_left) for f in account.faults()] == [("poll-502", 3)]


def test_a_failure_gives_the_credits_back_when_it_shows(tmp_path: Path, clock: Any) -> None:
    """Charged while it runs, not charged after; once only."""
    account = EmulatedAccount(tmp_path, clock=clock)
    task = account.open_task(order(), seconds=8)
    account.close_task(task.task_id, fail=Fail("501", "Generation failed"))
    assert account.balance() == 5916 - 55
    clock.move(8)
    assert account.balance() == 5916
    account.close_task(task.task_id, fail=Fail("501", "Generation failed"))
    (closed,) = account.tasks()
    assert (closed.state, closed.charged, closed.credits) == ("fail", 0, 55)
    assert account.balance() == 5916


def test_a_clip_made_late_ends_the_task_late(tmp_path: Path, clock: Any) -> None:
    """Success comes with the clip, never before the seconds are over."""
    account = EmulatedAccount(tmp_path, clock=clock)
    early, late = account.open_task(order(), 8), account.open_task(order(), 8)
    account.close_task(early.task_id, clip="a.mp4")
    clock.move(20)
    assert [task.state for task in account.tasks()] == ["success", "generating"]
    account.close_task(late.task_id, clip="a.mp4")
    ended = [task.ended_at for task in account.tasks()]
    assert ended == [clock.now - 12, clock.now]


def test_the_first_end_stays(tmp_path: Path, clock: Any) -> None:
    """A second renderer of the same task changes nothing."""
    account = EmulatedAccount(tmp_path, clock=clock)
    task = account.open_task(order(), 0)
    account.close_task(task.task_id, clip="a.mp4")
    account.close_task(task.task_id, fail=Fail("500", "late"))
    assert account.tasks()[0].clip == "a.mp4"


def test_a_refused_order_leaves_no_trace(tmp_path: Path) -> None:
    """Neither a task nor a used-up fault."""
    account = EmulatedAccount(tmp_path, limits=UNLIMITED)
    account.inject("fail-media")
    with pytest.raises(CreditsInsufficient):
        account.open_task(order(6000), 5)
    assert account.count_tasks() == 0
    assert len(account.faults()) == 1


def test_requests_are_counted_by_path_and_below(tmp_path: Path) -> None:
    """A trailing slash sums all below."""
    account = EmulatedAccount(tmp_path)
    for path in ("/k/a.mp4", "/k/a.mp4", "/k/b.mp4", "/kieai/c"):
        account.count_request(path, "download")
    assert [account.requests(path) for path in ("/k/a.mp4", "/k/", "/none")] == [2, 3, 0]


def test_faults_are_used_up_in_order(tmp_path: Path) -> None:
    """The oldest of an endpoint first; others wait."""
    account = EmulatedAccount(tmp_path)
    account.inject("poll-502")
    account.inject("poll-429", times=2)
    met = [account.count_request("/", "recordInfo") for _ in range(4)]
    names = [fault.name if fault else None for fault in met]
    assert names == ["poll-502", "poll-429", "poll-429", None]


@pytest.mark.parametrize(
    ("name", "more", "words"),
    [
        ("dorp", {}, "did you mean 'drop'"),
        ("drop", {"times": 0}, "use 1 or more"),
        ("drop", {"argument": "x"}, "argument: "),
        ("unreachable", {"argument": "nowhere"}, "argument: "),
        ("download-slow", {"argument": "soon"}, "argument: "),
        ("callback-twice", {"argument": "2"}, "argument: "),
        ("callback-late", {"argument": "soon"}, "argument: "),
    ],
)
def test_bad_injections_are_refused(
    tmp_path: Path, name: str, more: dict[str, Any], words: str
) -> None:
    """An unknown name, a count below one, a meaningless argument; nothing is written."""
    account = EmulatedAccount(tmp_path)
    with pytest.raises(ValueError, match=words):
        account.inject(name, **more)
    assert account.faults() == []


def test_no_key_is_written_down(tmp_path: Path) -> None:
    """Questions are counted by a hash of the key."""
    account = EmulatedAccount(tmp_path)
    account.count_status_request("secret-key-7")
    assert b"secret-key-7" not in (tmp_path / "books.sqlite3").read_bytes()
