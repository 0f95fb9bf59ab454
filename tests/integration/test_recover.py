"""Recovering a ledger from saved notebooks: nothing paid twice, lost, overwritten or believed."""

from __future__ import annotations

import base64
import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nbformat
import pytest

from kling_nb.core.job_state import Deleted, Preparing, Stage, Waiting
from kling_nb.display.cards.metadata import CARD_MIME, read_card
from kling_nb.display.cards.mimebundle import card_bundle
from kling_nb.errors import InvalidInput
from kling_nb.jobs import default_session
from kling_nb.jobs.job import Job
from kling_nb.jobs.session import Session
from kling_nb.models.catalog import TEXT_TO_VIDEO
from kling_nb.models.clip_request import fingerprint
from kling_nb.models.spec import validate
from kling_nb.notebook.archive.clip_finder import ClipFinder
from kling_nb.notebook.archive.recover import describe, recover
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.user_index import UserIndex
from tests.support.service import Open, emulated_account

PATIENCE_S = 20.0


@pytest.fixture
def reopen(session: Session, open_session: Open, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Opens the next default session after the ledger, or the whole folder, was lost."""

    def lose(lost: str = "folder") -> Session:
        session.close()
        if lost == "folder":
            shutil.rmtree(session.settings.folder)
        else:
            (session.settings.folder / "ledger.sqlite3").unlink()
        monkeypatch.setattr(default_session, "_current", open_session())
        return default_session.default_session()

    return lose


def save(*bundles: dict[str, Any], name: str = "film.ipynb") -> Path:
    """Write a notebook with these displays to the working directory."""
    outputs = [nbformat.v4.new_output("display_data", data=data) for data in bundles]
    cell = nbformat.v4.new_code_cell("%%kling\nx", outputs=outputs)
    path = Path.cwd() / name
    # Escaped, since a forged record may hold halves of characters.
    path.write_text(json.dumps(nbformat.v4.new_notebook(cells=[cell])), encoding="utf-8")
    return path


def shown(job: Job, embed: Any = "auto", **changes: Any) -> dict[str, Any]:
    """A job's display as it is saved, its record changed."""
    bundle: dict[str, Any] = json.loads(json.dumps(card_bundle(job.record, job.state, embed)))
    bundle[CARD_MIME]["cards"][0] |= changes
    return bundle


def made(session: Session, prompt: str = "A red fox <b>runs</b>", **values: Any) -> Job:
    """A job, once its clip is there."""
    job = session.text_to_video(prompt, **values)
    job.result(PATIENCE_S)
    return job


def live_name(take: int = 1, prompt: str = "A red fox <b>runs</b>") -> str:
    """The fingerprint of the request of `made`, had it been live."""
    values = validate(TEXT_TO_VIDEO, {"prompt": prompt})
    return fingerprint(TEXT_TO_VIDEO, values, {}, service="live", take=take)


def rows(session: Session) -> list[JobRecord]:
    """Everything in the ledger but the moment of its last change."""
    return session.ledger.rows(limit=-1)


def test_a_notebook_gives_the_folder_back(session: Session, reopen: Open) -> None:
    """Ledger and clips were gone; the same requests cost nothing and the clips are there."""
    jobs = [made(session), made(session, "Another", duration=10)]
    before = {row.id: row for row in rows(session)}
    contents = [job.result(0).path.read_bytes() for job in jobs]
    path = save(*(shown(job, "always") for job in jobs))
    session = reopen()
    (done,) = recover(path)
    assert [row.id for row in done.recovered] == [job.id for job in jobs]
    assert (done.known, done.failed) == ([], [])
    for job, content in zip(jobs, contents, strict=True):
        row, old = session.ledger.row(job.id), before[job.id]
        for name in ("fingerprint", "model", "values", "take", "cell", "price_credits"):
            assert getattr(row, name) == getattr(old, name)
        for name in ("stage", "task_id", "credits", "created_at", "finished_at", "clip"):
            assert getattr(row, name) == getattr(old, name)
        assert Path(row.clip.path).read_bytes() == content
    again = [made(session), made(session, "Another", duration=10)]
    assert [job.id for job in again] == [job.id for job in jobs]
    assert emulated_account(session).count_tasks() == 0
    assert session.balance() == 5916
    assert [row.id for row in rows(session)] == [job.id for job in reversed(jobs)]


def test_twice_changes_nothing(session: Session, reopen: Open) -> None:
    """What the ledger knows is left alone, to the last column."""
    path = save(shown(made(session), "always"))
    session = reopen()
    recover(path)
    first, files = rows(session), sorted(session.settings.folder.glob("*.mp4"))
    (done,) = recover(path)
    assert (done.recovered, done.known, done.failed) == ([], [first[0].id], [])
    assert rows(session) == first
    assert sorted(session.settings.folder.glob("*.mp4")) == files


def test_a_row_is_never_overwritten(session: Session) -> None:
    """Neither by its own card with other facts, nor by one of the same request or task."""
    job = made(session)
    path = save(
        shown(job, "never", price_credits=1.0, state="waiting"),
        shown(job, "never", id="0" * 8),
        shown(job, "never", id="1" * 8, fingerprint="f" * 64),
    )
    before = rows(session)
    (done,) = recover(path)
    assert done.recovered == []
    assert set(done.known) == {job.id, "0" * 8, "1" * 8}
    assert rows(session) == before


def test_an_id_that_is_taken_gets_another(session: Session) -> None:
    """The ids of two folders may be the same by chance."""
    job = made(session)
    changes = {"fingerprint": "f" * 64, "task_id": "t" * 32, "created_at": "", "state": "expired"}
    path = save(shown(job, "never", **changes))
    (done,) = recover(path)
    (row,) = done.recovered
    assert row.id != job.id
    assert row.stage is Stage.EXPIRED
    assert recover(path)[0].known == [job.id]


def test_a_file_in_the_folder_is_the_clip(session: Session, reopen: Open) -> None:
    """Only the ledger was lost; the file is known by its hash, whatever its name."""
    job = made(session)
    path = save(shown(job, "never"))
    file = job.result(0).path
    file.rename(file.with_name("renamed.mp4"))
    session = reopen("ledger")
    (row,) = recover(path)[0].recovered
    assert row.stage is Stage.SAVED
    assert Path(row.clip.path).name == "renamed.mp4"


def test_a_notebook_saved_too_early_finds_its_clip(session: Session, reopen: Open) -> None:
    """It shows a job that runs; the file that was made afterwards has the job's id in its name."""
    job = made(session)
    waiting = Waiting("t" * 32, "generating", job.record.created_at, 8.0, 11.0)
    path = save(card_bundle(job.record, waiting))
    reopen("ledger")
    (row,) = recover(path)[0].recovered
    assert (row.stage, row.id) == (Stage.SAVED, job.id)


def test_a_deleted_clip_that_is_back_in_the_folder_is_found(session: Session, reopen: Open) -> None:
    """The user has restored or downloaded it after the notebook was saved."""
    job = made(session)
    record, at = job.record, datetime.now(UTC)
    path = save(card_bundle(record, Deleted(job.task_id, at, record.kept_until)))
    reopen("ledger")
    (row,) = recover(path)[0].recovered
    assert (row.stage, row.id, row.deleted_at) == (Stage.SAVED, job.id, None)


def test_what_is_not_here_is_fetched_again(session: Session, reopen: Open) -> None:
    """The service has it still: no new task, no credits."""
    job = made(session)
    path = save(shown(job, "never"))
    balance, file = session.balance(), job.result(0).path
    file.unlink()
    session = reopen("ledger")
    (done,) = recover(path)
    assert done.recovered[0].stage is Stage.ACCEPTED
    assert session.job(job.id).result(PATIENCE_S).path.is_file()
    assert made(session).id == job.id
    assert (emulated_account(session).count_tasks(), session.balance()) == (1, balance)


def test_an_old_clip_is_expired_and_can_be_resumed(session: Session, reopen: Open) -> None:
    """Nothing is paid again by itself; `resume` asks the service all the same."""
    job = made(session)
    long_ago = (datetime.now(UTC) - timedelta(days=15)).isoformat()
    path = save(shown(job, "never", finished_at=long_ago))
    file = job.result(0).path
    file.unlink()
    session = reopen("ledger")
    (row,) = recover(path)[0].recovered
    assert row.stage is Stage.EXPIRED
    (again,) = session.resume(job.id)
    assert again.result(PATIENCE_S).path.is_file()
    assert emulated_account(session).count_tasks() == 1


def test_what_may_be_paid_for_blocks(session: Session, reopen: Open) -> None:
    """A notebook that was saved at the very beginning cannot know what came then."""
    job = made(session)
    path = save(card_bundle(job.record, Preparing()))
    session = reopen()
    done = recover(path)
    assert done[0].recovered[0].stage is Stage.UNKNOWN
    assert job.id in "\n".join(describe(done))
    session.text_to_video("A red fox <b>runs</b>")
    assert emulated_account(session).count_tasks() == 0


def test_a_full_disk(session: Session, reopen: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was recovered until then stays; once there is room the next time brings the rest."""
    jobs = [made(session), made(session, "Another", duration=10)]
    path = save(*(shown(job, "always") for job in jobs))
    session = reopen()
    put, clips = ClipFinder.put, []

    def full(self: ClipFinder, name: str, content: bytes) -> tuple[Path, bool]:
        if clips:
            raise InvalidInput.of("folder", "it cannot be written to", "free some space")
        clips.append(name)
        return put(self, name, content)

    with monkeypatch.context() as patch:
        patch.setattr(ClipFinder, "put", full)
        with pytest.raises(InvalidInput, match="free some space"):
            recover(path)
    assert [row.id for row in rows(session)] == [jobs[0].id]
    (done,) = recover(path)
    assert (done.known, [row.id for row in done.recovered]) == ([jobs[0].id], [jobs[1].id])
    assert {row.stage for row in rows(session)} == {Stage.SAVED}


def test_what_is_recovered_is_known_in_other_folders(session: Session, reopen: Open) -> None:
    """What was paid for live, and what may be, is paid for nowhere else again."""
    job = made(session)
    names = {state: live_name(take) for take, state in enumerate(["saved", "unknown"], 1)}
    live = {"service": "live", "task_id": ""}
    bundles = [
        shown(job, "never", **live, fingerprint=name, state=state, id=name[-8:], take=take)
        for take, (state, name) in enumerate(names.items(), 1)
    ]
    path = save(shown(job, "never", id="f" * 8), *bundles)
    reopen()
    recover(path)
    index = UserIndex()
    assert all(index.find(name) for name in names.values())
    assert index.find(job.record.fingerprint) is None


def test_several_notebooks_and_the_best_of_their_cards(session: Session, reopen: Open) -> None:
    """A preview in one, the whole clip in the other: the whole one counts."""
    job = made(session)
    save(shown(job, "never"), name="a.ipynb")
    save(shown(job, "always"), name="b.ipynb")
    Path("c.ipynb").write_text("{broken", encoding="utf-8")
    reopen()
    first, second, third = recover("*.ipynb")
    assert (first.recovered, first.known) == ([], [job.id])
    assert [row.stage for row in second.recovered] == [Stage.SAVED]
    assert "c.ipynb cannot be read" in third.failed[0]
    title, *lines = describe([first, second, third])
    assert title == "1 job recovered from 3 notebooks"
    assert lines[0] == "a.ipynb: 0 jobs recovered, 1 known, 0 failed"
    assert lines[1] == "b.ipynb: 1 job recovered (1 saved), 0 known, 0 failed"
    assert lines[3].startswith("Failed: ")


def test_a_forged_record_leads_nowhere(session: Session, reopen: Open) -> None:
    """Not out of the folder, not over a file, and never to an error."""
    job = made(session)
    keep = Path.cwd() / "keep.mp4"
    keep.write_bytes(b"mine")
    forged = [
        {"file": "../keep.mp4"},
        {"file": str(keep)},
        {"file": "ledger.sqlite3"},
        {"id": "../../x"},
        {"id": 7},
        {"state": "stolen"},
        {"fingerprint": ""},
        {"take": 10**40, "size_bytes": 10**40, "price_credits": 1e999, "credits": "much"},
        {"created_at": "yesterday", "finished_at": "9999-12-31T23:59:59-23:59"},
        {"model": "\ud800", "task_id": "\ud800 x", "state": "detached", "cell": "%%kling -i 'x\n"},
        {"cell": "%%kling --take " + "9" * 5000 + "\nx"},
    ]
    bundles = [
        shown(job, "always", **{"fingerprint": f"{number:064x}", "task_id": f"t{number}"} | each)
        for number, each in enumerate(forged)
    ]
    path = save(*bundles)
    session = reopen()
    (done,) = recover(path)
    assert len(done.recovered) == 7
    assert len(done.failed) == 2, "what has no id of a job is no record"
    assert keep.read_bytes() == b"mine"
    folder = session.settings.folder
    assert all(Path(row.clip.path).parent == folder for row in done.recovered if row.clip)
    assert {each.name for each in keep.parent.iterdir() if each.suffix in {".mp4", ".sqlite3"}} == {
        "keep.mp4"
    }
    assert recover(path)[0].recovered == []


@pytest.mark.parametrize("is_there", [False, True])
def test_bytes_that_are_no_clip(session: Session, reopen: Open, is_there: bool) -> None:
    """Their hash may be right; the task is polled. A file with the same bytes is left alone."""
    job = made(session)
    content, junk = job.result(0).path.read_bytes(), b"#!/bin/sh\n"
    name = {"file": "mine.mp4"} if is_there else {}
    bundle = json.dumps(shown(job, "always", size_bytes=len(junk), sha256="", **name))
    encoded = [base64.b64encode(each).decode("ascii") for each in (content, junk)]
    path = save(json.loads(bundle.replace(*encoded)))
    session = reopen()
    mine = session.settings.folder / "mine.mp4"
    if is_there:
        mine.parent.mkdir(exist_ok=True)
        mine.write_bytes(junk)
    (row,) = recover(path)[0].recovered
    assert row.stage is Stage.ACCEPTED
    assert list(mine.parent.glob("*.mp4")) == [mine] * is_there


def test_no_notebook_is_refused(session: Session) -> None:
    """Before anything is done."""
    with pytest.raises(InvalidInput, match=r"no \.ipynb file matches"):
        recover("*.ipynb")
    with pytest.raises(InvalidInput, match="the front end does not report its path"):
        recover()


def image_job(session: Session, photo: bytes) -> Job:
    """A job with an image beside the notebook."""
    Path("fox.png").write_bytes(photo)
    job = session.image_to_video("fox.png", "it runs", duration=5)
    job.result(PATIENCE_S)
    return job


def test_a_proven_fingerprint_answers(session: Session, reopen: Open, photo: bytes) -> None:
    """The image that the cell names is beside the notebook: running the cell pays nothing."""
    job = image_job(session, photo)
    path = save(shown(job, "always"))
    session = reopen()
    (row,) = recover(path)[0].recovered
    assert row.fingerprint == job.record.fingerprint
    again = session.image_to_video("fox.png", "it runs", duration=5)
    assert again.id == job.id
    assert emulated_account(session).count_tasks() == 0


def test_a_file_uri_proves_its_request(session: Session, reopen: Open, photo: bytes) -> None:
    """A cell that names a `file:` URI states the same request as one with the path."""
    Path("fox.png").write_bytes(photo)
    uri = Path("fox.png").absolute().as_uri()
    job = session.image_to_video(uri, "it runs", duration=5)
    job.result(PATIENCE_S)
    path = save(shown(job, "always"))
    session = reopen()
    (row,) = recover(path)[0].recovered
    assert uri in row.cell
    assert row.fingerprint == job.record.fingerprint


def test_an_earlier_fingerprint_proves_its_request(session: Session, reopen: Open) -> None:
    """A card of an earlier version, which took accents as they were encoded."""
    job = session.text_to_video("A fox in a cafe\u0301", duration=5)
    job.result(PATIENCE_S)
    earlier = "e0fa5fd27d2d2aed7473dcb0586bfb4cf6237d5f5864aa288fc3ed7ba92370cf"
    path = save(shown(job, "always", fingerprint=earlier))
    session = reopen()
    (row,) = recover(path)[0].recovered
    assert row.fingerprint == earlier
    assert session.text_to_video("A fox in a caf\u00e9", duration=5).id == job.id
    assert emulated_account(session).count_tasks() == 0


@pytest.mark.parametrize("change", ["the picture is gone", "the picture is another", "forged"])
def test_an_unproven_fingerprint(session: Session, reopen: Open, photo: bytes, change: str) -> None:
    """The job is shown with its clip; its cell makes a new request, and the summary says so."""
    job = image_job(session, photo)
    changes = {"fingerprint": "f" * 64} if change == "forged" else {}
    path = save(shown(job, "always", **changes))
    if change == "the picture is gone":
        Path("fox.png").unlink()
    elif change == "the picture is another":
        Path("fox.png").write_bytes(photo + b"x")
    session = reopen()
    done = recover(path)
    (row,) = done[0].recovered
    assert row.stage is Stage.SAVED
    assert [each.request.id for each in session.clips()] == [job.id]
    named = changes.get("fingerprint", job.record.fingerprint)
    assert session.ledger.blocking(named) is None
    words = describe(done)
    assert any(line.startswith(f"For display only: {job.id}.") for line in words)
    assert not any("sends nothing" in line for line in words)
    assert recover(path)[0].known == [job.id], "a second time changes nothing"
    assert ClipFinder(session.ledger).row(read_card(shown(job, **changes)[CARD_MIME])[0]) == row


@pytest.mark.parametrize("state", ["sending", "unknown", "failed"])
def test_a_known_job_gets_no_second_row(session: Session, photo: bytes, state: str) -> None:
    """Also where its card is older than its task, and the image that would prove it is gone."""
    job = image_job(session, photo)
    path = save(shown(job, "never", state=state, task_id=""))
    Path("fox.png").unlink()
    before = rows(session)
    (done,) = recover(path)
    assert (done.recovered, done.known) == ([], [job.id])
    assert rows(session) == before


def test_the_index_of_the_user_proves_a_live_request(session: Session, reopen: Open) -> None:
    """It says that this folder paid for the request: `recover` is the way on for a lost ledger."""
    job = made(session)
    here, elsewhere = "a" * 64, "b" * 64
    now = datetime.now(UTC)
    UserIndex().note(here, session.settings.folder, now)
    UserIndex().note(elsewhere, Path("other"), now)
    bundles = [
        shown(job, "never", service="live", fingerprint=name, task_id=name[:32], id=name[:8])
        for name in (here, elsewhere)
    ]
    path = save(*bundles)
    session = reopen()
    recover(path)
    found = session.ledger.blocking(here)
    assert found
    assert found.id == "a" * 8
    assert session.ledger.blocking(elsewhere) is None
    assert UserIndex().find(elsewhere) != UserIndex().find(here)


def test_a_card_of_a_recovered_job_is_recovered_again(session: Session, reopen: Open) -> None:
    """It keeps the name of its request, which may be proven the next time."""
    job = made(session)
    name = f"recovered:{job.record.fingerprint}"
    path = save(shown(job, "always", fingerprint=name))
    reopen()
    (row,) = recover(path)[0].recovered
    assert row.fingerprint == job.record.fingerprint


@pytest.mark.parametrize("kind", ["pipe", "folder", "link", "large"])
def test_only_plain_notebooks(session: Session, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """A pipe would hang, a link may lead to another person's file, a huge file fills the memory."""
    path = Path("work") / "film.ipynb"
    path.parent.mkdir()
    other = save(shown(made(session), "always"), name="other.ipynb")
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to(other)
        case "large":
            path.write_bytes(other.read_bytes())
            monkeypatch.setattr("kling_nb.notebook.archive.notebook_file.NOTEBOOK_BYTES", 1_000)
    (done,) = recover(str(path.with_name("*.ipynb")))
    assert (done.recovered, done.known) == ([], [])
    assert "film.ipynb" in done.failed[0]


@pytest.mark.parametrize("kind", ["pipe", "link", "large"])
def test_only_plain_clips(
    session: Session, reopen: Open, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """What has a clip's name in the folder is no clip of it, unless it is a file in it."""
    job = made(session)
    file = job.result(0).path
    path = save(shown(job, "never", sha256="", size_bytes=0))
    moved = file.rename(Path.cwd() / "private.mp4")
    match kind:
        case "pipe":
            os.mkfifo(file)
        case "link":
            file.symlink_to(moved)
        case "large":
            file.write_bytes(moved.read_bytes())
            monkeypatch.setattr("kling_nb.notebook.archive.recover.CLIP_BYTES", 100)
    reopen("ledger")
    (row,) = recover(path)[0].recovered
    assert row.clip is None
    assert row.stage is Stage.ACCEPTED


def test_a_link_in_its_own_folder_is_followed(session: Session, reopen: Open) -> None:
    """`latest.ipynb` may lead to the notebook beside it."""
    save(shown(made(session), "always"))
    Path("latest.ipynb").symlink_to("film.ipynb")
    reopen()
    assert len(recover("latest.ipynb")[0].recovered) == 1
