"""Poll a task until its clip is on disk: poll, fetch, verify, rename, record.

Never gives up on a bad answer: a failed status request says nothing about the task. Every step is
in the ledger before the handle is updated.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zlib import crc32

from kling_nb.core import poll_schedule
from kling_nb.core.charge_evidence import REFUND_SAMPLE_TIMES_S
from kling_nb.core.errors import (
    KlingError,
    LedgerError,
    MediaError,
    ServiceError,
    Unreachable,
    WrongLength,
)
from kling_nb.core.job_state import (
    ENDED,
    FOLLOWED,
    ClipFacts,
    Downloading,
    Saved,
    Stage,
    Unresponsive,
    Waiting,
)
from kling_nb.core.poll_schedule import PollSchedule
from kling_nb.core.task_status import (
    TaskFailure,
    TaskMissing,
    TaskPending,
    TaskStatus,
    TaskSucceeded,
)
from kling_nb.kie.rate_limit import Turn
from kling_nb.storage.job_record import JobRecord

from .background_loop import committed, in_thread
from .clip_files import clip_path
from .context import Context
from .download import fetch_clip, no_parts_left
from .job import Job
from .job_from_record import clip_of, error_of, state_of
from .upload_inputs import is_about_media

_WATCH_S = 1.0
_HOPEFUL = (WrongLength, Unreachable)
"""Errors of a download that may succeed on a retry."""
_OTHER_TRIES = 3
"""Number of attempts to download a further file of a result."""
_ODD_TRIES = 3
"""How often a clip of another duration is downloaded before it is kept as it is."""
_PATIENT_TRIES = 8
"""How often a broken or missing clip is downloaded: 1, 2, 4 … 60 s apart, for two minutes."""

_log = logging.getLogger("kling_nb")


@dataclass(slots=True)
class Poller:
    """Polls one job of the ledger until it ends."""

    context: Context
    job: Job
    schedule: PollSchedule
    _failing_since: datetime | None = field(default=None, init=False)
    _missing: int = field(default=0, init=False)
    _no_url_since: datetime | None = field(default=None, init=False)
    _turn: Turn | None = field(default=None, init=False)
    """The queue entry of the last or next status request."""
    _is_urgent: bool = field(default=False, init=False)
    """Whether the next status request is due immediately."""

    async def run(self, record: JobRecord | None = None) -> None:
        """Poll until the job has ended; the handle always ends too.

        Args:
            record: The current record of the job, if known. A job of another session is claimed
                first.
        """
        try:
            if record is None or record.owner != self.context.ledger.owner:
                record = await self._own()
            if record.stage is Stage.ACCEPTED:
                record = await self._poll_until_over(record)
            if record.stage is Stage.SUCCEEDED:
                async with no_parts_left(self.context, record):
                    record = await self._save(record)
            if record.stage is Stage.FAILED and is_about_media(record.reason):
                await self.context.uploads.forget(record)
            self.report_end(record)
            self._watch_refund(record)
        except asyncio.CancelledError:
            await self._let_go()
            raise
        except Exception as error:
            _log.warning("job %s: polling failed", self.job.id, exc_info=error)
            await self._let_go()
            self.job.abandon(error)

    def poll_now(self) -> None:
        """Poll without more waiting. Call it on the event loop that polls the job."""
        self._is_urgent = self._turn is None or not self._turn.hurry()

    def _watch_refund(self, record: JobRecord) -> None:
        """Watch the balance after a failure without a reported cost."""
        is_open = record.stage is Stage.FAILED and record.credits is None and record.watch is None
        if is_open and record.owner == self.context.ledger.owner:
            self.context.balance_watch.watch(self.job, record, REFUND_SAMPLE_TIMES_S)

    async def _let_go(self) -> None:
        """Release the job, so that any session can resume it."""
        with contextlib.suppress(LedgerError):
            ledger = self.context.ledger
            await committed(ledger.submit(ledger.release, self.job.id))

    def report_end(self, record: JobRecord, *, already: bool = False) -> None:
        """End the handle with the state of the record."""
        state = state_of(record, already=already)
        if isinstance(state, Saved):
            self.job.finish(state, clip_of(record, self.job.controller))
        else:
            self.job.fail(state, error_of(record))

    async def _own(self) -> JobRecord:
        """Return the record once this session owns it, or another session has ended it."""
        ledger = self.context.ledger
        while True:
            record = await in_thread(ledger.row, self.job.id)
            # Not claimed again if it is ours: that could undo a `detach`.
            ours = record.owner == ledger.owner and record.stage in FOLLOWED
            if ours or record.stage in ENDED:
                return record
            if await in_thread(ledger.claim, record.id):
                return await in_thread(ledger.row, record.id)
            if record.stage is Stage.ACCEPTED:
                self.job.enter(state_of(record, self.schedule))
            elif not await in_thread(ledger.owner_is_alive, record.owner):
                await in_thread(ledger.recover_orphans, record.service)
            await self.context.sleep(_WATCH_S)

    async def _poll_until_over(self, record: JobRecord) -> JobRecord:
        since, client = record.accepted_at or record.created_at, self.context.client
        self._enter_waiting(record, "waiting", since)
        # The task of a resumed job may be over already: poll at once.
        wait_s = 0.0 if self._elapsed_s(since) > 2 else self._wait_s(record, 0.0)
        while True:
            self._turn = client.status_turn(0.0 if self._is_urgent else wait_s)
            self._is_urgent = False
            try:
                status = await client.task(record.task_id, self._turn)
            except (ServiceError, Unreachable) as error:
                self._out_of_sight(record, since, error)
                longest_s = poll_schedule.FAILED_POLL_S
            else:
                self._failing_since, longest_s = None, math.inf
                ended = await self._apply(record, since, status)
                if ended is not None:
                    return ended
            wait_s = min(self._wait_s(record, self._elapsed_s(since)), longest_s)

    def _enter_waiting(self, record: JobRecord, word: str, since: datetime) -> None:
        """Show that the service is processing the task, with the service's word for the state."""
        expected_s, late_s = self.schedule.expected_s, self.schedule.late_s
        self.job.enter(Waiting(record.task_id, word, since, expected_s, late_s))

    def _wait_s(self, record: JobRecord, elapsed_s: float) -> float:
        """Return the time to the next poll; long while a callback is still to arrive."""
        awaits_callback = self.context.callback_urls.covers(record)
        jitter = crc32(record.id.encode()) / 2**32
        return self.schedule.delay_s(elapsed_s, awaits_callback=awaits_callback, jitter=jitter)

    async def _apply(
        self, record: JobRecord, since: datetime, status: TaskStatus
    ) -> JobRecord | None:
        """Apply a status; return the record if the task is over."""
        now = self.context.now()
        if not isinstance(status, TaskMissing):
            self._missing = 0
        match status:
            case TaskPending(word=word):
                self._enter_waiting(record, word, since)
            case TaskSucceeded(urls=()):
                self._no_url_since = self._no_url_since or now
                if self._elapsed_s(self._no_url_since) >= poll_schedule.MISSING_URL_TIMEOUT_S:
                    # It may be paid: it blocks the request, and can be polled again.
                    reason = f"it reports success and names no file: {status.raw[:300]}"
                    return await self._advance(
                        record.id, Stage.VANISHED, reason=reason, credits=status.credits
                    )
            case TaskSucceeded(urls=(url, *_) as urls, took_s=took_s):
                # By the service's clock: the time until we noticed does not count.
                done_at = now if took_s is None else min(now, since + timedelta(seconds=took_s))
                return await self._advance(
                    record.id,
                    Stage.SUCCEEDED,
                    result_url=url,
                    result_urls=urls,
                    credits=status.credits,
                    finished_at=done_at,
                )
            case TaskFailure():
                return await self._advance(
                    record.id,
                    Stage.FAILED,
                    reason=status.message,
                    code=status.code,
                    credits=status.credits,
                    answer=status.raw,
                    # Samples from before it was adopted say nothing about this failure.
                    watch=None,
                    balance_after=None,
                    finished_at=now,
                )
            case TaskMissing(message=message):
                self._missing += 1
                if self._elapsed_s(since) > poll_schedule.GRACE_S and self._missing >= 2:
                    return await self._advance(record.id, Stage.VANISHED, reason=message)
        return None

    async def _advance(self, job_id: str, stage: Stage, **facts: object) -> JobRecord:
        ledger = self.context.ledger
        return await committed(ledger.submit(ledger.advance, job_id, stage, **facts))

    def _out_of_sight(self, record: JobRecord, since: datetime, error: KlingError) -> None:
        now, reason = self.context.now(), str(error)
        if isinstance(error, Unreachable):  # its advice is for a cell: here, polling continues
            reason = error.reason or reason
        self._failing_since = self._failing_since or now
        if poll_schedule.is_unresponsive((now - self._failing_since).total_seconds()):
            expected_s, late_s = self.schedule.expected_s, self.schedule.late_s
            self.job.enter(
                Unresponsive(record.task_id, since, expected_s, late_s, self._failing_since, reason)
            )

    async def _save(self, record: JobRecord) -> JobRecord:
        """Download, verify and record the clip, and the further clips of the result.

        A clip is paid: a broken or missing file is downloaded again for some minutes, with a fresh
        link where the service gives one, before the user has to do something.
        """
        links = {url: url for url in record.result_urls or (record.result_url,) if url}
        if not links:  # recovered: the task is known, but not its result
            links = await self._fresh_links(record, links)
        gone, odd, tries = 0, 0, 0
        while True:
            self.job.enter(Downloading(record.task_id, 0, None))
            try:
                return await self._deliver(record, links, accept_odd=odd + 1 >= _ODD_TRIES)
            except Unreachable as error:
                reason = str(error)
                self._out_of_sight(record, record.accepted_at or record.created_at, error)
            except WrongLength as error:
                odd, reason = odd + 1, str(error)
            except (MediaError, ServiceError) as error:
                gone, reason = gone + 1, str(error)
                if gone >= _PATIENT_TRIES:
                    return await self._advance(record.id, Stage.EXPIRED, reason=reason)
                links = await self._fresh_links(record, links)
            tries += 1
            _log.info("job %s: the clip was not downloaded (%s); trying again", record.id, reason)
            await self.context.sleep(poll_schedule.retry_wait_s(tries))

    async def _deliver(
        self, record: JobRecord, links: Mapping[str, str], *, accept_odd: bool
    ) -> JobRecord:
        """Download the clip and the further clips once, and record them.

        Args:
            record: The job.
            links: The current link to each file, by its URL in the result.
            accept_odd: See `fetch_clip`.

        Raises:
            KlingError: No file is a clip that can be downloaded.
        """
        url, clip = await self._fetch_first(record, links, accept_odd=accept_odd)
        await self._fetch_others(record, links, url)
        return await self._advance(
            record.id, Stage.SAVED, clip=clip, result_url=url, result_urls=tuple(links)
        )

    async def _fetch_first(
        self, record: JobRecord, links: Mapping[str, str], *, accept_odd: bool
    ) -> tuple[str, ClipFacts]:
        """Download the first file of the result whose content is a clip.

        Raises:
            KlingError: None is. Of several errors, the one that a retry is most likely to solve.
        """
        errors: list[KlingError] = []
        for url, link in (links or {"": ""}).items():
            try:
                clip = await fetch_clip(self.context, self.job, record, link, accept_odd=accept_odd)
                return url, clip
            except (MediaError, ServiceError, Unreachable) as error:
                errors.append(error)
        hopeful = [each for kind in _HOPEFUL for each in errors if isinstance(each, kind)]
        raise next(iter(hopeful or errors))

    async def _fetch_others(self, record: JobRecord, links: Mapping[str, str], taken: str) -> None:
        """Save the further clips of a result beside the first one."""
        for place, (url, link) in enumerate(links.items(), start=1):
            path = await in_thread(clip_path, self.context.ledger.folder, record, place)
            # A file that exists was saved by an earlier kernel, and the user may have edited it.
            if url != taken and not await in_thread(path.is_file):
                await self._fetch_other(record, url, link, place)

    async def _fetch_other(self, record: JobRecord, url: str, link: str, place: int) -> None:
        """Save a further file of a result if it is a clip; skip e.g. an image."""
        for tries in range(1, _OTHER_TRIES + 1):
            try:
                await fetch_clip(self.context, self.job, record, link, accept_odd=True, place=place)
                return
            except MediaError as error:
                _log.info("job %s: %s is no clip (%s)", record.id, url, error)
            except (ServiceError, Unreachable) as error:
                _log.info("job %s: %s did not arrive (%s)", record.id, url, error)
                await self.context.sleep(poll_schedule.retry_wait_s(tries))
                link = await self._fresh_url(record, url) or link

    async def _fresh_links(self, record: JobRecord, links: Mapping[str, str]) -> dict[str, str]:
        """Return a new link to each file, including those that only the record names."""
        urls = dict(links)
        try:
            status = await self.context.client.task(record.task_id)
            named = status.urls if isinstance(status, TaskSucceeded) else ()
            urls |= {url: url for url in named if url not in urls}
        except (ServiceError, Unreachable) as error:
            _log.info("job %s: its record cannot be read (%s)", record.id, error)
        return {
            url: (await self._fresh_url(record, url) if url in links else "") or link
            for url, link in urls.items()
        }

    async def _fresh_url(self, record: JobRecord, url: str) -> str:
        """Return a new link to a file of the result; empty if there is none."""
        try:
            return await self.context.client.fresh_url(url)
        except (ServiceError, Unreachable) as error:
            _log.info("job %s: no fresh link (%s)", record.id, error)
            return ""

    def _elapsed_s(self, since: datetime) -> float:
        return (self.context.now() - since).total_seconds()
