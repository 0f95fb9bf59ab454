"""What only a real browser can tell of a card: heights, and motion without messages."""

from __future__ import annotations

from typing import Any

import pytest

from tests.html_outline import live, record
from tests.html_states import RUNNING, WAITING


def show(chromium: Any, markup: str, *, width: int = 700, motion: str = "no-preference") -> Any:
    """Open a page that holds nothing but the markup, inside an output area."""
    page = chromium.new_page(viewport={"width": width, "height": 800}, reduced_motion=motion)
    page.set_content(f'<body><div class="jp-OutputArea">{markup}</div></body>')
    return page


def height(page: Any, name: str) -> float:
    """Give the height of the one element of a class."""
    return float(page.locator(f".{name}").bounding_box()["height"])


@pytest.mark.parametrize("width", [700, 440])
def test_a_running_card_keeps_its_height(chromium: Any, width: int) -> None:
    """From the first moment to the last one nothing below the card moves."""
    heights = set()
    for state in RUNNING:
        page = show(chromium, record(state) + live(state), width=width)
        heights.add((height(page, "kling-record"), height(page, "kling-live")))
        page.close()
    assert len(heights) == 1


def test_the_bar_moves_and_the_clock_ticks_without_messages(chromium: Any) -> None:
    """Where styles live, time passes by CSS alone: the page's clock is set, nothing is sent."""
    page = show(chromium, record(WAITING) + live(WAITING))
    page.evaluate("document.getAnimations().forEach(a => {a.pause(); a.currentTime = 10500})")
    scale = page.evaluate("getComputedStyle(document.querySelector('.kling-fill')).transform")
    shown = page.evaluate(
        "(() => {const s = getComputedStyle(document.querySelector('.kling-clock'), '::after');"
        "return [s.getPropertyValue('--kling-minutes'), s.getPropertyValue('--kling-seconds')]})()"
    )
    page.close()
    assert float(scale.split("(")[1].split(",")[0]) == pytest.approx(82.5 / 164, abs=0.001)
    assert shown == ["1", "22"]


def test_a_live_part_hides_the_line_for_saved_notebooks(chromium: Any) -> None:
    """The line is for whoever opens the file later."""
    page = show(chromium, record(WAITING) + live(WAITING))
    assert not page.locator(".kling-saved-only").is_visible()
    page.close()
    page = show(chromium, record(WAITING))
    assert page.locator(".kling-saved-only").is_visible()
    page.close()


def test_reduced_motion_is_respected(chromium: Any) -> None:
    """The bar stands at its literal width."""
    page = show(chromium, record(WAITING) + live(WAITING), motion="reduce")
    running = page.evaluate(
        "document.getAnimations().filter(a => /grow|pass/.test(a.animationName)).length"
    )
    page.close()
    assert running == 0
