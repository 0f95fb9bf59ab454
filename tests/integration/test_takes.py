"""What `takes` promises: another result of the same request, exactly one for each call."""

from __future__ import annotations

import asyncio
import io
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from kling_nb.core.job_state import BLOCKING, Refused, Stage, Unknown, Waiting
from kling_nb.core.stored_input import StoredInput
from kling_nb.emulator import EmulatedAccount
from kling_nb.errors import (
    AlreadyPaid,
    BudgetExceeded,
    InvalidInput,
    KlingError,
    LedgerError,
    MediaError,
)
from kling_nb.jobs.job import Job
from kling_nb.jobs.session import Session
from kling_nb.jobs.takes import candidate_takes, check_repeatable, has_inputs, request_of
from kling_nb.kie.http import Downloader
from kling_nb.models.catalog import IMAGE_TO_VIDEO, TEXT_TO_VIDEO
from kling_nb.models.cell import read_cell
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.user_index import UserIndex
from tests.support.callback_receivers import wait_until
from tests.support.reels import video
from tests.support.service import CREATE, UPLOAD, LiveAccount, Open, emulated_account

PATIENCE_S = 30.0
SLOW_S = 600.0
"""An emulated clip that does not end during a test."""
URL = "https://pictures.example/fox.png"
AT = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def fox(tmp_path: Path, photo: bytes) -> Path:
    """An image on disk, outside the folder of clips."""
    path = tmp_path / "my fox.png"
    path.write_bytes(photo)
    return path


def run_cell(session: Session, text: str) -> Job:
    """What a `%%kling` cell with this text does."""
    line, _, body = text.removeprefix("%%kling").partition("\n")
    cell = read_cell(line, body, {})
    return session.generate(cell.spec.name, take=cell.take, **cell.values)


def takes_of(session: Session) -> list[int]:
    """The takes in the ledger, newest first."""
    return [row.take for row in session.jobs(limit=-1)]


def web(session: Session, *answers: httpx.Response) -> None:
    """Let the session's images come from a web that answers once with each of these."""
    waiting = list(answers)

    def respond(request: httpx.Request) -> httpx.Response:
        return waiting.pop(0) if waiting else httpx.Response(404)

    downloads = Downloader(transport=httpx.MockTransport(respond))
    object.__setattr__(session._context, "inputs", downloads)


def row_of(stage: Stage = Stage.SAVED, **given: Any) -> JobRecord:
    """A row of the ledger."""
    usual = {
        "id": "1a2b3c4d", "stage": stage, "owner": "", "fingerprint": "cd" * 32,
        "service": "emulator", "model": IMAGE_TO_VIDEO.name, "take": 2, "price_credits": 110,
        "values": {"prompt": "A red fox", "image": "fox.png", "duration": "5", "sound": True},
        "cell": "%%kling --image 'my fox.png' --sound --take 2\nA red fox", "task_id": "t",
        "created_at": AT, "updated_at": AT, "sent_at": AT, "accepted_at": AT, "finished_at": AT,
        "balance_before": None, "balance_after": None, "credits": None, "reason": "", "code": "",
        "result_url": "", "clip": None, "callback_url": "https://my.example/",
    }  # fmt: skip
    return JobRecord(**(usual | given))


def kept_in(folder: Path, name: str = "kept.png") -> StoredInput:
    """An image with its copy."""
    (folder / name).write_bytes(b"content")
    return StoredInput("ab" * 32, "fox.png", "image/png", str(folder / name))


# --- what is asked for -------------------------------------------------------------------------


def test_the_request_of_a_row(tmp_path: Path) -> None:
    """Values, take, callback, and the image as it was sent and as it was written."""
    negative = kept_in(tmp_path)
    wish = request_of(row_of(sources={"image": (negative,)}))
    assert wish.spec is IMAGE_TO_VIDEO
    assert wish.values == {
        "prompt": "A red fox", "duration": "5", "sound": True, "image": negative,
    }  # fmt: skip
    assert (wish.take, wish.callback_url) == (2, "https://my.example/")
    assert wish.written == {"image": "my fox.png"}


def test_a_row_without_its_picture_is_still_a_form() -> None:
    """Written before images were kept: everything else can be taken over."""
    wish = request_of(row_of())
    assert set(wish.values) == {"prompt", "duration", "sound"}


