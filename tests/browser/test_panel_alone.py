"""Parts of the panel in a browser, with a model and a kernel that stand in for Jupyter's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kling_nb.display.panel.widgets import Actions, Picker, Recents

FAKE = Path(__file__).with_name("fake_part.js")
TRAITS = {
    "controls": {},
    "form_of": "one",
    "value": "one",
    "busy": False,
    "price": "5 s · 55 credits ($0.28) · balance 100 → 45",
    "amount": "55 credits ($0.28)",
    "hint": "",
    "cell": "",
    "warnings": [],
}
WAITING = "The kernel is busy with a cell"
GONE = "The kernel is not running. Run the cell again."
POSTER = (
    "data:image/svg+xml,"
    "<svg xmlns='http://www.w3.org/2000/svg' width='16' height='9' viewBox='0 0 16 9'/>"
)
CLIPS = [{"id": name, "src": "", "prompt": f"clip {name}"} for name in "ab"]
PICTURES = [{"src": "", "name": f"{name}.png", "facts": "", "how": ""} for name in "ab"]


@pytest.fixture
def bare_page(chromium: Any) -> Iterator[Any]:
    """A page for one part, whose clock stands still."""
    page = chromium.new_page()
    page.clock.install()
    page.add_script_tag(path=FAKE)
    yield page
    page.close()


@pytest.fixture
def page(bare_page: Any) -> Any:
    """A page with the foot in it."""
    render(bare_page, Actions, TRAITS)
    return bare_page


def render(page: Any, part: Any, traits: dict[str, Any]) -> None:
    """Show a part of the panel."""
    page.evaluate("([source, traits]) => fakePart(source, traits)", [str(part._esm), traits])


def focused(page: Any) -> str:
    """What has the focus, as a screen reader names it."""
    name: str = page.evaluate(
        "(({ ariaLabel, title, textContent }) => ariaLabel || title || textContent)"
        "(document.activeElement)"
    )
    return name


def asked(page: Any) -> int:
    """Return how often the page has pinged the kernel."""
    count: int = page.evaluate("part.model.sent.filter((each) => each.do === 'hear').length")
    return count


def test_a_kernel_that_does_not_hear_is_told_of(page: Any) -> None:
    """While a cell runs the panel shows that it waits and pings once; then the text goes."""
    page.evaluate("part.become('busy')")
    page.clock.run_for(20_000)
    assert page.get_by_text(WAITING).is_visible()
    assert asked(page) == 1
    page.evaluate("part.become('idle'); part.tell({ here: true })")
    assert not page.get_by_text(WAITING).is_visible()


def test_a_kernel_that_does_not_run_is_told_of(page: Any) -> None:
    """No cell of it will ever end."""
    page.evaluate("part.become('dead')")
    page.get_by_role("button", name="Generate").click()
    assert page.get_by_role("status").filter(has_text=GONE).is_visible()
    assert page.get_by_role("button", name="Generate").is_enabled()
    page.clock.run_for(60_000)
    assert page.get_by_text(GONE).is_visible()
    assert not page.get_by_text(WAITING).is_visible()
    assert page.evaluate("part.model.sent") == []


@pytest.mark.parametrize("name", ["Copy cell", "Add shot"])
def test_no_button_of_the_panel_is_silent_without_a_kernel(page: Any, name: str) -> None:
    """Also one whose module knows nothing of the kernel."""
    panel = page.locator(".kling-panel")
    panel.evaluate("panel => panel.insertAdjacentHTML('beforeend', '<button>Add shot</button>')")
    page.evaluate("part.model.widget_manager.kernel = null")
    assert not page.get_by_text(GONE).is_visible()
    page.get_by_role("button", name=name).click()
    page.get_by_text(GONE).wait_for()


def test_a_request_whose_kernel_ends_is_not_waited_for(page: Any) -> None:
    """The button is free again; the model still has its last value."""
    page.get_by_role("button", name="Generate").click()
    page.evaluate("part.model.set('busy', true); part.tell({ here: true })")
    assert page.get_by_role("button", name="Sending").is_disabled()
    page.evaluate("part.become('dead')")
    page.get_by_text(GONE).wait_for()
    assert page.get_by_role("button", name="Generate").is_enabled()


def test_an_idle_kernel_without_an_answer_is_not_waited_for(page: Any) -> None:
    """After a while the button is free; an answer that comes late removes the message."""
    page.get_by_role("button", name="Generate").click()
    page.clock.run_for(12_000)
    assert page.get_by_role("status").filter(has_text="does not answer").is_visible()
    assert page.get_by_role("button", name="Generate").is_enabled()
    page.evaluate("part.tell({ here: true })")
    assert not page.get_by_text("does not answer").is_visible()


def test_a_kernel_that_hears_is_left_alone(page: Any) -> None:
    """A cell that only awaits answers the ping, and short work causes none."""
    page.evaluate("part.become('busy')")
    page.clock.run_for(1000)
    page.evaluate("part.become('idle')")
    page.clock.run_for(10_000)
    assert asked(page) == 0
    page.evaluate("part.become('busy')")
    page.clock.run_for(1600)
    page.evaluate("part.tell({ here: true })")
    page.clock.run_for(3000)
    assert asked(page) == 1
    assert not page.get_by_text(WAITING).is_visible()


def test_a_click_that_is_not_heard_says_so(page: Any) -> None:
    """Without a word of the front end about its kernel, too; the button comes back."""
    generate = page.get_by_role("button", name="Generate")
    generate.click()
    assert page.evaluate("part.model.sent[0].do") == "generate"
    page.clock.run_for(1500)
    waiting = page.get_by_role("button", name="Waiting")
    assert waiting.is_disabled()
    assert page.get_by_text(WAITING).is_visible()
    page.evaluate("part.tell({ here: true })")
    assert generate.is_enabled()


def test_an_earlier_form_takes_no_input(page: Any) -> None:
    """From the choice of another model until the last form is shown: it would be lost."""
    page.evaluate("document.querySelector('.kling-panel').append(document.createElement('form'))")
    page.locator("form").evaluate("form => form.classList.add('kling-fields')")
    blocked = []
    for name, value in (
        ("value", "two"),
        ("value", "three"),
        ("form_of", "two"),
        ("form_of", "three"),
    ):
        page.evaluate("each => part.model.set(...each)", [name, value])
        blocked.append(page.locator("form").evaluate("form => form.inert"))
    assert blocked == [True, True, True, False]
    assert asked(page) == 1  # says that it waits, if the kernel does not answer


def test_what_is_not_copied_is_selected(page: Any) -> None:
    """A page that is not secure has no clipboard, and an old browser no way around it."""
    page.evaluate(
        "Object.defineProperty(navigator, 'clipboard', { value: undefined });"
        " document.execCommand = () => false;"
        " part.model.set('cell', '%%kling\\nfog'); part.tell({ copy: '%%kling\\nfog' })"
    )
    page.get_by_text("Not copied. The cell is selected: press Ctrl+C").wait_for()
    assert page.evaluate("getSelection().toString()") == "%%kling\nfog"


def test_the_cell_can_be_put_away(page: Any) -> None:
    """It is there until then, and the model knows."""
    page.evaluate("part.model.set('cell', '%%kling\\nfog')")
    page.get_by_text("This cell makes the same request").wait_for()
    page.get_by_role("button", name="Hide").click()
    assert page.evaluate("part.model.get('cell')") == ""
    assert not page.get_by_label("The cell").is_visible()


def test_the_sum_stands_out_in_its_line(page: Any) -> None:
    """The line has the kernel's text; the sum is set off."""
    assert page.locator(".kling-cost strong").inner_text() == TRAITS["amount"]
    words = page.locator(".kling-cost").inner_text().replace("\xa0", " ")
    assert words == TRAITS["price"]


