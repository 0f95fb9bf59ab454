"""Clips are made from the right picture, or not at all, beside everything else."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kling_nb.emulator.account.account import EmulatedAccount
from kling_nb.emulator.account.tasks import Task
from kling_nb.emulator.account.uploads import Uploads
from kling_nb.emulator.render import worker
from kling_nb.emulator.render.worker import RenderWorker
from tests.support.emulator_requests import photo_of

MEDIA = ("fail", "422", "Your media file is unavailable, please replace it.")


def end_of(record: dict[str, Any]) -> tuple[str, str, str]:
    """How a task ended."""
    return record["state"], record["failCode"], record["failMsg"]


@pytest.mark.parametrize(
    "content",
    [
        b"no picture",
        b"GIF89a",
        b"\x89PNG\r\n\x1a\n",
        b"\x89PNG\r\n\x1a\n" + b"x" * 99,
        photo_of(32, 18) + bytes(10 * 1024 * 1024),
    ],
    ids=["text", "GIF", "head of a PNG", "broken PNG", "more than 10 MB"],
)
def test_an_unreadable_image_fails_the_task(local: Any, content: bytes) -> None:
    """With the real code and text (C), although the upload host takes it."""
    url = local.upload(content)["data"]["downloadUrl"]
    assert end_of(local.make(image_urls=[url], aspect_ratio=None)) == MEDIA


def test_an_expired_upload_fails_the_task(start: Any, clock: Any, photo: bytes) -> None:
    """24 hours later it is gone."""
    service = start(clock=clock)
    url = service.upload(photo)["data"]["downloadUrl"]
    clock.move(24 * 3600 + 1)
    assert end_of(service.make(image_urls=[url], aspect_ratio=None)) == MEDIA


def test_equal_orders_share_one_clip(start: Any, tmp_path: Path, photo: bytes) -> None:
    """By content, length and sound, not by name; no half-written file is left."""
    service = start(render="full")
    for name in ("a.png", "b.png"):
        url = service.upload(photo, fileName=name)["data"]["downloadUrl"]
        service.make(image_urls=[url], aspect_ratio=None)
    (clip,) = (tmp_path / "clips").iterdir()
    assert clip.suffix == ".mp4"


def test_a_fault_of_the_renderer_fails_the_task(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task does not hang; the credits come back."""
    from kling_nb.emulator.render import scenes

    def breaks(content: object, captions: bool) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(scenes, "build_scenes", breaks)
    record = service.make()
    assert end_of(record) == ("fail", "500", "Internal Error, Please try again later.")
    assert service.account.balance() == 5916


def test_two_clips_are_rendered_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By one worker; meanwhile the process renders no third one."""
    meeting = threading.Barrier(2, timeout=60)
    free: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def render(_self: RenderWorker, _task_id: str) -> None:
        meeting.wait()
        free.put(worker.RENDER_SLOTS.acquire(blocking=False))
        meeting.wait()

    monkeypatch.setattr(RenderWorker, "render", render)
    renderer = RenderWorker(Uploads(EmulatedAccount(tmp_path)), "canned")
    for task_id in ("a", "b"):
        renderer.add(cast(Task, SimpleNamespace(task_id=task_id)))
    assert [free.get(timeout=60), free.get(timeout=60)] == [False, False]
    renderer.stop()


def test_importing_the_emulator_loads_no_pictures_and_no_video() -> None:
    """Pillow and PyAV come with the first render."""
    code = "import sys, kling_nb.emulator; print({'av', 'PIL', 'uvicorn'} & set(sys.modules))"
    root = Path(__file__).parents[4]
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"