@pytest.mark.parametrize("cell", ["", "%%kling --gone-option 5\nA red fox", "%%kling 'open"])
def test_a_cell_that_cannot_be_read(cell: str) -> None:
    """The request is in the row; only how the image was written is lost."""
    assert request_of(row_of(cell=cell)).written == {}


@pytest.mark.parametrize("unknown", [{"model": ""}, {"model": "kling-9"}, {"values": {}}])
def test_a_request_that_is_not_known(unknown: dict[str, Any]) -> None:
    """A task that was adopted as a stranger has no request."""
    with pytest.raises(LedgerError, match="job 1a2b3c4d: its request is not known"):
        request_of(row_of(**unknown))


# --- under which number ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "last_take", "expected"),
    [
        (Stage.SAVED, 0, [3, 4]),
        (Stage.ACCEPTED, 2, [3, 4]),
        (Stage.SAVED, 7, [8, 9]),
        (Stage.FAILED, 1, [2, 3]),
        (Stage.FAILED, 5, [2, 6]),
    ],
)
def test_takes_to_try(stage: Stage, last_take: int, expected: list[int]) -> None:
    """After the last take of the same request; what came to nothing under its own first."""
    assert list(islice(candidate_takes(row_of(stage), last_take), 2)) == expected


@pytest.mark.parametrize("stage", sorted(BLOCKING - {Stage.UNKNOWN, Stage.VANISHED}))
def test_stages_in_which_another_take_makes_sense(stage: Stage, tmp_path: Path) -> None:
    """Running ones too."""
    check_repeatable(row_of(stage, sources={"image": (kept_in(tmp_path),)}))


@pytest.mark.parametrize("stage", [Stage.UNKNOWN, Stage.VANISHED])
def test_a_task_that_may_be_paid_is_settled_first(stage: Stage, tmp_path: Path) -> None:
    """One click must not pay a second time for what may still come."""
    with pytest.raises(LedgerError, match=rf"is {stage}: .*forget 1a2b3c4d`; `--take 3` in its"):
        check_repeatable(row_of(stage, sources={"image": (kept_in(tmp_path),)}))


@pytest.mark.parametrize(
    ("stage", "words"),
    [(Stage.SAVED, "Run its cell again, for 0 credits; that"), (Stage.FAILED, "cell again; that")],
)
def test_a_picture_that_is_not_kept(stage: Stage, words: str) -> None:
    """Never noted, not written, or deleted: says which, and how it is kept again."""
    lost = StoredInput("ab" * 32, "fox.png", "image/png", "/nowhere/kept.png")
    for sources in ({}, {"image": ()}, {"image": (lost,)}, {"image": (replace(lost, path=""),)}):
        row = row_of(stage, sources=sources)
        assert not has_inputs(row)
        with pytest.raises(MediaError, match=rf"image of job 1a2b3c4d, fox\.png, is not .*{words}"):
            check_repeatable(row)
    check_repeatable(row_of(stage, sources={"image": (replace(lost, url=URL),)}))


def test_an_adopted_task_is_no_cells_request() -> None:
    """Its inputs are not known; no advice to run a cell that is not there."""
    with pytest.raises(LedgerError, match=r"was adopted: its prompt.*Write a new cell"):
        check_repeatable(row_of(fingerprint="adopted t", cell=""))


def test_a_request_without_pictures_has_all_of_them() -> None:
    """Words alone."""
    row = row_of(model=TEXT_TO_VIDEO.name, values={"prompt": "A red fox"})
    check_repeatable(row)
    assert has_inputs(row)


# --- made --------------------------------------------------------------------------------------


def test_another_take_has_its_cell(session: Session, account: EmulatedAccount, fox: Path) -> None:
    """The cell that the new job shows joins it for 0 credits; the first one's does as before."""
    first = session.image_to_video(fox, "A red fox\nin the snow", sound=True)
    first.result(PATIENCE_S)
    second = first.another_take()
    assert second.record.take == 2
    assert second.record.cell == f"%%kling --image '{fox}' --sound --take 2\nA red fox\nin the snow"
    clip = second.result(PATIENCE_S)
    assert clip.path != first.result(0).path
    assert run_cell(session, second.record.cell).result(0) == clip
    assert run_cell(session, first.record.cell).result(0) == first.result(0)
    assert (account.count_tasks(), account.requests(CREATE), account.requests(UPLOAD)) == (2, 2, 1)
    assert takes_of(session) == [2, 1]


