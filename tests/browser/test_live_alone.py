"""The hub's module in a browser, with a model that stands in for Jupyter's."""

from __future__ import annotations

from typing import Any

from kling_nb.display import html
from tests.support.html_outline import record
from tests.support.html_states import FACTS, SAVED

from .outputs import MOUNT, Open, bundle, draw, feet, place, sent, tell


def test_a_page_tells_of_itself_at_once(open_page: Open) -> None:
    """What it plays, and whether it should move."""
    (hello,) = sent(open_page(), "hello")
    assert {"front_end", "version", "h264", "aac", "reduced_motion"} <= hello["page"].keys()
    assert hello["page"]["h264"] in {"probably", "maybe", ""}


def test_unknown_places_are_asked_for_in_one_question(open_page: Open) -> None:
    """With the version that is on the screen."""
    page = open_page(place(name="p1", version=3), place(name="p2", version=5))
    page.wait_for_function("fakes.one.sent.length === 2")
    (seen,) = sent(page, "seen")
    assert seen["places"] == {"p1": 3, "p2": 5}


def test_what_is_told_is_drawn_below_its_record(open_page: Open) -> None:
    """And the words for a saved notebook give way to it."""
    page = open_page(place())
    assert page.get_by_text("Run this cell again").is_visible()
    tell(page, version=1, feet=feet())
    assert page.locator(".kling-foot .kling-bar").count() == 1
    assert not page.get_by_text("Run this cell again").is_visible()


def test_a_record_drawn_anew_is_never_without_its_foot(open_page: Open) -> None:
    """In the same turn, before anything can be painted."""
    page = open_page(place())
    tell(page, version=1, feet=feet())
    count = page.locator(".output").evaluate(
        "async (node, html) => { node.innerHTML = html; await Promise.resolve();"
        " return node.querySelectorAll('.kling-foot .kling-bar').length }",
        place(version=2),
    )
    assert count == 1


def test_the_other_feet_stay_as_they_are(open_page: Open) -> None:
    """A message redraws one foot; fifty running bars are not begun anew."""
    page = open_page(*(place(name=f"p{n}") for n in range(50)))
    for n in range(50):
        tell(page, name=f"p{n}", version=1, feet=feet())
    page.evaluate("window.bars = [...document.querySelectorAll('.kling-bar')]")
    tell(page, name="p7", version=1, feet=feet())
    kept = page.evaluate("bars.filter(bar => bar.isConnected).length")
    assert (page.locator(".kling-bar").count(), kept) == (50, 49)


def test_two_kernels_on_a_page_do_not_touch_each_other(open_page: Open) -> None:
    """Two notebooks side by side."""
    page = open_page(place(hub="one"), place(hub="two"), hubs=("one", "two"))
    tell(page, hub="one", version=1, feet=feet())
    assert page.locator("[data-kling-hub=one] .kling-bar").count() == 1
    assert page.locator("[data-kling-hub=two] .kling-bar").count() == 0
    page.get_by_role("button", name="Detach").click()
    assert len(sent(page, "detach", "one")) == 1
    assert sent(page, "detach", "two") == []


def test_a_click_is_sent_once_and_the_button_is_off_until_it_is_heard(open_page: Open) -> None:
    """Two fast clicks are one request; after the answer the button works again."""
    page = open_page(place(SAVED))
    tell(page, version=1, feet=feet(SAVED))
    take = page.locator("[data-kling-do=take]")
    take.evaluate("button => { button.click(); button.click() }")
    (click,) = sent(page, "take")
    assert (click["place"], click["job"], click["turn"]) == ("p1", FACTS.id, 0)
    assert take.is_disabled()
    tell(page, version=1, feet=feet(SAVED))
    assert take.is_enabled()


def test_a_busy_kernel_is_named(open_page: Open) -> None:
    """After a moment without an answer."""
    page = open_page(place(SAVED))
    tell(page, version=1, feet=feet(SAVED))
    page.locator("[data-kling-do=take]").click()
    page.get_by_text("Waiting for the kernel…").wait_for()


