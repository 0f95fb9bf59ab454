"""Emulators for tests: in this process under a clock that tests move, or served."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from kling_nb.core.job_state import JobState, Stage
from kling_nb.core.poll_schedule import learn_schedule
from kling_nb.core.secret import Key
from kling_nb.emulator import UNLIMITED, EmulatedAccount, Emulator, Limits
from kling_nb.jobs.background_loop import BackgroundLoop
from kling_nb.jobs.balance_watch import BalanceWatcher
from kling_nb.jobs.callback_urls import CallbackUrls
from kling_nb.jobs.context import Context
from kling_nb.jobs.job import Job
from kling_nb.jobs.job_from_record import state_of
from kling_nb.jobs.other_folders import OtherFolders
from kling_nb.jobs.poller import Poller
from kling_nb.jobs.prepare import PreparedRequest, prepare
from kling_nb.jobs.session import Session
from kling_nb.jobs.submit import submit
from kling_nb.jobs.upload_inputs import InputUploader
from kling_nb.kie.client import Client
from kling_nb.kie.http import Downloader
from kling_nb.kie.rate_limit import RateLimiter, RequestQueue
from kling_nb.models.catalog import TEXT_TO_VIDEO
from kling_nb.models.clip_request import ClipRequest
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger
from kling_nb.storage.upload_cache import UploadCache
from kling_nb.storage.user_index import UserIndex
from tests.support.processes import PACKAGE

__all__ = [
    "CREATE",
    "EASY",
    "KEY",
    "RECORD",
    "SCHEDULE",
    "UPLOAD",
    "Clock",
    "LiveAccount",
    "Open",
    "Others",
    "Served",
    "Wire",
    "World",
    "emulated_account",
    "sent_row",
    "serve",
    "take_turn",
]

Open = Callable[..., Session]
KEY = "sk-test-0123456789abcdef"
CREATE = "/api/v1/jobs/createTask"
RECORD = "/api/v1/jobs/recordInfo"
UPLOAD = "/api/file-stream-upload"
SCHEDULE = learn_schedule((), 8.0)
"""The schedule of an emulated clip."""

EASY = Limits(tasks_per_window=10_000, task_window_s=0.1, status_requests_per_window=10_000)
"""No rate limits, and short waits after a 429."""

ENDLESS = 2_000
"""A job with more waits than this counts as endless."""


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
    """The network of a client; it keeps every request and calls listeners."""

    def __init__(self, behind: httpx.AsyncBaseTransport) -> None:
        self.behind = behind
        self.requests: list[httpx.Request] = []
        self.listeners: list[Callable[[httpx.Request], object]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Call the listeners, then pass the request on."""
        self.requests.append(request)
        for listener in self.listeners:
            listener(request)
        return await self.behind.handle_async_request(request)


class Others(OtherFolders):
    """The user's other folders; records the calls of `submit`."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(UserIndex(), ledger, "emulator")
        record = {"claimed": [], "noted": [], "dropped": []}
        for name, rows in record.items():
            object.__setattr__(self, name, rows)

    claimed: list[JobRecord]
    noted: list[JobRecord]
    dropped: list[JobRecord]

    def claim(self, row: JobRecord, at: datetime, names_of: object = None) -> None:
        """Record the claim and allow it."""
        self.claimed.append(row)

    def note(self, row: JobRecord) -> None:
        """Record how the request ended."""
        self.noted.append(row)

    def drop(self, row: JobRecord) -> None:
        """Record that nothing was sent."""
        self.dropped.append(row)


async def take_turn(queue: RequestQueue) -> None:
    """Wait until a request of this kind may be sent; count it as answered immediately."""
    async with queue.turn():
        pass


class World:
    """A folder, an emulator in this process and a context, all under one clock.

    Waiting moves the clock and takes no time; only the drawing of a clip is real.
    """

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.waits: list[float] = []
        self.emulator = Emulator(
            folder / "emulator", render="canned", clock=self.clock.epoch, limits=EASY
        )
        self.account = self.emulator.account
        self.wire = Wire(self.emulator.transport())
        self.ledger = Ledger(folder, clock=self.clock)
        self.others = Others(self.ledger)
        self.context = self.context_with()

    def context_with(
        self,
        *,
        client: Client | None = None,
        ledger: Ledger | None = None,
        sleep: Callable[[float], Awaitable[None]] | None = None,
    ) -> Context:
        """The parts of a session here; those that are given replace the usual ones."""
        ledger, sleep = ledger or self.ledger, sleep or self.sleep
        client = client or self.client(self.wire, sleep)
        return Context(
            service="emulator",
            client=client,
            clips=Downloader(transport=self.wire),
            inputs=Downloader(transport=self.wire),
            ledger=ledger,
            other_folders=self.others,
            uploads=InputUploader(client, UploadCache(ledger.folder), self.clock),
            balance_watch=BalanceWatcher(client, ledger, self.clock, sleep),
            callback_urls=CallbackUrls(),
            notebook=str,
            now=self.clock,
            sleep=sleep,
        )

    def client(
        self,
        transport: httpx.AsyncBaseTransport,
        sleep: Callable[[float], Awaitable[None]] | None = None,
    ) -> Client:
        """Return a client with status requests that wait by this clock."""
        limiter = RateLimiter.unlimited(clock=self.clock.epoch, sleep=sleep or self.sleep)
        return Client(Key("k"), transport=transport, rate_limiter=limiter)

    async def sleep(self, seconds: float) -> None:
        """Move the clock, when nothing is being rendered."""
        self.waits.append(seconds)
        assert len(self.waits) < ENDLESS, "the job goes on for ever"
        renderer = self.emulator.backend.renderer
        while renderer.pending:  # noqa: ASYNC110 - a thread that knows no event loop
            await asyncio.sleep(0.002)
        self.clock.move(seconds)

    def prepare(self, prompt: str = "A red fox", **values: object) -> tuple[Job, PreparedRequest]:
        """An intended job and what it will send."""
        wish = ClipRequest(TEXT_TO_VIDEO, {"prompt": prompt, **values})
        return self.intend(wish)

    def intend(self, wish: ClipRequest) -> tuple[Job, PreparedRequest]:
        """An intended job for any request."""
        prepared = asyncio.run(prepare(wish, service="emulator", downloads=self.context.inputs))
        row, new = self.ledger.intend(prepared.record)
        assert new
        return self.handle(row), prepared

    def handle(self, row: JobRecord) -> Job:
        """A handle on the row's job."""
        return Job(row, state_of(row), BackgroundLoop())

    def submit(self, prompt: str = "A red fox", **values: object) -> Job:
        """A job that was sent."""
        job, prepared = self.prepare(prompt, **values)
        asyncio.run(submit(self.context, job, prepared, SCHEDULE))
        return job

    def follow(self, job: Job) -> list[JobState]:
        """Follow a job to its end; the states that it went through."""
        states: list[JobState] = []
        job.observe(lambda event: states.append(event.state))
        asyncio.run(Poller(self.context, job, SCHEDULE).run())
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


