"""What stays where it is, and what goes on, while cards change: on a bare page."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.html_states import FACTS, SAVED

from .outputs import MOUNT, Open, draw, feet, place, sent, tell

SCROLLED = """([html, anchor]) => {
  document.body.innerHTML =
    '<div id="scroller" style="height: 400px; overflow: auto">' +
    `<div style="height: 600px">above</div>` +
    `<div class="output" style="overflow: auto">${html}</div>` +
    `<div id="below" style="height: 2000px; overflow-anchor: ${anchor}">below</div></div>`;
}"""
TOP = "document.querySelector('#below').getBoundingClientRect().top"
FRAME = "() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))"


def scrolled(open_page: Open, to: str, anchor: str = "none") -> Any:
    """A page with a running card, scrolled so that this many pixels are above the screen."""
    page = open_page()
    page.evaluate(SCROLLED, [place(), anchor])
    tell(page, version=1, feet=feet())
    page.evaluate(f"document.querySelector('#scroller').scrollTop = {to}")
    page.evaluate(FRAME)
    return page


def grow(page: Any) -> None:
    """Let the clip arrive, with a higher card."""
    tall = place(SAVED, version=2).replace("</section>", '<p style="height: 300px"></p></section>')
    tell(page, version=2, feet=feet(SAVED))
    draw(page, tall)
    page.evaluate(FRAME)


BELOW = "document.querySelector('#below').offsetTop + 40"


@pytest.mark.parametrize("anchor", ["none", "auto"])
def test_who_reads_below_a_card_is_not_thrown_about(open_page: Open, anchor: str) -> None:
    """The card grows above the screen; JupyterLab forbids the browser to care for it itself."""
    page = scrolled(open_page, BELOW, anchor)
    before = page.evaluate(TOP)
    grow(page)
    assert page.locator("[data-kling-state=saved]").bounding_box()["height"] > 400
    assert page.evaluate(TOP) == pytest.approx(before, abs=1)


@pytest.mark.parametrize("anchor", ["none", "auto"])
def test_clips_that_arrive_together_throw_nobody_about(open_page: Open, anchor: str) -> None:
    """As in a tab that was hidden for a while: each card grows by the same, in one frame."""
    page = scrolled(open_page, "0", anchor)
    page.evaluate(
        "html => document.querySelector('.output').insertAdjacentHTML('beforebegin',"
        """ `<div class="output">${html}</div>`)""",
        place(name="p2"),
    )
    page.evaluate(f"document.querySelector('#scroller').scrollTop = {BELOW}")
    page.evaluate(FRAME)
    before = page.evaluate(TOP)
    page.evaluate(
        "for (const each of document.querySelectorAll('.kling-record'))"
        " each.append(Object.assign(document.createElement('p'), { style: 'height: 300px' }))"
    )
    page.evaluate(FRAME)
    assert page.evaluate(TOP) == pytest.approx(before, abs=1)


@pytest.mark.parametrize("inner", ["textarea", ".kling-record"])
def test_a_widget_that_grows_above_the_screen_is_one_growth(open_page: Open, inner: str) -> None:
    """By itself, as a gallery, or by a card in it, as a panel: what is read below stays."""
    page = open_page()
    page.evaluate(SCROLLED, [MOUNT, "none"])
    page.locator("textarea").wait_for()
    page.locator("[data-kling-mount]").evaluate(
        "(node, html) => node.insertAdjacentHTML('beforeend', html)", place()
    )
    page.evaluate(f"document.querySelector('#scroller').scrollTop = {BELOW}")
    page.evaluate(FRAME)
    before = page.evaluate(TOP)
    page.locator(inner).evaluate("node => { node.style.height = '700px' }")
    page.evaluate(FRAME)
    assert page.locator(inner).bounding_box()["height"] >= 700
    assert page.evaluate(TOP) == pytest.approx(before, abs=1)


def test_a_card_on_the_screen_grows_downwards(open_page: Open) -> None:
    """Its top stays where it is."""
    page = scrolled(open_page, "590")
    before = page.locator(".kling-record").bounding_box()["y"]
    grow(page)
    assert page.locator(".kling-record").bounding_box()["y"] == pytest.approx(before, abs=1)


def test_who_types_below_a_card_goes_on_typing_there(open_page: Open) -> None:
    """The line with the cursor stays, though the card above it is on the screen."""
    page = scrolled(open_page, "690")
    page.evaluate("document.querySelector('#below').innerHTML = '<p contenteditable>words</p>'")
    page.locator("[contenteditable]").evaluate("node => node.focus({ preventScroll: true })")
    before = page.evaluate(TOP)
    grow(page)
    assert page.evaluate(TOP) == pytest.approx(before, abs=1)


def test_a_bar_never_stands_below_a_clip(open_page: Open) -> None:
    """The newer actions arrive first, and wait for their record."""
    page = open_page(place())
    tell(page, version=1, feet=feet())
    tell(page, version=2, feet=feet(SAVED))
    assert page.locator(".kling-bar").count() == 1
    assert page.locator("[data-kling-do=take]").count() == 0
    seen = page.locator(".output").evaluate(
        "async (node, html) => { node.innerHTML = html; await Promise.resolve();"
        " return [node.querySelectorAll('.kling-bar').length,"
        " node.querySelectorAll('[data-kling-do=take]').length] }",
        place(SAVED, version=2),
    )
    assert seen == [0, 1]


def clocked(open_page: Open, *, skew_s: float = 0) -> Any:
    """A page with a clock of the test, and a job that has run 72 of 164 seconds."""
    page = open_page(place())
    page.clock.install()
    made_at = page.evaluate("Date.now()") / 1000 + skew_s
    told = feet()[FACTS.id]
    stamp = told.split('data-kling-at="')[1].split('"')[0]
    tell(page, version=1, feet={FACTS.id: told.replace(stamp, f"{made_at:.1f}")})
    return page


def bar(page: Any) -> tuple[str, str]:
    """The progress for a screen reader: percent and text."""
    shown = page.locator(".kling-bar")
    return shown.get_attribute("aria-valuenow"), shown.get_attribute("aria-valuetext")


def passed_s(page: Any) -> float:
    """The start of the animation, in seconds."""
    style: str = page.locator(".kling-live").get_attribute("style")
    return float(style.split("--kling-passed:")[1].strip().split("s")[0])


@pytest.mark.parametrize("skew_s", [-300, 0, 300])
def test_the_clock_of_another_computer_does_not_matter(open_page: Open, skew_s: float) -> None:
    """The kernel may run elsewhere, five minutes ahead or behind."""
    page = clocked(open_page, skew_s=skew_s)
    assert passed_s(page) == pytest.approx(-72, abs=0.2)


def test_a_screen_reader_is_told_how_far_it_is(open_page: Open) -> None:
    """In steps of seconds, without a message; and that it is longer than usual when it is."""
    page = clocked(open_page)
    assert bar(page) == ("32", "elapsed 1 min 12 s · usually 2.5, rarely over 4 min")
    page.clock.run_for(50_000)
    page.evaluate("document.timeline.currentTime")
    share, words = bar(page)
    assert share != "32", words


def test_the_time_a_machine_slept_counts(open_page: Open) -> None:
    """Animations stood still meanwhile; bar and clock go on from where the task is."""
    page = clocked(open_page)
    page.evaluate("const then = Date.now; Date.now = () => then() + 600000")
    page.clock.run_for(5_100)
    assert passed_s(page) == pytest.approx(-672, abs=6)
    share, words = bar(page)
    assert share == "100"
    assert "longer than usual" in words


def test_each_change_is_said_once(open_page: Open) -> None:
    """By a region that was there before; what a page finds at first is no change."""
    page = open_page(place())
    tell(page, version=1, feet=feet())
    assert page.locator(".kling-voice").count() == 0
    tell(page, version=2, feet=feet(SAVED))
    draw(page, place(SAVED, version=2))
    said = page.locator(".kling-voice[role=status]")
    said.wait_for(state="attached")
    assert said.text_content().startswith(f"Kling clip, saved: {FACTS.prompt[:20]}")


def test_a_second_view_that_is_late_says_nothing(open_page: Open) -> None:
    """JupyterLab shows an output twice on demand; the state of before is no news."""
    page = open_page(place(), place())
    tell(page, version=1, feet=feet())
    tell(page, version=2, feet=feet(SAVED))
    draw(page, place(SAVED, version=2))
    said = page.locator(".kling-voice[role=status]")
    said.wait_for(state="attached")
    tell(page, version=2, feet=feet(SAVED))
    assert said.text_content().startswith("Kling clip, saved")


def test_what_the_page_draws_itself_is_not_looked_at_again(open_page: Open) -> None:
    """Two places show one job in two states; each draws, and neither stirs the other for ever."""
    page = open_page(place(name="p1"), place(SAVED, name="p2"))
    tell(page, name="p1", version=1, feet=feet())
    tell(page, name="p2", version=1, feet=feet(SAVED))
    page.evaluate(FRAME)
    assert page.locator(".kling-alive").count() == 2
    assert page.evaluate("fakes.one.noticed") == 0
    draw(page, place())
    page.evaluate(FRAME)
    assert page.locator(".kling-alive").count() == 2
    assert page.evaluate("fakes.one.noticed") == 1


def test_what_others_draw_is_not_searched(open_page: Open) -> None:
    """Each key that is typed in a cell changes the page; a hundred cards must not slow it down."""
    page = open_page(*(place(name=f"p{n}") for n in range(3)))
    tell(page, name="p1", version=1, feet=feet())
    page.evaluate(FRAME)
    page.evaluate(
        "() => { window.seen = [];"
        "for (const name of ['querySelector', 'querySelectorAll']) {"
        "  const plain = Element.prototype[name];"
        "  Element.prototype[name] = function (...given) {"
        "    seen.push(this.closest('.kling-place')?.dataset.klingPlace ?? 'none');"
        "    return plain.apply(this, given) } } }"
    )
    stir = "async where => { document.querySelector(where).append(document.createElement('i'));"
    stir += " await new Promise(done => setTimeout(done)); return [...new Set(seen.splice(0))] }"
    assert page.evaluate(stir, "body") == ["none"]
    assert page.evaluate(stir, "[data-kling-place=p2]") == ["p2"]


def test_what_comes_together_with_a_message_is_seen(open_page: Open) -> None:
    """Another cell's card is drawn in the very turn in which the first one's foot arrives."""
    page = open_page(place(name="p1"))
    page.wait_for_function("fakes.one.sent.length === 2")
    page.evaluate(
        "([html, feet]) => { document.body.insertAdjacentHTML('beforeend', html);"
        " fakes.one.tell({ place: 'p1', version: 1, feet }) }",
        [place(name="p2"), feet()],
    )
    page.wait_for_function("fakes.one.sent.length === 3")
    assert sent(page, "seen")[-1]["places"] == {"p2": 1}


def test_a_card_within_a_widget_has_its_links(open_page: Open) -> None:
    """Those of its record, too, which no front end resolves there."""
    page = open_page(MOUNT)
    page.locator("textarea").wait_for()
    inner = "(node, html) => { node.innerHTML = html }"
    page.locator(".kling-mounted").evaluate(inner, place())
    page.locator(".kling-place").evaluate(inner, '<a href="fox.mp4">fox</a>')
    page.locator('a[href="/files/notebooks/fox.mp4"]').wait_for()


@pytest.mark.parametrize(("platform", "keys"), [("MacIntel", "⌘C"), ("Linux x86_64", "Ctrl+C")])
def test_what_may_not_be_copied_is_marked(open_page: Open, platform: str, keys: str) -> None:
    """A page that came by plain HTTP has no clipboard, and the old way may be forbidden."""
    page = open_page(place(SAVED), platform=platform)
    page.evaluate(
        "Object.defineProperty(navigator, 'clipboard', { value: undefined });"
        "document.execCommand = () => false"
    )
    tell(page, version=1, feet=feet(SAVED), cells={FACTS.id: FACTS.cell})
    page.get_by_role("button", name="Copy cell").click()
    page.get_by_role("button", name=f"Not copied: press {keys}").wait_for()
    assert page.evaluate("getSelection().toString()").strip() == FACTS.cell
    assert sent(page, "copy") == []


def test_without_a_clipboard_the_old_way_copies(open_page: Open) -> None:
    """And the focus is where it was."""
    page = open_page(place(SAVED), "<textarea></textarea>")
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    tell(page, version=1, feet=feet(SAVED), cells={FACTS.id: "%%kling\nzero\u200bwidth"})
    page.get_by_role("button", name="Copy cell").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("document.activeElement.dataset.klingDo") == "copy"
    page.locator("textarea").click()
    page.keyboard.press("Control+V")
    assert page.locator("textarea").input_value() == "%%kling\nzero\u200bwidth"
