"""The gallery's module in a browser, with a kernel that answers late, with a fault, or never."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kling_nb.galleries import Gallery, gallery
from kling_nb.session import Session

FAKE = Path(__file__).with_name("fake_gallery.js")
PATIENCE_S = 20.0
FOX, WHALE = "A red fox", "A blue whale"
WAITING = "Waiting for the kernel…"
GONE = "clip.mp4 is not there any more."
MINUTE_MS = 60_000
# Who points at a clip in passing asks for nothing.
HOVER_MS = 300


def text_of(content: bytes) -> str:
    """Bytes as the page takes them."""
    return b64encode(content).decode()


class Shown:
    """A gallery in a page without Jupyter, and the kernel's side of it."""

    def __init__(self, page: Any, made: Gallery, films: dict[str, str]) -> None:
        self.page = page
        self.faults: list[str] = []
        self._films = films
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        first = dict(made.first)
        stills = [text_of(still) for still in first.pop("stills")]
        page.clock.install(time=0)
        page.clock.pause_at(1)
        page.set_content('<style id="looks"></style>')
        page.locator("#looks").evaluate("(style, css) => { style.textContent = css }", made._css)
        page.add_script_tag(path=FAKE)
        page.evaluate("given => showGallery(...given)", [str(made._esm), first, stills])

    def tile(self, prompt: str) -> Any:
        """The clip with that prompt."""
        return self.page.locator(".kling-tile").filter(has_text=prompt)

    def note(self, prompt: str) -> Any:
        """What is said on the picture of a clip."""
        return self.tile(prompt).get_by_role("status")

    def look_at(self, prompt: str) -> None:
        """Point at a clip, long enough to ask for its film."""
        self.tile(prompt).locator(".kling-tile-screen").hover()
        self.page.clock.run_for(HOVER_MS)

    def look_away(self) -> None:
        """Point at nothing."""
        self.page.mouse.move(1, 1)

    def button(self, name: str) -> Any:
        """A button by its beginning."""
        return self.page.get_by_role("button", name=name).first

    def asked(self, word: str) -> list[dict[str, Any]]:
        """What the kernel was asked of a kind."""
        sent: list[dict[str, Any]] = self.page.evaluate("kernel.sent")
        return [content for content in sent if content["do"] == word]

    def answer(self, word: str, **reply: Any) -> None:
        """Answer the last question of a kind."""
        self.page.evaluate("given => kernel.answer(...given)", [word, reply])

    def send_film(self, prompt: str) -> None:
        """The film that was asked for."""
        given = ["film", {"preview": False}, [self._films[prompt]]]
        self.page.evaluate("given => kernel.answer(...given)", given)

    def wait_until_moving(self, video: Any) -> None:
        """Wait until a video is some frames on."""
        video.wait_for()
        self.page.wait_for_function(
            "video => !video.paused && video.currentTime > 0.1", arg=video.element_handle()
        )


@pytest.fixture
def shown(chromium: Any, open_session: Callable[..., Session]) -> Iterator[Shown]:
    """A gallery of two clips; nothing is answered unless a test does it."""
    session = open_session()
    films = {}
    for prompt in (FOX, WHALE):
        clip = session.text_to_video(prompt).result(PATIENCE_S)
        films[prompt] = text_of(Path(clip.path).read_bytes())
    made = gallery(session=session)
    page = chromium.new_page()
    opened = Shown(page, made, films)
    yield opened
    page.close()
    made.close()
    assert opened.faults == []


def test_one_video_plays_however_often_one_came_back(shown: Shown) -> None:
    """Looked at, left, and looked at again before the film was there; none is left behind."""
    for _ in range(3):
        shown.look_at(FOX)
        shown.look_away()
    shown.look_at(FOX)
    assert len(shown.asked("film")) == 1
    shown.send_film(FOX)
    shown.wait_until_moving(shown.tile(FOX).locator("video"))
    shown.look_away()
    shown.page.locator("video").wait_for(state="detached")


def test_a_film_for_nobody_does_not_play(shown: Shown) -> None:
    """Left before it came; looked at again it is there without a question."""
    shown.look_at(FOX)
    shown.look_away()
    shown.send_film(FOX)
    shown.look_at(WHALE)
    assert shown.page.locator("video").count() == 0
    shown.look_at(FOX)
    shown.wait_until_moving(shown.tile(FOX).locator("video"))
    assert len(shown.asked("film")) == 2


def test_a_film_that_is_late_is_waited_for_in_words(shown: Shown) -> None:
    """The clip says so, and no more once it plays or is left."""
    shown.look_at(FOX)
    play, note = shown.button(f"Play: {FOX}"), shown.note(FOX)
    assert play.get_attribute("aria-busy") == "true"
    shown.page.clock.run_for(1500)
    assert note.text_content() == WAITING
    shown.look_away()
    assert note.text_content() == ""
    assert play.get_attribute("aria-busy") is None
    shown.look_at(FOX)
    shown.page.clock.run_for(1500)
    shown.send_film(FOX)
    shown.wait_until_moving(shown.tile(FOX).locator("video"))
    assert note.text_content() == ""
    assert shown.page.locator("[aria-busy]").count() == 0


def test_a_film_that_never_comes_ends_in_a_word(shown: Shown) -> None:
    """And can be asked for again."""
    shown.look_at(FOX)
    shown.page.clock.run_for(MINUTE_MS)
    clip = shown.tile(FOX)
    clip.get_by_text("The kernel has not answered for a minute.").wait_for()
    assert shown.page.locator("[aria-busy]").count() == 0
    assert shown.note(FOX).text_content() == ""
    shown.button(f"Play: {FOX}").click()
    assert len(shown.asked("film")) == 2
    shown.send_film(FOX)
    shown.wait_until_moving(clip.locator("video"))
    assert not clip.get_by_text("has not answered").is_visible()