def test_the_original_is_not_needed(session: Session, fox: Path, photo: bytes) -> None:
    """Nor its name or place: what was sent is kept once, beside the clips."""
    first = session.image_to_video(fox, "A red fox")
    fox.unlink()
    [kept] = (session.ledger.folder / "pictures").iterdir()
    assert kept.read_bytes() == photo
    second = first.another_take()
    assert second.result(PATIENCE_S).request.values["image"] == "my fox.png"
    assert second.record.thumbnail == first.record.thumbnail
    assert [*(session.ledger.folder / "pictures").iterdir()] == [kept]


@pytest.mark.parametrize("is_file", [True, False])
def test_a_converted_image(session: Session, account: EmulatedAccount, is_file: bool) -> None:
    """A GIF file, or pixels: the source identifies it, so a cell with the source joins the take."""
    Image.new("RGB", (96, 64), "red").save("fox.gif")
    first, again = ("fox.gif" if is_file else Image.new("RGB", (96, 64), "red") for _ in range(2))
    second = session.image_to_video(first, "A red fox").another_take()
    assert session.image_to_video(again, "A red fox", take=2).id == second.id
    assert session.ledger.row(second.id).sources["image"][0].mime_type == "image/png"
    second.result(PATIENCE_S)
    assert account.count_tasks() == 2


def test_in_the_next_kernel(open_session: Open, fox: Path) -> None:
    """By the id of a job, and with what was asked for besides."""
    old = open_session()
    job = old.image_to_video(fox, "A red fox", callback_url="https://my.example/")
    job.result(PATIENCE_S)
    old.close()
    new = open_session()
    second = new.another_take(job.id)
    second.result(PATIENCE_S)
    assert new.ledger.row(second.id).callback_url == "https://my.example/"
    assert new.job(job.id).another_take().record.take == 3


def test_each_call_is_one_task(open_session: Open) -> None:
    """Many at once, from two kernels with one folder: as many takes, and no number twice."""
    one, two = (open_session(emulator_seconds=SLOW_S) for _ in range(2))
    job = one.text_to_video("A red fox")
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(each.another_take, job.id) for each in (one, two) * 4]
        jobs = [future.result(PATIENCE_S) for future in asked]
    assert sorted(each.record.take for each in jobs) == list(range(2, 10))
    assert sorted(takes_of(one)) == list(range(1, 10))
    wait_until(lambda: emulated_account(one).count_tasks() == 9)
    assert emulated_account(one).requests(CREATE) == 9


def test_a_second_take_while_the_first_runs(open_session: Open) -> None:
    """The first goes on."""
    session = open_session(emulator_seconds=SLOW_S)
    first = session.text_to_video("A red fox")
    second = first.another_take()
    wait_until(lambda: isinstance(second.state, Waiting))
    assert isinstance(first.state, Waiting)
    assert first.another_take().record.take == 3