def test_a_foot_that_is_gone_listens_no_more(page: Any) -> None:
    """Neither to the kernel nor by a clock of its own."""
    page.evaluate("part.become('busy'); part.stop()")
    page.clock.run_for(20_000)
    assert page.evaluate("part.listeners.length") == 0
    assert asked(page) == 0


def test_new_clips_take_the_focus_from_nobody(bare_page: Any) -> None:
    """A clip that was opened stays open, and the focus stays where it is."""
    render(bare_page, Recents, {"clips": CLIPS, "takes_pictures": True})
    bare_page.get_by_role("button", name="clip a").click()
    assert focused(bare_page) == "Use its last frame as image"
    bare_page.evaluate("document.activeElement.blur()")
    bare_page.evaluate("clips => part.model.set('clips', clips)", CLIPS[::-1])
    assert bare_page.get_by_role("button", name="Use its settings").is_visible()
    assert bare_page.evaluate("document.activeElement === document.body")
    bare_page.get_by_role("button", name="clip b").focus()
    bare_page.evaluate("clips => part.model.set('clips', clips)", CLIPS)
    assert focused(bare_page) == "clip b"


def test_a_picture_more_leaves_the_focus_where_it_is(bare_page: Any) -> None:
    """Though all of them are drawn anew; nothing takes it back later."""
    traits = {"medium": "image", "several": True, "roles": [], "pictures": PICTURES[:1]}
    render(bare_page, Picker, {"value": "", "label": "Image", "kind": "picture", **traits})
    bare_page.get_by_role("button", name="Remove a.png").focus()
    show = "pictures => part.model.set('pictures', pictures)"
    bare_page.evaluate(show, PICTURES)
    assert focused(bare_page) == "Remove a.png"
    bare_page.get_by_role("button", name="Remove b.png").focus()
    bare_page.evaluate(show, PICTURES[:1])
    bare_page.evaluate(show, PICTURES)
    assert bare_page.evaluate("document.activeElement === document.body")


def test_the_place_of_recent_clips_is_kept(bare_page: Any) -> None:
    """Until their posters are read, so that the form below does not move."""
    clips = [{"id": name, "src": POSTER, "prompt": f"clip {name}"} for name in "ab"]
    render(bare_page, Recents, {"clips": [], "expected": 2, "takes_pictures": True})
    bare_page.add_style_tag(content=Actions._css)
    row = bare_page.locator(".kling-recents")
    before = row.bounding_box()
    assert before["height"] > 50
    assert row.get_by_role("button").count() == 0
    bare_page.evaluate("clips => part.model.set('clips', clips)", clips)
    bare_page.evaluate("part.model.set('expected', 0)")
    row.get_by_role("button").nth(1).wait_for()
    assert row.bounding_box() == before
    bare_page.evaluate("part.model.set('clips', [])")
    assert not row.is_visible()
