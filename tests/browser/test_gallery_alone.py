"""The gallery's module in a browser, with a kernel that answers late, with a fault, or never."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kling_nb.jobs.session import Session

from .bare_gallery import Shown, shown_gallery

FOX, WHALE = "A red fox", "A blue whale"
WAITING = "Waiting for the kernel…"
GONE = "clip.mp4 no longer exists."
MINUTE_MS = 60_000
KERNEL_GONE = "The kernel is not running. Run the cell again."


@pytest.fixture
def shown(chromium: Any, open_session: Callable[..., Session]) -> Iterator[Shown]:
    """A gallery of two clips."""
    with shown_gallery(chromium, open_session, (FOX, WHALE)) as opened:
        yield opened


def test_one_video_plays_however_often_one_came_back(shown: Shown) -> None:
    """Looked at, left, and looked at again before the film was there; none is left behind."""
    for _ in range(3):
        shown.look_at(FOX)
        shown.look_away()
    shown.look_at(FOX)
    assert len(shown.asked("film")) == 1
    shown.send_film(FOX)
    shown.wait_until_moving(shown.tile(FOX).locator("video"))
    shown.look_away()
    shown.page.locator("video").wait_for(state="detached")


def test_a_film_for_nobody_does_not_play(shown: Shown) -> None:
    """Left before it came; looked at again it is there without a question."""
    shown.look_at(FOX)
    shown.look_away()
    shown.send_film(FOX)
    shown.look_at(WHALE)
    assert shown.page.locator("video").count() == 0
    shown.look_at(FOX)
    shown.wait_until_moving(shown.tile(FOX).locator("video"))
    assert len(shown.asked("film")) == 2


def test_a_film_that_is_late_is_waited_for_in_words(shown: Shown) -> None:
    """The clip says so, and no more once it plays or is left."""
    shown.look_at(FOX)
    play, note = shown.button(f"Play: {FOX}"), shown.note(FOX)
    assert play.get_attribute("aria-busy") == "true"
    shown.page.clock.run_for(1500)
    assert note.text_content() == WAITING
    shown.look_away()
    assert note.text_content() == ""
    assert play.get_attribute("aria-busy") is None
    shown.look_at(FOX)
    shown.page.clock.run_for(1500)
    shown.send_film(FOX)
    shown.wait_until_moving(shown.tile(FOX).locator("video"))
    assert note.text_content() == ""
    assert shown.page.locator("[aria-busy]").count() == 0


def test_a_film_that_never_comes_ends_in_a_word(shown: Shown) -> None:
    """A click requests it again."""
    shown.look_at(FOX)
    shown.page.clock.run_for(MINUTE_MS)
    clip = shown.tile(FOX)
    clip.get_by_text("The kernel has not answered for a minute.").wait_for()
    assert shown.page.locator("[aria-busy]").count() == 0
    assert shown.note(FOX).text_content() == ""
    shown.button(f"Play: {FOX}").click()
    assert len(shown.asked("film")) == 2
    shown.send_film(FOX)
    shown.wait_until_moving(clip.locator("video"))
    assert not clip.get_by_text("has not answered").is_visible()


def test_a_film_that_comes_after_all_is_kept(shown: Shown) -> None:
    """The next time the clip is pointed at, it plays without a request."""
    shown.look_at(FOX)
    shown.page.clock.run_for(MINUTE_MS)
    shown.look_away()
    shown.send_film(FOX)
    shown.look_at(FOX)
    shown.wait_until_moving(shown.tile(FOX).locator("video"))
    assert len(shown.asked("film")) == 1


def test_a_clip_whose_file_is_gone_says_so(shown: Shown) -> None:
    """In the kernel's words, where the film would have been."""
    shown.look_at(FOX)
    shown.answer("film", fault=GONE)
    shown.tile(FOX).get_by_text(GONE).wait_for()
    assert shown.page.locator("[aria-busy], video").count() == 0