def emulated_account(session: Session) -> EmulatedAccount:
    """Return the account of a session's own emulator."""
    assert session.emulator is not None
    return session.emulator.account


class LiveAccount:
    """A user of a live account: an emulator stands in for the network, an index for all folders."""

    def __init__(self, path: Path, seconds: float) -> None:
        self.path = path
        self.index = UserIndex(path / "paid.sqlite3")
        self.emulator = Emulator(
            path / "service", seconds=seconds, render="canned", limits=UNLIMITED
        )
        self.account = self.emulator.account
        self._sessions: list[Session] = []

    def session(self, name: str) -> Session:
        """Open a session in a folder of this name."""
        transport, folder = self.emulator.transport(), self.path / name
        self._sessions.append(
            Session(mode="live", api_key=KEY, folder=folder, transport=transport, index=self.index)
        )
        return self._sessions[-1]

    def close(self) -> None:
        """Close the sessions and stop the emulator."""
        for session in self._sessions:
            session.close()
        self.emulator.close()


@dataclass(frozen=True, slots=True)
class Served:
    """An emulator in a process of its own."""

    url: str
    account: EmulatedAccount
    seconds: float = 0.3
    """How long a clip takes."""

    def settings(self, folder: Path) -> dict[str, Any]:
        """Return the settings of a session that uses this emulator."""
        return {
            "mode": "emulator",
            "folder": folder,
            "api_url": self.url,
            "upload_url": self.url,
            "emulator_seconds": self.seconds,
        }

    def environment(self, folder: Path | None = None) -> dict[str, str]:
        """Return the same as variables for another process; without a folder it has its own."""
        settings = self.settings(folder or Path())
        if folder is None:
            del settings["folder"]
        return {f"KLING_NB_{name.upper()}": str(value) for name, value in settings.items()}

    @property
    def creations(self) -> int:
        """Return how many requests for a new task have arrived."""
        return self.account.requests(CREATE)

    @property
    def status_requests(self) -> int:
        """Return how many status requests have arrived."""
        return self.account.requests(RECORD)


@contextmanager
def serve(folder: Path, *options: str, seconds: float = 0.3) -> Iterator[Served]:
    """Serve an emulator with tiny clips, until the block is left."""
    command = [sys.executable, "-m", "kling_nb", "emulator", "--port", "0", "--folder", str(folder)]
    with subprocess.Popen(
        [*command, "--render", "canned", "--seconds", str(seconds), "--unlimited", *options],
        stdout=subprocess.PIPE,
        env=os.environ | PACKAGE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[3]
            yield Served(url, EmulatedAccount(folder), seconds)
        finally:
            process.terminate()


def sent_row(
    ledger: Ledger, *steps: Stage, service: str = "emulator", nonce: str = "n"
) -> JobRecord:
    """A job that was sent with a callback token, after these stages."""
    row, _ = ledger.intend(JobRecord(nonce, service, "m", {}, 1, 55.0))
    row = ledger.advance(row.id, Stage.SENDING, nonce=nonce)
    for step in steps:
        row = ledger.advance(row.id, step)
    return row
