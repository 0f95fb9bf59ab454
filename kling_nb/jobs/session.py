"""The session: settings, ledger, client and jobs of one folder, used from any thread.

The composition root. Everything asynchronous runs on the background loop; the methods here wait for
it in the caller's thread. `Orders` is the part of a submission that runs in the caller's thread and
can be interrupted: a request that was not sent yet is withdrawn, one that is being sent continues.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
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
from kling_nb.models.lookup import find_model
from kling_nb.storage import JobRecord, Ledger
from kling_nb.storage.user_index import UserIndex

from . import settings
from .background_loop import BackgroundLoop, OwnBackgroundLoop, in_thread, portal
from .callback_inbox import take_callback, take_letters
from .callback_urls import CallbackUrls
from .connect import connect
from .job import Job
from .other_folders import OtherFolders
from .prepare import Quote, Wish
from .recovery import Recovery
from .registry import JobRegistry
from .submit import Context
from .takes import wish_of

__all__ = [
    "Orders",
    "Session",
]

_STOPPED = "Stopped before anything was sent: nothing was charged. Run it again to begin anew."


@dataclass(frozen=True, slots=True)
class Orders:
    """The requests that threads hand in to one roster."""

    roster: JobRegistry
    portal: BackgroundLoop

    @contextmanager
    def sending(self, wish: Wish) -> Iterator[Job]:
        """A prepared job, to be shown inside; it is sent at the end, or taken back.

        Raises:
            KlingError: See `prepare` and `submit`.
            WaitInterrupted: Interrupted; says whether anything was sent.
        """
        job = self.prepare(wish)
        try:
            yield job
        except KeyboardInterrupt:
            self.withdraw(job)
            raise WaitInterrupted(_STOPPED) from None
        except BaseException:
            self.withdraw(job)
            raise
        self.submit(job)

    def prepare(self, wish: Wish) -> Job:
        """Check a request and note the intent.

        Raises:
            KlingError: It is not allowed, or cannot be noted; nothing was sent.
            WaitInterrupted: Interrupted; nothing was or will be sent.
        """
        given_up = threading.Event()
        preparing = self.portal.submit(self.roster.prepare(wish, given_up))
        try:
            return preparing.result()
        except KeyboardInterrupt:
            given_up.set()
            # It may be noted already, and come back at any moment.
            preparing.add_done_callback(self._withdraw_late)
            raise WaitInterrupted(_STOPPED) from None

    def submit(self, job: Job) -> None:
        """Send a prepared job; nothing happens for one that was sent before.

        Raises:
            KlingError: It was refused or never reached the service; nothing was charged.
            WaitInterrupted: Interrupted; what was under way goes on.
        """
        try:
            self.portal.call(self.roster.submit(job))
        except KeyboardInterrupt:
            raise WaitInterrupted(job.interrupted_text) from None

    def withdraw(self, job: Job) -> None:
        """Take back a prepared job: it ends here; nothing happens for one that was sent."""
        self.portal.call(self.roster.withdraw(job))

    def _withdraw_late(self, preparing: Future[Job]) -> None:
        if not preparing.cancelled() and preparing.exception() is None:
            self.portal.submit(self.roster.withdraw(preparing.result()))


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
        hearing: CallbackUrls | None = None,
        **given: Unpack[settings.SessionArguments],
    ) -> None:
        settings.seal(given)
        self.settings = settings.resolve(**given)
        self._told_notebook = notebook
        self.ledger = Ledger(self.settings.folder, clock=now)
        self._process = OwnProcess()
        self.portal = OwnBackgroundLoop(portal(), self._process)
        self.hearing = hearing or CallbackUrls()
        way = connect(self.settings, transport, now, sleep)
        self.emulator = way.emulator
        self._context = Context(
            way.client, way.clips, self.ledger, now, sleep, hearing=self.hearing
        )
        elsewhere = OtherFolders(index or UserIndex(), self._context, self.service)
        self._recovery = Recovery(self._context, self.service, elsewhere)
        self._roster = JobRegistry(
            self._context, self.portal, self.service, way.pictures, elsewhere, self._usual_s
        )
        self._roster.notebook = lambda: self.notebook
        self._orders = Orders(self._roster, self.portal)

    @property
    def service(self) -> str:
        """`live` or `emulator`."""
        return self.settings.mode

    @property
    def notebook(self) -> str:
        """The notebook that asks, by its path from the folder's parent; empty where not known."""
        told, folder = self._told_notebook(), self.settings.folder
        return name_notebook(Path(told).resolve(), folder.resolve()) if told else ""

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
        with self.sending(Wish(find_model(model), values, take, callback_url)) as job:
            return job  # sent on the way out

    def sending(self, wish: Wish) -> AbstractContextManager[Job]:
        """Prepare a job that may be shown inside, and send it at the end; see `Orders`."""
        return self._orders.sending(wish)

    def prepare(self, wish: Wish) -> Job:
        """Check a request and note the intent; nothing is sent. `submit` goes on."""
        return self._orders.prepare(wish)

    def submit(self, job: Job) -> None:
        """Send a prepared job; see `Orders`."""
        self._orders.submit(job)

    def quote(self, wish: Wish) -> Quote:
        """What a request would cost; nothing is sent but the question for the balance."""
        return self.portal.call(self._roster.quote(wish))

    def balance(self) -> float:
        """The account's balance in credits (1 credit = $0.005)."""
        return self.portal.call(self._context.client.balance())

    def funds(self) -> Funds:
        """The balance and what the tightest budget leaves, as far as they are known."""
        return self.portal.call(self._roster.funds())

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
        return self.portal.call(self._roster.attach(self.ledger.row(job_id)))

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
        return self.portal.call(self._resume(job_id))

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
        return self.portal.call(self._roster.adopt(task_id.strip(), job_id))

    def take_callback(self, body: bytes, nonce: str) -> Job | None:
        """Receive a callback: it only makes the session ask the service. See `callback_inbox`."""
        return self.portal.call(self.hear(body, nonce))

    async def hear(self, body: bytes, nonce: str) -> Job | None:
        """The same, on the portal's loop."""
        self.hearing.note_heard(nonce)
        return await take_callback(self._recovery, self._roster, body, nonce)

    def forget(self, job_id: str, *, yes: bool = False) -> JobRecord:
        """Allow a lost request to be paid for again; with `yes` also what was probably paid."""
        return self._recovery.forget(job_id, yes=yes)

    def bring(self, row: JobRecord) -> JobRecord | None:
        """Take in a job that another ledger had; None where this one has it or its request."""
        return self._recovery.elsewhere.bring(row)

    def has_paid(self, fingerprint: str) -> bool:
        """Return whether this folder has paid for a live request, by the user's index."""
        paid = self._recovery.elsewhere.index.find(fingerprint)
        return paid is not None and paid.folder == self.ledger.folder

    def another_take(self, job_id: str) -> Job:
        """Pay for another result of the same request; see `Job.another_take`."""
        return self.portal.call(self._roster.another_take(job_id))

    def wish_of(self, job_id: str) -> Wish:
        """The request of a job, with its kept pictures: what a form is filled with.

        Raises:
            LedgerError: What was asked for is not known: a stranger's task was adopted, say.
        """
        return wish_of(self.ledger.row(job_id))

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

        A submission that is under way is answered first; then, and on the portal's own thread, the
        rest happens behind the caller.
        """
        if not self._process.is_here:
            return  # a forked child ends nothing of its parent
        closing = self.portal.submit(self._close())
        if not self._roster.is_sending and not self.portal.is_own_thread():
            closing.result()

    def _usual_s(self, model: str) -> float:
        if self.service == "emulator":
            return self.settings.emulator_seconds
        return CATALOGUE.get(model, IMAGE_TO_VIDEO).usual_s

    async def _resume(self, job_id: str) -> list[Job]:
        await in_thread(self.ledger.open)
        heard = await take_letters(self.ledger, self.service, self.hear)
        if job_id:
            return [await self._roster.attach(await self._recovery.revive(job_id))]
        rows = await self._recovery.left_rows()
        jobs = [await self._roster.attach(row) for row in rows]
        return jobs + [job for job in heard if job not in jobs]

    async def _close(self) -> None:
        try:
            await self._roster.close()
        finally:
            await self._context.client.aclose()
            await self._context.clips.aclose()
            await self._roster.pictures.aclose()
            await in_thread(self.ledger.close)
            if self.emulator is not None:
                await in_thread(self.emulator.close)
