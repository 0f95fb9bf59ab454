"""Measure the emulator: the time for concurrent clips, and the latency of a served emulator."""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from PIL import Image

from tests.support.service import KEY, RECORD, serve
from tests.support.stand_in import serve_stand_in

from .figures import Figure, at_most
from .processes import measure_usage, run_fresh

CLIPS = 10
PATIENCE_S = 120.0


def measure_clips(small: bool) -> list[Figure]:
    """Measure ten concurrent clips of 8 s each."""
    clips, seconds = (1, 0.1) if small else (CLIPS, 8.0)
    wall_s, cpu_s = run_fresh(make_clips, clips, seconds)
    name = f"emulator: {clips} clips at once, {seconds:g} s each"
    return [
        Figure(name, wall_s, "s", "the set time", seconds, at_most(13)),
        Figure(f"{name}: CPU per clip", cpu_s / clips, "s"),
    ]


def make_clips(clips: int, seconds: float) -> tuple[float, float]:
    """Make clips from a 720p image; return the wall time and the CPU time in seconds."""
    from kling_nb import Session

    session = Session(
        mode="emulator",
        folder=Path("clips").absolute(),
        emulator_seconds=seconds,
        rate_limits="create=999999/1,status=999999/1",
    )
    image = Image.effect_noise((1280, 720), 80).convert("RGB")
    with measure_usage() as usage, ThreadPoolExecutor(clips) as threads:
        made = list(threads.map(lambda n: session.image_to_video(image, f"{n}"), range(clips)))
        for job in made:
            job.result(PATIENCE_S)
    return usage.wall_s, usage.cpu_s


def measure_answer(small: bool) -> list[Figure]:
    """Measure the latency of a served emulator on a kept-alive connection."""
    answers = 5 if small else 200
    with TemporaryDirectory() as place, serve(Path(place)) as emulator:
        emulator_ms = answer_ms(emulator.url, answers)
    with serve_stand_in() as stand_in:
        stand_in_ms = answer_ms(stand_in.url, answers)
    return [
        Figure(
            "emulator served: one answer",
            emulator_ms,
            "ms",
            "the stand-in",
            stand_in_ms,
            at_most(3),
        ),
    ]


def answer_ms(url: str, answers: int) -> float:
    """Return the median latency of a status request in milliseconds."""
    body = {
        "model": "kling-2.6/text-to-video",
        "input": {
            "prompt": "A red fox",
            "sound": False,
            "duration": "5",
            "aspect_ratio": "16:9",
        },
    }
    headers, times_s = {"Authorization": f"Bearer {KEY}"}, []
    with httpx.Client(base_url=url, headers=headers) as http:
        created = http.post("/api/v1/jobs/createTask", json=body).json()
        for _ in range(answers):
            begun = time.perf_counter()
            http.get(RECORD, params={"taskId": created["data"]["taskId"]}).raise_for_status()
            times_s.append(time.perf_counter() - begun)
    return 1000 * statistics.median(times_s)
