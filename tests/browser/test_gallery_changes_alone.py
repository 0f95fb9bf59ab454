"""A gallery on screen whose clips change: the page shows each, and disturbs nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kling_nb.jobs.session import Session

from .bare_gallery import Shown, shown_gallery

FOX, WHALE, MIST, OWL = "A red fox", "A blue whale", "Mist", "An owl"
CHECK_MS = 2_500


@pytest.fixture
def shown(chromium: Any, open_session: Callable[..., Session]) -> Iterator[Shown]:
    """A gallery of three clips, each in a row of its own, in a page that scrolls."""
    with shown_gallery(chromium, open_session, (FOX, WHALE, MIST)) as opened:
        opened.page.set_viewport_size({"width": 330, "height": 400})
        opened.page.emulate_media(reduced_motion="reduce")
        yield opened


def new_clip(shown: Shown, **more: Any) -> dict[str, Any]:
    """A clip that is newer than all others."""
    newest = shown.first["clips"][0]
    return {**newest, "id": "new", "prompt": OWL, "number": newest["number"] + 1, **more}


def draw(shown: Shown) -> None:
    """Make the browser draw; only then it corrects its scroll position, and knows what is seen."""
    shown.page.screenshot()


def answer_list(shown: Shown, clips: list[dict[str, Any]], **more: Any) -> None:
    """Answer the last list."""
    shown.answer("list", **{**shown.first, "clips": clips, "framed": [], **more})


def test_a_new_clip_comes_in_its_place(shown: Shown) -> None:
    """By the order in which the jobs were made, with the number of clips and its model."""
    shown.change(new_clip(shown), matching=4)
    assert shown.prompts == [OWL, MIST, WHALE, FOX]
    between = shown.first["clips"][1]["number"] - 0.5
    heron = new_clip(shown, id="late", prompt="A heron", number=between, model="another/model")
    shown.change(heron, matching=5)
    assert shown.prompts == [OWL, MIST, WHALE, "A heron", FOX]
    assert shown.page.locator(".kling-gallery-count").inner_text() == "5 clips"
    assert "another/model" in shown.page.get_by_role("combobox", name="Model").inner_text()


def test_a_clip_that_does_not_fit_is_only_counted(shown: Shown) -> None:
    """The kernel judges the filter of the page; what concerns another page is passed over."""
    shown.change(new_clip(shown), fits=False, matching=3)
    shown.page.evaluate("kernel.change({}, undefined, [], 'other')")
    assert shown.prompts == [MIST, WHALE, FOX]


def test_nothing_else_moves(shown: Shown) -> None:
    """What is on screen stays there, with the focus and the details.

    JupyterLab disables the scroll anchoring of the browser.
    """
    shown.page.add_style_tag(content="* { overflow-anchor: none }")
    shown.button(f"Details: {WHALE}").click()
    copies = shown.button("Copy path")
    copies.focus()
    shown.page.evaluate("scrollBy(0, 150)")
    before = copies.bounding_box()["y"]
    shown.change(new_clip(shown), matching=4)
    assert shown.prompts == [OWL, MIST, WHALE, FOX]
    assert shown.has_focus(copies)
    assert shown.page.get_by_role("group", name=f"Details: {WHALE}").is_visible()
    draw(shown)
    assert copies.bounding_box()["y"] == pytest.approx(before, abs=1)


def test_a_new_clip_is_seen_where_the_list_begins(shown: Shown) -> None:
    """The page does not scroll it away."""
    shown.page.evaluate("scrollTo(0, 0)")
    shown.change(new_clip(shown), matching=4)
    draw(shown)
    assert shown.page.evaluate("scrollY") == 0


def test_a_video_plays_on(shown: Shown) -> None:
    """Also in the clip beside the new one."""
    shown.page.emulate_media(reduced_motion="no-preference")
    shown.button(f"Play: {MIST}").focus()
    shown.page.keyboard.press("Enter")
    shown.send_film(MIST)
    video = shown.tile(MIST).locator("video")
    shown.wait_until_moving(video)
    node = video.element_handle()
    shown.change(new_clip(shown), matching=4)
    assert shown.prompts[0] == OWL
    assert node.evaluate("video => video.isConnected && !video.paused")


def test_a_clip_that_changed_keeps_focus_and_details(shown: Shown) -> None:
    """It is drawn anew: on another control the focus would be lost."""
    shown.button(f"Details: {WHALE}").click()
    shown.button(f"Star: {WHALE}").focus()
    whale = {**shown.first["clips"][1], "starred": True, "price": "another price"}
    shown.change(whale, still=b"")
    star = shown.button(f"Star: {WHALE}")
    assert star.get_attribute("aria-pressed") == "true"
    assert shown.has_focus(star)
    details = shown.page.get_by_role("group", name=f"Details: {WHALE}")
    assert "another price" in details.inner_text()
    assert shown.button(f"Details: {WHALE}").get_attribute("aria-expanded") == "true"


def test_a_clip_that_is_gone_goes(shown: Shown) -> None:
    """With its details; the focus goes to the next clip."""
    shown.button(f"Details: {WHALE}").click()
    shown.button(f"Star: {WHALE}").focus()
    gone = {"id": shown.first["clips"][1]["id"]}
    shown.change(gone, fits=False, matching=2, still=b"")
    assert shown.prompts == [MIST, FOX]
    assert shown.has_focus(shown.button(f"Play: {FOX}"))
    assert shown.page.locator(".kling-details").count() == 0
    assert shown.page.locator(".kling-gallery-count").inner_text() == "2 clips"


def test_a_clip_that_goes_while_its_details_have_the_focus(shown: Shown) -> None:
    """The focus goes to the next clip, and from the last one to the filter."""
    shown.button(f"Details: {WHALE}").click()
    shown.button("Copy path").focus()
    shown.change({"id": shown.first["clips"][1]["id"]}, fits=False, matching=2, still=b"")
    assert shown.has_focus(shown.button(f"Play: {FOX}"))
    shown.change({"id": shown.first["clips"][2]["id"]}, fits=False, matching=1, still=b"")
    assert shown.has_focus(shown.button(f"Play: {MIST}"))
    shown.change({"id": shown.first["clips"][0]["id"]}, fits=False, matching=0, still=b"")
    assert shown.has_focus(shown.page.get_by_role("searchbox"))


def test_a_clip_that_goes_is_not_compared(shown: Shown) -> None:
    """Its file was deleted, so that it cannot be played."""
    for prompt in (MIST, WHALE):
        shown.button(f"Compare: {prompt}").click()
    shown.change({"id": shown.first["clips"][1]["id"]}, fits=False, matching=2, still=b"")
    assert shown.button("Play large").is_visible()
    shown.change({"id": shown.first["clips"][0]["id"]}, fits=False, matching=1, still=b"")
    assert not shown.page.locator(".kling-tray").is_visible()


def test_a_change_answers_no_request(shown: Shown) -> None:
    """A star that gets no answer is reported although clips change meanwhile."""
    answer_list(shown, shown.first["clips"])
    shown.button(f"Star: {MIST}").click()
    shown.page.clock.run_for(5_000)
    shown.change(new_clip(shown), matching=4)
    shown.page.clock.run_for(7_000)
    assert "does not answer" in shown.page.locator(".kling-gallery-said").inner_text()


def test_a_closed_gallery_waits_for_no_answer(shown: Shown) -> None:
    """It says that its page is gone; nothing answers that."""
    shown.page.evaluate("kernel.close()")
    assert len(shown.asked("leave")) == 1
    shown.page.clock.run_for(20_000)
    said = shown.page.evaluate("document.querySelector('.kling-gallery-said')?.textContent ?? ''")
    assert said == ""


def test_the_last_clip_that_goes_leaves_the_text_of_an_empty_folder(shown: Shown) -> None:
    """The kernel has it; the first clip takes its place."""
    for left, clip in ((2, 0), (1, 1), (0, 2)):
        gone = {"id": shown.first["clips"][clip]["id"]}
        shown.change(gone, fits=False, matching=left, still=b"")
    answer_list(shown, [], matching=0, heading="0 clips", nothing=["No clips yet"])
    assert shown.page.get_by_text("No clips yet").is_visible()
    shown.change(new_clip(shown), matching=1)
    assert shown.prompts == [OWL]
    assert not shown.page.get_by_text("No clips yet").is_visible()


def test_more_of_them_come_though_one_was_new_meanwhile(shown: Shown) -> None:
    """The focus goes on behind those that were there; an older one waits for its turn."""
    clips = shown.first["clips"]
    shown.button("Refresh").click()
    answer_list(shown, clips, matching=5)
    older = new_clip(shown, id="older", prompt="Old", number=0)
    shown.change(older, matching=6)
    assert shown.prompts == [MIST, WHALE, FOX]
    shown.button("Show 3 more of 3").click()
    shown.change(new_clip(shown), matching=7)
    rest = [new_clip(shown, id=f"{n}", prompt=f"Rest {n}", number=-n) for n in range(3)]
    answer_list(shown, [new_clip(shown), *clips, *rest], matching=7)
    assert shown.prompts == [OWL, MIST, WHALE, FOX, "Rest 0", "Rest 1", "Rest 2"]
    assert shown.has_focus(shown.button("Play: Rest 0"))


def test_an_old_clip_that_fits_again_gets_its_image(shown: Shown) -> None:
    """The kernel sends an image only with a new clip, so the page asks for this one."""
    before = len(shown.asked("list"))
    shown.change(new_clip(shown, id="shown again"), matching=4, still=b"")
    (asked,) = shown.asked("list")[before:]
    assert "shown again" not in asked["known"]
    shown.change(new_clip(shown), matching=5)
    assert len(shown.asked("list")) == before + 1


def test_clips_of_other_kernels_are_asked_for_when_it_is_looked_at(shown: Shown) -> None:
    """Not while a list is under way, not again at once, and without a word of waiting."""
    focus = "window.dispatchEvent(new Event('focus'))"
    shown.page.evaluate(focus)
    assert shown.asked("check") == []
    answer_list(shown, shown.first["clips"])
    for moment in range(3):
        shown.page.clock.run_for(CHECK_MS)
        for _ in range(3):
            shown.page.evaluate(focus)
        assert len(shown.asked("check")) == moment + 1
        shown.answer("check", same=True)
    shown.page.clock.run_for(CHECK_MS)
    assert shown.page.locator(".kling-gallery-count").inner_text() == "3 clips"
    shown.page.evaluate(focus)
    new = [new_clip(shown), *shown.first["clips"]]
    shown.answer("check", **{**shown.first, "clips": new, "framed": [], "heading": "4 clips"})
    assert shown.prompts[0] == OWL


def test_a_gallery_out_of_sight_asks_when_it_comes_into_view(shown: Shown) -> None:
    """As after a change of tabs."""
    answer_list(shown, shown.first["clips"])
    shown.page.evaluate("document.body.style.paddingTop = '3000px'")
    shown.page.evaluate("scrollTo(0, 0)")
    draw(shown)
    shown.page.clock.run_for(CHECK_MS)
    before = len(shown.asked("check"))
    shown.page.evaluate("window.dispatchEvent(new Event('focus'))")
    assert len(shown.asked("check")) == before
    shown.page.evaluate("scrollTo(0, 3000)")
    shown.page.wait_for_function(
        f"() => kernel.sent.filter((content) => content.do === 'check').length > {before}"
    )
