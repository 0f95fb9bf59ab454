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
from kling_nb.media.audio_video import AudioVideoInput
from kling_nb.media.input_store import suffix_of
from kling_nb.media.inputs import Attachment
from kling_nb.storage import JobRecord, Uploads

from .background_loop import in_thread
from .job import Job

__all__ = ["InputSource", "InputUploader", "UploadLocks", "is_about_media"]

AT_ONCE: Final = 4
"""How many uploads of a request run at once."""
LIFE: Final = timedelta(hours=23)
"""How long an upload is used again. It lives for 24 h by the newer pages (source: D); the hour is
for the task that waits before the service fetches it."""

ABOUT_MEDIA: Final = re.compile(
    r"\b(media|files?|images?|videos?|audios?|pictures?|urls?)(_urls?)?\b", re.IGNORECASE
)

_log = logging.getLogger("kling_nb")


@dataclass(frozen=True, slots=True)
class InputSource:
    """One picture, video or sound of a request: checked content, or the URL that is sent as is."""

    attachment: Attachment
    url: str = ""
    origin: str = ""
    """The URL that a person gave, also where the content is uploaded all the same."""

    @property
    def content(self) -> bytes | Path:
        """What is uploaded, or the file that is."""
        given = self.attachment
        return (
            Path(given.path) if isinstance(given, AudioVideoInput) and given.path else given.content
        )


@dataclass(frozen=True, slots=True)
class UploadLocks:
    """Whose turn it is to upload a content: who wants the same one waits, and finds it there."""

    _locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = field(
        default_factory=WeakValueDictionary
    )

    def of(self, sha256: str, mime_type: str) -> asyncio.Lock:
        """The turn of one content; it is gone once nobody waits for it."""
        return self._locks.setdefault((sha256, mime_type), asyncio.Lock())


@dataclass(frozen=True, slots=True)
class InputUploader:
    """The uploads of one session.

    Args:
        client: Sends them.
        noted: What was uploaded from this folder.
        now: Gives the time, aware.
        turns: Of this session.
    """

    client: Client
    noted: Uploads
    now: Callable[[], datetime]
    turns: UploadLocks

    async def deliver(
        self, job: Job, media: Mapping[str, Sequence[InputSource]]
    ) -> dict[str, list[str]]:
        """The URLs of a request's media, uploaded where they are not at the service yet.

        Args:
            job: Told how far all of it is.
            media: What is sent, by its place in the request.

        Raises:
            KlingError: One could not be uploaded; the others were stopped.
        """
        tally = UploadProgress(job)
        slots = asyncio.Semaphore(AT_ONCE)
        try:
            async with asyncio.TaskGroup() as group:
                going = {
                    path: [
                        group.create_task(self._url_of(job, source, tally.part(source), slots))
                        for source in sources
                    ]
                    for path, sources in media.items()
                }
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return {path: [task.result() for task in tasks] for path, tasks in going.items()}

    async def forget(self, row: JobRecord) -> None:
        """Have the media of a request uploaded anew the next time: the service has lost them.

        What was not kept cannot be told from the others of the folder, which go with it then.
        """
        kept = [each for given in row.sources.values() for each in given]
        known = all(each.path for each in kept) and bool(kept)
        contents = {name for each in kept for name in _hashes(each)} if known else None
        try:
            await in_thread(self.noted.drop, self._service(row.service), contents)
        except LedgerError as error:  # they are old soon
            _log.info("uploads could not be forgotten: %s", error)

    async def _url_of(
        self, job: Job, source: InputSource, part: Part, slots: asyncio.Semaphore
    ) -> str:
        if source.url:
            return source.url
        given, service = source.attachment, self._service(_service_of(job))
        sha256 = await in_thread(lambda: given.sha256)
        async with slots, self.turns.of(sha256, given.mime_type):
            now = self.now()
            find = self.noted.find
            url = await in_thread(find, service, sha256, given.mime_type, now - LIFE, now)
            if not url:
                part.begin()
                # The same name overwrites at the service (source: D): each upload has its own.
                name = f"{job.id}-{secrets.token_hex(4)}.{suffix_of(given.mime_type)}"
                url = await self.client.upload(
                    source.content, name, given.mime_type, part.progress, sha256=sha256
                )
                await self._note(service, sha256, given.mime_type, url, now)
            part.end()
            return url

    async def _note(
        self, service: str, sha256: str, mime_type: str, url: str, at: datetime
    ) -> None:
        try:
            await in_thread(self.noted.note, service, sha256, mime_type, url, at)
            await in_thread(self.noted.prune, at - LIFE)
        except LedgerError as error:  # it is uploaded again another time, for nothing
            _log.info("an upload could not be noted: %s", error)

    def _service(self, service: str) -> str:
        """The name of a service whose uploads no other one can read."""
        host = self.client.upload_url
        return service if host == UPLOAD_URL else f"{service} {host}"


@dataclass(slots=True)
class UploadProgress:
    """How much of a request is uploaded: told as one sum, which never goes back."""

    job: Job
    _parts: list[Part] = field(default_factory=list)
    _has_begun: bool = False

    def part(self, source: InputSource) -> Part:
        """One of the uploads."""
        part = Part(self, 0 if source.url else source.attachment.size_bytes)
        self._parts.append(part)
        return part

    def tell(self, *, begins: bool = False) -> None:
        """Tell the job, once there is something to upload: what is there needs no word."""
        self._has_begun |= begins
        if self._has_begun:
            sent = sum(part.sent_bytes for part in self._parts)
            self.job.enter(Uploading(sent, sum(part.size_bytes for part in self._parts)))


@dataclass(slots=True)
class Part:
    """One upload of a request."""

    tally: UploadProgress
    size_bytes: int
    sent_bytes: int = 0

    def begin(self) -> None:
        """Its upload begins."""
        self.tally.tell(begins=True)

    def progress(self, sent: int, total: int | None) -> None:
        """So much of the message is sent; one that is sent again begins anew, and is not told."""
        share = sent / total if total else 0.0
        self._reach(round(self.size_bytes * min(share, 1.0)))

    def end(self) -> None:
        """It is at the service."""
        self._reach(self.size_bytes)

    def _reach(self, sent_bytes: int) -> None:
        if sent_bytes > self.sent_bytes:
            self.sent_bytes = sent_bytes
            self.tally.tell()


def is_about_media(text: str) -> bool:
    """Whether the service's words may mean a file that it cannot read.

    Real ones: `Your media file is unavailable, please replace it.` (source: C). A word too many
    costs an upload.
    """
    return bool(ABOUT_MEDIA.search(text))


def _hashes(negative: StoredInput) -> set[str]:
    """What a kept picture may have been uploaded as: a copy is named after its content."""
    return {Path(negative.path).stem, negative.source_sha256}


def _service_of(job: Job) -> str:
    return "emulator" if job.facts.emulated else "live"
