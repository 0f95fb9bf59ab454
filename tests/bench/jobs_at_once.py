"""Measure concurrent jobs: how many end in time, and their cost, compared with the OpenAI SDK.

Each client runs in its own process with its own stand-in. The clients run one after the other, but
simultaneously for the CPU time of 200 jobs. The ledger has the durations of past jobs. "Without the
clip" means that the tasks fail and there is no clip to download.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from kling_nb.core.poll_schedule import learn_schedule
from kling_nb.kie import urls
from kling_nb.media import clips
from tests.support.stand_in import serve_stand_in

from .figures import Figure, at_least, at_most
from .processes import Usage, measure_usage, peak_mb, run_fresh, wait_until_done
from .samples import open_live, spread, write_clip

SDK = "openai SDK"
THREADS = 32
CLIP_BYTES = 300_000


@dataclass(frozen=True, slots=True)
class Load:
    """Number of jobs, and durations of their tasks in seconds."""

    jobs: int
    ends_s: tuple[float, float]
    patience_s: float
    """Maximum wait for all jobs to end."""


MANY, FEW = Load(2_000, (20.0, 30.0), 90.0), Load(200, (20.0, 30.0), 90.0)
SMALL = Load(10, (0.2, 0.4), 60.0)


def measure_many(small: bool) -> list[Figure]:
    """Measure 2,000 concurrent jobs without the clip, and the same requests with httpx alone."""
    load = SMALL if small else MANY
    with TemporaryDirectory() as folder:
        bare, _ = measure_client(run_httpx, load, Path(folder), with_clip=False)
    name = f"{load.jobs:,} jobs at once, httpx alone, same requests"
    return [
        *measure_load(load, with_clip=False),
        Figure(f"{name}: time", bare["wall_s"], "s", "ideal", load.ends_s[1]),
        Figure(f"{name}: CPU per job", cpu_ms(bare), "ms"),
    ]


def measure_many_with_clips(small: bool) -> list[Figure]:
    """Measure 2,000 concurrent jobs with their clips."""
    return measure_load(SMALL if small else MANY, with_clip=True)


def measure_load(load: Load, with_clip: bool) -> list[Figure]:
    """Measure concurrent jobs, and the same load with the SDK."""
    with TemporaryDirectory() as folder:
        ours, service = measure_client(run_kling, load, Path(folder, "ours"), with_clip)
        theirs, _ = measure_sdk(load, Path(folder, "theirs"), with_clip)
    name = f"{load.jobs:,} jobs at once {'with 300 kB clips' if with_clip else 'without the clip'}"
    ideal = f"ideal: the longest task ({SDK} {theirs['wall_s']:.1f} s)" if theirs else "ideal"
    bounds = (1.6, 1.2) if with_clip else (1.15, 0.5)
    time_goal, cpu_goal = (at_most(bound, "ratio") for bound in bounds)
    peak = itemgetter("peak_mb")
    return [
        Figure(f"{name}: done", ours["done"], "", SDK, theirs.get("done"), at_least(load.jobs)),
        Figure(f"{name}: time", ours["wall_s"], "s", ideal, load.ends_s[1], time_goal),
        Figure(f"{name}: accepted", ours["accepted_s"], "s"),
        Figure(f"{name}: CPU per job", cpu_ms(ours), "ms", *beside(theirs, cpu_ms), cpu_goal),
        Figure(f"{name}: peak", peak(ours), "MB", *beside(theirs, peak), at_most(150)),
        Figure(f"{name}: CPU of the stand-in", service["cpu_s"], "s"),
    ]


def measure_cpu(small: bool) -> list[Figure]:
    """Measure the CPU time per job with 200 concurrent jobs."""
    load, figures = SMALL if small else FEW, []
    for with_clip, ratio in ((False, 0.4), (True, 1.0)):
        with TemporaryDirectory() as folder, ThreadPoolExecutor() as threads:
            ours = threads.submit(measure_client, run_kling, load, Path(folder, "ours"), with_clip)
            bare = threads.submit(measure_client, run_httpx, load, Path(folder, "bare"), with_clip)
            theirs, _ = measure_sdk(load, Path(folder, "theirs"), with_clip)
            (used, _), (least, _) = ours.result(), bare.result()
        name = f"CPU per job, {load.jobs} at once, {'with' if with_clip else 'without'} the clip"
        goal, sdk = at_most(ratio, "ratio"), beside(theirs, cpu_ms)
        figures.append(Figure(name, cpu_ms(used), "ms", *sdk, goal))
        figures.append(Figure(f"{name}: httpx alone, same requests", cpu_ms(least), "ms", *sdk))
    return [*figures, Figure("CPU to verify a 300 kB clip", verification_ms(), "ms", *sdk)]


def verification_ms() -> float:
    """Return the CPU time to verify a clip and to make its poster, in milliseconds."""
    with TemporaryDirectory() as folder:
        path = write_clip(Path(folder, "clip.mp4"), CLIP_BYTES)
        clips.probe_clip(path)  # imports PyAV
        began_s = time.process_time()
        clips.probe_clip(path)
        clips.poster(path)
        return 1000 * (time.process_time() - began_s)


def cpu_ms(figures: dict[str, Any]) -> float:
    """Return the CPU time per finished job in milliseconds."""
    return 1000 * figures["cpu_s"] / max(figures["done"], 1)


def beside(
    theirs: dict[str, Any], value: Callable[[dict[str, Any]], float]
) -> tuple[str, float | None]:
    """Return label and value of the SDK's figure, or why there is none."""
    return (SDK, value(theirs)) if theirs else (f"{SDK}: `openai` is not installed", None)


