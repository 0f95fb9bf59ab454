"""A result of several files: each is tried in turn, each clip is saved, none is lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from kling_nb.core.job_state import Downloading, Expired, Saved, Stage
from kling_nb.display.html import render_record, render_text
from kling_nb.jobs.clip_files import stray_clips
from kling_nb.jobs.job import Job
from kling_nb.jobs.poller import Poller
from tests.support.html_states import NOW
from tests.support.service import RECORD, SCHEDULE, World

DOWNLOAD_URL = "/api/v1/common/download-url"
COVER, FIRST, SECOND = ("https://tempfile.aiquickdraw.com/k/" + name for name in ("a", "b", "c"))


class Result(httpx.AsyncBaseTransport):
    """Answers recordInfo with a result, and gives out its files; passes on everything else."""

    def __init__(self, behind: httpx.AsyncBaseTransport, files: dict[str, bytes | int]) -> None:
        self.behind = behind
        self.files = files
        """The content of each file by its URL, or the HTTP status in its place; -1 is no host."""
        self.listen: Callable[[httpx.Request], object] = lambda _: None
        self.fetched: list[str] = []
        self.record: object = {"resultJson": json.dumps({"resultUrls": list(files)})}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer for the task and its files."""
        if request.url.path == RECORD and isinstance(self.record, dict):
            data = {"state": "success", "creditsConsumed": 55, **self.record}
            return httpx.Response(200, json={"code": 200, "msg": "success", "data": data})
        if request.url.path == RECORD:
            return httpx.Response(502)
        if request.url.path == DOWNLOAD_URL:
            return httpx.Response(200, json={"code": 422, "msg": "url is wrong", "data": None})
        url = str(request.url)
        if url not in self.files:
            return await self.behind.handle_async_request(request)
        self.fetched.append(url)
        self.listen(request)
        given = self.files[url]
        if given == -1:
            raise httpx.ConnectError("no route")
        return (
            httpx.Response(given) if isinstance(given, int) else httpx.Response(200, content=given)
        )


Put = Callable[..., Result]
Clips = dict[str, bytes]


@pytest.fixture
def clips(tmp_path: Path) -> Clips:
    """Two small clips, of 5 s as asked for and of 1 s, and an image."""
    from PIL import Image

    from kling_nb.emulator.render.encode import render_clip

    made = {}
    for name, length_s, colour in (("long", 5.0, "navy"), ("short", 1.0, "teal")):
        path = tmp_path / f"{name}.mp4"
        picture = Image.new("RGB", (64, 36), colour)
        render_clip(picture, path, size=(64, 36), length_s=length_s, sound=False, stop=bool)
        made[name] = path.read_bytes()
    return made | {"cover": b"\xff\xd8\xff" + b"no clip" * 40}


@pytest.fixture
def result(world: World) -> Put:
    """Let the task of the world have these files."""

    def put(files: dict[str, bytes | int]) -> Result:
        found = Result(world.wire, files)
        context = replace(world.context, client=world.client(found))
        world.context = replace(context, clips=type(context.clips)(transport=found))
        return found

    return put


def made(world: World) -> Job:
    """A new job that was followed to its end."""
    job = world.submit()
    world.follow(job)
    return job


def follow(world: World, job: Job) -> Job:
    """Follow a job as the next kernel would, by its row alone."""
    again = world.handle(world.ledger.row(job.id))
    world.follow(again)
    return again


def test_the_whole_way_with_the_emulator(world: World) -> None:
    """A cover first, then two clips: both are on disk, and the card names all."""
    world.account.inject("several-files")
    job = made(world)
    clip, row = job.result(0), world.ledger.row(job.id)
    assert clip.path.name == f"20261120-red-fox-{job.id}.mp4"
    assert [other.name for other in clip.others] == [f"20261120-red-fox-{job.id}-3.mp4"]
    assert all(other.is_file() for other in clip.others)
    assert world.files() == [clip.others[0].name, clip.path.name]
    assert (clip.url, len(row.result_urls)) == (row.result_urls[1], 3)
    state = job.state
    assert isinstance(state, Saved)
    assert state.other_urls == row.result_urls[:1]
    for shown in (
        render_record(job.record, state, now=NOW),
        render_text(job.record, state, now=NOW),
    ):
        assert clip.others[0].name in shown
        assert row.result_urls[0] in shown
    assert world.account.count_tasks() == 1


def test_what_is_fetched_is_judged_by_its_content(world: World, result: Put, clips: Clips) -> None:
    """Whatever its place and name: an image is no clip, and a file that is gone is none."""
    result({COVER: clips["cover"], SECOND: 404, FIRST: clips["long"]})
    job = made(world)
    row = world.ledger.row(job.id)
    assert (row.stage, row.result_url) == (Stage.SAVED, FIRST)
    assert job.result(0).others == ()
    assert isinstance(job.state, Saved)
    assert job.state.other_urls == (COVER, SECOND)