def test_a_film_that_comes_after_all_is_kept(shown: Shown) -> None:
    """Nobody waits for it any more, but the next look needs no question."""
    shown.look_at(FOX)
    shown.page.clock.run_for(MINUTE_MS)
    shown.look_away()
    shown.send_film(FOX)
    shown.look_at(FOX)
    shown.wait_until_moving(shown.tile(FOX).locator("video"))
    assert len(shown.asked("film")) == 1


def test_a_clip_whose_file_is_gone_says_so(shown: Shown) -> None:
    """In the kernel's words, where the film would have been."""
    shown.look_at(FOX)
    shown.answer("film", fault=GONE)
    shown.tile(FOX).get_by_text(GONE).wait_for()
    assert shown.page.locator("[aria-busy], video").count() == 0


def test_bytes_that_are_no_film_say_so(shown: Shown) -> None:
    """Not in the browser's words."""
    shown.look_at(FOX)
    shown.page.evaluate("kernel.answer('film', {}, [btoa('no film')])")
    shown.tile(FOX).get_by_text("This browser cannot play it.").wait_for()
    assert shown.page.locator("video").count() == 0


def test_the_stage_says_what_it_waits_for_and_what_never_came(shown: Shown) -> None:
    """One clip that does not come keeps the other from nobody."""
    for prompt in (FOX, WHALE):
        shown.button(f"Compare: {prompt}").click()
    shown.button("Play side by side").click()
    panes = shown.page.locator(".kling-pane-screen")
    assert panes.all_inner_texts() == ["Loading …"] * 2
    shown.page.clock.run_for(1500)
    assert panes.all_inner_texts() == [WAITING] * 2
    shown.send_film(WHALE)
    shown.page.clock.run_for(MINUTE_MS)
    shown.page.locator(".kling-pane").get_by_text("has not answered for a minute").wait_for()
    shown.wait_until_moving(shown.page.locator(".kling-pane video"))
    assert not shown.page.get_by_text("Loading").is_visible()


@pytest.mark.parametrize("word", ["Star", "Hide"])
def test_a_mark_shows_at_once_that_it_waits(shown: Shown, word: str) -> None:
    """The button first, then words; two fast clicks are one wish."""
    button, note = shown.button(f"{word}: {FOX}"), shown.note(FOX)
    button.evaluate("button => { button.click(); button.click() }")
    assert button.get_attribute("aria-busy") == "true"
    assert len(shown.asked(word.lower())) == 1
    assert note.text_content() == ""
    shown.page.clock.run_for(1500)
    assert note.text_content() == WAITING
    shown.answer(word.lower(), starred=word == "Star", hidden=word == "Hide")
    assert shown.page.locator("[aria-busy]").count() == 0
    assert not shown.page.get_by_text(WAITING).is_visible()
    assert shown.tile(FOX).count() == (1 if word == "Star" else 0)


def test_two_waits_on_a_clip_end_one_by_one(shown: Shown) -> None:
    """The words stay until the last is answered."""
    shown.button(f"Star: {FOX}").click()
    shown.button(f"Hide: {FOX}").click()
    shown.page.clock.run_for(1500)
    shown.answer("star", starred=True, hidden=False)
    assert shown.note(FOX).text_content() == WAITING
    shown.answer("hide", fault="The disk is full.")
    assert shown.note(FOX).text_content() == ""
    assert shown.page.get_by_text("The disk is full.").is_visible()


def test_a_mark_that_failed_can_be_tried_again(shown: Shown) -> None:
    """It is as it was, and says why."""
    star = shown.button(f"Star: {FOX}")
    star.click()
    shown.answer("star", fault="The disk is full.")
    assert shown.page.get_by_text("The disk is full.").is_visible()
    assert star.get_attribute("aria-pressed") == "false"
    star.click()
    assert len(shown.asked("star")) == 2


def test_what_was_said_of_a_hidden_clip_is_over_when_it_is_back(shown: Shown) -> None:
    """The way back waits, too, and is gone once it was gone."""
    shown.button(f"Hide: {FOX}").click()
    shown.answer("hide", starred=False, hidden=True)
    undo = shown.button("Undo")
    undo.click()
    assert undo.is_disabled()
    shown.page.clock.run_for(1500)
    shown.page.get_by_role("button", name=WAITING).wait_for()
    shown.answer("hide", starred=False, hidden=False)
    assert not shown.page.get_by_text("Hidden: ").is_visible()


def test_a_list_that_is_late_is_waited_for_in_words(shown: Shown) -> None:
    """But only one that somebody asked for."""
    count = shown.page.locator(".kling-gallery-count")
    shown.page.clock.run_for(1500)
    assert count.inner_text() == "2 clips"
    shown.page.get_by_label("Filter by prompt").fill("no such clip")
    shown.page.clock.run_for(2000)
    assert count.inner_text() == WAITING
    shown.answer(
        "list", clips=[], matching=0, heading="0 of 2 clips", models=[], nothing=["No clip fits"]
    )
    assert count.inner_text() == "0 of 2 clips"


def test_a_closed_gallery_plays_and_asks_nothing(shown: Shown) -> None:
    """As when the kernel goes: no video, no clock of ours."""
    shown.look_at(FOX)
    shown.send_film(FOX)
    shown.wait_until_moving(shown.tile(FOX).locator("video"))
    shown.button(f"Star: {WHALE}").click()
    before = len(shown.page.evaluate("kernel.sent"))
    shown.page.evaluate("kernel.close()")
    shown.page.clock.run_for(MINUTE_MS)
    assert shown.page.locator("video").count() == 0
    assert len(shown.page.evaluate("kernel.sent")) == before