def test_bytes_that_are_no_film_say_so(shown: Shown) -> None:
    """Not in the browser's words."""
    shown.look_at(FOX)
    shown.page.evaluate("kernel.answer('film', {}, [btoa('no film')])")
    shown.tile(FOX).get_by_text("This browser cannot play it.").wait_for()
    assert shown.page.locator("video").count() == 0


def test_the_stage_says_what_it_waits_for_and_what_never_came(shown: Shown) -> None:
    """A clip that does not come does not stop the other."""
    for prompt in (FOX, WHALE):
        shown.button(f"Compare: {prompt}").click()
    shown.button("Play side by side").click()
    panes = shown.page.locator(".kling-pane-screen")
    assert panes.all_inner_texts() == ["Loading …"] * 2
    shown.page.clock.run_for(1500)
    assert panes.all_inner_texts() == [WAITING] * 2
    shown.send_film(WHALE)
    shown.page.clock.run_for(MINUTE_MS)
    shown.page.locator(".kling-pane").get_by_text("has not answered for a minute").wait_for()
    shown.wait_until_moving(shown.page.locator(".kling-pane video"))
    assert not shown.page.get_by_text("Loading").is_visible()


@pytest.mark.parametrize("word", ["Star", "Hide"])
def test_a_mark_shows_at_once_that_it_waits(shown: Shown, word: str) -> None:
    """First the button, then a text; two fast clicks are one request."""
    button, note = shown.button(f"{word}: {FOX}"), shown.note(FOX)
    button.evaluate("button => { button.click(); button.click() }")
    assert button.get_attribute("aria-busy") == "true"
    assert len(shown.asked(word.lower())) == 1
    assert note.text_content() == ""
    shown.page.clock.run_for(1500)
    assert note.text_content() == WAITING
    shown.answer(word.lower(), starred=word == "Star", hidden=word == "Hide")
    assert shown.page.locator("[aria-busy]").count() == 0
    assert not shown.page.get_by_text(WAITING).is_visible()
    assert shown.tile(FOX).count() == (1 if word == "Star" else 0)


def test_two_waits_on_a_clip_end_one_by_one(shown: Shown) -> None:
    """The words stay until the last is answered."""
    shown.button(f"Star: {FOX}").click()
    shown.button(f"Hide: {FOX}").click()
    # The buttons lie on the image: pointing at them would request a video, too.
    shown.look_away()
    shown.page.clock.run_for(1500)
    shown.answer("star", starred=True, hidden=False)
    assert shown.note(FOX).text_content() == WAITING
    shown.answer("hide", fault="The disk is full.")
    assert shown.note(FOX).text_content() == ""
    assert shown.page.get_by_text("The disk is full.").is_visible()


def test_a_mark_that_failed_can_be_tried_again(shown: Shown) -> None:
    """It is as it was, and says why."""
    star = shown.button(f"Star: {FOX}")
    star.click()
    shown.answer("star", fault="The disk is full.")
    assert shown.page.get_by_text("The disk is full.").is_visible()
    assert star.get_attribute("aria-pressed") == "false"
    star.click()
    assert len(shown.asked("star")) == 2


def test_what_was_said_of_a_hidden_clip_is_over_when_it_is_back(shown: Shown) -> None:
    """The way back waits, too, and is gone once it was gone."""
    shown.button(f"Hide: {FOX}").click()
    shown.answer("hide", starred=False, hidden=True)
    undo = shown.button("Undo")
    undo.click()
    assert undo.is_disabled()
    shown.page.clock.run_for(1500)
    shown.page.get_by_role("button", name=WAITING).wait_for()
    shown.answer("hide", starred=False, hidden=False)
    assert not shown.page.get_by_text("Hidden: ").is_visible()


