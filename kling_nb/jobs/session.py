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
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Unpack

from kling_nb.core.budgets import BudgetStatus, changes, name_notebook
from kling_nb.core.errors import WaitInterrupted
from kling_nb.core.expenses import Expense
from kling_nb.core.forks import OwnProcess
from kling_nb.core.money import Funds
from kling_nb.kie.network import Transport
from kling_nb.models.catalog import CATALOGUE, IMAGE_TO_VIDEO, TEXT_TO_VIDEO
from kling_nb.models.clip_request import ClipRequest
from kling_nb.models.lookup import find_model
from kling_nb.storage import JobRecord, Ledger, Uploads
from kling_nb.storage.user_index import UserIndex

from . import settings
from .background_loop import OwnBackgroundLoop, background_loop, in_thread
from .balance_watch import BalanceWatcher
from .callback_inbox import take_callback, take_letters
from .callback_urls import CallbackUrls
from .connect import connect
from .context import Context
from .job import Job
from .other_folders import OtherFolders
from .prepare import Quote
from .recovery import Recovery
from .registry import JobRegistry
from .takes import request_of
from .upload_inputs import InputUploader

__all__ = ["Session"]

_STOPPED = "Stopped before anything was sent: nothing was charged. Run it again to begin anew."


class Session:
    """One account, one folder, one way to the service.

    It belongs to the process that made it. In a forked child its methods raise `ForkedSession`
    and `close` does nothing; make a new one there, or use `default_session()`.

    Args:
        transport: Replaces the network; None is the network, or in emulator mode the emulator.
        sleep: Waits between questions.
        now: Gives the time, aware.
        index: What this user paid for in other folders; None is the user's own.
        notebook: Tells the path of the notebook that asks, empty where it is not known.
        hearing: Where notifications are sent to; None is nowhere until somebody listens.
        given: `api_key`, `mode`, `folder`, `api_url`, `upload_url`, `emulator_seconds`,
            `rate_limits`; see `settings.resolve`.

    Raises:
        ConfigurationError: The settings do not go together.
    """

    def __init__(
        self,
        *,
        transport: Transport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        index: UserIndex | None = None,
        notebook: Callable[[], str] = str,
        callback_urls: CallbackUrls | None = None,
        **given: Unpack[settings.SessionArguments],
    ) -> None:
        settings.seal(given)
        self.settings = settings.resolve(**given)
        self._notebook_path = notebook
        self.ledger = Ledger(self.settings.folder, clock=now)
        self._process = OwnProcess()
        self.loop = OwnBackgroundLoop(background_loop(), self._process)
        self.callback_urls = callback_urls or CallbackUrls()
        connection = connect(self.settings, transport, now, sleep)
        self.emulator, client = connection.emulator, connection.client
        self._context = Context(
            service=self.service,
            client=client,
            clips=connection.clips,
            inputs=connection.inputs,
            ledger=self.ledger,
            other_folders=OtherFolders(index or UserIndex(), self.ledger, self.service),
            uploads=InputUploader(client, Uploads(self.ledger.folder), now),
            balance_watch=BalanceWatcher(client, self.ledger, now, sleep),
            callback_urls=self.callback_urls,
            notebook=lambda: self.notebook,
            now=now,
            sleep=sleep,
        )
        self._recovery = Recovery(self._context)
        self._registry = JobRegistry(self._context, self.loop, self._recovery, self._usual_s)

    @property
    def service(self) -> str:
        """`live` or `emulator`."""
        return self.settings.mode

    @property
    def notebook(self) -> str:
        """The notebook that asks, by its path from the folder's parent; empty where not known."""
        path, folder = self._notebook_path(), self.settings.folder
        return name_notebook(Path(path).resolve(), folder.resolve()) if path else ""

    def image_to_video(self, image: object, prompt: str, **values: Any) -> Job:
        """Make a clip from a picture; see `generate`.

        Args:
            image: Path, URL, bytes, PIL image, array, matplotlib figure, or an earlier clip.
            prompt: What happens, at most 1000 characters.
            values: `duration` in seconds (5 or 10), `sound`, and the options of `generate`.
        """
        return self.generate(IMAGE_TO_VIDEO.name, image=image, prompt=prompt, **values)

    def text_to_video(self, prompt: str, **values: Any) -> Job:
        """Make a clip from words alone; see `generate`."""
        return self.generate(TEXT_TO_VIDEO.name, prompt=prompt, **values)

    def generate(
        self, model: str, /, *, take: int = 1, callback_url: str = "", **values: object
    ) -> Job:
        """Submit a request once, or join the job that answers it already.

        Args:
            model: The service's name of the model, or a part of it that no other has.
            take: Which of several results for the same request.
            callback_url: The service posts a notification there when the task ends.
            values: The model's parameters.

        Returns:
            The job, accepted; or joined, ended, or `unknown` when the answer was lost.

        Raises:
            InvalidInput: Values are not allowed; nothing was sent.
            AlreadyPaid: Another folder of this user pays for it or has, or this one has and its
                ledger was lost; nothing was sent.
            KlingError: The service refused; nothing was charged.
        """
        request = ClipRequest(find_model(model), values, take, callback_url)
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
            The new job, or the one that answers the request already.

        Raises:
            KlingError: It is not allowed, or cannot be recorded.
            WaitInterrupted: Interrupted; nothing was or will be sent.
        """
        given_up = threading.Event()
        reserving = self.loop.submit(self._registry.reserve(request, given_up))
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
        """The account's balance in credits (1 credit = $0.005)."""
        return self.loop.call(self._context.client.balance())

    def funds(self) -> Funds:
        """The balance and what the tightest budget leaves, as far as they are known."""
        return self.loop.call(self._registry.funds())

    def budget(self, limit: str | float | None = None, per: str = "") -> list[BudgetStatus]:
        """Set a budget, end it, or only see: what does not fit in is refused before it is sent.

        Args:
            limit: Credits, or dollars as in `"$3"`; `"off"` ends; None changes nothing.
            per: `notebook`, `day` or `folder`; not given, the folder, and all three for `"off"`.

        Returns:
            Every budget of this folder and service as it is now, with what counts against it.
        """
        accounts, wanted = self.ledger.accounts, changes(self.notebook, limit, per)
        if wanted:
            accounts.change(self.service, wanted)
        return accounts.standings(self.service)

    def expenses(self) -> list[Expense]:
        """Every job of this folder that is paid for or may be, emulated ones too, oldest first."""
        return self.ledger.accounts.expenses()

    def job(self, job_id: str) -> Job:
        """The job of that id (or the beginning of one), followed if it runs."""
        return self.loop.call(self._registry.attach(self.ledger.row(job_id)))

    def jobs(self, limit: int = 20) -> list[JobRecord]:
        """The jobs of this folder as the ledger has them, newest first."""
        return self.ledger.rows(limit=limit)

    def resume(self, job_id: str = "") -> list[Job]:
        """Take up what nobody follows: after a restart, a crash, or `detach`.

        What was called back meanwhile is heard first: it may tell the id of a lost task. It is
        waited for at most 10 s; what is left is heard the next time.

        Args:
            job_id: One job, which may also be vanished or expired: the service is asked again.
        """
        return self.loop.call(self._resume(job_id))

    def adopt(self, task_id: str, job_id: str = "") -> Job:
        """Bring in a task that exists at the service: the lost one of an `unknown` job.

        Args:
            task_id: As the service's own pages list it.
            job_id: Which unknown job it belongs to, where there are several.

        Returns:
            The job that has the task, which may be one that had it before.

        Raises:
            InvalidInput: This cannot be the id of a task; nothing was sent.
            LedgerError: It is another job's, does not exist, or it is unclear whose it is.
        """
        return self.loop.call(self._registry.adopt(task_id.strip(), job_id))

    def take_callback(self, body: bytes, nonce: str) -> Job | None:
        """Receive a callback: it only makes the session ask the service. See `callback_inbox`."""
        return self.loop.call(self.hear(body, nonce))

    async def hear(self, body: bytes, nonce: str) -> Job | None:
        """The same, on the background loop."""
        self.callback_urls.note_heard(nonce)
        return await take_callback(self._recovery, self._registry, body, nonce)

    def forget(self, job_id: str, *, yes: bool = False) -> JobRecord:
        """Allow a lost request to be paid for again; with `yes` also what was probably paid."""
        return self._recovery.forget(job_id, yes=yes)

    def bring(self, row: JobRecord) -> JobRecord | None:
        """Take in a job that another ledger had; None where this one has it or its request."""
        return self._context.other_folders.bring(row)

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

    def clips(self, limit: int = 100, *, hidden: bool = False) -> list[JobRecord]:
        """The jobs of this folder whose clips are saved, newest first.

        Args:
            limit: How many at most; -1 is all.
            hidden: With those that were hidden.
        """
        return self.ledger.clips(limit, include_hidden=hidden)

    def star(self, job_id: str, on: bool = True) -> JobRecord:
        """Note that a clip is liked, or no longer."""
        return self.ledger.mark(job_id, starred=on)

    def hide(self, job_id: str, on: bool = True) -> JobRecord:
        """Leave a clip out of `clips`, or show it again. Nothing is deleted."""
        return self.ledger.mark(job_id, hidden=on)

    def close(self) -> None:
        """Stop following and give up the folder's lock. Running tasks are taken up later.

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

    def _usual_s(self, model: str) -> float:
        if self.service == "emulator":
            return self.settings.emulator_seconds
        return CATALOGUE.get(model, IMAGE_TO_VIDEO).usual_s

    async def _resume(self, job_id: str) -> list[Job]:
        await in_thread(self.ledger.open)
        heard = await take_letters(self.ledger, self.service, self.hear)
        if job_id:
            return [await self._registry.resume(job_id)]
        rows = await self._recovery.left_rows()
        jobs = [await self._registry.attach(row) for row in rows]
        return jobs + [job for job in heard if job not in jobs]

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
