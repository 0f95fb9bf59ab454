"""What a callback saves: time from a task's end to the saved clip, and status requests."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import pytest

from kling_nb.callbacks.listen import listen
from kling_nb.core.job_state import Stage
from kling_nb.jobs.job import Job
from kling_nb.jobs.session import Session

JOBS = 20
SECONDS = 30.0
APART_S = 0.4
"""So that clips do not wait for each other to be measured and drawn."""
PATIENCE_S = 240.0


class Figures(NamedTuple):
    """The measurements of one way: callbacks, or polling alone."""

    noticed_s: list[float]
    """From the end of each task, by the emulator's account, to its end in the ledger."""
    saved_s: list[float]
    """And to its clip on disk."""
    questions: float
    """recordInfo requests for each job."""

    @property
    def words(self) -> str:
        """One line."""
        noticed, saved = map(statistics.median, (self.noticed_s, self.saved_s))
        return (
            f"noticed after {noticed:.2f} s (worst {max(self.noticed_s):.2f} s), saved after "
            f"{saved:.2f} s (worst {max(self.saved_s):.2f} s), {self.questions:.1f} questions a job"
        )


def play(session: Session, *, heard: bool) -> Figures:
    """Make the clips, called back or by polling alone."""
    assert session.emulator is not None
    account, jobs = session.emulator.account, list[Job]()
    with listen(session=session) if heard else nullcontext():
        for number in range(JOBS):
            jobs.append(session.text_to_video(f"Scene {number}"))
            time.sleep(APART_S)
        for job in jobs:
            job.result(PATIENCE_S)
    ends = {task.task_id: task.ended_at or 0.0 for task in account.tasks()}

    def lateness_s(stage: Stage) -> list[float]:
        return [
            at.timestamp() - ends[job.task_id]
            for job in jobs
            for at, entered, _ in session.ledger.events(job.id)
            if entered is stage
        ]

    questions = account.requests("/api/v1/jobs/recordInfo") / JOBS
    return Figures(lateness_s(Stage.SUCCEEDED), lateness_s(Stage.SAVED), questions)


@pytest.mark.timeout(600)
def test_a_callback_is_sooner_and_asks_less(
    open_session: Callable[..., Session], tmp_path: Path
) -> None:
    """Twenty jobs each way, side by side on the same machine."""
    sessions = [
        open_session(folder=tmp_path / name, emulator_seconds=SECONDS) for name in ("a", "b")
    ]
    with ThreadPoolExecutor() as threads:
        ways = [threads.submit(play, each, heard=each is sessions[1]) for each in sessions]
    polled, heard = (way.result() for way in ways)
    print(f"\npolling alone: {polled.words}\ncalled back:   {heard.words}")
    assert len(heard.saved_s) == len(polled.saved_s) == JOBS
    assert statistics.median(heard.noticed_s) < statistics.median(polled.noticed_s) / 2
    assert statistics.median(heard.saved_s) < statistics.median(polled.saved_s)
    assert heard.questions < polled.questions
