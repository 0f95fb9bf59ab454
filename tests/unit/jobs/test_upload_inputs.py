"""`upload_inputs`: uploads run in parallel, none twice, and a failure sends nothing."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import pytest
from PIL import Image

from kling_nb.core.job_state import Stage, Uploading
from kling_nb.core.secret import Key
from kling_nb.core.stored_input import StoredInput
from kling_nb.errors import LedgerError, MediaError, NotSent
from kling_nb.jobs.background_loop import background_loop
from kling_nb.jobs.job import Job
from kling_nb.jobs.submit import submit
from kling_nb.jobs.upload_inputs import LIFE, InputSource, InputUploader, is_about_media
from kling_nb.kie.client import Client
from kling_nb.media.images import read_image
from kling_nb.models.catalog import CATALOGUE
from kling_nb.models.clip_request import ClipRequest
from kling_nb.storage.upload_cache import UploadCache
from tests.support.reels import video
from tests.support.service import SCHEDULE, UPLOAD, World


class Uploader:
    """Stands for a client: keeps who is uploading, and lets nobody pass before it may."""

    upload_url = "https://kieai.redpandaai.co"

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.stopped = 0
        self.under_way = 0
        self.may_pass = asyncio.Event()
        self.failures: list[Exception] = []

    async def upload(
        self, content: object, name: str, mime_type: str, progress: Any, sha256: str
    ) -> str:
        """Waits until it may pass, or fails."""
        self.begun.append(name)
        self.under_way += 1
        try:
            if self.failures:
                raise self.failures.pop()
            await self.may_pass.wait()
            progress(50, 100)
            progress(20, 100)
            progress(100, 100)
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        finally:
            self.under_way -= 1
        return f"https://there.example/{sha256[:8]}"


def picture(shade: int) -> InputSource:
    """A picture like no other."""
    return InputSource(read_image(Image.new("RGB", (32, 32), (shade, 0, 0))))


def deliver(
    freight: InputUploader, job: Job, given: dict[str, list[InputSource]], meanwhile: Any = None
) -> dict[str, list[str]]:
    """Upload these, with something done beside."""

    async def play() -> dict[str, list[str]]:
        going = asyncio.ensure_future(freight.deliver(job, given))
        if meanwhile is not None:
            await meanwhile()
        return await going

    return asyncio.run(play())


@pytest.fixture
def job(world: World) -> Job:
    """An intended job."""
    return world.prepare()[0]


@pytest.fixture
def uploader() -> Uploader:
    """A client whose uploads wait."""
    return Uploader()


@pytest.fixture
def freight(world: World, uploader: Uploader) -> InputUploader:
    """Freight that goes nowhere."""
    return replace(world.context.uploads, client=uploader)  # type: ignore[arg-type]


async def quiet(condition: Callable[[], bool]) -> None:
    """Let the loop come so far."""
    for _ in range(2_000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not happen")


# --- in parallel -------------------------------------------------------------------------------


def test_in_parallel(freight: InputUploader, job: Job, uploader: Uploader) -> None:
    """Whatever their places; the URLs come back in their order. The client limits how many."""
    given = {
        "image": [picture(1), picture(2)],
        "elements[0].images": [picture(shade) for shade in range(3, 7)],
    }

    async def meanwhile() -> None:
        await quiet(lambda: len(uploader.begun) == 6)
        uploader.may_pass.set()

    urls = deliver(freight, job, given, meanwhile)
    assert urls == {
        path: [f"https://there.example/{each.attachment.sha256[:8]}" for each in sources]
        for path, sources in given.items()
    }
    assert all(re.fullmatch(rf"{job.id}-[0-9a-f]{{8}}\.png", name) for name in uploader.begun)
    assert len(set(uploader.begun)) == 6


def test_one_sum_that_never_goes_back(freight: InputUploader, job: Job, uploader: Uploader) -> None:
    """Also when one is sent again: bytes of all that is uploaded, of URLs none."""
    told: list[Uploading] = []
    job.observe(lambda event: told.append(event.state))
    uploader.may_pass.set()
    given = [picture(1), picture(2), InputSource(picture(3).attachment, "https://my.example/")]
    deliver(freight, job, {"image": given})
    total = sum(each.attachment.size_bytes for each in given[:2])
    assert {each.total_bytes for each in told} == {total}
    sent = [each.sent_bytes for each in told]
    assert sent == sorted(sent)
    assert (sent[0], sent[-1]) == (0, total)


def test_one_failure_stops_the_others(freight: InputUploader, job: Job, uploader: Uploader) -> None:
    """And is told as it is."""
    uploader.failures = [NotSent("down")]
    with pytest.raises(NotSent, match=r"^down$"):
        deliver(freight, job, {"image": [picture(shade) for shade in range(3)]})
    assert uploader.under_way == 0
    assert uploader.stopped == len(uploader.begun) - 1


def test_a_failed_upload_sends_nothing(world: World, photo: bytes, tmp_path: Path) -> None:
    """The job is discarded and may be run again."""
    path = tmp_path / "walk.mp4"
    path.write_bytes(video())
    spec = CATALOGUE["kling-2.6/motion-control"]
    image = Image.new("RGB", (400, 400), "red")
    job, prepared = world.intend(ClipRequest(spec, {"image": image, "video": path}))
    path.write_bytes(video(shade=10))
    with pytest.raises(MediaError, match="changed before it was uploaded"):
        asyncio.run(submit(world.context, job, prepared, SCHEDULE))
    assert world.ledger.row(job.id).stage is Stage.DISCARDED
    assert world.account.count_tasks() == 0


# --- none twice --------------------------------------------------------------------------------


def test_what_is_there_is_not_uploaded_again(
    freight: InputUploader, job: Job, uploader: Uploader, world: World
) -> None:
    """For 23 hours, and in every session; nothing is told then."""
    uploader.may_pass.set()
    first = deliver(freight, job, {"image": [picture(1)]})
    world.clock.move(LIFE.total_seconds())
    told: list[object] = []
    job.observe(lambda event: told.append(event.state))
    other = replace(freight, cache=UploadCache(world.ledger.folder), _locks=WeakValueDictionary())
    assert deliver(other, job, {"image": [picture(1)]}) == first
    assert (len(uploader.begun), told) == (1, [])
    world.clock.move(1)
    deliver(freight, job, {"image": [picture(1)]})
    assert len(uploader.begun) == 2
    assert timedelta(hours=24) - LIFE >= timedelta(minutes=30)


def test_what_is_old_is_not_kept(
    freight: InputUploader, job: Job, uploader: Uploader, world: World
) -> None:
    """Else the ledger would have a row for each picture there ever was."""
    uploader.may_pass.set()
    for shade in (1, 2):
        deliver(freight, job, {"image": [picture(shade)]})
        world.clock.move(LIFE.total_seconds() + 1)
    with world.ledger._reading() as jobs:
        assert len(jobs.connection.execute("SELECT * FROM uploads").fetchall()) == 1


def test_the_same_twice_at_once(freight: InputUploader, job: Job, uploader: Uploader) -> None:
    """In one request and in two jobs: one uploads, the others wait for it."""

    async def meanwhile() -> None:
        second = asyncio.ensure_future(freight.deliver(job, {"image": [picture(1)]}))
        await quiet(lambda: bool(uploader.begun))
        uploader.may_pass.set()
        assert len(set((await second)["image"])) == 1

    urls = deliver(freight, job, {"image": [picture(1), picture(1)]}, meanwhile)
    assert len(set(urls["image"])) == len(uploader.begun) == 1


def test_who_waited_for_a_failure_uploads(
    freight: InputUploader, job: Job, uploader: Uploader
) -> None:
    """Another's failure is none of its own."""
    uploader.failures = [NotSent("down")]
    uploader.may_pass.set()

    async def play() -> tuple[Any, Any]:
        both = [freight.deliver(job, {"image": [picture(1)]}) for _ in range(2)]
        first, second = await asyncio.gather(*both, return_exceptions=True)
        return first, second

    outcomes = asyncio.run(play())
    assert [type(each) for each in outcomes].count(NotSent) == 1
    assert len(uploader.begun) == 2


