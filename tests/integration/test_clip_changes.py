"""Titles and deletions in a session: what cards, lists, cells and the next kernel make of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kling_nb.core.job_state import Deleted, Saved, Stage
from kling_nb.display.cards.metadata import CARD_MIME
from kling_nb.display.gallery import Gallery, gallery
from kling_nb.emulator import EmulatedAccount
from kling_nb.errors import AlreadyPaid, ClipDeleted, InvalidInput, LedgerError, NoTrash
from kling_nb.jobs.clip import Clip
from kling_nb.jobs.job import Job
from kling_nb.jobs.session import Session
from kling_nb.notebook.commands import Commands
from kling_nb.storage.clip_search import ClipFilter
from tests.support.callback_receivers import wait_until
from tests.support.service import Open
from tests.support.shells import texts

PATIENCE_S = 20.0
PROMPT = "A red fox"
TITLE = "Fox, take 2"


@pytest.fixture
def job(session: Session) -> Job:
    """A job with a saved clip."""
    job = session.text_to_video(PROMPT)
    job.result(PATIENCE_S)
    return job


@pytest.fixture
def clip(job: Job) -> Clip:
    """Its clip."""
    return job.result(0)


def again(session: Session) -> Job:
    """Make the same request, as its cell does."""
    return session.text_to_video(PROMPT)


# --- titles -------------------------------------------------------------------------------------


def test_a_title_is_shown_and_kept(
    session: Session, job: Job, clip: Clip, open_session: Open
) -> None:
    """On the card, in its JSON, in the repr, and in the next session; the file keeps its name."""
    path = clip.path
    clip.rename(f" {TITLE} ")
    assert clip.title == job.record.title == session.ledger.row(job.id).title == TITLE
    assert TITLE in repr(clip)
    bundle = clip._repr_mimebundle_()
    assert f">{TITLE}</p>" in bundle["text/html"]
    assert TITLE in bundle["text/plain"]
    assert bundle[CARD_MIME]["cards"][0]["title"] == TITLE
    assert clip.path == path
    assert path.is_file()
    session.close()
    assert open_session().job(job.id).result(PATIENCE_S).title == TITLE


def test_a_listed_clip_can_be_changed(session: Session, job: Job) -> None:
    """Without its job; the list shows the title, and omits a deleted clip."""
    session.clips()[0].rename(TITLE)
    assert TITLE in repr(session.clips())
    assert job.record.title == TITLE
    session.clips()[0].delete(permanently=True)
    assert len(session.clips()) == 0


def test_an_empty_title_removes_it(job: Job, clip: Clip) -> None:
    """The card and the repr are as before."""
    before = repr(clip), clip._repr_html_()
    clip.rename(TITLE)
    clip.rename("")
    assert (repr(clip), clip._repr_html_()) == before


def test_a_wrong_title_changes_nothing(session: Session, clip: Clip) -> None:
    """One error says what is allowed."""
    clip.rename(TITLE)
    with pytest.raises(InvalidInput, match="one line of at most 120 characters"):
        clip.rename("x" * 121)
    assert session.ledger.row(clip.request.id).title == TITLE


def test_a_job_is_named_before_its_clip_is_saved(open_session: Open) -> None:
    """The clip has the title from the start."""
    session = open_session(emulator_seconds=600)
    job = session.text_to_video(PROMPT)
    job.rename(TITLE)
    assert session.ledger.row(job.id).title == job.record.title == TITLE


def test_other_handles_of_a_clip_get_the_title(session: Session, job: Job, clip: Clip) -> None:
    """Also if the session or the job was asked."""
    session.rename(job.id, TITLE)
    assert clip.title == TITLE
    job.rename("Fox")
    assert clip.title == "Fox"


def test_clips_are_found_by_title(session: Session, clip: Clip) -> None:
    """As by the words of the prompt."""
    clip.rename(TITLE)
    find = session.ledger.clip_search.find
    assert [row.id for row in find(ClipFilter("take red"), 10).records] == [clip.request.id]
    assert find(ClipFilter("take blue"), 10).records == []


def test_a_title_is_shown_in_lists(
    session: Session, clip: Clip, command: Commands, shell: Any
) -> None:
    """In `%kling jobs` and the gallery, in place of the prompt."""
    clip.rename(TITLE)
    command.run("jobs")
    assert TITLE in texts(shell)[-1]
    shown = gallery(session=session)
    assert TITLE in shown._repr_mimebundle_()["text/plain"]
    [entry] = shown.first["clips"]
    assert (entry["title"], entry["prompt"]) == (TITLE, PROMPT)


def test_a_clip_of_a_closed_session_says_so(session: Session, clip: Clip, trash: Path) -> None:
    """Nothing changes."""
    session.close()
    for change in (lambda: clip.rename(TITLE), clip.delete):
        with pytest.raises(LedgerError, match="session is closed"):
            change()
    assert clip.path.is_file()


# --- deletions ----------------------------------------------------------------------------------


def test_the_same_cell_sends_nothing_after_a_deletion(
    session: Session, clip: Clip, account: EmulatedAccount, trash: Path
) -> None:
    """It says when the clip was deleted, and how to get it back or another one."""
    clip.delete()
    job = again(session)
    assert isinstance(job.state, Deleted)
    error = rf"deleted the clip of job {job.id} on 20\d\d-\d\d-\d\d.*resume {job.id}.*--take 2"
    with pytest.raises(ClipDeleted, match=error):
        job.result(PATIENCE_S)
    assert account.count_tasks() == 1
    assert "You deleted this clip on" in job._repr_mimebundle_()["text/plain"]


def test_a_deleted_clip_does_not_come_back_by_itself(
    session: Session, clip: Clip, trash: Path, open_session: Open
) -> None:
    """The next `%load_ext` resumes interrupted jobs only."""
    clip.delete()
    session.close()
    new = open_session()
    assert new.resume() == []
    assert not clip.path.exists()
    assert isinstance(again(new).state, Deleted)


def test_a_deleted_clip_is_downloaded_again_on_request(
    session: Session, clip: Clip, account: EmulatedAccount, trash: Path
) -> None:
    """For 0 credits, under the same name, which saved cards link."""
    content = clip.path.read_bytes()
    clip.delete()
    [job] = session.resume(clip.request.id)
    back = job.result(PATIENCE_S)
    assert (back.path, back.path.read_bytes()) == (clip.path, content)
    assert account.count_tasks() == 1
    assert session.ledger.row(job.id).deleted_at is None
    assert isinstance(again(session).state, Saved)


def test_a_clip_from_the_trash_is_shown_again(
    session: Session, clip: Clip, account: EmulatedAccount, trash: Path
) -> None:
    """When its cell runs, or on `%kling resume`; nothing is downloaded."""
    for show in (again, lambda session: session.resume(clip.request.id)[0]):
        session.delete(clip.request.id)
        (trash / clip.path.name).rename(clip.path)
        changed_at = clip.path.stat().st_mtime_ns
        assert show(session).result(PATIENCE_S).path == clip.path
        assert clip.path.stat().st_mtime_ns == changed_at
    assert account.count_tasks() == 1


def test_the_next_take_of_a_deleted_clip(
    session: Session, job: Job, account: EmulatedAccount, trash: Path
) -> None:
    """It is paid for on request, as another take."""
    job.result(0).delete()
    take = again(session).another_take()
    assert take.record.take == 2
    take.result(PATIENCE_S)
    assert account.count_tasks() == 2
    assert isinstance(again(session).state, Deleted)


def test_forgetting_a_deleted_clip_allows_a_new_task(
    session: Session, clip: Clip, account: EmulatedAccount, trash: Path
) -> None:
    """As for an expired clip. A saved clip cannot be forgotten; the error names `delete`."""
    with pytest.raises(LedgerError, match=r"clip\.delete\(\)"):
        session.forget(clip.request.id)
    clip.delete()
    session.forget(clip.request.id)
    assert again(session).result(PATIENCE_S).path.is_file()
    assert account.count_tasks() == 2


def test_other_folders_do_not_pay_for_a_deleted_clip(
    open_live: Callable[[str], Session], trash: Path
) -> None:
    """The index of the user still has the payment."""
    first, second = open_live("one"), open_live("two")
    first.text_to_video(PROMPT).result(PATIENCE_S).delete()
    with pytest.raises(AlreadyPaid):
        second.text_to_video(PROMPT)


def test_lists_say_that_a_clip_is_deleted(
    session: Session, clip: Clip, command: Commands, shell: Any, trash: Path
) -> None:
    """Not that it has expired; the gallery does not show it."""
    clip.delete()
    command.run("jobs")
    assert re.search(rf"{clip.request.id} .* deleted ", texts(shell)[-1])
    assert list(session.clips(hidden=True)) == []
    assert "You deleted this clip" in clip._repr_mimebundle_()["text/plain"]


def test_a_card_on_screen_changes(session: Session, shell: Any, trash: Path) -> None:
    """To the title, and to a card without the clip."""
    from kling_nb.display.cards.card import show_card

    job = session.text_to_video(PROMPT)
    show_card(job, shell).settled.result(PATIENCE_S)
    clip = job.result(PATIENCE_S)
    clip.rename(TITLE)
    wait_until(lambda: TITLE in texts(shell)[-1])
    clip.delete()
    wait_until(lambda: "You deleted this clip" in texts(shell)[-1])
    assert "<video" not in shell.display_pub.outputs[-1]["data"]["text/html"]


def test_a_running_job_cannot_be_deleted(open_session: Open, trash: Path) -> None:
    """It goes on."""
    session = open_session(emulator_seconds=600)
    job = session.text_to_video(PROMPT)
    with pytest.raises(LedgerError, match="only a saved clip can be deleted"):
        session.delete(job.id)
    assert session.ledger.row(job.id).stage is Stage.ACCEPTED


def test_without_a_trash_a_clip_stays(session: Session, clip: Clip, no_trash: None) -> None:
    """Until it is deleted permanently."""
    with pytest.raises(NoTrash, match=r"permanently=True"):
        clip.delete()
    assert isinstance(again(session).state, Saved)
    clip.delete(permanently=True)
    assert not clip.path.exists()


# --- the gallery --------------------------------------------------------------------------------


@pytest.fixture
def page(session: Session, clip: Clip, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Sends a message as a gallery's page does, and returns the answer."""
    shown: Gallery = gallery(session=session)
    replies: list[dict[str, Any]] = []
    monkeypatch.setattr(shown, "send", lambda reply, _: replies.append(reply))

    def ask(**message: Any) -> dict[str, Any]:
        before = len(replies)
        shown._handle_custom_msg(message, [])
        wait_until(lambda: len(replies) > before)
        return replies[-1]

    return ask


def test_the_gallery_deletes_a_clip(page: Callable[..., Any], clip: Clip, trash: Path) -> None:
    """And says how to get it back."""
    reply = page(do="delete", id=clip.request.id)
    assert reply["deleted"] is True
    assert f"%kling resume {clip.request.id}" in reply["said"]
    assert (trash / clip.path.name).is_file()
    assert page(do="list")["clips"] == []


def test_the_gallery_asks_again_without_a_trash(
    page: Callable[..., Any], clip: Clip, no_trash: None
) -> None:
    """Only the second answer deletes the file."""
    reply = page(do="delete", id=clip.request.id, permanently=False)
    assert "no trash" in reply["question"]
    assert "deleted" not in reply
    assert clip.path.is_file()
    assert page(do="delete", id=clip.request.id, permanently=True)["deleted"] is True
    assert not clip.path.exists()
