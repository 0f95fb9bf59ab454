"""Measure the detection delay and the number of requests of polling, and polling at a rate limit.

The stand-in records when a task ends and when it first reports this to the client.
"""

from __future__ import annotations

import asyncio
import statistics
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.stand_in import serve_stand_in

from .figures import Figure, at_least, at_most
from .processes import run_fresh, wait_until_done
from .samples import DEFAULT_LIMITS, NO_LIMITS, open_live, spread

LOOP = "httpx loop, every 0.5 s"
LOOP_S = 0.5
PATIENCE_S = 90.0


@dataclass(frozen=True, slots=True)
class Load:
    """Numbers of jobs, durations of their tasks in seconds, and the limit of the service."""

    jobs: int
    first_jobs: int
    limited_jobs: int
    ends_s: tuple[float, float]
    limit: tuple[int, float]


FULL = Load(60, 12, 20, (8.0, 20.0), (20, 10.0))
SMALL = Load(5, 2, 5, (0.3, 0.6), (5, 1.0))


def measure_polling(small: bool) -> list[Figure]:
    """Measure polling and the rate limit at the same time, because both mostly wait."""
    load = SMALL if small else FULL
    with ThreadPoolExecutor() as threads:
        limited = threads.submit(measure_rate_limit, load)
        return measure_notice(load) + limited.result()


def measure_notice(load: Load) -> list[Figure]:
    """Measure 60 jobs with 20 past durations, and jobs without past durations."""
    with ThreadPoolExecutor() as threads:
        running = [
            threads.submit(measure_tasks, client, jobs, load.ends_s)
            for client, jobs in (
                (make_learnt, load.jobs),
                (make_first, load.first_jobs),
                (poll_in_loop, load.jobs),
            )
        ]
    learnt, first, loop = (each.result() for each in running)
    ends = f"ends {load.ends_s[0]:g}–{load.ends_s[1]:g} s"
    names = (f"{load.jobs} jobs, {ends}, learnt", f"first job ever, {ends}")
    figures = []
    for name, cost, goals in zip(names, (learnt, first), ((6.5, 0.5), (8, 1.5)), strict=True):
        most, latest = map(at_most, goals)
        figures += [
            Figure(f"{name}: status requests per job", cost[0], "", LOOP, loop[0], most),
            Figure(f"{name}: mean detection delay", cost[1], "s", LOOP, loop[1], latest),
        ]
    return figures


def measure_rate_limit(load: Load) -> list[Figure]:
    """Measure 20 jobs with a service that allows 20 requests of any kind in 10 s."""
    with serve_stand_in(
        "--ends", *load.ends_s, "--limit", *load.limit, "--latency", 0.05, "--fail"
    ) as service:
        done = run_fresh(make_limited, service.url, load.limited_jobs, load.ends_s)
        report = service.report()
    allowed, late_s = judge_refusals(report["refusals"], report["arrivals"])
    count, window_s = load.limit
    name = f"{count} requests in {window_s:g} s for all calls, {load.limited_jobs} jobs"
    refused = len(report["refusals"])
    return [
        Figure(f"{name}: done", done, "", "jobs", load.limited_jobs, at_least(load.limited_jobs)),
        Figure(f"{name}: avoidable 429s", refused - allowed, "", "all", refused, at_most(0)),
        Figure(f"{name}: next request after Retry-After", late_s, "s", goal=at_most(1)),
    ]


def judge_refusals(
    refusals: Sequence[Mapping[str, Any]], arrivals: Sequence[float]
) -> tuple[int, float]:
    """Return the number of unavoidable 429s, and the longest delay of a request after a window.

    A window lasts from a 429 until the time of its `Retry-After`. Unavoidable are the requests in
    flight at the first 429, and the first 429 of each later window.
    """
    allowed, window_end, late_s = 0, 0.0, 0.0
    for each in refusals:
        if each["at"] < window_end:
            continue
        allowed += 1 if allowed else each["in_flight"]
        window_end = each["retry_at"]
        next_at = min((at for at in arrivals if at >= window_end), default=window_end)
        late_s = max(late_s, next_at - window_end)
    return allowed, late_s


def measure_tasks(client: Any, jobs: int, ends_s: tuple[float, float]) -> tuple[float, float]:
    """Return the status requests per task, and the mean detection delay in seconds."""
    with serve_stand_in("--ends", *ends_s, "--fail") as service:
        run_fresh(client, service.url, jobs, ends_s)
        tasks = [each for each in service.report()["tasks"].values() if each["noticed_at"]]
    notice_s = [each["noticed_at"] - each["ends_at"] for each in tasks]
    return statistics.mean(each["polls"] for each in tasks), statistics.mean(notice_s)


def make_learnt(url: str, jobs: int, ends_s: tuple[float, float], limits: str = NO_LIMITS) -> int:
    """Submit jobs in a folder with 20 past jobs, and return how many have ended."""
    session, ended = open_live(url, spread(*ends_s), rate_limits=limits), threading.Semaphore(0)

    def make(number: int) -> None:
        session.text_to_video(f"Scene {number}").add_done_callback(lambda _: ended.release())

    threads = ThreadPoolExecutor(jobs)
    for number in range(jobs):
        threads.submit(make, number)
    return wait_until_done(jobs, ended, PATIENCE_S)


def make_limited(url: str, jobs: int, ends_s: tuple[float, float]) -> int:
    """Submit the same jobs with the default rate limits."""
    return make_learnt(url, jobs, ends_s, DEFAULT_LIMITS)


def make_first(url: str, jobs: int, _ends_s: tuple[float, float]) -> int:
    """Submit jobs, each in an empty folder."""
    ended = threading.Semaphore(0)
    for number in range(jobs):
        job = open_live(url, folder=f"clips {number}").text_to_video(f"Scene {number}")
        job.add_done_callback(lambda _: ended.release())
    return wait_until_done(jobs, ended, PATIENCE_S)


def poll_in_loop(url: str, jobs: int, _ends_s: tuple[float, float]) -> int:
    """Create tasks, and poll each at a fixed interval."""

    async def make(http: httpx.AsyncClient) -> None:
        created = await http.post("/api/v1/jobs/createTask", json={})
        task = {"taskId": created.json()["data"]["taskId"]}
        while True:
            await asyncio.sleep(LOOP_S)
            record = await http.get("/api/v1/jobs/recordInfo", params=task)
            if record.json()["data"]["state"] in ("success", "fail"):
                return

    async def make_all() -> None:
        async with httpx.AsyncClient(base_url=url) as http:
            await asyncio.gather(*(make(http) for _ in range(jobs)))

    asyncio.run(make_all())
    return jobs