def test_a_clip_of_the_asked_length_goes_before(world: World, result: Put, clips: Clips) -> None:
    """A shorter one that comes first is saved beside it."""
    result({FIRST: clips["short"], SECOND: clips["long"]})
    job = made(world)
    clip = job.result(0)
    assert clip.duration_s == pytest.approx(5, abs=0.2)
    assert clip.path.read_bytes() == clips["long"]
    assert [other.read_bytes() for other in clip.others] == [clips["short"]]
    assert world.waits.count(1.0) <= 1


def test_a_clip_of_another_length_is_kept_where_it_is_the_only_one(
    world: World, result: Put, clips: Clips
) -> None:
    """An image before it does not make it a result that is gone."""
    result({COVER: clips["cover"], FIRST: clips["short"]})
    job = made(world)
    assert job.result(0).path.read_bytes() == clips["short"]


def test_an_unreachable_host_is_tried_again(world: World, result: Put, clips: Clips) -> None:
    """Another file that is gone does not end the job while the clip may still come."""
    found = result({COVER: 404, FIRST: -1})
    job = world.submit()

    def come(_request: httpx.Request) -> None:
        if found.fetched.count(FIRST) == 20:
            found.files[FIRST] = clips["long"]

    found.listen = come
    world.follow(job)
    assert job.result(0).path.read_bytes() == clips["long"]


def test_a_kernel_that_dies_before_the_download(world: World, result: Put, clips: Clips) -> None:
    """The ledger has every URL: the next kernel fetches all, though the record is gone."""
    found = result({COVER: clips["cover"], FIRST: clips["long"], SECOND: clips["short"]})
    job = world.submit()

    async def die() -> None:
        going = asyncio.ensure_future(Poller(world.context, job, SCHEDULE).run())
        arrived = asyncio.Event()
        job.observe(lambda e: arrived.set() if isinstance(e.state, Downloading) else None)
        await arrived.wait()
        going.cancel()
        await asyncio.wait([going])

    asyncio.run(die())
    assert world.ledger.row(job.id).stage is Stage.SUCCEEDED
    found.record = None
    clip = follow(world, job).result(0)
    assert clip.path.read_bytes() == clips["long"]
    assert [other.read_bytes() for other in clip.others] == [clips["short"]]


def test_a_job_of_an_earlier_version(world: World, result: Put, clips: Clips) -> None:
    """Its row has one URL, that of an image, for which it was given up; resuming asks again."""
    found = result({COVER: clips["cover"]})
    job = made(world)
    assert isinstance(job.state, Expired)
    world.ledger.advance(job.id, Stage.SUCCEEDED)
    world.ledger.note(job.id, result_urls=())
    found.files[FIRST] = clips["long"]
    found.record = {"resultJson": json.dumps({"resultUrls": [COVER, FIRST]})}
    assert follow(world, job).result(0).path.read_bytes() == clips["long"]


def test_a_late_further_clip_is_requested_again(world: World, result: Put, clips: Clips) -> None:
    """A further file is retried a few times; the card names a missing one; the clip is saved."""
    found = result({FIRST: clips["long"], SECOND: 503})
    job = made(world)
    assert found.fetched.count(SECOND) == 3
    assert isinstance(job.state, Saved)
    assert job.state.other_urls == (SECOND,)
    assert job.result(0).others == ()


def test_a_saved_further_clip_is_not_replaced(world: World, result: Put, clips: Clips) -> None:
    """When the clip itself is fetched again; a person may have edited the other one."""
    result({FIRST: clips["long"], SECOND: clips["short"]})
    job = made(world)
    clip = job.result(0)
    clip.path.unlink()
    clip.others[0].write_bytes(b"edited")
    world.ledger.advance(job.id, Stage.SUCCEEDED)
    again = follow(world, job).result(0)
    assert again.path.read_bytes() == clips["long"]
    assert again.others[0].read_bytes() == b"edited"


@pytest.mark.parametrize("is_recorded", [True, False])
def test_a_clip_of_an_earlier_version_keeps_its_name(
    world: World, result: Put, clips: Clips, is_recorded: bool
) -> None:
    """When it is fetched again, also if that version ended before it recorded the file."""
    result({FIRST: clips["long"], SECOND: clips["short"]})
    job = made(world)
    clip = job.result(0)
    old = clip.path.rename(clip.path.with_name(f"20261120-120000-{job.id}.mp4"))
    clip.others[0].unlink()
    facts = replace(clip.facts, path=str(old)) if is_recorded else None
    world.ledger.advance(job.id, Stage.SUCCEEDED, clip=facts)
    again = follow(world, job).result(0)
    assert again.path == old
    assert world.files() == [f"{old.stem}-2.mp4", old.name]


def test_a_further_clip_belongs_to_its_job(world: World) -> None:
    """It is no stray one as long as the ledger knows the job."""
    world.account.inject("several-files")
    job = made(world)
    assert stray_clips(world.ledger.folder, {job.id}) == []
    assert len(stray_clips(world.ledger.folder, set())) == 2


def test_what_a_result_names_is_shown_as_text(world: World) -> None:
    """A URL of the service is no markup."""
    job = made(world)
    assert isinstance(job.state, Saved)
    state = replace(job.state, other_urls=("https://a.example/<script>alert(1)</script>",))
    card = render_record(job.record, state, now=NOW)
    assert "<script>" not in card
    assert "https://a.example/&lt;script&gt;" in card