def test_it_does_not_wait_for_the_answer(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job is recorded while it is being sent; submitting it again sends nothing."""
    first = session.text_to_video("A red fox")
    client = session._context.client
    real, go = client.create_task, threading.Event()

    async def create_task(*args: Any, **kwargs: Any) -> Any:
        await asyncio.to_thread(go.wait, PATIENCE_S)
        return await real(*args, **kwargs)

    monkeypatch.setattr(client, "create_task", create_task)
    second = first.another_take()
    assert not second.done()
    assert session.ledger.row(second.id).stage in {Stage.INTENDED, Stage.SENDING}
    go.set()
    session.submit(second)
    second.result(PATIENCE_S)
    assert emulated_account(session).requests(CREATE) == 2


# --- what came to nothing ----------------------------------------------------------------------


def test_after_a_failure_it_is_the_same_take(session: Session, account: EmulatedAccount) -> None:
    """Nothing blocks it, as for its cell; once it is there, the next one comes."""
    account.inject("fail-policy")
    failed = session.text_to_video("A red fox")
    assert failed.exception(PATIENCE_S) is not None
    again = failed.another_take()
    again.result(PATIENCE_S)
    assert (again.record.take, again.id != failed.id) == (1, True)
    assert "--take" not in again.record.cell
    assert session.text_to_video("A red fox").id == again.id
    assert failed.another_take().record.take == 2


def test_after_a_refusal_and_a_discard(session: Session, account: EmulatedAccount) -> None:
    """The same take again."""
    account.inject("refuse")
    with pytest.raises(KlingError):
        session.text_to_video("A red fox", take=3)
    [row] = session.jobs()
    assert session.another_take(row.id).record.take == 3
    job = session.reserve(request_of(replace(row, values={"prompt": "Another"}, take=4)))
    session.ledger.advance(job.id, Stage.DISCARDED)
    assert session.another_take(job.id).record.take == 4


def test_a_lost_answer_is_settled_first(session: Session, account: EmulatedAccount) -> None:
    """A click pays for nothing while a task may exist; forgotten, it is the same take."""
    account.inject("lose-answer")
    lost = session.text_to_video("A red fox")
    with pytest.raises(LedgerError, match="may exist and may be paid"):
        lost.another_take()
    assert (account.count_tasks(), len(session.jobs())) == (1, 1)
    session.forget(lost.id, yes=True)
    assert lost.another_take().record.take == 1


def test_a_refusal_is_the_state_of_the_new_job(session: Session, account: EmulatedAccount) -> None:
    """The call has returned by then."""
    first = session.text_to_video("A red fox")
    account.inject("credits")
    second = first.another_take()
    with pytest.raises(KlingError, match="Credits insufficient"):
        second.result(PATIENCE_S)
    assert isinstance(second.state, Refused)
    assert first.another_take().record.take == 2


def test_an_answer_that_is_lost_is_unknown(session: Session, account: EmulatedAccount) -> None:
    """The money rules are those of a cell: sent once, and it blocks its number."""
    first = session.text_to_video("A red fox")
    account.inject("lose-answer")
    second = first.another_take()
    assert second.exception(PATIENCE_S) is not None
    assert isinstance(second.state, Unknown)
    assert account.requests(CREATE) == 2
    assert session.text_to_video("A red fox", take=2).id == second.id
    assert account.requests(CREATE) == 2


# --- where it cannot be had --------------------------------------------------------------------


def test_a_job_of_the_other_service(open_session: Open, live: LiveAccount) -> None:
    """Nothing is sent; also not by the handle that this session shows of it."""
    job = live.session("clips").text_to_video("A red fox")
    live.close()
    session = open_session()
    for ask in (lambda: session.another_take(job.id), session.job(job.id).another_take):
        with pytest.raises(LedgerError, match=r"is a job of the live service.*emulate off"):
            ask()
    assert (emulated_account(session).count_tasks(), live.account.count_tasks()) == (0, 1)


@pytest.mark.parametrize("is_noted", [True, False])
def test_a_missing_copy_is_written_again(
    session: Session, account: EmulatedAccount, fox: Path, is_noted: bool
) -> None:
    """Deleted, or never noted: an error says how; the cell writes it again for 0 credits."""
    first = session.image_to_video(fox, "A red fox")
    first.result(PATIENCE_S)
    [kept] = (session.ledger.folder / "pictures").iterdir()
    kept.unlink()
    if not is_noted:
        session.ledger.save_sources(first.id, {})
    with pytest.raises(MediaError, match=r"my fox\.png, is not stored .* again, for 0 credits"):
        first.another_take()
    run_cell(session, first.record.cell)
    assert kept.is_file()
    assert account.count_tasks() == 1
    assert first.another_take().record.take == 2


def test_a_changed_copy_is_not_sent(session: Session, account: EmulatedAccount, fox: Path) -> None:
    """It would be paid for under the name of another image."""
    first = session.image_to_video(fox, "A red fox")
    [kept] = (session.ledger.folder / "pictures").iterdir()
    Image.new("RGB", (96, 64), "blue").save(kept)
    with pytest.raises(InvalidInput, match="has changed; delete it and run the cell again"):
        first.another_take()
    assert (account.count_tasks(), takes_of(session)) == (1, [1])


def test_a_request_that_is_read_in_another_way(
    session: Session, account: EmulatedAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it would not be the same request, it is not made under its name."""
    first = session.text_to_video("A red fox")
    monkeypatch.setattr("kling_nb.jobs.prepare.fingerprints", lambda *given, **named: ("00" * 32,))
    with pytest.raises(LedgerError, match=r"cannot be repeated exactly.*--take 2"):
        first.another_take()
    assert account.count_tasks() == 1


def test_a_full_disk_loses_only_the_copy(
    session: Session, account: EmulatedAccount, fox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clip is made; another take needs the original then."""
    monkeypatch.setattr("kling_nb.jobs.takes.store_input", lambda *given: "")
    first = session.image_to_video(fox, "A red fox")
    first.result(PATIENCE_S)
    with pytest.raises(MediaError, match="is not stored"):
        first.another_take()
    assert session.image_to_video(fox, "A red fox", take=2).record.take == 2


def test_what_a_budget_refuses_leaves_no_copy(session: Session, tmp_path: Path) -> None:
    """Neither of an image nor of a video, which may be 100 MB; a larger budget keeps them."""
    walk = tmp_path / "walk.mp4"
    walk.write_bytes(video())
    session.budget(1)
    ask = partial(session.generate, MOTION, image=square(1), video=walk)
    with pytest.raises(BudgetExceeded):
        ask()
    assert not (session.ledger.folder / "pictures").exists()
    session.budget(1_000)
    row = session.ledger.row(ask().id)
    kept = {Path(each.path) for given in row.sources.values() for each in given}
    assert kept == {*(session.ledger.folder / "pictures").iterdir()}
    assert len(kept) == 2


def test_another_take_that_a_budget_refuses_leaves_no_copy(session: Session, photo: bytes) -> None:
    """What came from a URL was fetched again, and is kept once it is used."""
    web(session, *[httpx.Response(200, content=photo)] * 3)
    job = session.image_to_video(URL, "A red fox")
    [kept] = (session.ledger.folder / "pictures").iterdir()
    kept.unlink()
    session.budget(1)
    with pytest.raises(BudgetExceeded):
        session.another_take(job.id)
    assert emulated_account(session).count_tasks() == 1
    assert [*(session.ledger.folder / "pictures").iterdir()] == []
    session.budget(1_000)
    session.another_take(job.id)
    assert [*(session.ledger.folder / "pictures").iterdir()] == [kept]


def test_no_request_fails_for_want_of_a_copy(
    session: Session, fox: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is paid for and followed; the log says what another take will need."""

    def note_sources(*_given: object) -> JobRecord:
        raise LedgerError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(session.ledger, "save_sources", note_sources)
        job = session.image_to_video(fox, "A red fox")
    assert job.task_id
    assert f"job {job.id}: another take will need the originals" in caplog.text
    assert session.image_to_video(fox, "A red fox").id == job.id
    assert session.ledger.row(job.id).sources


# --- pictures given as a URL -------------------------------------------------------------------


def test_a_picture_given_as_a_url(session: Session, account: EmulatedAccount, photo: bytes) -> None:
    """It is fetched once; the link may die, and a cell with it would still be the same request."""
    web(session, httpx.Response(200, content=photo))
    first = session.image_to_video(URL, "A red fox")
    [negative] = session.ledger.row(first.id).sources["image"]
    assert (negative.url, Path(negative.path).read_bytes()) == (URL, photo)
    second = first.another_take()
    second.result(PATIENCE_S)
    assert second.record.cell == f"%%kling --image {URL} --take 2\nA red fox"
    assert session.ledger.row(second.id).sources == session.ledger.row(first.id).sources
    assert account.requests(UPLOAD) == 1
    web(session, httpx.Response(200, content=photo))
    assert run_cell(session, second.record.cell).id == second.id


def test_a_url_whose_copy_is_gone_is_fetched_again(session: Session, photo: bytes) -> None:
    """As long as it shows the same image; else nothing is sent."""
    other = io.BytesIO()
    Image.new("RGB", (96, 64), "blue").save(other, "PNG")
    web(session, *[httpx.Response(200, content=each) for each in (photo, photo, other.getvalue())])
    first = session.image_to_video(URL, "A red fox")
    [kept] = (session.ledger.folder / "pictures").iterdir()
    kept.unlink()
    assert first.another_take().record.take == 2
    assert kept.is_file()
    kept.unlink()
    with pytest.raises(InvalidInput, match="now has another image"):
        first.another_take()
    assert takes_of(session) == [2, 1]


# --- money -------------------------------------------------------------------------------------


def test_takes_that_were_paid_for_in_another_folder(live: LiveAccount) -> None:
    """They exist: the next one is made."""
    one, two = live.session("one"), live.session("two")
    first = one.text_to_video("A red fox")
    two.text_to_video("A red fox", take=2)
    assert first.another_take().record.take == 3
    wait_until(lambda: live.account.count_tasks() == 3)
    assert takes_of(one) == [3, 1]


def test_another_take_that_another_folder_is_quicker_with(
    live: LiveAccount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pressed in two folders at once: one pays; the other's card says so, and the next is free."""
    first = live.session("one").text_to_video("A red fox")
    claim = UserIndex.claim

    def late(self: UserIndex, fingerprint: str, folder: Path, at: datetime, **given: Any) -> None:
        claim(self, fingerprint, tmp_path / "two", at, **given)
        claim(self, fingerprint, folder, at, **given)

    with monkeypatch.context() as patch:
        patch.setattr(UserIndex, "claim", late)
        error = first.another_take().exception(PATIENCE_S)
    assert isinstance(error, AlreadyPaid)
    assert f"in {tmp_path / 'two'}." in str(error)
    assert "`--take 3`" in str(error)
    assert live.account.count_tasks() == 1
    assert first.another_take().record.take == 3


def test_the_price_is_todays(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the balance as well."""
    first = session.text_to_video("A red fox")
    monkeypatch.setattr("kling_nb.jobs.prepare.price_credits", lambda *given: 60.0)
    second = first.another_take()
    assert (first.record.price_credits, second.record.price_credits) == (55, 60)
    assert second.record.balance_before == 5916 - 55


# --- other media than one picture --------------------------------------------------------------

MOTION = "kling-2.6/motion-control"
FAMILY = "kling-3.0/video"


def square(shade: int) -> Image.Image:
    """An image like no other."""
    return Image.new("RGB", (400, 400), (shade, 0, 0))


def test_a_copy_of_a_video(session: Session, account: EmulatedAccount, tmp_path: Path) -> None:
    """The original may go; the take has the same length, price and thumbnail."""
    walk = tmp_path / "walk.mp4"
    walk.write_bytes(video())
    first = session.generate(MOTION, image=square(1), video=walk)
    first.result(PATIENCE_S)
    assert session.generate(MOTION, image=square(1), video=video()).id == first.id
    walk.unlink()
    second = first.another_take()
    second.result(PATIENCE_S)
    assert second.record.price_credits == first.record.price_credits == 44
    assert second.record.thumbnail == first.record.thumbnail
    assert session.ledger.row(second.id).sources == session.ledger.row(first.id).sources
    [kept] = session.ledger.row(first.id).sources["video"]
    assert Path(kept.path).parent == session.ledger.folder / "pictures"
    assert (account.requests(CREATE), account.requests(UPLOAD)) == (2, 2)


def test_an_earlier_clip_is_not_copied(session: Session, open_session: Open) -> None:
    """It is in the folder already; its path moves with the folder."""
    clip = session.text_to_video("A red fox").result(PATIENCE_S)
    job = session.generate(MOTION, image=square(1), video=clip)
    [kept] = session.ledger.row(job.id).sources["video"]
    assert kept.path == str(clip.path)
    assert f"--video {clip.path}" in job.record.cell
    job.result(PATIENCE_S)
    assert open_session().another_take(job.id).record.take == 2
    clip.path.unlink()
    with pytest.raises(MediaError, match=r"the video of job \w+, .*\.mp4, is not stored"):
        job.another_take()


def test_what_is_inside_records(session: Session, account: EmulatedAccount) -> None:
    """Several frames, and elements with images of their own, all from what was kept."""
    elements = [
        {"name": "fox", "description": "red", "images": [square(1), square(2)]},
        {"name": "owl", "description": "grey", "images": [square(3), square(4)]},
    ]
    first = session.generate(
        FAMILY, prompt="@fox meets @owl", image=[square(1), square(5)], elements=elements
    )
    first.result(PATIENCE_S)
    wish = session.request_of(first.id)
    assert [type(each) for each in wish.values["image"]] == [StoredInput, StoredInput]  # type: ignore[attr-defined]
    assert session.reserve(wish).id == first.id
    second = first.another_take()
    second.result(PATIENCE_S)
    assert second.record.values["image"] == "image 400×400, image 400×400"
    assert session.ledger.row(second.id).sources.keys() == {
        "image", "elements[0].images", "elements[1].images",
    }  # fmt: skip
    assert account.requests(UPLOAD) == 5
    mine, other = (task.input for task in account.tasks())
    assert mine == other
    assert len(set(mine["kling_elements"][0]["element_input_urls"])) == 2


def test_what_is_lost_inside_a_record(session: Session) -> None:
    """Says where it was given."""
    elements = [{"name": "fox", "description": "red", "images": [square(1), square(2)]}]
    job = session.generate(FAMILY, prompt="@fox", image=square(5), elements=elements)
    job.result(PATIENCE_S)
    row = session.ledger.row(job.id)
    for kept in row.sources["elements[0].images"]:
        Path(kept.path).unlink()
    with pytest.raises(MediaError, match=r"the element 1: images of job \w+, image 400×400, image"):
        job.another_take()
