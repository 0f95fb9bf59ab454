"""One budget for all processes of an account, against a served emulator that counts for itself.

Its window is short, so that no test takes long, and the margins are wide, so that a busy machine
does not fail one. What counts is what its account say.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import kling_nb
import kling_nb.kie.rate_limit
from kling_nb.core.rate_limits import NEW_TASKS
from kling_nb.emulator import EmulatedAccount
from kling_nb.jobs.session import Session
from kling_nb.models.catalog import TEXT_TO_VIDEO
from kling_nb.models.clip_request import ClipRequest
from tests.support.processes import go_on, python, read_line
from tests.support.service import CREATE, KEY, RECORD, Served

WINDOW_S = 1.0
MARGIN_S = 2.0
TASKS = replace(NEW_TASKS, window_s=WINDOW_S, margin_s=MARGIN_S)
PATIENCE_S = 60.0

SERVER = f"""
import sys
from pathlib import Path
from kling_nb.emulator.serve import Service, serve
from kling_nb.emulator.account.account import Limits

terms = Limits(task_window_s={WINDOW_S})
serve(Service(Path(sys.argv[1]), port=0, seconds=0.3, render="canned", limits=terms),
      say=lambda line: print(line, flush=True))
"""

CALLER = f"""
import asyncio
import sys
from dataclasses import replace
from kling_nb.kie.client import Client
from kling_nb.core.secret import Key
from kling_nb.core.rate_limits import NEW_TASKS, STATUS_REQUESTS
from kling_nb.kie.rate_limit import RateLimiter
from kling_nb.kie.slots import Account

url, count, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
key = Key({KEY!r})
body = {{
    "model": {TEXT_TO_VIDEO.name!r},
    "input": {{"prompt": "A fox", "sound": False, "duration": "5", "aspect_ratio": "16:9"}},
}}


async def play():
    tasks = replace(NEW_TASKS, window_s={WINDOW_S}, margin_s={MARGIN_S})
    questions = replace(STATUS_REQUESTS, margin_s={MARGIN_S})
    client = Client(key, api_url=url, rate_limiter=RateLimiter(Account(url, key), tasks, questions))
    if kind == "tasks":
        made = await asyncio.gather(*(client.create_task(body) for _ in range(count)))
        print(sum(isinstance(task, str) for task in made), flush=True)
    else:
        asked = (client.task("0" * 32) for _ in range(count))
        told = await asyncio.gather(*asked, return_exceptions=True)
        print(sum(not isinstance(answer, Exception) for answer in told), flush=True)
    await client.aclose()


print("ready", flush=True)
sys.stdin.readline()
asyncio.run(play())
"""
"""Makes tasks, or asks questions, at a signal; says how many were answered as they should be."""


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Served]:
    """A served emulator that allows 20 new tasks in a short window, and 10 questions a second."""
    folder = tmp_path / "strict"
    with python(SERVER, folder) as server:
        yield Served(read_line(server).split()[3], EmulatedAccount(folder))


def play_together(service: Served, kind: str, *counts: int) -> list[int]:
    """Several processes begin at the same moment; how many answers each was satisfied with."""
    with ExitStack() as stack:
        callers = [
            stack.enter_context(python(CALLER, service.url, count, kind)) for count in counts
        ]
        for caller in callers:
            assert read_line(caller) == "ready"
        go_on(*callers)
        return [int(read_line(caller)) for caller in callers]


def test_two_processes_keep_the_limit_together(strict: Served) -> None:
    """Twenty tasks each: forty are accepted, and none is rejected on the way."""
    assert play_together(strict, "tasks", 20, 20) == [20, 20]
    assert strict.account.count_tasks() == 40
    assert strict.account.requests(CREATE) == 40
    times = [task.created_at for task in strict.account.tasks()]
    assert all(later - sooner >= WINDOW_S for sooner, later in zip(times, times[20:], strict=False))


def test_two_processes_ask_no_more_than_allowed(strict: Served) -> None:
    """Ten questions each: all are answered, none with 429."""
    assert play_together(strict, "questions", 10, 10) == [10, 10]
    assert strict.account.requests(RECORD) == 20


def test_more_jobs_than_the_limit_at_once(
    strict: Served, tmp_path: Path, open_session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All requests of a session are accepted, and nothing is sent a second time."""
    monkeypatch.setattr(kling_nb.kie.rate_limit, "NEW_TASKS", TASKS)
    session: Session = open_session(**strict.settings(tmp_path / "clips"))
    wishes = [ClipRequest(TEXT_TO_VIDEO, {"prompt": f"Fox {number}"}) for number in range(25)]
    jobs = [session.reserve(wish) for wish in wishes]
    sending = [session.loop.submit(session._registry.submit(job)) for job in jobs]
    for future in sending:
        future.result(PATIENCE_S)
    assert all(session.ledger.row(job.id).task_id for job in jobs)
    assert strict.account.count_tasks() == 25
    assert strict.account.requests(CREATE) == 25
