"""Kernels killed at each step of the ledger: the next one ends the job, and pays nothing twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kling_nb.core.job_state import Stage
from tests.kernel.kernels import Kernel, Message
from tests.support.service import Served

pytestmark = pytest.mark.kernel

Start = Callable[..., Kernel]

CELL = "%%kling -i fox.png\nthe kernel is killed"
HANG = """
import asyncio
from kling_nb.kie.client import Client

async def hang(*_, sending=None, **__):
    if sending is not None:
        await sending()
    await asyncio.sleep(3600)

Client.{} = hang
"""
"""Stops a kernel's job for ever in one call of the client, at the moment before it sends."""


def stage_of(kernel: Kernel) -> Stage | None:
    """The stage on disk of the only job; None while there is none."""
    return next((row.stage for row in kernel.rows()), None)


def displays(messages: list[Message]) -> list[Message]:
    """The displays among them; the hub of a kernel's first card sends messages before it."""
    return [message for message in messages if message.bundle and not message.is_placeholder]


def follow(start: Start, killed: Kernel) -> Kernel:
    """Kill a kernel and start the next one where it worked; loading the extension resumes."""
    killed.kill()
    return start(killed.folder)


def test_killed_before_anything_was_sent(start: Start, service: Served) -> None:
    """Nothing was paid; the same cell makes the one task."""
    tasks, kernel = service.account.count_tasks(), start()
    kernel.run(HANG.format("upload"))
    kernel.send(CELL)
    kernel.until(lambda: stage_of(kernel) is Stage.INTENDED)
    after = follow(start, kernel)
    after.until(lambda: stage_of(after) is Stage.DISCARDED)
    (request,) = after.send(CELL)
    assert after.final(request)
    assert service.account.count_tasks() == tasks + 1


@pytest.mark.parametrize("arrives", [False, True], ids=["not-arrived", "arrived"])
def test_killed_while_sending(start: Start, service: Served, arrives: bool) -> None:
    """Whether the request arrived or not, the job is unknown and the same cell sends nothing."""
    tasks, creations, kernel = service.account.count_tasks(), service.creations, start()
    if arrives:
        service.account.inject("create-stall")
    else:
        kernel.run(HANG.format("create_task"))
    kernel.send(CELL)
    kernel.until(lambda: stage_of(kernel) is Stage.SENDING)
    kernel.until(lambda: service.account.count_tasks() == tasks + arrives)
    after = follow(start, kernel)
    after.until(lambda: stage_of(after) is Stage.UNKNOWN)
    shown = displays(after.run(CELL))
    assert any("may be paid" in message.text for message in shown), after.told()
    assert service.creations == creations + arrives
    assert service.account.count_tasks() == tasks + arrives


def test_killed_after_the_task_was_accepted(start: Start, service: Served) -> None:
    """The next kernel saves the clip without a new task, and the same cell shows it."""
    tasks, kernel = service.account.count_tasks(), start()
    kernel.run(HANG.format("task"))
    kernel.send(CELL)
    kernel.until(lambda: stage_of(kernel) is Stage.ACCEPTED)
    after = follow(start, kernel)
    after.until(lambda: stage_of(after) is Stage.SAVED)
    assert displays(after.run(CELL))[0].is_final
    assert service.account.count_tasks() == tasks + 1


def test_killed_during_the_download(start: Start, service: Served) -> None:
    """The next kernel fetches the clip whole and says so; no half file is left."""
    tasks, kernel = service.account.count_tasks(), start()
    clips = kernel.folder / "kling_clips"
    service.account.inject("download-slow", argument="60")
    kernel.send(CELL)
    kernel.until(lambda: any(clips.glob("*.part")))
    assert stage_of(kernel) is Stage.SUCCEEDED
    after = follow(start, kernel)
    after.until(lambda: stage_of(after) is Stage.SAVED)
    greeted = "1 clip finished while you were away: saved"
    after.until(lambda: any(greeted in message.text for message in after.messages))
    assert len(list(clips.glob("*.mp4"))) == 1
    assert not list(clips.glob("*.part"))
    assert displays(after.run(CELL))[0].is_final
    assert service.account.count_tasks() == tasks + 1


def test_run_all_after_a_restart_costs_nothing(start: Start, service: Served) -> None:
    """Each cell shows its clip at once: no task, no request for one, no credit, no live part."""
    cells = ["%%kling -i fox.png\none", "%%kling -i fox.png --take 2\none", "%%kling\nwords"]
    kernel = start()
    for request in kernel.send(*cells):
        kernel.final(request)
    before = service.account.count_tasks(), service.creations, service.account.balance()
    after = follow(start, kernel)
    requests = after.send(*cells)
    after.finish(*requests)
    for request in requests:
        (message,) = displays(after.shown(request))
        assert message.kind == "update_display_data"  # of the placeholder
        assert message.is_final
        assert "0 credits now" in message.text
    assert (service.account.count_tasks(), service.creations, service.account.balance()) == before
