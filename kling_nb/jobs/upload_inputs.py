"""Upload the media of a request, in parallel and each file once.

Uploading costs nothing, so a failure here never costs credits. Inputs given as URLs are not
uploaded. Whether the service can read an upload is not checked: the service reports it.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from kling_nb.core.errors import LedgerError
from kling_nb.core.job_state import Uploading
from kling_nb.core.stored_input import StoredInput
from kling_nb.kie.client import Client
from kling_nb.kie.urls import UPLOAD_URL
from kling_nb.media.input_store import suffix_of
from kling_nb.media.inputs import InputSource
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.upload_cache import UploadCache

from .background_loop import in_thread
from .job import Job

LIFE: Final = timedelta(hours=23)
"""How long an upload is reused. The service keeps it for 24 h (newer pages, source: D); one hour is
left for a task that waits before the service fetches the file."""

_ABOUT_MEDIA: Final = re.compile(
    r"\b(media|files?|images?|videos?|audios?|pictures?|urls?)(_urls?)?\b", re.IGNORECASE
)

_log = logging.getLogger("kling_nb")


@dataclass(frozen=True, slots=True)
class InputUploader:
    """The uploads of one session.

    Args:
        client: Sends them.
        cache: What was uploaded from this folder.
        now: Returns the time, aware.
    """

    client: Client
    cache: UploadCache
    now: Callable[[], datetime]
    _locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = field(
        default_factory=WeakValueDictionary
    )
    """By content: a second upload of the same bytes waits and reuses the first."""

    async def deliver(
        self, job: Job, media: Mapping[str, Sequence[InputSource]]
    ) -> dict[str, list[str]]:
        """Upload the media of a request that are not at the service yet; return their URLs.

        Args:
            job: Gets the progress.
            media: What to send, by its place in the request.

        Raises:
            KlingError: One could not be uploaded; the others were stopped.
        """
        progress = _UploadProgress(job)
        failure: Exception | None = None
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {
                    path: [
                        group.create_task(self._upload(job, source, progress.part(source)))
                        for source in sources
                    ]
                    for path, sources in media.items()
                }
        except ExceptionGroup as failures:
            failure = failures.exceptions[0]
        # Outside of the block: IPython shows the whole traceback of an error with a group as its
        # context.
        if failure is not None:
            raise failure
        return {path: [task.result() for task in each] for path, each in tasks.items()}

    async def forget(self, record: JobRecord) -> None:
        """Upload the media of a request again the next time: the service has lost them.

        If a copy of them is missing, all uploads from this folder are forgotten.
        """
        stored = [each for sources in record.sources.values() for each in sources]
        known = all(each.path for each in stored) and bool(stored)
        contents = {name for each in stored for name in _hashes(each)} if known else None
        try:
            await in_thread(self.cache.drop, self._cache_name(record.service), contents)
        except LedgerError as error:  # they soon expire
            _log.info("uploads could not be forgotten: %s", error)

    async def _upload(self, job: Job, source: InputSource, part: _Part) -> str:
        if source.url:
            return source.url
        media = source.attachment
        service = self._cache_name("emulator" if job.record.emulated else "live")
        sha256 = await in_thread(lambda: media.sha256)
        lock = self._locks.setdefault((sha256, media.mime_type), asyncio.Lock())
        async with lock:
            now = self.now()
            find = self.cache.find
            url = await in_thread(find, service, sha256, media.mime_type, now - LIFE, now)
            if not url:
                part.begin()
                # The same name overwrites at the service (source: D): each upload has its own.
                name = f"{job.id}-{secrets.token_hex(4)}.{suffix_of(media.mime_type)}"
                url = await self.client.upload(
                    source.content, name, media.mime_type, part.progress, sha256=sha256
                )
                await self._note(service, sha256, media.mime_type, url, now)
            part.end()
            return url

    async def _note(
        self, service: str, sha256: str, mime_type: str, url: str, at: datetime
    ) -> None:
        try:
            await in_thread(self.cache.note, service, sha256, mime_type, url, at)
            await in_thread(self.cache.prune, at - LIFE)
        except LedgerError as error:  # it is uploaded again next time, which costs nothing
            _log.info("an upload could not be recorded: %s", error)

    def _cache_name(self, service: str) -> str:
        """Return the name under which the cache keeps uploads to a service and host."""
        host = self.client.upload_url
        return service if host == UPLOAD_URL else f"{service} {host}"


@dataclass(slots=True)
class _UploadProgress:
    """Upload progress of a request, reported as one sum that never decreases."""

    job: Job
    _parts: list[_Part] = field(default_factory=list)
    _has_begun: bool = False

    def part(self, source: InputSource) -> _Part:
        """Add one upload."""
        part = _Part(self, 0 if source.url else source.attachment.size_bytes)
        self._parts.append(part)
        return part

    def report(self, *, begins: bool = False) -> None:
        """Report to the job, but only once there is something to upload."""
        self._has_begun |= begins
        if self._has_begun:
            sent = sum(part.sent_bytes for part in self._parts)
            self.job.enter(Uploading(sent, sum(part.size_bytes for part in self._parts)))


@dataclass(slots=True)
class _Part:
    """One upload of a request."""

    whole: _UploadProgress
    size_bytes: int
    sent_bytes: int = 0

    def begin(self) -> None:
        """Report that the upload begins."""
        self.whole.report(begins=True)

    def progress(self, sent: int, total: int | None) -> None:
        """Report how much of the message is sent; a retry, which begins at 0, is not reported."""
        share = sent / total if total else 0.0
        self._reach(round(self.size_bytes * min(share, 1.0)))

    def end(self) -> None:
        """Report that the upload is complete."""
        self._reach(self.size_bytes)

    def _reach(self, sent_bytes: int) -> None:
        if sent_bytes > self.sent_bytes:
            self.sent_bytes = sent_bytes
            self.whole.report()


def is_about_media(text: str) -> bool:
    """Return whether a text of the service may mean a file that it cannot read.

    A real one: `Your media file is unavailable, please replace it.` (source: C). A false positive
    costs an upload, and no credits.
    """
    return bool(_ABOUT_MEDIA.search(text))


def _hashes(stored: StoredInput) -> set[str]:
    """Return the hashes that a stored input may have been uploaded under.

    The name of its copy is a hash of the content.
    """
    return {Path(stored.path).stem, stored.source_sha256}