def test_the_cell_is_copied_as_the_kernel_told_it(open_page: Open) -> None:
    """With all that cannot be seen; and the button says so, for a moment."""
    page = open_page(place(SAVED), "<textarea></textarea>")
    tell(page, version=1, feet=feet(SAVED), cells={FACTS.id: "%%kling\nzero\u200bwidth"})
    page.get_by_role("button", name="Copy cell").click()
    page.get_by_role("button", name="Copied").wait_for()
    page.locator("textarea").click()
    page.keyboard.press("Control+V")
    assert page.locator("textarea").input_value() == "%%kling\nzero\u200bwidth"
    page.get_by_role("button", name="Copy cell").wait_for()
    assert [each["do"] for each in page.evaluate("fakes.one.sent")].count("copy") == 0


def test_an_update_that_was_lost_is_asked_for_and_drawn(open_page: Open) -> None:
    """As after a reload; and drawn again without a question when the old one comes back."""
    page = open_page(place(version=1))
    tell(page, version=4, feet=feet(SAVED))
    page.wait_for_function("fakes.one.sent.some(each => each.do === 'show')")
    tell(page, version=4, feet=feet(SAVED), bundle=bundle(SAVED, version=4), missed="Run again")
    page.locator("[data-kling-state=saved]").wait_for()
    draw(page, place(version=1))
    page.locator("[data-kling-state=saved]").wait_for()
    assert page.get_by_role("button", name="Another take").is_visible()
    assert len(sent(page, "show")) == 1


def test_an_update_that_arrives_is_not_asked_for(open_page: Open) -> None:
    """The message may be quicker than the output."""
    page = open_page(place(version=1))
    tell(page, version=2, feet=feet())
    draw(page, place(version=2))
    page.wait_for_timeout(1700)
    assert sent(page, "show") == []


def test_nothing_looks_alive_when_the_kernel_is_gone(open_page: Open) -> None:
    """Buttons go, the words for a saved notebook come back, and nothing is sent any more."""
    page = open_page(place(), MOUNT)
    tell(page, version=1, feet=feet())
    page.locator("textarea").wait_for()
    page.evaluate("fakes.one.isLive = false; fakes.one.trigger('comm_live_update')")
    page.get_by_text("saved form").wait_for()
    assert page.locator("button").count() == 0
    assert page.locator("textarea").count() == 0
    assert page.get_by_text("Run this cell again").is_visible()


def test_a_mounted_widget_moves_to_where_its_form_is_drawn_anew(open_page: Open) -> None:
    """With what was typed and where the cursor stood; it is not made twice."""
    page = open_page(MOUNT)
    page.locator("textarea").fill("a red fox")
    draw(page, MOUNT)
    page.wait_for_function("document.activeElement.tagName === 'TEXTAREA'")
    assert page.locator("textarea").input_value() == "a red fox"
    assert not page.get_by_text("saved form").is_visible()
    assert page.evaluate("fakes.one.views") == 1


def test_two_views_of_a_notebook_have_a_widget_each(open_page: Open) -> None:
    """JupyterLab can show the same output twice."""
    page = open_page(MOUNT, MOUNT)
    page.wait_for_function("document.querySelectorAll('textarea').length === 2")


def test_a_clip_that_plays_goes_on_when_a_take_is_added(open_page: Open) -> None:
    """The same element stands in the new record."""
    src = "data:video/mp4;base64,AAAA"
    clip = html.render_container(
        record(SAVED, player=f'<video src="{src}"></video>'),
        hub_id="one",
        place_id="p1",
        version=1,
    )
    page = open_page(clip)
    tell(page, version=1, feet=feet(SAVED))
    page.evaluate("window.clip = document.querySelector('video')")
    draw(page, clip)
    page.wait_for_function("window.clip.isConnected")
    assert page.locator("video").count() == 1


def test_a_model_without_a_kernel_touches_nothing(open_page: Open) -> None:
    """A notebook may hold the state of its widgets; what is saved is readable, the widget dead."""
    page = open_page(place(), MOUNT, live=False)
    page.locator("body").evaluate("body => body.append(document.createElement('hr'))")
    page.wait_for_timeout(100)
    assert page.get_by_text("saved form").is_visible()
    assert page.locator("textarea").count() == 0
    assert page.evaluate("fakes.one.sent") == []


def behind(page: Any) -> None:
    """The kernel is at a newer version than the page, and gives it."""
    tell(page, version=4, feet=feet(SAVED), bundle=bundle(SAVED, version=4), missed="Run it again.")
    page.locator("[data-kling-state=saved]").wait_for()


