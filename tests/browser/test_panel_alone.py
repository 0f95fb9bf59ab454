"""The foot of the panel in a browser, with a model and a kernel that stand in for Jupyter's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kling_nb.panels.controls import Actions

FAKE = Path(__file__).with_name("fake_actions.js")
TRAITS = {
    "controls": {},
    "busy": False,
    "price": "5 s · 55 credits ($0.28) · balance 100 → 45",
    "amount": "55 credits ($0.28)",
    "hint": "",
    "cell": "",
}
WAITING = "The kernel is busy with a cell"


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    """A page with the foot in it, whose clock stands still."""
    page = chromium.new_page()
    page.clock.install()
    page.add_script_tag(path=FAKE)
    page.evaluate("([source, traits]) => fakeFoot(source, traits)", [str(Actions._esm), TRAITS])
    yield page
    page.close()


def asked(page: Any) -> int:
    """How often the kernel was asked whether it hears."""
    count: int = page.evaluate("foot.model.sent.filter((each) => each.do === 'hear').length")
    return count


def test_a_kernel_that_does_not_hear_is_told_of(page: Any) -> None:
    """While a cell runs the panel says that it waits, asks once, and says no more at the end."""
    page.evaluate("foot.become('busy')")
    page.clock.run_for(20_000)
    assert page.get_by_text(WAITING).is_visible()
    assert asked(page) == 1
    page.evaluate("foot.become('idle'); foot.tell({ here: true })")
    assert not page.get_by_text(WAITING).is_visible()


def test_a_kernel_that_hears_is_left_alone(page: Any) -> None:
    """A cell that only awaits keeps nobody waiting, and short work is not even asked about."""
    page.evaluate("foot.become('busy')")
    page.clock.run_for(1000)
    page.evaluate("foot.become('idle')")
    page.clock.run_for(10_000)
    assert asked(page) == 0
    page.evaluate("foot.become('busy')")
    page.clock.run_for(1600)
    page.evaluate("foot.tell({ here: true })")
    page.clock.run_for(3000)
    assert asked(page) == 1
    assert not page.get_by_text(WAITING).is_visible()


def test_a_click_that_is_not_heard_says_so(page: Any) -> None:
    """Without a word of the front end about its kernel, too; the button comes back."""
    generate = page.get_by_role("button", name="Generate")
    generate.click()
    assert page.evaluate("foot.model.sent[0].do") == "generate"
    page.clock.run_for(1500)
    waiting = page.get_by_role("button", name="Waiting")
    assert waiting.is_disabled()
    assert page.get_by_text(WAITING).is_visible()
    page.evaluate("foot.tell({ here: true })")
    assert generate.is_enabled()


def test_what_is_not_copied_is_selected(page: Any) -> None:
    """A page that is not secure has no clipboard, and an old browser no way around it."""
    page.evaluate(
        "Object.defineProperty(navigator, 'clipboard', { value: undefined });"
        " document.execCommand = () => false;"
        " foot.model.set('cell', '%%kling\\nfog'); foot.tell({ copy: '%%kling\\nfog' })"
    )
    page.get_by_text("Not copied. It is selected: press Ctrl+C").wait_for()
    assert page.evaluate("getSelection().toString()") == "%%kling\nfog"


def test_the_cell_can_be_put_away(page: Any) -> None:
    """It is there until then, and the model knows."""
    page.evaluate("foot.model.set('cell', '%%kling\\nfog')")
    page.get_by_text("This cell asks for the same").wait_for()
    page.get_by_role("button", name="Hide").click()
    assert page.evaluate("foot.model.get('cell')") == ""
    assert not page.get_by_label("The cell").is_visible()


def test_the_sum_stands_out_in_its_line(page: Any) -> None:
    """The line reads as it was told; the sum is set off."""
    assert page.locator(".kling-cost strong").inner_text() == TRAITS["amount"]
    words = page.locator(".kling-cost").inner_text().replace("\xa0", " ")
    assert words == TRAITS["price"]


def test_a_foot_that_is_gone_listens_no_more(page: Any) -> None:
    """Neither to the kernel nor by a clock of its own."""
    page.evaluate("foot.become('busy'); foot.stop()")
    page.clock.run_for(20_000)
    assert page.evaluate("foot.listeners.length") == 0
    assert asked(page) == 0
