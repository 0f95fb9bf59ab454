"""Recovering a ledger from saved notebooks: nothing paid twice, lost, overwritten or believed."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nbformat
import pytest

from kling_nb.core.job_state import Preparing, Stage, Waiting
from kling_nb.display.cards import card_bundle
from kling_nb.display.cards.metadata import CARD_MIME, read_card
from kling_nb.errors import InvalidInput
from kling_nb.jobs import default_session
from kling_nb.jobs.job import Job
from kling_nb.jobs.session import Session
from kling_nb.models.catalog import TEXT_TO_VIDEO
from kling_nb.models.request_inputs import fingerprint
from kling_nb.models.spec import validate
from kling_nb.notebook.archive.clip_finder import ClipFinder
from kling_nb.notebook.archive.recover import describe, recover
from kling_nb.storage import JobRecord
from kling_nb.storage.user_index import UserIndex

PATIENCE_S = 20.0


@pytest.fixture
def begin(
    open_session: Callable[..., Session], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Session]:
    """Opens the default session, in the notebook's folder."""
    monkeypatch.chdir(tmp_path)

    def open_default(**given: Any) -> Session:
        session = open_session(**given)
        monkeypatch.setattr(default_session, "_current", session)
        return session

    return open_default


def save(path: Path, *bundles: dict[str, Any]) -> Path:
    """A notebook with these displays."""
    outputs = [nbformat.v4.new_output("display_data", data=data) for data in bundles]
    cell = nbformat.v4.new_code_cell("%%kling\nx", outputs=outputs)
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


def tasks(session: Session) -> int:
    """How many tasks the service has."""
    return len(session.emulator.account.tasks())


def lose_ledger(session: Session) -> None:
    """The file is gone; clips and the service's own memory stay."""
    session.close()
    (session.settings.folder / "ledger.sqlite3").unlink()


def lose_all(session: Session) -> None:
    """The whole folder is gone."""
    session.close()
    shutil.rmtree(session.settings.folder)


def live_name(take: int = 1, prompt: str = "A red fox <b>runs</b>") -> str:
    """The fingerprint of the request of `made`, had it been live."""
    values = validate(TEXT_TO_VIDEO, {"prompt": prompt})
    return fingerprint(TEXT_TO_VIDEO, values, {}, service="live", take=take)


def rows(session: Session) -> list[JobRecord]:
    """Everything in the ledger but the moment of its last change."""
    return session.ledger.rows(limit=-1)


def test_a_notebook_gives_the_folder_back(begin: Callable[..., Session], tmp_path: Path) -> None:
    """Ledger and clips were gone; the same requests cost nothing and the clips are there."""
    session = begin()
    jobs = [made(session), made(session, "Another", duration=10)]
    before = {row.id: row for row in rows(session)}
    contents = [job.result(0).path.read_bytes() for job in jobs]
    path = save(tmp_path / "film.ipynb", *(shown(job, "always") for job in jobs))
    lose_all(session)
    session = begin()
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
    assert tasks(session) == 0
    assert session.balance() == 5916
    assert [row.id for row in rows(session)] == [job.id for job in reversed(jobs)]


def test_twice_changes_nothing(begin: Callable[..., Session], tmp_path: Path) -> None:
    """What the ledger knows is left alone, to the last column."""
    session = begin()
    path = save(tmp_path / "film.ipynb", shown(made(session), "always"))
    lose_all(session)
    session = begin()
    recover(path)
    first, files = rows(session), sorted(session.settings.folder.glob("*.mp4"))
    (done,) = recover(path)
    assert (done.recovered, done.known, done.failed) == ([], [first[0].id], [])
    assert rows(session) == first
    assert sorted(session.settings.folder.glob("*.mp4")) == files


def test_a_row_is_never_overwritten(begin: Callable[..., Session], tmp_path: Path) -> None:
    """Neither by its own card with other facts, nor by one of the same request or task."""
    session = begin()
    job = made(session)
    path = save(
        tmp_path / "film.ipynb",
        shown(job, "never", price_credits=1.0, state="waiting"),
        shown(job, "never", id="0" * 8),
        shown(job, "never", id="1" * 8, fingerprint="f" * 64),
    )
    before = rows(session)
    (done,) = recover(path)
    assert done.recovered == []
    assert set(done.known) == {job.id, "0" * 8, "1" * 8}
    assert rows(session) == before


