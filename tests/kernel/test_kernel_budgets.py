"""Two kernels on one folder: what one has requested or spent counts in the other."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kling_nb.core.job_state import Stage
from tests.kernel.kernels import Kernel
from tests.support.service import Served

pytestmark = pytest.mark.kernel

CELLS = 20
ROOM = 10
PRICE_CREDITS = 55


def test_two_kernels_make_each_clip_once(start: Callable[..., Kernel], service: Served) -> None:
    """Twenty cells in both, in opposite orders: twenty tasks, and the same clips in each."""
    tasks, creations = service.account.count_tasks(), service.creations
    one = start()
    two = start(one.folder)
    cells = [f"%%kling -i fox.png\nshot {number} of a fox" for number in range(CELLS)]
    asked = [(one, one.send(*cells)), (two, two.send(*reversed(cells)))]
    for kernel, requests in asked:
        kernel.finish(*requests)
        assert all(kernel.final(request) for request in requests)
    assert service.account.count_tasks() - tasks == CELLS
    assert service.creations - creations == CELLS
    assert [row.stage for row in one.rows()] == [Stage.SAVED] * CELLS


def test_two_kernels_within_one_budget(start: Callable[..., Kernel], service: Served) -> None:
    """Twenty cells in both, room for ten clips: ten tasks, and the same ten clips in each."""
    tasks, creations = service.account.count_tasks(), service.creations
    one = start()
    two = start(one.folder)
    one.run(f"%kling budget {ROOM * PRICE_CREDITS} --per folder")
    cells = [f"%%kling -i fox.png\nshot {number} of a fox" for number in range(CELLS)]
    asked = {kernel: kernel.send(*cells) for kernel in (one, two)}
    for kernel, requests in asked.items():
        kernel.finish(*requests)
        for request in requests[:ROOM]:
            assert kernel.final(request)
        for request in requests[ROOM:]:
            [error] = [m for m in kernel.shown(request) if m.kind == "error"]
            assert error.content["ename"] == "BudgetExceeded"
            assert "550 of 550 credits ($2.75) spent, 0 left. Nothing was sent." in error.text
            assert len(error.content["traceback"]) == 1
    assert service.account.count_tasks() - tasks == ROOM
    assert service.creations - creations == ROOM
    assert [row.stage for row in one.rows()] == [Stage.SAVED] * ROOM
    assert {row.values["prompt"] for row in one.rows()} == {
        f"shot {number} of a fox" for number in range(ROOM)
    }