def test_services_are_not_mixed(
    freight: InputUploader, job: Job, uploader: Uploader, world: World
) -> None:
    """Neither live and emulated ones, nor two hosts."""
    uploader.may_pass.set()
    deliver(freight, job, {"image": [picture(1)]})
    uploader.upload_url = "http://127.0.0.1:8787"
    deliver(freight, job, {"image": [picture(1)]})
    live = Job(replace(job.record, service="live"), job.state, background_loop())
    deliver(freight, live, {"image": [picture(1)]})
    assert len(uploader.begun) == 3
    with world.ledger._reading() as jobs:
        found = {row["service"] for row in jobs.connection.execute("SELECT service FROM uploads")}
    assert found == {"emulator", "emulator http://127.0.0.1:8787", "live http://127.0.0.1:8787"}


def test_an_upload_that_cannot_be_noted_is_one(
    freight: InputUploader, job: Job, uploader: Uploader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No request fails for want of a note."""

    def fail(*args: object) -> None:
        raise LedgerError("full")

    monkeypatch.setattr(UploadCache, "note", fail)
    uploader.may_pass.set()
    assert deliver(freight, job, {"image": [picture(1)]})["image"]


# --- lost at the service -----------------------------------------------------------------------


def test_a_task_that_fails_for_its_media_has_them_uploaded_anew(
    open_session: Callable[..., Any], photo: bytes
) -> None:
    """In the next run; any other failure leaves the upload where it is."""
    session = open_session()
    account = session.emulator.account
    for fault, uploads in (("fail-internal", 1), ("fail-media", 1), ("fail-internal", 2)):
        account.inject(fault)
        assert session.image_to_video(photo, "A red fox").exception(30) is not None
        assert account.requests(UPLOAD) == uploads
    session.image_to_video(photo, "A red fox").result(30)
    assert account.requests(UPLOAD) == 2


@pytest.mark.parametrize(
    ("path", "left"),
    [(f"/clips/pictures/{'cd' * 32}.png", 1), ("", 0)],
)
def test_what_was_not_kept_takes_all_with_it(
    path: str, left: int, world: World, freight: InputUploader, job: Job
) -> None:
    """Nothing tells then as what it was uploaded; that costs uploads, and no credits."""
    for content in ("ab", "cd", "ef"):
        freight.cache.note("emulator", content * 32, "image/png", "https://u/", world.clock())
    row = world.ledger.row(job.id)
    kept = StoredInput("ab" * 32, "fox.png", "image/png", path)
    asyncio.run(freight.forget(replace(row, sources={"image": (kept,)})))
    since = world.clock() - LIFE
    found = [
        freight.cache.find("emulator", content * 32, "image/png", since, world.clock())
        for content in ("ab", "cd", "ef")
    ]
    assert len(list(filter(None, found))) == left


@pytest.mark.parametrize(
    ("text", "is_it"),
    [
        ("Your media file is unavailable, please replace it.", True),
        ("image_urls: not reachable", True),
        ("The video could not be decoded", True),
        ("prompt is too long", False),
        ("Internal Error, Please try again later.", False),
    ],
)
def test_words_that_may_mean_a_file(text: str, is_it: bool) -> None:
    """A word too many costs an upload."""
    assert is_about_media(text) is is_it


def test_the_clients_own_upload_is_used(world: World, job: Job) -> None:
    """With the file's content and type."""
    urls = deliver(world.context.uploads, job, {"image": [picture(1)]})
    assert world.account.requests(UPLOAD) == 1
    assert urls["image"][0].endswith(".png")
    assert Client(Key("k"), upload_url="http://127.0.0.1:1/").upload_url == "http://127.0.0.1:1"
