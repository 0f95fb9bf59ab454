"""What only a real browser can tell of a card: heights, and motion without messages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kling_nb.display.html.gallery import GalleryItem, render_gallery
from tests.support.html_outline import foot, record
from tests.support.html_states import FACTS, NOW, RUNNING, SAVED, WAITING

from .axe import AXE, MISSING, faults

HEIGHTS = "all => all.map(node => Math.round(node.getBoundingClientRect().height))"
CUT = "all => all.filter(n => n.scrollWidth > n.clientWidth).map(n => n.textContent)"


def show(chromium: Any, markup: str, *, width: int = 700, motion: str = "no-preference") -> Any:
    """Open a page that holds nothing but the markup, inside an output area."""
    page = chromium.new_page(viewport={"width": width, "height": 800}, reduced_motion=motion)
    page.set_content(f'<body><div class="jp-OutputArea">{markup}</div></body>')
    return page


def alive(state: Any) -> str:
    """A record with its foot, as a living page draws it."""
    empty, told = 'class="kling-foot kling-lives', f'<div class="kling-alive">{foot(state)}</div>'
    markup = record(state)
    at = markup.index(">", markup.index("kling-room kling-foot")) + 1
    return (markup[:at] + told + markup[at:]).replace('class="kling-room kling-foot', empty)


def height(page: Any) -> float:
    """Give the height of the one record."""
    return float(page.locator(".kling-record").bounding_box()["height"])


@pytest.mark.parametrize("width", [700, 440])
def test_a_running_card_keeps_its_height(chromium: Any, width: int) -> None:
    """From the first moment to the last one nothing below the card moves, alive or saved."""
    heights = set()
    for state in RUNNING:
        for markup in (record(state), alive(state)):
            page = show(chromium, markup, width=width)
            heights.add(height(page))
            page.close()
    assert len(heights) == 1


def test_the_bar_moves_and_the_clock_ticks_without_messages(chromium: Any) -> None:
    """Where styles live, time passes by CSS alone: the page's clock is set, nothing is sent."""
    page = show(chromium, alive(WAITING))
    page.evaluate("document.getAnimations().forEach(a => {a.pause(); a.currentTime = 10500})")
    scale = page.evaluate("getComputedStyle(document.querySelector('.kling-fill')).transform")
    shown = page.evaluate(
        "(() => {const s = getComputedStyle(document.querySelector('.kling-clock'), '::after');"
        "return [s.getPropertyValue('--kling-minutes'), s.getPropertyValue('--kling-seconds')]})()"
    )
    page.close()
    assert float(scale.split("(")[1].split(",")[0]) == pytest.approx(
        82.5 / WAITING.late_s, abs=0.001
    )
    assert shown == ["1", "22"]


def test_a_living_foot_hides_the_line_for_saved_notebooks(chromium: Any) -> None:
    """The line is for readers of the saved file."""
    page = show(chromium, alive(WAITING))
    assert not page.locator(".kling-saved-only").is_visible()
    page.close()
    page = show(chromium, record(WAITING))
    assert page.locator(".kling-saved-only").is_visible()
    page.close()


def test_reduced_motion_is_respected(chromium: Any) -> None:
    """The bar stands at its literal width."""
    page = show(chromium, alive(WAITING), motion="reduce")
    running = page.evaluate(
        "document.getAnimations().filter(a => /grow|pass/.test(a.animationName)).length"
    )
    page.close()
    assert running == 0


@pytest.mark.skipif(not AXE.exists(), reason=MISSING)
def test_a_page_may_show_a_card_twice(chromium: Any) -> None:
    """And two cards with the same prompt, and two galleries: no landmark is there twice."""
    others = (record(SAVED, replace(FACTS, id=each)) for each in ("k7f2qe", "k7f2qf"))
    item = GalleryItem(FACTS, SAVED)
    shelf = render_gallery([item], matching=1, kept=1, now=NOW)
    page = show(chromium, "".join((record(SAVED), record(SAVED), *others, shelf, shelf)))
    found = faults(page, ".kling-root")
    page.close()
    assert found == []


def test_no_width_makes_a_card_jump(chromium: Any) -> None:
    """What stands beside the badge breaks in all running states or in none; nothing is cut."""
    records = "".join(alive(state) for state in RUNNING)
    page = show(chromium, records, width=340)
    heights, cut = [], []
    for width in range(340, 701, 20):
        page.set_viewport_size({"width": width, "height": 800})
        heights.append(set(page.locator(".kling-record").evaluate_all(HEIGHTS)))
        if width >= 400:
            cut += page.locator(".kling-words, .kling-note").evaluate_all(CUT)
    page.close()
    assert [len(each) for each in heights] == [1] * len(heights)
    assert cut == []
