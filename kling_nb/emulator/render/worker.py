"""Render the clips of tasks in worker threads, two at a time, and cache them on disk."""

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

from .input_files import MediaUnavailable, check_files, file_at, measure
from .shot_list import ShotList, read_shot_list

RenderMode = Literal["full", "canned"]
_MEDIA_FAIL = Fail("422", "Your media file is unavailable, please replace it.")
_INTERNAL_FAIL = Fail("500", "Internal Error, Please try again later.")
_CANNED_SIZE = (64, 36)
_STOP_TIMEOUT_S = 5.0
_LOGGER = logging.getLogger("kling_nb.emulator")
_THREADS = 2
RENDER_SLOTS = threading.BoundedSemaphore(_THREADS)


def _start_child() -> None:
    """Replace the slots in a forked child, which does not have the threads that hold them."""
    global RENDER_SLOTS  # noqa: PLW0603 - one for the whole process
    RENDER_SLOTS = threading.BoundedSemaphore(_THREADS)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_child)


class RenderWorker:
    """Renders clips in its own threads; never renders a task twice at the same time."""

    def __init__(self, uploads: Uploads, mode: RenderMode) -> None:
        """Use the account of the uploads; "canned" renders one tiny clip per duration and sound."""
        self.uploads = uploads
        self.account = uploads.account
        self.mode = mode
        self.folder = self.account.folder / "clips"
        self.tasks: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.pending: set[str] = set()
        self.guard = threading.Lock()
        self.stopping = threading.Event()
        self.workers: list[threading.Thread] = []

    def add(self, task: Task) -> None:
        """Render the clip of a task, unless this worker already does."""
        with self.guard:
            if task.task_id in self.pending:
                return
            self.pending.add(task.task_id)
            self.tasks.put(task.task_id)
            if not self.workers:
                atexit.register(self.stop)
            if len(self.workers) < _THREADS:
                worker = threading.Thread(
                    target=self.run, name="kling emulator render", daemon=True
                )
                self.workers.append(worker)
                worker.start()

    def file_of(self, task: Task) -> Path | None:
        """Return the clip of a task on disk, or None."""
        path = self.folder / task.clip
        return path if task.clip and path.is_file() else None

    def stop(self) -> None:
        """Stop at the next frame of each current clip; another emulator renders the clips again."""
        atexit.unregister(self.stop)
        self.stopping.set()
        for _ in self.workers:
            self.tasks.put("")
        for worker in self.workers:
            worker.join(_STOP_TIMEOUT_S)

    def run(self) -> None:
        """Render queued tasks in order until `stop`."""
        while not self.stopping.is_set():
            task_id = self.tasks.get()
            try:
                with RENDER_SLOTS:
                    # After a stop the folder may no longer exist.
                    if not self.stopping.is_set():
                        self.render(task_id)
            except Exception:
                if not self.stopping.is_set():
                    _LOGGER.exception("emulator: the clip of task %s cannot be rendered", task_id)
                    self.account.close_task(task_id, fail=_INTERNAL_FAIL)
            with self.guard:
                self.pending.discard(task_id)

    def render(self, task_id: str) -> None:
        """Render the clip of a task, or store its failure."""
        task = self.account.task(task_id)
        if task is None:
            return
        try:
            check_files(MODELS[task.model], task.input, self.uploads)
            content = read_shot_list(
                task.model,
                task.input,
                file_at=lambda url: file_at(url, self.uploads),
                measure=self.measure,
                share=0.5 if task.fate == "short" else 1.0,
            )
            name = content.file_name(self.mode == "canned")
            self.render_file(content, self.folder / name)
        except MediaUnavailable:
            self.account.close_task(task_id, fail=_MEDIA_FAIL)
        else:
            self.account.close_task(task_id, clip=name)

    def measure(self, url: str) -> float | None:
        """Return the seconds of an uploaded video or audio, or None if they are unknown."""
        return measure(url, self.uploads)

    def render_file(self, content: ShotList, target: Path) -> None:
        """Render a shot list to a file, unless the file exists."""
        if target.is_file():
            return
        from .encode import frame_size, render_scenes
        from .scenes import build_scenes

        canned = self.mode == "canned"
        scenes = build_scenes(content, captions=not canned)
        size = frame_size(*scenes[0].image.size, large=content.large)
        make_folder(self.folder)
        part = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")
        make_file(part)
        try:
            render_scenes(
                scenes,
                part,
                size=_CANNED_SIZE if canned else size,
                sound=content.sound,
                stop=self.stopping.is_set,
            )
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
