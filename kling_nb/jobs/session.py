"""The session: settings, ledger, client and jobs of one folder, used from any thread.

The composition root. Everything asynchronous runs on the background loop; the methods here wait for
it in the caller's thread. An interrupted caller withdraws a request that is not sent yet; one that
is being sent continues.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Unpack

from kling_nb.core.budgets import BudgetStatus, name_notebook, parse_changes
from kling_nb.core.errors import InvalidInput, WaitInterrupted
from kling_nb.core.expenses import Expense
from kling_nb.core.forks import OwnProcess
from kling_nb.core.formatting import shorten
from kling_nb.core.money import Funds
from kling_nb.kie.network import Transport
from kling_nb.models.catalog import IMAGE_TO_VIDEO, TEXT_TO_VIDEO
from kling_nb.models.clip_request import ClipRequest
from kling_nb.models.lookup import find_model
from kling_nb.storage.clip_search import ClipFilter
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger
from kling_nb.storage.upload_cache import UploadCache
from kling_nb.storage.user_index import UserIndex

from . import settings
from .background_loop import OwnBackgroundLoop, background_loop, in_thread
from .balance_watch import BalanceWatcher
from .callback_inbox import process_stored, receive_callback
from .callback_urls import CallbackUrls
from .clip_list import ClipList, parse_since
from .connect import connect
from .context import Context
from .job import Job
from .other_folders import OtherFolders
from .prepare import Quote
from .recovery import Recovery
from .registry import JobRegistry
from .takes import request_of
from .upload_inputs import InputUploader

_INTERNAL = frozenset(
    {"callback_urls", "emulator", "has_paid", "import_record", "ledger", "loop", "notebook_path"}
    | {"process_callback", "receive_callback", "reserve", "submit", "submitting", "withdraw"}
)
"""Names that completion does not offer."""
_STOPPED = "Stopped before anything was sent: nothing was charged. Run it again to start over."


class Session:
    """One account, one folder, one service.

    A session belongs to the process that created it. In a forked child its methods raise
    `ForkedSession` and `close` does nothing; create a new one there, or use `default_session()`.

    Args:
        transport: Replaces the network; None is the network, or in emulator mode the emulator.
        sleep: Waits between status requests.
        now: Returns the time as an aware datetime.
        index: Index of paid requests; None is the user's own.
        notebook: Returns the path of the notebook; empty if it is unknown.
        callback_urls: The callback URLs of an earlier session with an open receiver, or None.
        sources: Settings that were read earlier; None reads them from `given`.
        given: `api_key`, `mode`, `folder`, `api_url`, `upload_url`, `emulator_seconds`,
            `rate_limits`; see `settings.resolve`.

    Raises:
        ConfigurationError: The settings contradict each other.
    """

    def __init__(  # noqa: PLR0913 - each replaces one dependency
        self,
        *,
        transport: Transport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        index: UserIndex | None = None,
        notebook: Callable[[], str] = str,
        callback_urls: CallbackUrls | None = None,
        sources: settings.Sources | None = None,
        **given: Unpack[settings.SessionArguments],
    ) -> None:
        settings.seal(given)
        self.settings = (sources or settings.read_sources(**given)).resolve()
        self.notebook_path = notebook
        """Returns the path of the notebook; empty if it is unknown."""
        self.ledger = Ledger(self.settings.folder, clock=now)
        self._process = OwnProcess()
        self.loop = OwnBackgroundLoop(background_loop(), self._process)
        self.callback_urls = callback_urls or CallbackUrls()
        connection = connect(self.settings, transport, now, sleep)
        self.emulator, client = connection.emulator, connection.client
        self.http_log = connection.http_log
        """The last requests to the service, for bug reports."""
        self._context = Context(
            service=self.service,
            client=client,
            clips=connection.clips,
            inputs=connection.inputs,
            ledger=self.ledger,
            other_folders=OtherFolders(index or UserIndex(), self.ledger, self.service),
            uploads=InputUploader(client, UploadCache(self.ledger.folder), now),
            balance_watch=BalanceWatcher(client, self.ledger, now, sleep),
            callback_urls=self.callback_urls,
            notebook=lambda: self.notebook,
            now=now,
            sleep=sleep,
        )
        self._recovery = Recovery(self._context)
        emulated_s = self.settings.emulator_seconds if self.service == "emulator" else None
        self._registry = JobRegistry(self._context, self.loop, self._recovery, emulated_s)

    def __dir__(self) -> list[str]:
        """Return the names for people; the rest of this package uses the others."""
        return [name for name in super().__dir__() if name not in _INTERNAL]

    @property
    def service(self) -> str:
        """`live` or `emulator`."""
        return self.settings.mode

    @property
    def notebook(self) -> str:
        """The path of the notebook from the parent of the clip folder; empty if unknown."""
        path, folder = self.notebook_path(), self.settings.folder
        return name_notebook(Path(path).resolve(), folder.resolve()) if path else ""

    def image_to_video(self, image: object = None, prompt: str | None = None, **values: Any) -> Job:
        """Make a clip from an image; see `generate`.

        Args:
            image: Path, URL, bytes, PIL image, array, matplotlib figure, or an earlier clip.
            prompt: What happens, at most 1000 characters.
            values: `duration` in seconds (5 or 10), `sound`, and the options of `generate`.
        """
        _check_given('image_to_video("fox.png", "A red fox runs")', image=image, prompt=prompt)
        return self.generate(IMAGE_TO_VIDEO.name, image=image, prompt=prompt, **values)

    def text_to_video(self, prompt: str | None = None, **values: Any) -> Job:
        """Make a clip from text alone; see `generate`."""
        _check_given('text_to_video("A red fox runs")', prompt=prompt)
        return self.generate(TEXT_TO_VIDEO.name, prompt=prompt, **values)

    def generate(
        self, model: str = "", *, take: int = 1, callback_url: str = "", **values: object
    ) -> Job:
        """Submit a request once, or return the existing job of the same request.

        Args:
            model: The service's name of the model, or a part of it that no other has.
            take: Which of several results for the same request.
            callback_url: The service posts a callback there when the task ends.
            values: The model's parameters.

        Returns:
            The accepted or existing job, which may have ended; `unknown` if the answer was lost.

        Raises:
            InvalidInput: Values are missing or not allowed; nothing was sent.
            AlreadyPaid: Another folder of this user has paid or is paying for it, or this folder
                has paid and its ledger was lost; nothing was sent.
            KlingError: The service refused; nothing was charged.
        """
        _check_given(
            'generate("3.0/video", image="fox.png", prompt="It runs")', model=model or None
        )
        request = ClipRequest(find_model(str(model)), values, take, callback_url)
        with self.submitting(request) as job:
            return job  # sent when the block ends

    @contextmanager
    def submitting(self, request: ClipRequest) -> Iterator[Job]:
        """Reserve a job, yield it to be shown, and send it when the block ends.

        If the block raises, the job is discarded and nothing is sent.

        Raises:
            KlingError: See `reserve` and `submit`.
            WaitInterrupted: Interrupted; says whether anything was sent.
        """
        job = self.reserve(request)
        try:
            yield job
        except KeyboardInterrupt:
            self.withdraw(job)
            raise WaitInterrupted(_STOPPED) from None
        except BaseException:
            self.withdraw(job)
            raise
        self.submit(job)

    def reserve(self, request: ClipRequest) -> Job:
        """Check a request and record it in the ledger; nothing is sent before `submit`.

        Returns:
            The new job, or the existing job of the same request.

        Raises:
            KlingError: It is not allowed, or cannot be recorded.
            WaitInterrupted: Interrupted; nothing was or will be sent.
        """
        given_up = threading.Event()
        reserving = self.loop.submit(self._registry.reserve(request, self.notebook, given_up))
        try:
            return reserving.result()
        except KeyboardInterrupt:
            given_up.set()
            # It may be recorded already, and be returned at any moment.
            reserving.add_done_callback(self._withdraw_late)
            raise WaitInterrupted(_STOPPED) from None

    def submit(self, job: Job) -> None:
        """Send a reserved job; no effect for a job that was sent before.

        Raises:
            KlingError: It was refused or never reached the service; nothing was charged.
            WaitInterrupted: Interrupted; the submission continues.
        """
        try:
            self.loop.call(self._registry.submit(job))
        except KeyboardInterrupt:
            raise WaitInterrupted(job.interrupted_text) from None

    def withdraw(self, job: Job) -> None:
        """Discard a reserved job; no effect for a job that was sent."""
        self.loop.call(self._registry.withdraw(job))

    def quote(self, request: ClipRequest) -> Quote:
        """Return what a request would cost. Sends only a query for the balance."""
        return self.loop.call(self._registry.quote(request))

    def balance(self) -> float:
        """Return the account's balance in credits (1 credit = $0.005)."""
        return self.loop.call(self._context.client.balance())

    def funds(self) -> Funds:
        """Return the balance and what the tightest budget leaves, as far as known."""
        return self.loop.call(self._registry.funds())

    def budget(self, limit: str | float | None = None, per: str = "") -> list[BudgetStatus]:
        """Set, end or list budgets. A request that exceeds one is refused before it is sent.

        Args:
            limit: Credits, or dollars as in `"$3"`; `"off"` ends a budget; None changes nothing.
            per: `notebook`, `day` or `folder`. Default: the folder, and all three for `"off"`.

        Returns:
            Every budget of this folder and service as it is now, with its expenses.
        """
        accounts, wanted = self.ledger.spending, parse_changes(self.notebook, limit, per)
        if wanted:
            accounts.change(self.service, wanted)
        return accounts.budget_statuses(self.service)

    def expenses(self) -> list[Expense]:
        """Return the jobs of this folder that are, or may be, paid for, oldest first."""
        return self.ledger.spending.expenses()

    def job(self, job_id: str) -> Job:
        """Return the job with this id; its first characters are enough if no other id has them.

        A job that has not ended is polled from then on.
        """
        return self.loop.call(self._registry.attach(self.ledger.row(job_id)))

    def jobs(self, limit: int = 20) -> list[JobRecord]:
        """Return the jobs of this folder from the ledger, newest first."""
        return self.ledger.rows(limit=limit)

    def resume(self, job_id: str = "") -> list[Job]:
        """Resume interrupted jobs: after a restart, a crash, or `detach`.

        Stored callbacks are processed first, since one may name a lost task. This takes at most
        10 s; the rest is processed the next time.

        Args:
            job_id: One job, which may also be vanished or expired: the service is polled again.
                A deleted clip is downloaded again.
        """
        return self.loop.call(self._resume(job_id))

    def adopt(self, task_id: str, job_id: str = "") -> Job:
        """Add a task that exists at the service, e.g. the lost one of an `unknown` job.

        Args:
            task_id: As the service's own pages list it.
            job_id: The unknown job that it belongs to, if there are several.

        Returns:
            The job that has the task, which may be one that had it before.

        Raises:
            InvalidInput: This cannot be the id of a task; nothing was sent.
            LedgerError: It belongs to another job, does not exist, or several jobs are unknown.
        """
        return self.loop.call(self._registry.adopt(task_id.strip(), job_id))

    def receive_callback(self, body: bytes, token: str) -> Job | None:
        """Process a callback: it only makes the session poll the task. See `callback_inbox`."""
        return self.loop.call(self.process_callback(body, token))

    async def process_callback(self, body: bytes, token: str) -> Job | None:
        """Process a callback on the background loop; see `receive_callback`."""
        self.callback_urls.note_received(token)
        return await receive_callback(self._recovery, self._registry.attach, body, token)

    def forget(self, job_id: str, *, yes: bool = False) -> JobRecord:
        """Allow a lost request to be paid again; with `yes` also one that was probably paid."""
        return self._recovery.forget(job_id, yes=yes)

    def import_record(self, record: JobRecord) -> JobRecord | None:
        """Add a job of another ledger; None if this one has the job or its request."""
        return self._context.other_folders.import_record(record)

    def has_paid(self, fingerprint: str) -> bool:
        """Return whether this folder has paid for a live request, by the user's index."""
        paid = self._context.other_folders.index.find(fingerprint)
        return paid is not None and paid.folder == self.ledger.folder

    def another_take(self, job_id: str) -> Job:
        """Pay for another result of the same request; see `Job.another_take`."""
        return self.loop.call(self._registry.another_take(job_id))

    def request_of(self, job_id: str) -> ClipRequest:
        """Return the request of a job with its stored inputs, e.g. to fill in a form.

        Raises:
            LedgerError: The request is not known, e.g. because the task was adopted.
        """
        return request_of(self.ledger.row(job_id))

    def clips(
        self,
        words: str | None = None,
        *,
        model: str = "",
        since: datetime | date | timedelta | str | None = None,
        starred: bool = False,
        hidden: bool = False,
        limit: int | None = None,
    ) -> ClipList:
        """Return the saved clips of this folder, newest first.

        Args:
            words: Only clips with all of these words in title, prompt, model, file name or job id.
            model: Only clips of this model: its name, or a part of it that no other has.
            since: Only clips requested since then: a time, a date, an ISO text such as
                `"2026-11-29"`, or a `timedelta` before now.
            starred: Only starred clips.
            hidden: Include hidden clips.
            limit: The maximum number; None returns all.

        Returns:
            A list that reads a clip from the ledger when it is used.

        Raises:
            InvalidInput: There is no such model or time, or a value has another type.
        """
        if words is not None and not isinstance(words, str):
            advice = "give text; `limit=20` limits the number of clips"
            raise InvalidInput.of("words", f"{shorten(words)} is not text", advice)
        if limit is not None and limit < 0:
            raise InvalidInput.of("limit", str(limit), "give 0 or more; None returns all")
        wanted = ClipFilter(words or "", find_model(model).name if model else "", starred, hidden)
        search = self.ledger.clip_search
        after = None if since is None else parse_since(since, self._context.now())
        return ClipList(search, self._registry.controller, search.numbers(wanted, after, limit))

    def star(self, job_id: str, on: bool = True) -> JobRecord:
        """Mark a clip as a favourite, or remove the mark."""
        return self.ledger.mark(job_id, starred=on)

    def hide(self, job_id: str, on: bool = True) -> JobRecord:
        """Hide a clip from `clips`, or show it again. Nothing is deleted."""
        return self.ledger.mark(job_id, hidden=on)

    def rename(self, job_id: str, title: str) -> JobRecord:
        """Set the title of a clip, at most 120 characters; see `Clip.rename`."""
        return self.loop.call(self._registry.rename(job_id, title))

    def delete(self, job_id: str, *, permanently: bool = False) -> JobRecord:
        """Move a clip to the system's trash, or delete it permanently; see `Clip.delete`."""
        return self.loop.call(self._registry.delete(job_id, permanently=permanently))

    def close(self) -> None:
        """Stop polling and release the lock on the folder. The next session resumes running jobs.

        A submission in progress is answered first. In that case, and on the thread of the
        background loop, the rest happens after this method has returned.
        """
        if not self._process.is_here:
            return  # a forked child ends nothing of its parent
        closing = self.loop.submit(self._close())
        if not self._registry.is_sending and not self.loop.is_own_thread():
            closing.result()

    def _withdraw_late(self, reserving: Future[Job]) -> None:
        if not reserving.cancelled() and reserving.exception() is None:
            self.loop.submit(self._registry.withdraw(reserving.result()))

    async def _resume(self, job_id: str) -> list[Job]:
        await in_thread(self.ledger.open)
        called_back = await process_stored(self.ledger, self.service, self.process_callback)
        if job_id:
            return [await self._registry.resume(job_id)]
        records = await self._recovery.left_rows()
        jobs = [await self._registry.attach(record) for record in records]
        return jobs + [job for job in called_back if job not in jobs]

    async def _close(self) -> None:
        try:
            await self._registry.close()
        finally:
            await self._context.client.aclose()
            await self._context.clips.aclose()
            await self._context.inputs.aclose()
            await in_thread(self.ledger.close)
            if self.emulator is not None:
                await in_thread(self.emulator.close)


def _check_given(example: str, **given: object) -> None:
    """Check that all arguments were given.

    Raises:
        InvalidInput: Names every missing one, with an example.
    """
    if missing := [name for name, value in given.items() if value is None]:
        verb = "is" if len(missing) == 1 else "are"
        advice = f"e.g. `kling_nb.{example}`"
        raise InvalidInput.of(" and ".join(missing), f"{verb} missing", advice)
