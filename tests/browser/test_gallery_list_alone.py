"""The gallery's list and stage in a browser: quiet controls, clips that stay, pictures to judge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kling_nb.jobs.session import Session

from .bare_gallery import Shown, shown_gallery

FOX, WHALE, MIST = "A red fox", "A blue whale " + "sings in the deep " * 8, "Mist"
WIDE_PX, NARROW_PX = 760, 396
FIT_FOR_NOTEBOOK_PX = 350


@pytest.fixture
def shown(chromium: Any, open_session: Callable[..., Session]) -> Iterator[Shown]:
    """A gallery of three clips, in a page as wide as an output."""
    with shown_gallery(chromium, open_session, (FOX, WHALE, MIST)) as opened:
        opened.page.set_viewport_size({"width": WIDE_PX, "height": 1000})
        opened.page.emulate_media(reduced_motion="reduce")
        yield opened


def seen(button: Any) -> bool:
    """Whether a control of a clip can be seen."""
    return bool(button.evaluate("button => getComputedStyle(button).opacity === '1'"))


def listed(shown: Shown, clips: list[dict[str, Any]], framed: list[str], **more: object) -> None:
    """Answer the last list."""
    fields = ("matching", "heading", "nothing", "models", "folder")
    same = {name: shown.first[name] for name in fields}
    still = "window.still ?? btoa('no still')"
    shown.page.evaluate(
        f"([reply, count]) => kernel.answer('list', reply, Array(count).fill({still}))",
        [{**same, **more, "clips": clips, "framed": framed}, len(framed)],
    )


def panes(shown: Shown, *prompts: str) -> list[dict[str, float]]:
    """Put clips on stage, and give the boxes of their pictures."""
    for prompt in prompts:
        shown.button(f"Compare: {prompt[:12]}").click()
    shown.button("Play side by side").click()
    boxes: list[dict[str, float]] = shown.page.locator(".kling-pane-screen").evaluate_all(
        "all => all.map((each) => each.getBoundingClientRect().toJSON())"
    )
    return boxes


@pytest.mark.parametrize("name", ["Star", "Hide", "Compare"])
def test_controls_are_quiet_until_a_clip_is_pointed_at(shown: Shown, name: str) -> None:
    """Or reached by the keyboard; those of its neighbours stay quiet."""
    control, other = shown.button(f"{name}: {FOX}"), shown.button(f"{name}: {MIST}")
    shown.look_away()
    assert not seen(control)
    shown.tile(FOX).locator(".kling-tile-prompt").hover()
    assert seen(control)
    shown.look_away()
    assert not seen(control)
    shown.button(f"Details: {FOX}").focus()
    shown.page.keyboard.press("Shift+Tab")
    assert seen(control)
    assert not seen(other)


def test_controls_stay_while_one_of_them_has_the_focus(shown: Shown) -> None:
    """Also after a click, when the mouse has left the clip."""
    star = shown.button(f"Star: {FOX}")
    star.click()
    shown.answer("star", starred=False, hidden=False)
    shown.look_away()
    assert seen(star)
    assert seen(shown.button(f"Compare: {FOX}"))
    shown.page.get_by_label("Filter by prompt").focus()
    assert not seen(star)


def test_a_touch_screen_shows_them_always(
    chromium: Any, open_session: Callable[..., Session]
) -> None:
    """There is nothing to point with."""
    context = chromium.new_context(has_touch=True, is_mobile=True)
    with shown_gallery(context, open_session, (FOX,)) as opened:
        controls = [opened.button(f"{name}: {FOX}") for name in ("Star", "Hide", "Compare")]
        assert all(seen(control) for control in controls)
    context.close()


def test_what_is_marked_stays_in_sight(shown: Shown) -> None:
    """A star, and once a clip is chosen the way to choose others."""
    shown.button(f"Star: {FOX}").click()
    shown.answer("star", starred=True, hidden=False)
    shown.button(f"Compare: {MIST}").click()
    shown.look_away()
    shown.page.evaluate("document.activeElement.blur()")
    assert seen(shown.button(f"Star: {FOX}"))
    assert not seen(shown.button(f"Star: {MIST}"))
    assert all(seen(shown.button(f"Compare: {prompt[:12]}")) for prompt in (FOX, WHALE, MIST))


def test_prices_of_a_row_stand_in_line(shown: Shown) -> None:
    """However long the prompts above them are."""
    tops = shown.page.locator(".kling-tile-price").evaluate_all(
        "all => all.map((each) => each.getBoundingClientRect().top)"
    )
    assert len(tops) == 3
    assert len(set(tops)) == 1


def test_a_clip_that_comes_disturbs_none_that_is_there(shown: Shown) -> None:
    """What was unfolded stays unfolded, what has the focus keeps it, what plays goes on."""
    details = shown.button(f"Details: {FOX}")
    details.click()
    details.focus()
    shown.page.emulate_media(reduced_motion="no-preference")
    shown.look_at(FOX)
    shown.send_film(FOX)
    video = shown.tile(FOX).locator("video")
    shown.wait_until_moving(video)
    node = video.element_handle()
    new = {**shown.first["clips"][0], "id": "new", "prompt": "A crow"}
    # Last: what moves away below the mouse would stop, and rightly.
    listed(shown, [*shown.first["clips"], new], [])
    assert shown.page.locator(".kling-tile-prompt").last.inner_text() == "A crow"
    assert details.get_attribute("aria-expanded") == "true"
    assert details.evaluate("button => button === document.activeElement")
    assert node.evaluate("video => video.isConnected && !video.paused")


def test_a_clip_that_changed_is_drawn_anew_and_one_that_went_goes(shown: Shown) -> None:
    """In the order of the list, and with the still that it had."""
    mist, _, fox = shown.first["clips"]
    listed(shown, [{**fox, "fault": "fox.mp4 is empty."}, mist], [])
    prompts = shown.page.locator(".kling-tile-prompt").all_inner_texts()
    assert prompts == [FOX, MIST]
    shown.tile(FOX).get_by_text("fox.mp4 is empty.").wait_for()
    assert shown.tile(FOX).locator("img").evaluate("still => still.decode().then(() => true)")


def test_a_still_is_asked_for_once(shown: Shown) -> None:
    """Later lists say which are there already."""
    shown.button("Refresh").click()
    ids = {clip["id"] for clip in shown.first["clips"]}
    assert set(shown.asked("list")[-1]["known"]) == ids
    new = {**shown.first["clips"][0], "id": "new"}
    listed(shown, [new], ["new"])
    shown.button("Refresh").click()
    assert set(shown.asked("list")[-1]["known"]) == {*ids, "new"}


def test_more_of_them_come_once_each(shown: Shown) -> None:
    """Also where a clip was made meanwhile; the focus goes on behind those that were there."""
    clips = shown.first["clips"]
    new, old = ({**clips[0], "id": name, "prompt": name} for name in ("new", "old"))
    shown.button("Refresh").click()
    listed(shown, clips, [], matching=5)
    shown.button("Show 2 more of 2").click()
    assert shown.asked("list")[-1]["count"] > 4
    listed(shown, [new, *clips, old], [])
    ids = "all => all.map((each) => each.dataset.klingJob)"
    assert shown.page.locator(".kling-tile").evaluate_all(ids) == [
        "new",
        *(clip["id"] for clip in clips),
        "old",
    ]
    fourth = shown.page.locator(".kling-tile-play").nth(3)
    assert fourth.evaluate("button => button === document.activeElement")
    assert not shown.page.get_by_role("button", name="Show 2 more").is_visible()
    shown.button("Refresh").click()
    listed(shown, clips, [])
    assert not fourth.is_visible()


def test_a_stage_that_closes_takes_the_focus_from_nobody(shown: Shown) -> None:
    """Escape leaves the focus in another field; *Close* returns it to the button that opened."""
    panes(shown, FOX, MIST)
    field = shown.page.get_by_label("Filter by prompt")
    field.focus()
    shown.page.keyboard.press("Escape")
    assert not shown.page.locator(".kling-stage").is_visible()
    assert field.evaluate("field => field === document.activeElement")
    opens = shown.button("Play side by side")
    opens.click()
    shown.button("Close").click()
    assert opens.evaluate("button => button === document.activeElement")


def test_the_stage_is_large_and_of_one_height(shown: Shown) -> None:
    """Two side by side take the width of the output; in a narrow one they stand in a column."""
    one, other = panes(shown, FOX, MIST)
    assert one["height"] == other["height"]
    assert one["top"] == other["top"]
    assert one["width"] + other["width"] > 0.93 * (WIDE_PX - 50)
    arranged = "before => document.querySelector('.kling-pane').style.width !== before"
    before = shown.page.locator(".kling-pane").first.evaluate("pane => pane.style.width")
    shown.page.set_viewport_size({"width": NARROW_PX, "height": 1000})
    shown.page.wait_for_function(arranged, arg=before)
    shown.page.wait_for_function(
        "() => { const [one, other] = document.querySelectorAll('.kling-pane-screen');"
        " return other.getBoundingClientRect().top > one.getBoundingClientRect().bottom"
        f" && one.clientWidth > 0.8 * {FIT_FOR_NOTEBOOK_PX} }}"
    )


def test_a_full_screen_shows_them_larger(shown: Shown) -> None:
    """Within the screen, and back by the same button."""
    before = panes(shown, FOX, MIST, WHALE)[0]["height"]
    shown.page.set_viewport_size({"width": 1600, "height": 900})
    shown.button("Full screen").click()
    leave = shown.button("Leave full screen")
    leave.wait_for()
    larger = "before => document.querySelector('.kling-pane-screen').clientHeight > before"
    shown.page.wait_for_function(larger, arg=before)
    ends = shown.page.locator(".kling-pane-screen, .kling-transport").evaluate_all(
        "all => all.map((each) => each.getBoundingClientRect().bottom)"
    )
    assert max(ends) <= 900
    leave.click()
    shown.page.wait_for_function("() => !document.fullscreenElement")
    shown.button("Close").click()
    assert not shown.page.locator(".kling-stage").is_visible()
