"""The details of a clip in a browser: a row as wide as the list, by mouse and by keyboard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kling_nb.jobs.session import Session

from .bare_gallery import Shown, shown_gallery

FOX, WHALE, MIST, OWL, CROW = "A red fox", "A blue whale", "Mist", "An owl", "A crow"
PROMPTS = (FOX, WHALE, MIST, OWL, CROW)
WIDE_PX, NARROW_PX = 760, 520
"""Three columns, and two."""
ORDER = """() => [...document.querySelector(".kling-tiles").children].map((each) =>
  each.querySelector(".kling-tile-prompt")?.textContent ?? "details")"""


@pytest.fixture
def shown(chromium: Any, open_session: Callable[..., Session]) -> Iterator[Shown]:
    """A gallery of five clips in three columns; the newest, a crow, is first."""
    with shown_gallery(chromium, open_session, PROMPTS) as opened:
        opened.page.set_viewport_size({"width": WIDE_PX, "height": 1000})
        opened.page.emulate_media(reduced_motion="reduce")
        yield opened


def details(shown: Shown, prompt: str) -> Any:
    """The open details of a clip."""
    return shown.page.get_by_role("group", name=f"Details: {prompt}")


def test_they_are_as_wide_as_the_list_and_below_the_row(shown: Shown) -> None:
    """Whichever clip of the row they belong to; the clips of the row stand as before."""
    row = shown.page.locator(".kling-tile").first
    before = row.bounding_box()
    for prompt in (CROW, MIST):
        shown.button(f"Details: {prompt}").click()
        assert shown.page.evaluate(ORDER) == [CROW, OWL, MIST, "details", WHALE, FOX]
    box, whole = (
        details(shown, MIST).bounding_box(),
        shown.page.locator(".kling-tiles").bounding_box(),
    )
    assert box["width"] > 0.95 * whole["width"]
    assert box["y"] >= before["y"] + before["height"] - 1
    assert row.bounding_box() == before
    shown.button(f"Details: {FOX}").click()
    assert shown.page.evaluate(ORDER) == [CROW, OWL, MIST, WHALE, FOX, "details"]


def test_they_follow_the_number_of_columns(shown: Shown) -> None:
    """The row of the clip is another one in a narrower page; the focus stays in them."""
    shown.button(f"Details: {CROW}").click()
    copy = shown.button("Copy path")
    copy.focus()
    shown.page.set_viewport_size({"width": NARROW_PX, "height": 1000})
    placed = f"order => JSON.stringify(({ORDER})()) === JSON.stringify(order)"
    shown.page.wait_for_function(placed, arg=[CROW, OWL, "details", MIST, WHALE, FOX])
    assert shown.has_focus(copy)
    shown.page.set_viewport_size({"width": WIDE_PX, "height": 1000})
    shown.page.wait_for_function(placed, arg=[CROW, OWL, MIST, "details", WHALE, FOX])


def test_enter_opens_them_and_escape_closes_them(shown: Shown) -> None:
    """The focus goes into them, on through their buttons, and back."""
    opener = shown.button(f"Details: {OWL}")
    opener.focus()
    shown.page.keyboard.press("Enter")
    assert shown.has_focus(details(shown, OWL))
    assert opener.get_attribute("aria-expanded") == "true"
    shown.page.keyboard.press("Tab")
    assert shown.page.evaluate("document.activeElement.textContent") == "Copy cell"
    shown.page.keyboard.press("Escape")
    assert details(shown, OWL).count() == 0
    assert opener.get_attribute("aria-expanded") == "false"
    assert shown.has_focus(opener)
    shown.page.keyboard.press("Enter")
    shown.button("Close").press("Enter")
    assert shown.has_focus(opener)


def test_one_clip_at_a_time(shown: Shown) -> None:
    """A second click on the same button closes them; Escape elsewhere leaves them open."""
    shown.button(f"Details: {OWL}").click()
    shown.button(f"Details: {FOX}").click()
    assert details(shown, OWL).count() == 0
    assert shown.button(f"Details: {OWL}").get_attribute("aria-expanded") == "false"
    shown.page.get_by_label("Filter by prompt").press("Escape")
    assert details(shown, FOX).is_visible()
    shown.button(f"Details: {FOX}").click()
    assert shown.page.locator(".kling-details").count() == 0


def test_arrows_go_by_rows_past_them(shown: Shown) -> None:
    """They are no clip."""
    shown.button(f"Details: {CROW}").click()
    shown.button(f"Play: {OWL}").focus()
    shown.page.keyboard.press("ArrowDown")
    assert shown.has_focus(shown.button(f"Play: {FOX}"))


@pytest.mark.parametrize("width_px", [WIDE_PX, 330])
def test_no_button_breaks_into_two_lines(shown: Shown, width_px: int) -> None:
    """Nor does the link to the file, which the server has; the path breaks where it must."""
    shown.page.set_viewport_size({"width": width_px, "height": 1000})
    owl = {**shown.first["clips"][1], "href": "clips/owl.mp4", "path": "/home/" + "a" * 200}
    shown.change(owl, matching=5, still=b"")
    shown.button(f"Details: {OWL}").click()
    link = details(shown, OWL).get_by_role("link", name="Open file")
    link.wait_for()
    assert link.get_attribute("href") == "/files/clips/owl.mp4"
    controls = details(shown, OWL).locator("button, a")
    heights = controls.evaluate_all("all => all.map((each) => each.offsetHeight)")
    assert max(heights) <= 30
    box = details(shown, OWL)
    assert box.evaluate("box => box.scrollWidth <= box.clientWidth")
