"""Poll a task until its clip is on disk: poll, fetch, verify, rename, record.

Never gives up on a bad answer: a failed status request says nothing about the task. Every step is
in the ledger before the handle is updated.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from kling_nb.core import poll_schedule
from kling_nb.core.charge_evidence import REFUND_LOOKS_S
from kling_nb.core.errors import (
    KlingError,
    LedgerError,
    MediaError,
    RateLimited,
    ServiceError,
    Unreachable,
    WrongLength,
)
from kling_nb.core.job_state import (
    ENDED,
    FOLLOWED,
    ClipFacts,
    Downloading,
    OutOfSight,
    Saved,
    Stage,
    Waiting,
)
from kling_nb.core.task_status import (
    TaskFailure,
    TaskMissing,
    TaskPending,
    TaskStatus,
    TaskSucceeded,
)
from kling_nb.storage import JobRecord

from .background_loop import in_thread
from .context import Context
from .download import clip_path, fetch_clip
from .job import Job
from .job_from_record import clip_of, error_of, state_of
from .upload_inputs import is_about_media

__all__ = ["Poller"]

_WATCH_S = 1.0
_HOPEFUL = (WrongLength, Unreachable)
"""Errors of a download that may succeed on a retry."""
_OTHER_TRIES = 3
"""Number of attempts to download a further file of a result."""
_ODD_TRIES = 3
"""How often a clip of another length is fetched before it is kept as it is."""
_PATIENT_TRIES = 8
"""How often a clip that is broken or not there is asked for: 1, 2, 4 … 60 s apart, two minutes."""

_log = logging.getLogger("kling_nb")


@dataclass(slots=True)
class Poller:
    """Follows one job of the ledger to its end."""

    context: Context
    job: Job
    expected_s: float
    _failing_since: datetime | None = field(default=None, init=False)
    _missing: int = field(default=0, init=False)
    _no_url_since: datetime | None = field(default=None, init=False)
    _wake: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    async def run(self) -> None:
        """Follow until the job has ended; the handle always ends too."""
        try:
            row = await self._own()
            if row.stage is Stage.ACCEPTED:
                row = await self._ask_until_over(row)
            if row.stage is Stage.SUCCEEDED:
                row = await self._save(row)
            if row.stage is Stage.FAILED and is_about_media(row.reason):
                await self.context.uploads.forget(row)
            self.report_end(row)
            self._watch_refund(row)
        except asyncio.CancelledError:
            await self._let_go()
            raise
        except Exception as error:
            _log.warning("job %s: following broke", self.job.id, exc_info=error)
            await self._let_go()
            self.job.abandon(error)

    def poll_now(self) -> None:
        """Ask about the task without more waiting; on the loop that the job is followed on."""
        self._wake.set()

    def _watch_refund(self, row: JobRecord) -> None:
        """Look after the credits of a failure that came without a word on its cost."""
        is_open = row.stage is Stage.FAILED and row.credits is None and row.watch is None
        if is_open and row.owner == self.context.ledger.owner:
            self.context.balance_watch.watch(self.job, row, REFUND_LOOKS_S)

    async def _let_go(self) -> None:
        """Leave the job to whoever takes it up, in this kernel or another."""
        with contextlib.suppress(LedgerError):
            await in_thread(self.context.ledger.release, self.job.id)

    def report_end(self, row: JobRecord, *, already: bool = False) -> None:
        """End the handle as the row says."""
        state = state_of(row, already=already)
        if isinstance(state, Saved):
            self.job.finish(state, clip_of(row))
        else:
            self.job.fail(state, error_of(row))

    async def _own(self) -> JobRecord:
        """The row, once it is ours to follow or has ended in another kernel's hands."""
        ledger = self.context.ledger
        while True:
            row = await in_thread(ledger.row, self.job.id)
            # What is ours is not claimed again: that could come after a `detach`, and undo it.
            ours = row.owner == ledger.owner and row.stage in FOLLOWED
            if ours or row.stage in ENDED:
                return row
            if await in_thread(ledger.claim, row.id):
                return await in_thread(ledger.row, row.id)
            if row.stage is Stage.ACCEPTED:
                self.job.enter(state_of(row, self.expected_s))
            elif not await in_thread(ledger.owner_lives, row.owner):
                await in_thread(ledger.settle, row.service)
            await self.context.sleep(_WATCH_S)

    async def _ask_until_over(self, row: JobRecord) -> JobRecord:
        since = row.accepted_at or row.created_at
        self.job.enter(Waiting(row.task_id, "waiting", since, self.expected_s))
        # A task taken up again may be over already: ask at once.
        wait_s = 0.0 if self._elapsed_s(since) > 2 else self._wait_s(row, 0.0)
        while True:
            await self._pause(wait_s)
            wait_s = self._wait_s(row, self._elapsed_s(since))
            try:
                status = await self.context.client.task(row.task_id)
            except (ServiceError, Unreachable) as error:
                self._out_of_sight(row, since, error)
                if isinstance(error, RateLimited):
                    wait_s = max(wait_s, poll_schedule.rest_s(error.retry_after_s))
                continue
            self._failing_since = None
            ended = await self._take_in(row, since, status)
            if ended is not None:
                return ended

    def _wait_s(self, row: JobRecord, elapsed_s: float) -> float:
        """When to ask next; rarely while a notification is still to come."""
        ask_s = (
            poll_schedule.heard_ask_s
            if self.context.callback_urls.covers(row)
            else poll_schedule.next_ask_s
        )
        return ask_s(elapsed_s, self.expected_s)

    async def _pause(self, wait_s: float) -> None:
        """Wait until it is time to ask, or until something says that an answer is there."""
        waits = asyncio.ensure_future(self.context.sleep(wait_s))
        woken = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait((waits, woken), return_when=asyncio.FIRST_COMPLETED)
            if waits.done():
                waits.result()
        finally:
            waits.cancel()
            woken.cancel()
            self._wake.clear()

    async def _take_in(
        self, row: JobRecord, since: datetime, status: TaskStatus
    ) -> JobRecord | None:
        """What an answer changes; the row when the task is over."""
        advance, now = self.context.ledger.advance, self.context.now()
        if not isinstance(status, TaskMissing):
            self._missing = 0
        match status:
            case TaskPending(word=word):
                self.job.enter(Waiting(row.task_id, word, since, self.expected_s))
            case TaskSucceeded(urls=()):
                self._no_url_since = self._no_url_since or now
                if (now - self._no_url_since).total_seconds() >= poll_schedule.ASK_AGAIN_NO_URL_S:
                    # Paid, perhaps; so it blocks, and may be asked about again.
                    reason = f"it reports success and names no file: {status.raw[:300]}"
                    return await in_thread(
                        advance, row.id, Stage.VANISHED, reason=reason, credits=status.credits
                    )
            case TaskSucceeded(urls=(url, *_) as urls, took_s=took_s):
                return await in_thread(
                    advance,
                    row.id,
                    Stage.SUCCEEDED,
                    result_url=url,
                    result_urls=urls,
                    credits=status.credits,
                    # By the service's own clock: noticed late is not taken long.
                    finished_at=now
                    if took_s is None
                    else min(now, since + timedelta(seconds=took_s)),
                )
            case TaskFailure():
                return await in_thread(
                    advance,
                    row.id,
                    Stage.FAILED,
                    reason=status.message,
                    code=status.code,
                    credits=status.credits,
                    answer=status.raw,
                    # What was seen when it was lost, before it was adopted, says nothing of this.
                    watch=None,
                    balance_after=None,
                    finished_at=now,
                )
            case TaskMissing(message=message):
                self._missing += 1
                if self._elapsed_s(since) > poll_schedule.GRACE_S and self._missing >= 2:
                    return await in_thread(advance, row.id, Stage.VANISHED, reason=message)
        return None

    def _out_of_sight(self, row: JobRecord, since: datetime, error: KlingError) -> None:
        now = self.context.now()
        self._failing_since = self._failing_since or now
        if poll_schedule.out_of_sight((now - self._failing_since).total_seconds()):
            self.job.enter(
                OutOfSight(row.task_id, since, self.expected_s, self._failing_since, str(error))
            )

    async def _save(self, row: JobRecord) -> JobRecord:
        """Fetch the clip beside its place, verify it, rename it, note it; further clips as well.

        A clip is paid for: what comes broken or not at all is asked for again for some minutes,
        by a fresh link where the service gives one, before a person has to.
        """
        advance = self.context.ledger.advance
        links = {url: url for url in row.result_urls or (row.result_url,) if url}
        if not links:  # recovered: the task is known, its result never was
            links = await self._fresh_links(row, links)
        gone, odd, tries = 0, 0, 0
        while True:
            self.job.enter(Downloading(row.task_id, 0, None))
            try:
                return await self._deliver(row, links, accept_odd=odd + 1 >= _ODD_TRIES)
            except Unreachable as error:
                reason = str(error)
                self._out_of_sight(row, row.accepted_at or row.created_at, error)
            except WrongLength as error:
                odd, reason = odd + 1, str(error)
            except (MediaError, ServiceError) as error:
                gone, reason = gone + 1, str(error)
                if gone >= _PATIENT_TRIES:
                    return await in_thread(advance, row.id, Stage.EXPIRED, reason=reason)
                links = await self._fresh_links(row, links)
            tries += 1
            _log.info("job %s: the clip did not arrive (%s); once more", row.id, reason)
            await self.context.sleep(poll_schedule.retry_wait_s(tries))

    async def _deliver(
        self, row: JobRecord, links: Mapping[str, str], *, accept_odd: bool
    ) -> JobRecord:
        """Fetch the clip and the further clips once, and note them.

        Args:
            row: The job.
            links: The current link to each file, by its URL in the result.
            accept_odd: See `fetch_clip`.

        Raises:
            KlingError: No file is a clip that can be downloaded.
        """
        url, clip = await self._fetch_first(row, links, accept_odd=accept_odd)
        await self._fetch_others(row, links, url)
        advance, urls = self.context.ledger.advance, tuple(links)
        return await in_thread(
            advance, row.id, Stage.SAVED, clip=clip, result_url=url, result_urls=urls
        )

    async def _fetch_first(
        self, row: JobRecord, links: Mapping[str, str], *, accept_odd: bool
    ) -> tuple[str, ClipFacts]:
        """Fetch the first file of the result that is a clip by its content.

        Raises:
            KlingError: None is. Of several reasons it is the one that leaves the most hope.
        """
        errors: list[KlingError] = []
        for url, link in (links or {"": ""}).items():
            try:
                clip = await fetch_clip(self.context, self.job, row, link, accept_odd=accept_odd)
                return url, clip
            except (MediaError, ServiceError, Unreachable) as error:
                errors.append(error)
        hopeful = [each for kind in _HOPEFUL for each in errors if isinstance(each, kind)]
        raise next(iter(hopeful or errors))

    async def _fetch_others(self, row: JobRecord, links: Mapping[str, str], taken: str) -> None:
        """Save the further clips of a result beside the one that was taken."""
        for place, (url, link) in enumerate(links.items(), start=1):
            path = clip_path(self.context, row, place)
            # One that is there was saved before this kernel, and may have been edited since.
            if url != taken and not await in_thread(path.is_file):
                await self._fetch_other(row, url, link, place)

    async def _fetch_other(self, row: JobRecord, url: str, link: str, place: int) -> None:
        """Save a further file of a result if it is a clip; skip e.g. a picture."""
        for tries in range(1, _OTHER_TRIES + 1):
            try:
                await fetch_clip(self.context, self.job, row, link, accept_odd=True, place=place)
                return
            except MediaError as error:
                _log.info("job %s: %s is no clip (%s)", row.id, url, error)
            except (ServiceError, Unreachable) as error:
                _log.info("job %s: %s did not arrive (%s)", row.id, url, error)
                await self.context.sleep(poll_schedule.retry_wait_s(tries))
                link = await self._fresh_url(row, url) or link

    async def _fresh_links(self, row: JobRecord, links: Mapping[str, str]) -> dict[str, str]:
        """Return a new link to each file, including those that only the record names."""
        urls = dict(links)
        try:
            status = await self.context.client.task(row.task_id)
            named = status.urls if isinstance(status, TaskSucceeded) else ()
            urls |= {url: url for url in named if url not in urls}
        except (ServiceError, Unreachable) as error:
            _log.info("job %s: its record cannot be read (%s)", row.id, error)
        return {
            url: (await self._fresh_url(row, url) if url in links else "") or link
            for url, link in urls.items()
        }

    async def _fresh_url(self, row: JobRecord, url: str) -> str:
        """Return a new link to a file of the result; empty if there is none."""
        try:
            return await self.context.client.fresh_url(url)
        except (ServiceError, Unreachable) as error:
            _log.info("job %s: no fresh link (%s)", row.id, error)
            return ""

    def _elapsed_s(self, since: datetime) -> float:
        return (self.context.now() - since).total_seconds()
