"""Waiting in a cell: interrupted, clicked at, inside other magics, and `kling.run`."""

from __future__ import annotations

import pytest

from tests.kernel.kernels import Kernel, Message
from tests.support.service import Served

pytestmark = pytest.mark.kernel

WAIT = "%%kling -i fox.png --wait -o waited\n"


def send_asked(kernel: Kernel, service: Served, *cells: str) -> list[str]:
    """Queue cells and give their ids after the next status request."""
    before = service.status_requests
    requests = kernel.send(*cells)
    kernel.until(lambda: service.status_requests > before)
    return requests


def only_error(kernel: Kernel, request: str, name: str) -> Message:
    """Return the one error of a cell when it has ended: of that class, and one line long."""
    kernel.finish(request)
    (error,) = [m for m in kernel.shown(request) if m.kind == "error"]
    assert error.content["ename"] == name
    assert len(error.text.splitlines()) == 1
    return error


def test_an_interrupted_wait_leaves_the_job_running(kernel: Kernel, service: Served) -> None:
    """It says so in one sentence without a traceback, and the clip is saved later."""
    (request,) = send_asked(kernel, service, WAIT + "interrupted")
    kernel.interrupt()
    error = only_error(kernel, request, "WaitInterrupted")
    assert error.text.startswith("Stopped waiting. Job ")
    assert "continues and its clip will be saved" in error.text
    assert kernel.final(request)


def test_an_interrupted_result_leaves_the_job_running(kernel: Kernel, service: Served) -> None:
    """`job.result()` in a later cell says the same; the card in the first cell ends."""
    cells = ["%%kling -i fox.png -o job\nresult interrupted", "job.result()"]
    making, waiting = send_asked(kernel, service, *cells)
    kernel.until(lambda: kernel.place(waiting, lambda m: m.kind == "execute_input"))
    kernel.interrupt()
    only_error(kernel, waiting, "WaitInterrupted")
    assert kernel.final(making)


def test_an_interrupted_submission_goes_on(kernel: Kernel, service: Served) -> None:
    """The request is on its way: it is made once, and the cell says where it stands."""
    service.account.inject("create-429")
    tasks, creations = service.account.count_tasks(), service.creations
    (request,) = kernel.send("%%kling -i fox.png\ninterrupted while it is sent")
    kernel.until(lambda: service.creations > creations)
    kernel.interrupt()
    only_error(kernel, request, "WaitInterrupted")
    assert kernel.final(request)
    assert service.account.count_tasks() == tasks + 1
    assert not any(message.kind == "stream" for message in kernel.shown(request))


def test_a_click_is_handled_while_a_cell_waits(kernel: Kernel, service: Served) -> None:
    """*Detach* ends the wait at once and not after the clip."""
    (request,) = send_asked(kernel, service, WAIT + "detached")
    kernel.click(request, "detach")
    only_error(kernel, request, "JobDetached")
    assert not any(message.is_final for message in kernel.shown(request))


@pytest.mark.parametrize(
    "cell",
    [
        "%%time\n{}under time",
        "%%capture captured\n{}under capture",
        "def make():\n"
        "    get_ipython().run_cell_magic('kling', '-i fox.png --wait -o waited', 'in a call')\n"
        "make()",
        "for name in 'ab':\n    get_ipython().run_cell(f'''{}in a loop: {{name}}''')",
    ],
    ids=["time", "capture", "run_cell_magic", "run_cell"],
)
def test_a_wait_works_inside_other_cells(kernel: Kernel, cell: str) -> None:
    """Where `await` cannot be, the cell waits all the same and the next one runs after it."""
    requests = kernel.send("waited = None", cell.format(WAIT), "waited.done()")
    kernel.finish(*requests)
    shown = [message for request in requests for message in kernel.shown(request)]
    assert not any(message.kind == "error" for message in shown), kernel.told()
    assert kernel.shown(requests[-1])[0].text == "True"


def test_run_loses_no_queued_cell(kernel: Kernel) -> None:
    """`kling.run` in a cell leaves the cells behind it and asyncio's names as they were."""
    before = "import asyncio, kling_nb as kling\nkept = asyncio.run, asyncio.Task, asyncio.Future"
    using = "kling.run(asyncio.sleep(0.2, 'slept'))"
    after = (
        "(asyncio.run, asyncio.Task, asyncio.Future) == kept, asyncio.Task.__module__, "
        "__import__('_asyncio').Task is asyncio.Task"
    )
    requests = kernel.send(before, using, "'second'", after)
    kernel.finish(*requests)
    texts = [[message.text for message in kernel.shown(request)] for request in requests]
    assert texts == [[], ["'slept'"], ["'second'"], ["(True, '_asyncio', True)"]]
