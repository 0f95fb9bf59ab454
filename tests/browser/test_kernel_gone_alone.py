"""Buttons of a kernel that does not run or does not answer, and cards of an earlier kernel.

With a model that stands in for Jupyter's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kling_nb.display.cards.metadata import CARD_MIME
from tests.support.html_states import FACTS, SAVED, WAITING

from .outputs import Open, bundle, feet, open_outputs, place, sent, tell

GONE = "The kernel is not running. Run the cell again."
SILENT = "The kernel does not answer. If it is not running, run the cell again."
TAKE = "[data-kling-do=take]"


@pytest.fixture
def card(chromium: Any) -> Iterator[Any]:
    """A page with the card of a clip, and a clock that tests move."""
    page = chromium.new_page()
    page.clock.install()
    open_outputs(page, place(SAVED))
    tell(page, version=1, feet=feet(SAVED))
    yield page
    page.close()


@pytest.mark.parametrize(
    "kernel",
    ["null", "{ isDisposed: true }", "{ status: 'dead' }", "{ status: 'terminating' }"],
    ids=["none", "disposed", "dead", "terminating"],
)
def test_a_press_without_a_kernel_says_so(card: Any, kernel: str) -> None:
    """At once, and the button works again; a second press says it once."""
    button, label = card.locator(TAKE), card.locator(TAKE).text_content()
    card.evaluate(f"fakes.one.manager.kernel = {kernel}")
    for _ in range(2):
        button.click()
        assert card.get_by_role("status").filter(has_text=GONE).count() == 1
        assert button.is_enabled()
    card.clock.run_for(5000)
    assert button.text_content() == label
    assert sent(card, "take") == []


def test_a_message_that_cannot_be_sent_is_reported(card: Any) -> None:
    """A front end may raise for a kernel that it has disposed of."""
    card.evaluate("() => { fakes.one.model.send = () => { throw new Error('disposed') } }")
    card.locator(TAKE).click()
    card.get_by_text(GONE).wait_for()
    assert card.locator(TAKE).is_enabled()


def test_a_kernel_that_does_not_answer_is_not_waited_for(card: Any) -> None:
    """After a while the buttons work again; an answer that comes late is drawn."""
    card.locator(TAKE).click()
    card.clock.run_for(8000)
    assert card.locator(TAKE).text_content() == "Waiting for the kernel…"
    card.clock.run_for(4000)
    assert card.get_by_role("status").filter(has_text=SILENT).is_visible()
    assert "Another take" in card.locator(TAKE).text_content()
    assert card.locator(TAKE).is_enabled()
    tell(card, version=1, feet=feet(SAVED))
    assert not card.get_by_text(SILENT).is_visible()


def test_a_message_for_another_card_answers_nothing(card: Any) -> None:
    """The click may be lost though the kernel runs: its buttons work again as well."""
    card.locator(TAKE).click()
    card.clock.run_for(5000)
    tell(card, name="p2", version=1, feet={})
    card.clock.run_for(7000)
    assert card.get_by_role("status").filter(has_text=SILENT).is_visible()
    assert card.locator(TAKE).is_enabled()


def test_a_kernel_that_runs_a_cell_is_waited_for(card: Any) -> None:
    """It answers when the cell has ended."""
    card.evaluate("fakes.one.manager.kernel = { status: 'busy' }")
    card.locator(TAKE).click()
    card.clock.run_for(120_000)
    assert not card.get_by_text(SILENT).is_visible()
    assert card.locator(TAKE).is_disabled()
    card.evaluate("fakes.one.manager.kernel = { status: 'dead' }")
    card.clock.run_for(2000)
    assert card.get_by_text(GONE).is_visible()


def earlier(state: Any = WAITING, **given: Any) -> dict[str, Any]:
    """An output that an earlier kernel has left in the notebook."""
    metadata = {"version": 1, "cards": [{"id": FACTS.id, "state": state.name}]}
    markup = place(state, **({"hub": "old", "name": "p0", "version": 3} | given))
    return {"output_type": "display_data", "data": {"text/html": markup, CARD_MIME: metadata}}


def test_the_cards_of_an_earlier_kernel_are_reported(open_page: Open) -> None:
    """Those that may have changed since: not this kernel's own, and no clip."""
    outputs = [earlier(), earlier(SAVED, name="p1"), earlier(hub="one", name="p2")]
    outputs += [{"output_type": "stream", "text": "x"}]
    page = open_page(*("" for _ in outputs), document=outputs)
    (report,) = sent(page, "earlier")
    assert report["places"] == {"p0": {FACTS.id: "waiting"}}


def test_nothing_is_reported_without_such_a_card(open_page: Open) -> None:
    """Nor where there is no notebook."""
    assert sent(open_page("", document=[earlier(SAVED)]), "earlier") == []
    assert sent(open_page(place(hub="old")), "earlier") == []


def test_a_card_of_an_earlier_kernel_becomes_the_clip(open_page: Open) -> None:
    """In its output, with buttons; a bundle that is older than what is shown is passed over."""
    page = open_page(
        place(hub="old", name="p0", version=3), "", document=[earlier(), earlier(name="x")]
    )
    tell(page, name="p9", version=2, feet=feet(SAVED))
    replace = "given => fakes.one.tell(given)"
    page.evaluate(replace, {"earlier": "p0", "bundle": bundle(WAITING, name="p9", version=1)})
    page.locator('[data-kling-place="p9"]').wait_for()
    page.evaluate(replace, {"earlier": "p0", "bundle": bundle(SAVED, name="p9", version=2)})
    page.get_by_role("button", name="Another take").wait_for()
    page.evaluate(replace, {"earlier": "p0", "bundle": bundle(WAITING, name="p9", version=1)})
    assert page.get_by_role("button", name="Another take").is_visible()
    first, second = page.evaluate("fakes.one.outputs.map(({ data }) => data['text/plain'] ?? '')")
    assert (first, second) == ("saved", "")