def test_what_was_missed_is_put_into_the_notebook(open_page: Open) -> None:
    """It is saved without an action of the user; the rest of the output stays as it is."""
    page = open_page(place(name="p0", version=9), place(version=1))
    shown = [place(name="p0", version=9), place(version=1)]
    page.evaluate(
        "shown => fakes.one.openDocument(...shown.map((html, n) => ("
        "{ output_type: 'display_data', metadata: { n }, data: { 'text/html': html } })))",
        shown,
    )
    behind(page)
    page.wait_for_function("fakes.one.outputs[1].data['text/plain'] === 'saved'")
    first, second = page.evaluate("fakes.one.outputs")
    assert first["data"] == {"text/html": shown[0]}
    assert second == {
        "output_type": "display_data",
        "metadata": {"n": 1},
        "data": bundle(SAVED, version=4),
    }
    assert page.get_by_role("button", name="Another take").is_visible()
    page.wait_for_timeout(1700)
    assert not page.get_by_text("Run it again.").is_visible()


def test_where_there_is_no_notebook_to_put_it_it_is_said(open_page: Open) -> None:
    """Once, in words, and not any more when the kernel is gone."""
    page = open_page(place(version=1))
    behind(page)
    page.get_by_text("Run it again.").wait_for()
    tell(page, version=4, feet=feet(SAVED))
    assert page.get_by_text("Run it again.").count() == 1
    page.evaluate("fakes.one.trigger('comm:close')")
    page.get_by_text("Run it again.").wait_for(state="detached")


def test_an_update_that_was_only_late_is_not_missed(open_page: Open) -> None:
    """The output came after the answer to the page's request."""
    page = open_page(place(version=1))
    behind(page)
    draw(page, bundle(SAVED, version=4)["text/html"])
    page.wait_for_timeout(1700)
    assert not page.get_by_text("Run it again.").is_visible()


def test_links_lead_to_the_file(open_page: Open) -> None:
    """In feet and in what the page draws itself; addresses and other kinds of links stay."""
    links = '<a href="a%20b.mp4">own</a><a href="https://kie.ai/x">far</a><a href="#top">here</a>'
    page = open_page(place(version=1), '<a href="theirs.mp4">theirs</a>')
    tell(page, version=1, feet={FACTS.id: f'<div class="kling-live">{links}</div>'})
    page.locator('a[href="/files/notebooks/a%20b.mp4"]').wait_for()
    hrefs = "all => all.map(each => each.getAttribute('href'))"
    shown = page.locator("a").evaluate_all(hrefs)
    assert shown == ["/files/notebooks/a%20b.mp4", "https://kie.ai/x", "#top", "theirs.mp4"]
    record = html.render_container(links, hub_id="one", place_id="p1", version=4)
    tell(page, version=4, bundle={"text/html": record}, missed="")
    page.wait_for_function("document.querySelector('[data-kling-version=\"4\"] a')")
    page.locator('[data-kling-version="4"] a[href="/files/notebooks/a%20b.mp4"]').wait_for()


def test_a_widget_whose_output_is_gone_is_taken_away(open_page: Open) -> None:
    """After a while: a cell that is only far away comes back with what it had."""
    page = open_page(MOUNT)
    page.locator("textarea").wait_for()
    page.evaluate("window.kept = document.querySelector('.output').firstChild; kept.remove()")
    later = "minutes => { const now = Date.now; Date.now = () => now() + minutes * 60000 }"
    stir = "async () => { document.body.append('.'); await new Promise(r => setTimeout(r)) }"
    page.evaluate(stir)
    page.evaluate(stir)
    assert page.evaluate("fakes.one.removed") == 0
    page.evaluate(later, 2)
    page.evaluate(stir)
    assert page.evaluate("fakes.one.removed") == 1
    assert page.evaluate("kept.textContent") == "saved form"
    page.evaluate("document.querySelector('.output').append(kept)")
    page.locator("textarea").wait_for()


def test_keys_belong_to_the_card(open_page: Open) -> None:
    """The card suppresses JupyterLab's shortcuts."""
    page = open_page(place())
    assert page.locator("summary").first.get_attribute("data-lm-suppress-shortcuts")
