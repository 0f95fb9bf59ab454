"""Several videos as one, in a browser: how far apart they are, and what stops and ends do."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kling_nb.display.assets import STATIC, join_scripts
from tests.support.reels import video

STEP = STATIC / "gallery" / "step.js"
LENGTHS_S = (3.0, 6.0, 3.0, 6.0)
FRAME_S = 0.042
STAGE = """async (films) => {
  const open = async (film) => {
    const video = document.createElement("video");
    const bytes = Uint8Array.from(atob(film), (letter) => letter.charCodeAt(0));
    video.src = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
    document.body.append(video);
    await new Promise((resolve) => video.addEventListener("canplay", resolve, { once: true }));
    return video;
  };
  window.told = 0;
  window.videos = await Promise.all(films.map(open));
  window.step = new Step(videos, () => (told += 1));
}"""
# The middle of what was seen: a loaded machine drops frames, and a drift would be there in all.
APART = """async (count) => {
  const seen = [];
  while (seen.length < count) {
    await new Promise(requestAnimationFrame);
    const times = videos.filter((each) => !each.paused).map((each) => each.currentTime);
    if (times.length > 1) seen.push(Math.max(...times) - Math.min(...times));
  }
  return seen.sort((one, other) => one - other)[Math.floor(count / 2)];
}"""
MET = (
    "() => step.isPlaying && videos.every((each) => !each.paused)"
    " && Math.abs(videos[0].currentTime - videos[1].currentTime) < 0.04"
)
MOVING = "() => videos.every((each) => !each.paused) && step.time > 0.1"


@pytest.fixture
def stage(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page with videos of these lengths in step; not yet playing."""
    page = chromium.new_page()

    def begin(*durations_s: float) -> Any:
        page.set_content("")
        page.add_script_tag(content=join_scripts(STEP) + "\nwindow.Step = Step;")
        films = [b64encode(video(length_s)).decode() for length_s in durations_s]
        page.evaluate(STAGE, films)
        return page

    yield begin
    page.close()


def playing(page: Any) -> Any:
    """Play the videos, and return their page when all of them move."""
    page.evaluate("() => void step.play()")
    page.wait_for_function(MOVING)
    return page


@pytest.mark.parametrize("durations_s", [LENGTHS_S[:2], LENGTHS_S], ids=["two", "four"])
def test_they_are_less_than_a_frame_apart(stage: Callable[..., Any], durations_s: Any) -> None:
    """While one runs a little fast, after a jump, and after one of them was held up."""
    page = playing(stage(*durations_s))
    page.evaluate("() => { step.lead.playbackRate = 1.08 }")
    page.wait_for_function("() => step.time > 1.2")
    assert page.evaluate(APART, 15) < FRAME_S
    page.evaluate("() => void step.seek(0.5)")
    page.wait_for_function(MOVING)
    page.evaluate("() => { videos[0].currentTime += 0.4 }")
    page.wait_for_function(
        "() => videos.every((each) => !each.seeking && !each.paused)"
        " && Math.abs(videos[0].currentTime - videos[1].currentTime) < 0.04"
    )
    assert page.evaluate(APART, 20) < FRAME_S


def test_a_shorter_one_waits_and_all_begin_again(stage: Callable[..., Any]) -> None:
    """At its last picture, until the longest is over."""
    page = stage(1.0, 2.0)
    page.evaluate("() => void step.seek(1.2).then(() => step.play())")
    page.wait_for_function("() => step.time > 1.4")
    assert page.evaluate("() => videos[0].paused && videos[0].currentTime > 0.9")
    page.wait_for_function("() => step.time < 0.9 && videos.every((each) => !each.paused)")


def test_a_jump_to_the_very_end_stops_there(stage: Callable[..., Any]) -> None:
    """It does not pretend to play; from there it begins again."""
    page = playing(stage(1.0, 2.0))
    page.evaluate("() => void step.seek(step.length)")
    page.wait_for_function("() => !step.isPlaying && videos.every((each) => each.paused)")
    assert page.evaluate("step.time") > 1.9
    page.evaluate("() => void step.play()")
    page.wait_for_function("() => step.isPlaying && step.time > 0.1 && step.time < 1")


def test_who_stops_one_stops_all_and_it_is_told(stage: Callable[..., Any]) -> None:
    """A key for media or the browser itself: the button says the truth, the pictures are alike."""
    page = playing(stage(3.0, 3.0))
    page.evaluate("() => step.lead.pause()")
    page.wait_for_function("() => !step.isPlaying && videos.every((each) => each.paused)")
    page.wait_for_function(
        "() => videos[0].currentTime.toFixed(2) === videos[1].currentTime.toFixed(2)"
    )
    before = page.evaluate("told")
    page.evaluate("() => void step.play()")
    page.wait_for_function("before => told > before && step.isPlaying", arg=before)


def test_one_far_away_is_fetched_at_once(stage: Callable[..., Any]) -> None:
    """Long before the end, where all begin again."""
    page = playing(stage(6.0, 6.0))
    page.evaluate("() => { videos[1].currentTime += 3 }")
    page.wait_for_function(MET)
    assert page.evaluate("step.time") > 0.5


def test_they_meet_again_after_a_page_was_out_of_sight(stage: Callable[..., Any]) -> None:
    """No frame is drawn there, and the browser may hold one video up.

    That is not left to the end, where all begin again.
    """
    page = stage(6.0, 6.0)
    page.evaluate(
        "() => { window.real = requestAnimationFrame; window.held = [];"
        " window.requestAnimationFrame = (look) => held.push(look); void step.play() }"
    )
    page.wait_for_function(MOVING, polling=50)
    page.evaluate("() => { videos[1].currentTime += 3 }")
    page.wait_for_function("() => step.time > 0.8", polling=50)
    page.evaluate(
        "() => { videos.forEach((each) => each.pause()); window.requestAnimationFrame = real;"
        " document.dispatchEvent(new Event('visibilitychange'));"
        " held.forEach((look) => real(look)) }"
    )
    page.wait_for_function(MET)
    assert page.evaluate("step.time") > 0.7