def test_a_clip_is_deleted_after_a_confirmation(shown: Shown) -> None:
    """Without a trash, after a second one; Cancel sends nothing."""
    shown.button(f"Details: {FOX}").click()
    for answer, count in (("Cancel", 0), ("Move to trash", 1)):
        shown.button(f"Delete: {FOX}").click()
        shown.button(answer).click()
        assert len(shown.asked("delete")) == count
    assert shown.asked("delete")[-1]["permanently"] is False
    shown.answer("delete", question="There is no trash. Delete it permanently?")
    shown.page.get_by_text("There is no trash.").wait_for()
    shown.button("Delete permanently").click()
    assert shown.asked("delete")[-1]["permanently"] is True
    shown.answer("delete", deleted=True, said="It can be downloaded again.")
    assert shown.tile(FOX).count() == 0
    assert shown.page.get_by_text(f"Deleted: {FOX}. It can be downloaded again.").is_visible()


def test_a_deletion_that_failed_says_why(shown: Shown) -> None:
    """The clip stays, and can be deleted again."""
    shown.button(f"Details: {FOX}").click()
    shown.button(f"Delete: {FOX}").click()
    shown.button("Move to trash").click()
    shown.answer("delete", fault="The file is open in another program.")
    assert shown.page.get_by_text("The file is open in another program.").is_visible()
    assert shown.has_focus(shown.button(f"Delete: {FOX}"))
    shown.button(f"Delete: {FOX}").click()
    assert shown.button("Move to trash").is_visible()


def test_a_list_that_is_late_is_waited_for_in_words(shown: Shown) -> None:
    """Only after a change of the filter."""
    count = shown.page.locator(".kling-gallery-count")
    shown.page.clock.run_for(1500)
    assert count.inner_text() == "2 clips"
    shown.page.get_by_label("Filter by prompt").fill("no such clip")
    shown.page.clock.run_for(2000)
    assert count.inner_text() == WAITING
    shown.answer(
        "list",
        clips=[],
        framed=[],
        matching=0,
        heading="0 of 2 clips",
        models=[],
        nothing=["No clip matches"],
    )
    assert count.inner_text() == "0 of 2 clips"


def test_a_closed_gallery_plays_and_asks_nothing(shown: Shown) -> None:
    """As when the kernel goes: no video, no clock of ours; it says that it leaves."""
    shown.look_at(FOX)
    shown.send_film(FOX)
    shown.wait_until_moving(shown.tile(FOX).locator("video"))
    shown.button(f"Star: {WHALE}").click()
    before = len(shown.page.evaluate("kernel.sent"))
    shown.page.evaluate("kernel.close()")
    shown.page.clock.run_for(MINUTE_MS)
    assert shown.page.locator("video").count() == 0
    assert [content["do"] for content in shown.page.evaluate("kernel.sent")[before:]] == ["leave"]


def test_without_a_kernel_every_press_says_so(shown: Shown) -> None:
    """A film, a mark and the list; nothing waits, and each button works again."""
    shown.page.evaluate("kernel.manager.kernel = null")
    for press in (f"Star: {FOX}", f"Hide: {WHALE}", "Refresh"):
        shown.page.evaluate("document.querySelector('.kling-gallery-said').replaceChildren()")
        shown.button(press).click()
        shown.page.get_by_role("status").filter(has_text=KERNEL_GONE).wait_for()
        assert shown.button(press).is_enabled()
    shown.button(f"Play: {FOX}").click()
    shown.tile(FOX).get_by_text(KERNEL_GONE).wait_for()
    shown.page.clock.run_for(MINUTE_MS)
    assert shown.page.locator("[aria-busy]").count() == 0
    assert shown.page.get_by_text(WAITING).count() == 0
    assert [content["do"] for content in shown.page.evaluate("kernel.sent")] == ["list"]


def test_a_mark_without_an_answer_is_not_waited_for(shown: Shown) -> None:
    """After a while; the message goes with the next answer."""
    shown.answer("list", **shown.first)
    shown.button(f"Star: {FOX}").click()
    shown.page.clock.run_for(12_000)
    shown.page.get_by_text("The kernel does not answer.").wait_for()
    assert shown.button(f"Star: {FOX}").get_attribute("aria-busy") is None
    shown.answer("star", starred=True, hidden=False)
    assert shown.page.get_by_text("The kernel does not answer.").count() == 0
