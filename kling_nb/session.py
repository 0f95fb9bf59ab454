"""Session: settings, client, ledger and portal put together; what Python programs call.

The composition root. Everything asynchronous runs on the portal's loop; the methods here wait
for it in the caller's thread, so that there is one implementation of each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Unpack

from . import settings
from .cells import find_model
from .client import Client
from .errors import WaitInterrupted
from .fetcher import Fetcher, Transport
from .index import PaidIndex
from .jobs import Job
from .keys import Key
from .ledger import Ledger, Row
from .models import CATALOGUE, IMAGE_TO_VIDEO, TEXT_TO_VIDEO
from .portal import Portal, in_thread, portal
from .preparation import Quote, Wish
from .recovery import Recovery
from .roster import Roster
from .submission import Context

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
        given = settings.sealed(given)
        self.settings = settings.resolve(**given)
        self.ledger = Ledger(self.settings.folder, clock=now)
        self.portal: Portal = portal()
        self.emulator: Emulator | None = None
        transport = transport or self._emulate()
        key = self.settings.key or Key(_NO_KEY_NEEDED)
        client = Client(
            key,
            api_url=self.settings.api_url,
            upload_url=self.settings.upload_url,
            transport=transport,
        )
        self._context = Context(client, Fetcher(transport=transport), self.ledger, now, sleep)
        self._recovery = Recovery(self._context, self.service)
        self._index = index or PaidIndex()
        self._roster = Roster(
            self._context, self.portal, self.service, Fetcher(), self._index, self._usual_s
        )

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
        return self.portal.call(self._roster.prepare(wish))

    def submit(self, job: Job) -> None:
        """Send a prepared job; nothing happens for one that was sent before.

        Raises:
            KlingError: It was refused or never reached the service; nothing was charged.
            WaitInterrupted: Interrupted; what was under way goes on.
        """
        try:
            self.portal.call(self._roster.submit(job))
        except KeyboardInterrupt:
            raise WaitInterrupted(job.interrupted_text) from None

    def quote(self, wish: Wish) -> Quote:
        """What a request would cost; nothing is sent but the question for the balance."""
        return self.portal.call(self._roster.quote(wish))

    def balance(self) -> float:
        """The account's balance in credits (1 credit = $0.005)."""
        return self.portal.call(self._context.client.balance())

    def job(self, job_id: str) -> Job:
        """The job of that id (or the beginning of one), followed if it runs."""
        return self.portal.call(self._roster.attach(self.ledger.row(job_id)))

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
        row = self._recovery.forget(job_id)
        self._index.drop(row.fingerprint)
        return row

    def close(self) -> None:
        """Stop following and give up the folder's lock. Running tasks are taken up later.

        A submission that is under way is answered first; then, and on the portal's own thread, the
        rest happens behind the caller.
        """
        closing = self.portal.submit(self._close())
        if not self._roster.is_sending and not self.portal.is_own_thread():
            closing.result()

    def _emulate(self) -> Transport | None:
        """The way into an emulator in this process, if that is what was asked for."""
        if self.service != "emulator" or self.settings.api_url != settings.API_URL:
            return None
        from .emulator import Emulator

        folder, seconds = self.settings.folder / "emulator", self.settings.emulator_seconds
        self.emulator = Emulator(folder, seconds=seconds)
        return self.emulator.transport()

    def _usual_s(self, model: str) -> float:
        if self.service == "emulator":
            return self.settings.emulator_seconds
        return CATALOGUE.get(model, IMAGE_TO_VIDEO).usual_s

    async def _resume(self, job_id: str) -> list[Job]:
        rows = [await self._recovery.revive(job_id)] if job_id else await self._recovery.left_rows()
        return [await self._roster.attach(row) for row in rows]

    async def _adopt(self, task_id: str, job_id: str) -> Job:
        row = await self._recovery.adopt(task_id, job_id)
        await self._roster.note_paid(row)
        return await self._roster.attach(row)

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
