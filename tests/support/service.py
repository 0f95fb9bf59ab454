"""The service as the tests meet it: in this process under a clock that tests move, or served."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

import kling_nb
from kling_nb.core.job_state import JobFacts, JobState, Stage
from kling_nb.core.secret import Key
from kling_nb.emulator import Books, Emulator, Terms
from kling_nb.jobs.background_loop import BackgroundLoop
from kling_nb.jobs.job import Job
from kling_nb.jobs.job_from_record import facts_of, state_of
from kling_nb.jobs.poller import Poller
from kling_nb.jobs.prepare import Prepared, Wish, prepare
from kling_nb.jobs.submit import Context, submit
from kling_nb.kie.client import Client
from kling_nb.kie.http import Downloader
from kling_nb.models.catalog import TEXT_TO_VIDEO
from kling_nb.storage import Intent, JobRecord, Ledger

__all__ = [
    "CREATE",
    "EASY",
    "KEY",
    "RECORD",
    "UPLOAD",
    "Clock",
    "Others",
    "Served",
    "Wire",
    "World",
    "sent_row",
    "serve",
]

KEY = "sk-test-0123456789abcdef"
CREATE = "/api/v1/jobs/createTask"
RECORD = "/api/v1/jobs/recordInfo"
UPLOAD = "/api/file-stream-upload"

EASY = Terms(tasks_per_window=10_000, task_window_s=0.1, questions_per_window=10_000)
"""No rate limits, and short waits after a 429."""

ENDLESS = 2_000
"""After so many waits a job is taken to go on for ever."""


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        """The time, aware."""
        return self.now

    def epoch(self) -> float:
        """The time in epoch seconds."""
        return self.now.timestamp()

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


class Wire(httpx.AsyncBaseTransport):
    """The network of a client, with an ear on it; keeps every request that went over it."""

    def __init__(self, behind: httpx.AsyncBaseTransport) -> None:
        self.behind = behind
        self.requests: list[httpx.Request] = []
        self.listeners: list[Callable[[httpx.Request], object]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Tell the listeners, then pass the request on."""
        self.requests.append(request)
        for listener in self.listeners:
            listener(request)
        return await self.behind.handle_async_request(request)


class Others:
    """The user's other folders: they have paid for nothing, and keep what they are told."""

    def __init__(self) -> None:
        self.claimed: list[JobRecord] = []
        self.told: list[JobRecord] = []
        self.dropped: list[JobRecord] = []

    def claim(self, row: JobRecord, at: datetime, name_of: Callable[[int], str]) -> None:
        """Let a request through."""
        self.claimed.append(row)

    def preallocate(self, row: JobRecord) -> None:
        """Make no space: there is no index."""

    def write_task_id(self, facts: JobFacts, task_id: str) -> bool:
        """Write nothing: there is no index."""
        return False

    def note(self, row: JobRecord) -> None:
        """Keep what became of it."""
        self.told.append(row)

    def drop(self, row: JobRecord) -> None:
        """Keep that it was not sent."""
        self.dropped.append(row)


class World:
    """A folder, an emulator in this process and a context, all under one clock.

    Waiting moves the clock and takes no time; only the drawing of a clip is real.
    """

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.waits: list[float] = []
        self.others = Others()
        """Whom `submit` asks and tells."""
        self.emulator = Emulator(
            folder / "emulator", render="canned", clock=self.clock.epoch, terms=EASY
        )
        self.books = self.emulator.books
        self.wire = Wire(self.emulator.transport())
        self.ledger = Ledger(folder, clock=self.clock)
        self.context = Context(
            Client(Key("k"), transport=self.wire),
            Downloader(transport=self.wire),
            self.ledger,
            self.clock,
            self.sleep,
        )

    async def sleep(self, seconds: float) -> None:
        """Let time pass for everybody, once the studio is at rest."""
        self.waits.append(seconds)
        assert len(self.waits) < ENDLESS, "the job goes on for ever"
        while self.emulator.studio.pending:  # noqa: ASYNC110 - a thread that knows no event loop
            await asyncio.sleep(0.002)
        self.clock.move(seconds)

    def prepare(self, prompt: str = "A red fox", **values: object) -> tuple[Job, Prepared]:
        """An intended job and what it will send."""
        wish = Wish(TEXT_TO_VIDEO, {"prompt": prompt, **values})
        return self.intend(wish)

    def intend(self, wish: Wish) -> tuple[Job, Prepared]:
        """An intended job for any wish."""
        prepared = asyncio.run(
            prepare(wish, service="emulator", pictures=Downloader(transport=self.wire))
        )
        row, new = self.ledger.intend(prepared.intent)
        assert new
        return self.handle(row), prepared

    def handle(self, row: JobRecord) -> Job:
        """A handle on the row's job."""
        return Job(facts_of(row), state_of(row), BackgroundLoop())

    def submit(self, prompt: str = "A red fox", **values: object) -> Job:
        """A job that was sent."""
        job, prepared = self.prepare(prompt, **values)
        asyncio.run(submit(self.context, job, prepared.request, 8.0, self.others))
        return job

    def follow(self, job: Job) -> list[JobState]:
        """Follow a job to its end; the states that it went through."""
        states: list[JobState] = []
        job.observe(lambda event: states.append(event.state))
        asyncio.run(Poller(self.context, job, 8.0).run())
        assert job.done()
        return states

    def files(self) -> list[str]:
        """The names of the clips and of what is left of downloads."""
        return sorted(
            path.name for path in self.ledger.folder.iterdir() if path.suffix in {".mp4", ".part"}
        )

    def close(self) -> None:
        """End the session and stop drawing."""
        self.ledger.close()
        self.emulator.close()


@dataclass(frozen=True, slots=True)
class Served:
    """An emulator in a process of its own."""

    url: str
    books: Books

    def settings(self, folder: Path) -> dict[str, Any]:
        """What leads a session here, in emulator mode."""
        return {
            "mode": "emulator",
            "folder": folder,
            "api_url": self.url,
            "upload_url": self.url,
            "emulator_seconds": 0.3,
        }

    def environment(self, folder: Path) -> dict[str, str]:
        """The same for another process."""
        return {
            "KLING_NB_MODE": "emulator",
            "KLING_NB_FOLDER": str(folder),
            "KLING_NB_API_URL": self.url,
            "KLING_NB_UPLOAD_URL": self.url,
            "KLING_NB_EMULATOR_SECONDS": "0.3",
        }


@contextmanager
def serve(folder: Path, *options: str) -> Iterator[Served]:
    """Serve an emulator with tiny clips, until the block is left."""
    command = [sys.executable, "-m", "kling_nb", "emulator", "--port", "0", "--folder", str(folder)]
    with subprocess.Popen(
        [*command, "--render", "canned", "--seconds", "0.3", "--unlimited", *options],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(kling_nb.__path__[0]).parent)},
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[3]
            yield Served(url, Books(folder))
        finally:
            process.terminate()


def sent_row(
    ledger: Ledger, *steps: Stage, service: str = "emulator", nonce: str = "n"
) -> JobRecord:
    """A job that was sent with a one-time value, as far as the steps go."""
    row, _ = ledger.intend(Intent(nonce, service, "m", {}, 1, 55.0))
    row = ledger.advance(row.id, Stage.SENDING, nonce=nonce)
    for step in steps:
        row = ledger.advance(row.id, step)
    return row