def test_an_id_that_is_taken_gets_another(begin: Callable[..., Session], tmp_path: Path) -> None:
    """The ids of two folders may be the same by chance."""
    session = begin()
    job = made(session)
    changes = {"fingerprint": "f" * 64, "task_id": "t" * 32, "created_at": "", "state": "expired"}
    path = save(tmp_path / "film.ipynb", shown(job, "never", **changes))
    (done,) = recover(path)
    (row,) = done.recovered
    assert row.id != job.id
    assert row.stage is Stage.EXPIRED
    assert recover(path)[0].known == [job.id]


def test_a_file_in_the_folder_is_the_clip(begin: Callable[..., Session], tmp_path: Path) -> None:
    """Only the ledger was lost; the file is known by its hash, whatever its name."""
    session = begin()
    job = made(session)
    path = save(tmp_path / "film.ipynb", shown(job, "never"))
    file = job.result(0).path
    lose_ledger(session)
    file.rename(file.with_name("renamed.mp4"))
    session = begin()
    (row,) = recover(path)[0].recovered
    assert row.stage is Stage.SAVED
    assert Path(row.clip.path).name == "renamed.mp4"


def test_a_notebook_saved_too_early_finds_its_clip(
    begin: Callable[..., Session], tmp_path: Path
) -> None:
    """It shows a job that runs; the file that was made afterwards has the job's id in its name."""
    session = begin()
    job = made(session)
    waiting = Waiting("t" * 32, "generating", job.record.created_at, 8.0)
    path = save(tmp_path / "film.ipynb", card_bundle(job.record, waiting))
    lose_ledger(session)
    begin()
    (row,) = recover(path)[0].recovered
    assert (row.stage, row.id) == (Stage.SAVED, job.id)


def test_what_is_not_here_is_fetched_again(begin: Callable[..., Session], tmp_path: Path) -> None:
    """The service has it still: no new task, no credits."""
    session = begin()
    job = made(session)
    path = save(tmp_path / "film.ipynb", shown(job, "never"))
    balance, file = session.balance(), job.result(0).path
    lose_ledger(session)
    file.unlink()
    session = begin()
    (done,) = recover(path)
    assert done.recovered[0].stage is Stage.ACCEPTED
    assert session.job(job.id).result(PATIENCE_S).path.is_file()
    assert made(session).id == job.id
    assert (tasks(session), session.balance()) == (1, balance)


def test_after_a_fortnight_it_is_expired_and_may_be_asked_for(
    begin: Callable[..., Session], tmp_path: Path
) -> None:
    """Nothing is paid again by itself; `resume` asks the service all the same."""
    session = begin()
    job = made(session)
    long_ago = (datetime.now(UTC) - timedelta(days=15)).isoformat()
    path = save(tmp_path / "film.ipynb", shown(job, "never", finished_at=long_ago))
    file = job.result(0).path
    lose_ledger(session)
    file.unlink()
    session = begin()
    (row,) = recover(path)[0].recovered
    assert row.stage is Stage.EXPIRED
    (again,) = session.resume(job.id)
    assert again.result(PATIENCE_S).path.is_file()
    assert tasks(session) == 1


def test_what_may_be_paid_for_blocks(begin: Callable[..., Session], tmp_path: Path) -> None:
    """A notebook that was saved at the very beginning cannot know what came then."""
    session = begin()
    job = made(session)
    path = save(tmp_path / "film.ipynb", card_bundle(job.record, Preparing()))
    lose_all(session)
    session = begin()
    done = recover(path)
    assert done[0].recovered[0].stage is Stage.UNKNOWN
    assert job.id in "\n".join(describe(done))
    session.text_to_video("A red fox <b>runs</b>")
    assert tasks(session) == 0


