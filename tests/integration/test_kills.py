"""Never lost: a process is killed at each step, and the next one finds its job.

The victim stops itself at the exact step and says so; then it gets SIGKILL. The emulator is
served by a process of its own, so that its account survive.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kling_nb.core.job_state import Stage, Waiting
from kling_nb.errors import TaskUnknown
from kling_nb.jobs.job import Job
from kling_nb.jobs.session import Session
from tests.support.processes import python, read_line
from tests.support.service import CREATE, Open, Served

PATIENCE_S = 30.0
PROMPT = "A red fox"

VICTIM = f"""
import sys
import threading

from kling_nb.storage.ledger import Ledger
from kling_nb.storage.id_slots import IdSlots
from kling_nb.models.catalog import TEXT_TO_VIDEO
from kling_nb.models.clip_request import ClipRequest
from kling_nb.jobs.session import Session
from kling_nb.core.job_state import Downloading

point = sys.argv[1]
advance = Ledger.advance


def reach(name):
    if point == name:
        print("there", flush=True)
        threading.Event().wait()


def step(self, job_id, stage, **facts):
    if self._database.is_changing:  # queued by `submit`
        return advance(self, job_id, stage, **facts)
    reach(f"before {{stage}}")
    row = advance(self, job_id, stage, **facts)
    reach(f"after {{stage}}")
    return row


def queue(self, change, *given, **facts):
    if getattr(change, "__name__", "") != "step":
        return submit(self, change, *given, **facts)
    reach(f"before {{given[1]}}")
    future = submit(self, change, *given, **facts)
    future.add_done_callback(lambda _: reach(f"after {{given[1]}}"))
    return future


def watch(event):
    if isinstance(event.state, Downloading) and event.state.received_bytes:
        reach("downloading")


def write(self, job_id, task_id):
    reach("answered")
    return write_id(self, job_id, task_id)


write_id, IdSlots.write = IdSlots.write, write
Ledger.advance = step
submit, Ledger.submit = Ledger.submit, queue
session = Session()
job = session.reserve(ClipRequest(TEXT_TO_VIDEO, {{"prompt": {PROMPT!r}}}))
job.observe(watch)
session.submit(job)
job.result({PATIENCE_S})
"""


@contextmanager
def victim_at(point: str, served: Served, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has come to this point and stands there; killed at the end of the block."""
    with python(VICTIM, point, **served.environment(folder)) as process:
        assert read_line(process) == "there"
        yield process


@pytest.fixture
def tasks(served: Served) -> Callable[[], int]:
    """Counts the tasks that were made since the test began."""
    before = served.account.count_tasks()
    return lambda: served.account.count_tasks() - before


@pytest.fixture
def after_the_kill(
    served: Served, open_session: Open, tmp_path: Path
) -> Callable[[str], tuple[Session, list[Job]]]:
    """Kills a victim at a point; a new session, and what it took up again."""

    def play(point: str) -> tuple[Session, list[Job]]:
        folder = tmp_path / "clips"
        with victim_at(point, served, folder):
            pass
        session = open_session(**served.settings(folder))
        return session, session.resume()

    return play


def newest_task_that_is_known(served: Served) -> str:
    """Its id, once recordInfo tells of it: the service does not in a task's first moments."""
    while served.account.tasks()[-1].state == "unseen":
        time.sleep(0.02)
    return served.account.tasks()[-1].task_id


AfterTheKill = Callable[[str], tuple[Session, list[Job]]]
Tasks = Callable[[], int]


def test_killed_while_intended(after_the_kill: AfterTheKill, tasks: Tasks) -> None:
    """Nothing was sent: nothing is left, and the same request makes one task."""
    session, resumed = after_the_kill("before sending")
    assert resumed == []
    assert [row.stage for row in session.jobs()] == [Stage.DISCARDED]
    assert tasks() == 0
    session.text_to_video(PROMPT).result(PATIENCE_S)
    assert tasks() == 1


def test_killed_while_sending_before_it_arrived(after_the_kill: AfterTheKill, tasks: Tasks) -> None:
    """Unknown: nothing is sent again; once a person forgets it, it makes one task."""
    session, resumed = after_the_kill("after sending")
    assert resumed == []
    job = session.text_to_video(PROMPT)
    with pytest.raises(TaskUnknown, match="The kernel died while sending, at"):
        job.result(0)
    assert tasks() == 0
    session.forget(job.id, yes=True)
    session.text_to_video(PROMPT).result(PATIENCE_S)
    assert tasks() == 1


def test_killed_before_the_answer(
    after_the_kill: AfterTheKill, tasks: Tasks, served: Served
) -> None:
    """The task is paid: unknown, nothing is sent again; adopted it gives its clip."""
    session, resumed = after_the_kill("answered")
    assert resumed == []
    job = session.text_to_video(PROMPT)
    with pytest.raises(TaskUnknown):
        job.result(0)
    adopted = session.adopt(newest_task_that_is_known(served))
    assert adopted.id == job.id
    assert adopted.result(PATIENCE_S).path.is_file()
    assert tasks() == 1


@pytest.mark.parametrize(
    "point",
    [
        "before accepted",
        "after accepted",
        "before succeeded",
        "after succeeded",
        "downloading",
        "before saved",
    ],
)
def test_killed_while_the_clip_is_made_or_fetched(
    after_the_kill: AfterTheKill, tasks: Tasks, served: Served, point: str
) -> None:
    """The next one follows it to its end; the same request then shows the clip."""
    session, [job] = after_the_kill(point)
    clip = job.result(PATIENCE_S)
    folder = session.ledger.folder
    assert clip.path.stat().st_size == clip.facts.size_bytes
    assert [path for path in folder.iterdir() if path.suffix in {".mp4", ".part"}] == [clip.path]
    requests = served.account.requests(CREATE)
    assert session.text_to_video(PROMPT).result(0) == clip
    assert tasks() == 1
    assert served.account.requests(CREATE) == requests


def test_killed_when_all_was_done(after_the_kill: AfterTheKill, tasks: Tasks) -> None:
    """Nothing is left to do, and the clip is there."""
    session, resumed = after_the_kill("after saved")
    assert resumed == []
    assert session.text_to_video(PROMPT).result(0).path.is_file()
    assert tasks() == 1


def test_a_process_dies_while_another_watches(
    open_session: Open, served: Served, tasks: Tasks, tmp_path: Path
) -> None:
    """The second joins the first's job, and goes on with it by itself when the first is dead."""
    folder = tmp_path / "clips"
    with victim_at("after accepted", served, folder):
        session = open_session(**served.settings(folder))
        assert session.resume(session.jobs()[0].id)
        job = session.text_to_video(PROMPT)
        assert isinstance(job.state, Waiting)
        assert session.ledger.owner_is_alive(session.ledger.row(job.id).owner)
        assert session.ledger.row(job.id).owner != session.ledger.owner
    assert job.result(PATIENCE_S).path.is_file()
    assert tasks() == 1
