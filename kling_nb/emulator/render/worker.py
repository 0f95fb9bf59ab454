"""The studio: makes the clips that tasks wait for, one at a time, beside everything else.

Owns the worker thread and the cache of clips. Must not know HTTP.
"""

from __future__ import annotations

import atexit
import logging
import os
import queue
import secrets
import threading
from pathlib import Path
from typing import Literal

from kling_nb.emulator.account.tasks import Fail, Task
from kling_nb.emulator.account.uploads import Uploads
from kling_nb.emulator.models import MODELS
from kling_nb.emulator.permissions import make_file, make_folder

from .input_files import MediaUnavailable, file_at, inspect, measure
from .shot_list import Script, write_script

__all__ = ["RenderMode", "Studio"]

RenderMode = Literal["full", "canned"]
MEDIA_FAIL = Fail("422", "Your media file is unavailable, please replace it.")
INTERNAL_FAIL = Fail("500", "Internal Error, Please try again later.")
CANNED_SIZE = (64, 36)
STOP_TIMEOUT_S = 5.0
LOGGER = logging.getLogger("kling_nb.emulator")
ONE_AT_A_TIME = threading.Lock()


def start_child() -> None:
    """Free the turn in a forked child: the thread that had it does not exist there."""
    global ONE_AT_A_TIME  # noqa: PLW0603 - one for the whole process
    ONE_AT_A_TIME = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=start_child)


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
            inspect(MODELS[task.model], task.input, self.uploads)
            script = self.write_script(task)
            name = script.key(self.mode == "canned")
            self.shoot(script, self.folder / name)
        except MediaUnavailable:
            self.books.close_task(task_id, fail=MEDIA_FAIL)
        else:
            self.books.close_task(task_id, clip=name)

    def write_script(self, task: Task) -> Script:
        """What the task asks for; half its length where a fault says so."""
        return write_script(
            task.model,
            task.input,
            file_at=lambda url: file_at(url, self.uploads),
            measure=self.measure,
            share=0.5 if task.fate == "short" else 1.0,
        )

    def measure(self, url: str) -> float | None:
        """The seconds of an uploaded video or sound, or None where they cannot be known."""
        return measure(url, self.uploads)

    def shoot(self, script: Script, target: Path) -> None:
        """Render the script to its file, unless the clip is there already."""
        if target.is_file():
            return
        from .encode import frame_size, render_scenes
        from .scenes import stage

        canned = self.mode == "canned"
        scenes = stage(script, captions=not canned)
        make_folder(self.folder)
        part = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")
        make_file(part)
        try:
            render_scenes(
                scenes,
                part,
                size=CANNED_SIZE if canned else frame_size(*scenes[0].picture.size),
                sound=script.sound,
                stop=self.stopping.is_set,
            )
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