def test_a_disk_that_is_full_halfway(
    begin: Callable[..., Session], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was recovered until then stays; once there is room the next time brings the rest."""
    session = begin()
    jobs = [made(session), made(session, "Another", duration=10)]
    path = save(tmp_path / "film.ipynb", *(shown(job, "always") for job in jobs))
    lose_all(session)
    session = begin()
    put, clips = ClipFinder.put, []

    def full(self: ClipFinder, name: str, content: bytes) -> tuple[Path, bool]:
        if clips:
            raise InvalidInput.of("folder", "it cannot be written to", "make room")
        clips.append(name)
        return put(self, name, content)

    with monkeypatch.context() as patch:
        patch.setattr(ClipFinder, "put", full)
        with pytest.raises(InvalidInput, match="make room"):
            recover(path)
    assert [row.id for row in rows(session)] == [jobs[0].id]
    (done,) = recover(path)
    assert (done.known, [row.id for row in done.recovered]) == ([jobs[0].id], [jobs[1].id])
    assert {row.stage for row in rows(session)} == {Stage.SAVED}


def test_what_is_recovered_is_known_in_other_folders(
    begin: Callable[..., Session], tmp_path: Path
) -> None:
    """What was paid for live, and what may be, is paid for nowhere else again."""
    session = begin()
    job = made(session)
    names = {state: live_name(take) for take, state in enumerate(["saved", "unknown"], 1)}
    bundles = [
        shown(
            job,
            "never",
            service="live",
            fingerprint=name,
            task_id="",
            state=state,
            id=name[-8:],
            take=take,
        )
        for take, (state, name) in enumerate(names.items(), 1)
    ]
    path = save(tmp_path / "film.ipynb", shown(job, "never", id="f" * 8), *bundles)
    lose_all(session)
    begin()
    recover(path)
    index = UserIndex()
    assert all(index.find(name) for name in names.values())
    assert index.find(job.record.fingerprint) is None


def test_several_notebooks_and_the_best_of_their_cards(
    begin: Callable[..., Session], tmp_path: Path
) -> None:
    """A preview in one, the whole clip in the other: the whole one counts."""
    session = begin()
    job = made(session)
    save(tmp_path / "a.ipynb", shown(job, "never"))
    save(tmp_path / "b.ipynb", shown(job, "always"))
    (tmp_path / "c.ipynb").write_text("{broken", encoding="utf-8")
    lose_all(session)
    begin()
    first, second, third = recover(str(tmp_path / "*.ipynb"))
    assert (first.recovered, first.known) == ([], [job.id])
    assert [row.stage for row in second.recovered] == [Stage.SAVED]
    assert "c.ipynb cannot be read" in third.failed[0]
    title, *lines = describe([first, second, third])
    assert title == "1 job recovered from 3 notebooks"
    assert lines[0] == "a.ipynb: 0 jobs recovered, 1 known, 0 failed"
    assert lines[1] == "b.ipynb: 1 job recovered (1 saved), 0 known, 0 failed"
    assert lines[3].startswith("Failed: ")


def test_a_forged_record_leads_nowhere(begin: Callable[..., Session], tmp_path: Path) -> None:
    """Not out of the folder, not over a file, and never to an error."""
    session = begin()
    job = made(session)
    keep = tmp_path / "keep.mp4"
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
    path = save(tmp_path / "film.ipynb", *bundles)
    lose_all(session)
    session = begin()
    (done,) = recover(path)
    assert len(done.recovered) == 7
    assert len(done.failed) == 2, "what has no id of a job is no record"
    assert keep.read_bytes() == b"mine"
    folder = session.settings.folder
    assert all(Path(row.clip.path).parent == folder for row in done.recovered if row.clip)
    assert {each.name for each in tmp_path.iterdir() if each.suffix in {".mp4", ".sqlite3"}} == {
        "keep.mp4"
    }
    assert recover(path)[0].recovered == []


def test_bytes_that_are_no_clip_are_not_kept(begin: Callable[..., Session], tmp_path: Path) -> None:
    """Their hash may be right; then the task is asked about."""
    session = begin()
    job = made(session)
    content, junk = job.result(0).path.read_bytes(), b"#!/bin/sh\n"
    bundle = json.loads(
        json.dumps(shown(job, "always", size_bytes=len(junk), sha256="")).replace(
            base64.b64encode(content).decode("ascii"), base64.b64encode(junk).decode("ascii")
        )
    )
    path = save(tmp_path / "film.ipynb", bundle)
    lose_all(session)
    session = begin()
    (row,) = recover(path)[0].recovered
    assert row.stage is Stage.ACCEPTED
    assert not list(session.settings.folder.glob("*.mp4"))


def test_a_file_that_was_there_is_not_thrown_away(
    begin: Callable[..., Session], tmp_path: Path
) -> None:
    """It has the very bytes that the notebook holds, and they are no clip: still not ours."""
    session = begin()
    job = made(session)
    content, junk = job.result(0).path.read_bytes(), b"#!/bin/sh\n"
    bundle = json.loads(
        json.dumps(shown(job, "always", size_bytes=len(junk), sha256="", file="mine.mp4")).replace(
            base64.b64encode(content).decode("ascii"), base64.b64encode(junk).decode("ascii")
        )
    )
    path = save(tmp_path / "film.ipynb", bundle)
    lose_all(session)
    session = begin()
    mine = session.settings.folder / "mine.mp4"
    mine.parent.mkdir(exist_ok=True)
    mine.write_bytes(junk)
    recover(path)
    assert list(mine.parent.glob("*.mp4")) == [mine]


def test_no_notebook_is_refused(begin: Callable[..., Session], tmp_path: Path) -> None:
    """Before anything is done."""
    begin()
    with pytest.raises(InvalidInput, match=r"no \.ipynb file matches"):
        recover(str(tmp_path / "*.ipynb"))
    with pytest.raises(InvalidInput, match="unknown to this front end"):
        recover()


def image_job(session: Session, tmp_path: Path, photo: bytes) -> Job:
    """A job of a picture that lies beside the notebook."""
    (tmp_path / "fox.png").write_bytes(photo)
    job = session.image_to_video("fox.png", "it runs", duration=5)
    job.result(PATIENCE_S)
    return job


def test_a_fingerprint_that_the_cell_proves_answers_its_request(
    begin: Callable[..., Session], tmp_path: Path, photo: bytes
) -> None:
    """The picture that the cell names lies beside the notebook: running the cell pays nothing."""
    job = image_job(begin(), tmp_path, photo)
    path = save(tmp_path / "film.ipynb", shown(job, "always"))
    lose_all(default_session.default_session())
    session = begin()
    (row,) = recover(path)[0].recovered
    assert row.fingerprint == job.record.fingerprint
    again = session.image_to_video("fox.png", "it runs", duration=5)
    assert again.id == job.id
    assert tasks(session) == 0


def test_a_picture_by_its_uri_proves_its_request(
    begin: Callable[..., Session], tmp_path: Path, photo: bytes
) -> None:
    """A cell that names a `file:` URI states the same request as one with the path."""
    session = begin()
    (tmp_path / "fox.png").write_bytes(photo)
    uri = (tmp_path / "fox.png").as_uri()
    job = session.image_to_video(uri, "it runs", duration=5)
    job.result(PATIENCE_S)
    path = save(tmp_path / "film.ipynb", shown(job, "always"))
    lose_all(session)
    session = begin()
    (row,) = recover(path)[0].recovered
    assert uri in row.cell
    assert row.fingerprint == job.record.fingerprint


def test_an_earlier_fingerprint_proves_its_request(
    begin: Callable[..., Session], tmp_path: Path
) -> None:
    """A card of an earlier version, which took accents as they were encoded."""
    session = begin()
    job = session.text_to_video("A fox in a cafe\u0301", duration=5)
    job.result(PATIENCE_S)
    earlier = "e0fa5fd27d2d2aed7473dcb0586bfb4cf6237d5f5864aa288fc3ed7ba92370cf"
    path = save(tmp_path / "film.ipynb", shown(job, "always", fingerprint=earlier))
    lose_all(session)
    session = begin()
    (row,) = recover(path)[0].recovered
    assert row.fingerprint == earlier
    assert session.text_to_video("A fox in a caf\u00e9", duration=5).id == job.id
    assert tasks(session) == 0


@pytest.mark.parametrize("change", ["the picture is gone", "the picture is another", "forged"])
def test_a_fingerprint_that_nothing_proves_answers_nothing(
    begin: Callable[..., Session], tmp_path: Path, photo: bytes, change: str
) -> None:
    """The job is shown with its clip; its cell makes a new request, and the summary says so."""
    job = image_job(begin(), tmp_path, photo)
    changes = {"fingerprint": "f" * 64} if change == "forged" else {}
    path = save(tmp_path / "film.ipynb", shown(job, "always", **changes))
    lose_all(default_session.default_session())
    if change == "the picture is gone":
        (tmp_path / "fox.png").unlink()
    elif change == "the picture is another":
        (tmp_path / "fox.png").write_bytes(photo + b"x")
    session = begin()
    done = recover(path)
    (row,) = done[0].recovered
    assert row.stage is Stage.SAVED
    assert [each.id for each in session.clips()] == [job.id]
    named = changes.get("fingerprint", job.record.fingerprint)
    assert session.ledger.blocking(named) is None
    words = describe(done)
    assert any(line.startswith(f"For display only: {job.id}.") for line in words)
    assert not any("sends nothing" in line for line in words)
    assert recover(path)[0].known == [job.id], "a second time changes nothing"
    assert ClipFinder(session.ledger).row(read_card(shown(job, **changes)[CARD_MIME])[0]) == row


@pytest.mark.parametrize("state", ["sending", "unknown", "failed"])
def test_a_job_that_the_ledger_has_gets_no_second_row(
    begin: Callable[..., Session], tmp_path: Path, photo: bytes, state: str
) -> None:
    """Also where its card is older than its task, and the picture that would prove it is gone."""
    session = begin()
    job = image_job(session, tmp_path, photo)
    path = save(tmp_path / "film.ipynb", shown(job, "never", state=state, task_id=""))
    (tmp_path / "fox.png").unlink()
    before = rows(session)
    (done,) = recover(path)
    assert (done.recovered, done.known) == ([], [job.id])
    assert rows(session) == before


def test_the_index_of_the_user_proves_a_live_request(
    begin: Callable[..., Session], tmp_path: Path
) -> None:
    """It says that this folder paid for the request: `recover` is the way on for a lost ledger."""
    session = begin()
    job = made(session)
    here, elsewhere = "a" * 64, "b" * 64
    now = datetime.now(UTC)
    UserIndex().note(here, session.settings.folder, now)
    UserIndex().note(elsewhere, tmp_path / "other", now)
    bundles = [
        shown(job, "never", service="live", fingerprint=name, task_id=name[:32], id=name[:8])
        for name in (here, elsewhere)
    ]
    path = save(tmp_path / "film.ipynb", *bundles)
    lose_all(session)
    session = begin()
    recover(path)
    found = session.ledger.blocking(here)
    assert found
    assert found.id == "a" * 8
    assert session.ledger.blocking(elsewhere) is None
    assert UserIndex().find(elsewhere) != UserIndex().find(here)


def test_a_card_of_a_recovered_job_is_recovered_again(
    begin: Callable[..., Session], tmp_path: Path
) -> None:
    """It keeps the name of its request, which may be proven the next time."""
    session = begin()
    job = made(session)
    name = f"recovered:{job.record.fingerprint}"
    path = save(tmp_path / "film.ipynb", shown(job, "always", fingerprint=name))
    lose_all(session)
    begin()
    (row,) = recover(path)[0].recovered
    assert row.fingerprint == job.record.fingerprint


@pytest.mark.parametrize("kind", ["pipe", "folder", "link", "large"])
def test_only_plain_notebooks_are_read(
    begin: Callable[..., Session], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A pipe would hang, a link may lead to another person's file, a huge file fills the memory."""
    session = begin()
    path = tmp_path / "work" / "film.ipynb"
    path.parent.mkdir()
    other = save(tmp_path / "other.ipynb", shown(made(session), "always"))
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
def test_only_plain_clips_are_taken(
    begin: Callable[..., Session], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """What has a clip's name in the folder is no clip of it, unless it is a file in it."""
    session = begin()
    job = made(session)
    file = job.result(0).path
    path = save(tmp_path / "film.ipynb", shown(job, "never", sha256="", size_bytes=0))
    lose_ledger(session)
    moved = file.rename(tmp_path / "private.mp4")
    match kind:
        case "pipe":
            os.mkfifo(file)
        case "link":
            file.symlink_to(moved)
        case "large":
            file.write_bytes(moved.read_bytes())
            monkeypatch.setattr("kling_nb.notebook.archive.recover.CLIP_BYTES", 100)
    begin()
    (row,) = recover(path)[0].recovered
    assert row.clip is None
    assert row.stage is Stage.ACCEPTED


def test_a_link_in_its_own_folder_is_followed(
    begin: Callable[..., Session], tmp_path: Path
) -> None:
    """`latest.ipynb` may lead to the notebook beside it."""
    session = begin()
    save(tmp_path / "film.ipynb", shown(made(session), "always"))
    (tmp_path / "latest.ipynb").symlink_to("film.ipynb")
    lose_all(session)
    begin()
    assert len(recover(tmp_path / "latest.ipynb")[0].recovered) == 1
