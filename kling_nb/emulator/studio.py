"""The studio: makes the clips that tasks wait for, one at a time, beside everything else.

Owns the worker thread and the cache of clips. Must not know HTTP.
"""

from __future__ import annotations

import atexit
import hashlib
import logging
import queue
import secrets
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from kling_nb.emulator.hosts import own_upload_path
from kling_nb.emulator.tasks import Fail, Task
from kling_nb.emulator.uploads import Uploads

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["RenderMode", "Studio"]

RenderMode = Literal["full", "canned"]
PICTURE_LIMIT_BYTES = 10 * 1024 * 1024
MEDIA_FAIL = Fail("422", "Your media file is unavailable, please replace it.")
INTERNAL_FAIL = Fail("500", "Internal Error, Please try again later.")
CANNED_SIZE = (64, 36)
STOP_TIMEOUT_S = 5.0
LOGGER = logging.getLogger("kling_nb.emulator")
ONE_AT_A_TIME = threading.Lock()


class MediaUnavailable(Exception):
    """The task's picture has expired, is too large, or cannot be read."""


@dataclass(frozen=True, slots=True)
class Script:
    """What a clip is to show."""

    picture: bytes | None
    """An upload's bytes, or None where words are drawn."""
    words: str
    aspect_ratio: str
    """Empty for the notice in place of a picture that is not ours."""
    length_s: float
    sound: bool

    def key(self, mode: RenderMode) -> str:
        """The name under which the clip is kept: equal scripts share one."""
        shape = f"{self.length_s:g}-{'sound' if self.sound else 'silent'}"
        if mode == "canned":
            return f"canned-{shape}.mp4"
        shown = self.picture or f"{self.aspect_ratio}\n{self.words}".encode()
        return f"{hashlib.sha256(shown).hexdigest()[:32]}-{shape}.mp4"


class Studio:
    """Makes clips in a thread of its own; a task is never made twice at the same time."""

    def __init__(self, uploads: Uploads, mode: RenderMode) -> None:
        """Use the uploads' books; `mode` canned makes one tiny clip for each length and sound."""
        self.uploads = uploads
        self.books = uploads.books
        self.mode = mode
        self.folder = self.books.folder / "clips"
        self.orders: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.pending: set[str] = set()
        self.guard = threading.Lock()
        self.stopping = threading.Event()
        self.worker: threading.Thread | None = None

    def order(self, task: Task) -> None:
        """Have the task's clip made, unless that is under way here."""
        with self.guard:
            if task.task_id in self.pending:
                return
            self.pending.add(task.task_id)
            self.orders.put(task.task_id)
            if self.worker is None:
                self.worker = threading.Thread(
                    target=self.work, name="kling emulator render", daemon=True
                )
                self.worker.start()
                atexit.register(self.stop)

    def file_of(self, task: Task) -> Path | None:
        """The task's clip on disk, or None where it is missing."""
        path = self.folder / task.clip
        return path if task.clip and path.is_file() else None

    def stop(self) -> None:
        """Give up the current clip at its next frame; a later order makes it anew."""
        atexit.unregister(self.stop)
        self.stopping.set()
        self.orders.put("")
        if self.worker is not None:
            self.worker.join(STOP_TIMEOUT_S)

    def work(self) -> None:
        """Make what is ordered, in turn, until told to stop."""
        while not self.stopping.is_set():
            task_id = self.orders.get()
            try:
                with ONE_AT_A_TIME:
                    # Stopped meanwhile: the folder may be gone already.
                    if not self.stopping.is_set():
                        self.make(task_id)
            except Exception:
                if not self.stopping.is_set():
                    LOGGER.exception("emulator: the clip of task %s could not be made", task_id)
                    self.books.close_task(task_id, fail=INTERNAL_FAIL)
            with self.guard:
                self.pending.discard(task_id)

    def make(self, task_id: str) -> None:
        """Make one task's clip, or note why that cannot be."""
        task = self.books.task(task_id)
        if task is None:
            return
        try:
            script = self.write_script(task)
            name = script.key(self.mode)
            self.shoot(script, self.folder / name)
        except MediaUnavailable:
            self.books.close_task(task_id, fail=MEDIA_FAIL)
        else:
            self.books.close_task(task_id, clip=name)

    def write_script(self, task: Task) -> Script:
        """What the task asks for; half its length where a fault says so."""
        values = task.input
        urls = values.get("image_urls")
        length_s = float(str(values["duration"])) / (2 if task.fate == "short" else 1)
        url = str(urls[0]) if isinstance(urls, list) else ""
        picture = self.read_picture(url) if url else None
        return Script(
            picture=picture,
            words=url or str(values["prompt"]),
            aspect_ratio=str(values.get("aspect_ratio", "")),
            length_s=length_s,
            sound=bool(values["sound"]),
        )

    def read_picture(self, url: str) -> bytes | None:
        """The bytes of an upload of ours; None for any other URL, which is never fetched.

        Raises:
            MediaUnavailable: the upload has expired or is above 10 MB (D).
        """
        path = own_upload_path(url)
        upload = self.uploads.find(path) if path else None
        if upload is None:
            return None
        if upload.expired or upload.size_bytes > PICTURE_LIMIT_BYTES:
            raise MediaUnavailable
        return self.uploads.file_of(upload).read_bytes()

    def shoot(self, script: Script, target: Path) -> None:
        """Render the script to its file, unless the clip is there already."""
        from kling_nb.emulator.render import frame_size, render_clip

        if target.is_file() and (self.mode == "full" or script.picture is None):
            return
        # A canned clip stands for any picture, but only for one that can be read.
        picture = stage(script)
        if target.is_file():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")
        try:
            render_clip(
                picture,
                part,
                size=CANNED_SIZE if self.mode == "canned" else frame_size(*picture.size),
                length_s=script.length_s,
                sound=script.sound,
                stop=self.stopping.is_set,
            )
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)


def stage(script: Script) -> Image.Image:
    """The picture that the camera will see.

    Raises:
        MediaUnavailable: the upload cannot be read as a picture.
    """
    from kling_nb.emulator.pictures import (
        UnreadablePicture,
        draw_notice,
        draw_scene,
        open_picture,
    )

    if script.picture is None:
        if script.aspect_ratio:
            return draw_scene(script.words, script.aspect_ratio)
        return draw_notice(script.words)
    try:
        return open_picture(script.picture)
    except UnreadablePicture as error:
        raise MediaUnavailable from error
