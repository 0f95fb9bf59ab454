"""Session: settings, client, ledger and portal put together; what Python programs call.

The composition root. Everything asynchronous runs on the portal's loop; the methods here wait
for it in the caller's thread, so that there is one implementation of each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Unpack

from . import pace, settings
from .cells import find_model
from .client import Client
from .errors import WaitInterrupted
from .fetcher import Fetcher, Transport
from .follower import Follower
from .history import facts_of, is_on_disk, state_of
from .index import PaidIndex
from .jobs import Job
from .keys import Key
from .ledger import Intent, Ledger, Row
from .models import CATALOGUE, IMAGE_TO_VIDEO, TEXT_TO_VIDEO
from .portal import Portal, in_thread, portal
from .preparation import Quote, Wish, prepare, quote_of
from .recovery import Recovery
from .states import ENDED, Stage
from .submission import Context, Request, balance_or_none, submit

if TYPE_CHECKING:
    from .emulator import Emulator

__all__ = ["Session"]

_NO_KEY_NEEDED = "the-emulator-takes-any-key"


class Session:
    """One account, one folder, one way to the service.

    Args:
        transport: Replaces the network; None is the network, or in emulator mode the emulator.
        sleep: Waits between questions.
        now: Gives the time, aware.
        index: What this user paid for in other folders; None is the user's own.
        given: `api_key`, `mode`, `folder`, `api_url`, `upload_url`, `emulator_seconds`; see
            `settings.resolve`.

    Raises:
        ConfigurationError: The settings do not go together.
    """

    def __init__(
        self,
        *,
        transport: Transport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        index: PaidIndex | None = None,
        **given: Unpack[settings.Given],
    ) -> None:
        self.settings = settings.resolve(**given)
        self.ledger = Ledger(self.settings.folder, clock=now)
        self.portal: Portal = portal()
        self.emulator: Emulator | None = None
        self._index = index or PaidIndex()
        self._jobs: dict[str, Job] = {}
        self._requests: dict[str, Request] = {}
        transport = transport or self._emulate()
        key = self.settings.key or Key(_NO_KEY_NEEDED)
        client = Client(
            key,
            api_url=self.settings.api_url,
            upload_url=self.settings.upload_url,
            transport=transport,
        )
        self._pictures = Fetcher()
        self._context = Context(client, Fetcher(transport=transport), self.ledger, now, sleep)
        self._recovery = Recovery(self._context, self.service)

    @property
    def service(self) -> str:
        """`live` or `emulator`."""
        return self.settings.mode

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
            model: The service's name of the model.
            take: Which of several results for the same request.
            callback_url: The service posts a notification there when the task ends.
            values: The model's parameters.

        Returns:
            The job, accepted; or joined, ended, or `unknown` when the answer was lost.

        Raises:
            InvalidInput: Values are not allowed; nothing was sent.
            KlingError: The service refused; nothing was charged.
        """
        job = self.prepare(Wish(find_model(model), values, take, callback_url))
        self.submit(job)
        return job

    def prepare(self, wish: Wish) -> Job:
        """Check a request and note the intent; nothing is sent. `submit` goes on."""
        return self.portal.call(self._prepare(wish))

    def submit(self, job: Job) -> None:
        """Send a prepared job; nothing happens for one that was sent before.

        Raises:
            KlingError: It was refused or never reached the service; nothing was charged.
            WaitInterrupted: Interrupted; what was under way goes on.
        """
        try:
            self.portal.call(self.submitting(job))
        except KeyboardInterrupt:
            raise WaitInterrupted(job.interrupted_text) from None

    async def submitting(self, job: Job) -> None:
        """What `submit` waits for; runs on the portal's loop."""
        request = self._requests.pop(job.id, None)
        if request is None:
            return
        expected_s = await self._expected_s(request.spec.name)
        try:
            row = await submit(self._context, job, request, expected_s)
        except Exception as error:
            job.fail(job.state, error)  # whoever joined the job must not wait for ever
            raise
        if row.stage is Stage.ACCEPTED:
            self._follow(job, expected_s)

    def quote(self, wish: Wish) -> Quote:
        """What a request would cost; nothing is sent but the question for the balance."""
        return self.portal.call(self._quote(wish))

    def balance(self) -> float:
        """The account's balance in credits (1 credit = $0.005)."""
        return self.portal.call(self._context.client.balance())

    def job(self, job_id: str) -> Job:
        """The job of that id (or the beginning of one), followed if it runs."""
        return self.portal.call(self._attach(self.ledger.row(job_id)))

    def jobs(self, limit: int = 20) -> list[Row]:
        """The jobs of this folder as the ledger has them, newest first."""
        return self.ledger.rows(limit=limit)

    def resume(self, job_id: str = "") -> list[Job]:
        """Take up what nobody follows: after a restart, a crash, or `detach`.

        Args:
            job_id: One job, which may also be vanished or expired: the service is asked again.
        """
        return self.portal.call(self._resume(job_id))

    def adopt(self, task_id: str, job_id: str = "") -> Job:
        """Bring in a task that exists at the service: the lost one of an `unknown` job.

        Args:
            task_id: As the service's own pages list it.
            job_id: Which unknown job it belongs to, where there are several.

        Raises:
            LedgerError: It is known already, does not exist, or it is unclear whose it is.
        """
        return self.portal.call(self._adopt(task_id.strip(), job_id))

    def forget(self, job_id: str) -> Row:
        """Allow the request of a lost job to be paid for again."""
        return self._recovery.forget(job_id)

    def close(self) -> None:
        """Stop following and give up the folder's lock. Running tasks are taken up later."""
        for job in self._jobs.values():
            job.detach()
        self.portal.call(self._close())
        self.ledger.close()
        if self.emulator is not None:
            self.emulator.close()

    def _emulate(self) -> Transport | None:
        """The way into an emulator in this process, if that is what was asked for."""
        if self.service != "emulator" or self.settings.api_url != settings.API_URL:
            return None
        from .emulator import Emulator

        folder, seconds = self.settings.folder / "emulator", self.settings.emulator_seconds
        self.emulator = Emulator(folder, seconds=seconds)
        return self.emulator.transport()

    async def _prepare(self, wish: Wish) -> Job:
        prepared = await prepare(wish, service=self.service, pictures=self._pictures)
        if self.service == "live":
            await in_thread(self._refuse_paid_elsewhere, prepared.intent)
        row, is_new = await in_thread(self.ledger.intend, prepared.intent)
        if not is_new:
            return await self._attach(row)
        balance = await balance_or_none(self._context.client)
        row = await in_thread(self.ledger.note, row.id, balance_before=balance)
        job = self._new_job(row)
        self._requests[job.id] = prepared.request
        return job

    async def _quote(self, wish: Wish) -> Quote:
        prepared = await prepare(wish, service=self.service, pictures=self._pictures)
        existing = await in_thread(self.ledger.blocking, prepared.intent.fingerprint)
        balance = await balance_or_none(self._context.client)
        return quote_of(prepared, existing, balance)

    def _refuse_paid_elsewhere(self, intent: Intent) -> None:
        if self.ledger.blocking(intent.fingerprint) is None:
            self._index.refuse_paid(intent.fingerprint, self.ledger.folder, take=intent.take)

    async def _attach(self, row: Row) -> Job:
        """The handle of a row: the running one, or a new one that ends or follows."""
        running = self._jobs.get(row.id)
        if running is not None and not running.done():
            return running
        if row.stage is Stage.SAVED and not is_on_disk(row):
            row = await in_thread(self.ledger.advance, row.id, Stage.SUCCEEDED)
        expected_s = await self._expected_s(row.model)
        job = self._new_job(row, expected_s)
        if row.stage in ENDED:
            Follower(self._context, job, expected_s).tell_end(row, already=True)
        else:
            self._follow(job, expected_s)
        return job

    async def _resume(self, job_id: str) -> list[Job]:
        rows = [await self._recovery.revive(job_id)] if job_id else await self._recovery.left_rows()
        return [await self._attach(row) for row in rows]

    async def _adopt(self, task_id: str, job_id: str) -> Job:
        return await self._attach(await self._recovery.adopt(task_id, job_id))

    async def _expected_s(self, model: str) -> float:
        past = await in_thread(self.ledger.durations_s, model, self.service)
        if self.service == "emulator":
            return pace.expected_s(past, self.settings.emulator_seconds)
        return pace.expected_s(past, CATALOGUE.get(model, IMAGE_TO_VIDEO).usual_s)

    def _new_job(self, row: Row, expected_s: float = 0.0) -> Job:
        job = Job(facts_of(row), state_of(row, expected_s), self.portal)
        self._jobs[row.id] = job
        return job

    def _follow(self, job: Job, expected_s: float) -> None:
        following = self.portal.submit(Follower(self._context, job, expected_s).run())

        def stop() -> None:
            following.cancel()
            self.ledger.release(job.id)

        job.on_detach = stop
        if self.service == "live":
            job.add_done_callback(self._note_paid)

    def _note_paid(self, job: Job) -> None:
        row = self.ledger.row(job.id)
        if row.stage is Stage.SAVED and row.finished_at is not None:
            self._index.note(row.fingerprint, self.ledger.folder, row.finished_at)

    async def _close(self) -> None:
        await self._context.client.aclose()
        await self._context.clips.aclose()
        await self._pictures.aclose()