def measure_sdk(load: Load, folder: Path, with_clip: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Measure the OpenAI SDK; empty results if it is not installed."""
    if find_spec("openai") is None:
        return {}, {}
    return measure_client(run_openai, load, folder, with_clip)


def measure_client(
    client: Callable[..., dict[str, Any]], load: Load, folder: Path, with_clip: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run a client with its own stand-in; return its figures and the report of the stand-in."""
    folder.mkdir(exist_ok=True)
    clip = write_clip(folder / "clip.mp4", CLIP_BYTES) if with_clip else None
    options = ["--clip", clip] if clip else ["--fail"]
    with serve_stand_in("--ends", *load.ends_s, *options) as service:
        figures = run_fresh(client, service.url, load.jobs, load.ends_s, load.patience_s, with_clip)
        return figures, service.report()


def run_kling(
    url: str, jobs: int, ends_s: tuple[float, float], patience_s: float, _with_clip: bool
) -> dict[str, Any]:
    """Submit the jobs from threads, and wait until all have ended or until the time limit."""
    session = open_live(url, spread(*ends_s))
    ended, accepted_s = threading.Semaphore(0), [0.0] * jobs

    def make(number: int) -> None:
        job = session.text_to_video(f"Scene {number}")
        accepted_s[number] = time.time()
        job.add_done_callback(lambda _: ended.release())

    with measure_usage() as usage:
        threads = ThreadPoolExecutor(THREADS)
        for number in range(jobs):
            threads.submit(make, number)
        done = wait_until_done(jobs, ended, patience_s)
    return {
        "done": done,
        "wall_s": usage.wall_s,
        "accepted_s": max(accepted_s) - usage.began_at,
        "cpu_s": usage.cpu_s,
        "peak_mb": peak_mb(),
    }


def run_httpx(
    url: str, jobs: int, ends_s: tuple[float, float], patience_s: float, with_clip: bool
) -> dict[str, Any]:
    """Send the requests of `run_kling` with httpx alone: no ledger, no queue, no verification."""
    schedule, certificates = learn_schedule(tuple(spread(*ends_s)), 0.0), httpx.create_ssl_context()
    creating, polling = asyncio.Semaphore(20), asyncio.Semaphore(8)  # as in `kie/rate_limit`

    async def create(number: int) -> str:
        body = {"model": "m", "input": {"prompt": f"Scene {number}"}}
        client = httpx.AsyncClient(verify=certificates, trust_env=False)
        async with creating, client:  # a new connection, as `create_task` opens it
            answer = await client.post(f"{url}{urls.CREATE_PATH}", json=body)
            return str(answer.json()["data"]["taskId"])

    async def make(client: httpx.AsyncClient, number: int) -> None:
        task_id, began_s = await create(number), time.monotonic()
        task: dict[str, Any] = {"state": "waiting"}
        while task["state"] not in ("success", "fail"):
            elapsed_s = time.monotonic() - began_s
            await asyncio.sleep(schedule.delay_s(elapsed_s, jitter=number % 10 / 9))
            async with polling:
                answer = await client.get(f"{url}{urls.RECORD_PATH}", params={"taskId": task_id})
            task = answer.json()["data"]
        if with_clip:
            clip = await client.get(json.loads(task["resultJson"])["resultUrls"][0])
            await asyncio.to_thread(Path(f"{number}.mp4").write_bytes, clip.content)

    async def make_all() -> dict[str, Any]:
        async with httpx.AsyncClient(verify=certificates, trust_env=False) as client:
            with measure_usage() as usage:
                running = [asyncio.ensure_future(make(client, number)) for number in range(jobs)]
                done, _ = await asyncio.wait(running, timeout=patience_s)
        return {"done": len(done), "wall_s": usage.wall_s, "cpu_s": usage.cpu_s}

    return asyncio.run(make_all())


def run_openai(
    url: str, jobs: int, _ends_s: tuple[float, float], patience_s: float, with_clip: bool
) -> dict[str, Any]:
    """Create and poll tasks, and download the clips, as the SDK's documentation shows."""
    from openai import AsyncOpenAI

    warnings.simplefilter("ignore", DeprecationWarning)  # of the videos API
    done = 0

    async def make(client: Any, number: int) -> None:
        nonlocal done
        video = await client.videos.create(prompt=f"Scene {number}")
        await client.videos.poll(video.id)
        if with_clip:
            content = await client.videos.download_content(video.id)
            content.write_to_file(f"{number}.mp4")
        done += 1

    async def make_all() -> Usage:
        client = AsyncOpenAI(api_key="sk-none", base_url=f"{url}/v1")
        with measure_usage() as usage:
            running = [asyncio.ensure_future(make(client, number)) for number in range(jobs)]
            await asyncio.wait(running, timeout=patience_s)
        return usage

    usage = asyncio.run(make_all())
    return {
        "done": done,
        "wall_s": usage.wall_s,
        "cpu_s": usage.cpu_s,
        "peak_mb": peak_mb(),
    }
