"""Cards found again in a notebook's HTML: their clip, their poster, and another player for them."""

from __future__ import annotations

import base64
import time
from dataclasses import replace
from typing import Any

import pytest
from IPython.display import Video

from kling_nb.display import html
from kling_nb.display.html import Section, find_sections, without_hub_ids
from kling_nb.storage.job_record import JobRecord
from tests.support.html_states import FACTS, NOW, RUNNING, SAVED, TINY_JPEG

CLIP = bytes(range(256)) * 40
HOSTILE = (
    '</section><section class="kling-record" data-kling-job="x"><video src="data:video/mp4;base64,'
)


def video(facts: JobRecord, content: bytes = CLIP) -> str:
    """A player as IPython writes it."""
    url = "data:video/mp4;base64," + base64.b64encode(content).decode("ascii")
    attributes = html.video_attributes(facts, poster=TINY_JPEG)
    shown = Video(url=url, mimetype="video/mp4", html_attributes=attributes)
    return str(shown._repr_html_())


def record(facts: JobRecord = FACTS, state: Any = SAVED, player: str = "") -> str:
    """A card as it is saved."""
    return html.render_record(facts, state, now=NOW, player=player, file_href="clips/fox.mp4")


@pytest.mark.parametrize("state", [*RUNNING, SAVED], ids=lambda state: type(state).__name__)
def test_a_card_is_found_in_each_state(state: Any) -> None:
    """With its id and the name of the state; nothing else is."""
    around = f"<p>before</p>{record(state=state)}<section>after</section>"
    (section,) = find_sections(around)
    assert section.markup == record(state=state)
    assert section.job_id == FACTS.id
    assert section.state == state.name


def test_takes_are_found_in_their_order() -> None:
    """Several cards in one place."""
    second = record(replace(FACTS, id="second"), player=video(FACTS))
    place = html.render_container(record() + second, hub_id="h", place_id="p", version=3)
    assert [section.markup for section in find_sections(place)] == [record(), second]


@pytest.mark.parametrize(
    ("player", "clip"), [(video(FACTS), CLIP), (html.poster_image(FACTS, TINY_JPEG), b"")]
)
def test_the_clip_and_its_poster_are_taken_out(player: str, clip: bytes) -> None:
    """The very bytes that were put in; another player can take its place, all else stays."""
    (section,) = find_sections(record(player=player))
    assert (section.video, section.poster, section.player) == (clip, TINY_JPEG, player)
    for other in (video(FACTS, b"other"), html.poster_image(FACTS, TINY_JPEG)):
        assert section.with_player(other) == record(player=other)


def test_a_card_without_a_clip_has_no_player() -> None:
    """Nor does it get one."""
    (section,) = find_sections(record(state=RUNNING[0]))
    assert (section.player, section.video, section.poster) == ("", b"", b"")
    assert section.with_player(video(FACTS)) == section.markup


@pytest.mark.parametrize("prompt", [HOSTILE, f"{'long ' * 60}{HOSTILE}", "two\nlines & <b>"])
def test_a_prompt_cannot_play_a_card(prompt: str) -> None:
    """What a person wrote is escaped, and is read back as it was."""
    facts = replace(FACTS, values=FACTS.values | {"prompt": prompt}, cell=prompt, model=prompt)
    (section,) = find_sections(record(facts, player=video(facts)))
    assert section.job_id == FACTS.id
    assert section.video == CLIP
    assert section.prompt == prompt


@pytest.mark.parametrize("broken", ["QUJD?QUJD", "AAA"])
def test_broken_data_is_no_clip(broken: str) -> None:
    """A notebook may have been edited."""
    player = video(FACTS).replace(base64.b64encode(CLIP).decode("ascii"), broken)
    (section,) = find_sections(record(player=player))
    assert section.video == b""


HOSTILE_PIECES = (
    '<section kling-record data-kling-job=" ',
    '<section class="kling-record" data-kling-job="x',
    '<section class="kling-record" data-kling-job="x">',
    "kling-record data-kling-job=",
    "<section ",
    "<div ",
    '<div class="kling-screen ',
    '<div data-kling-hub="x',
    ' data-kling-hub="',
    "<p ",
    '<p class="kling-prompt">',
    '<p class="kling-whole',
)


def reading_s(markup: str) -> float:
    """How long all that is read from a notebook's HTML takes: processor time, the best of three."""

    def once() -> float:
        began = time.process_time()
        find_sections(markup)
        without_hub_ids(markup)
        section = Section(markup, "x", "saved")
        assert isinstance(section.video + section.poster, bytes)
        assert section.with_player("")[:1] == markup[:1]
        assert isinstance(section.prompt, str)
        return time.process_time() - began

    return min(once() for _ in range(3))


@pytest.mark.parametrize("before", ["", record()], ids=["alone", "behind a card"])
@pytest.mark.parametrize("piece", HOSTILE_PIECES)
def test_a_hostile_text_takes_no_longer_than_its_length(piece: str, before: str) -> None:
    """Eight times as long takes less than 2.5 times as long for each doubling."""
    for count in (200, 10_000):
        tries = ((reading_s(before + piece * n) for n in (count, 8 * count)) for _ in range(4))
        assert any(long <= 2.5**3 * max(short, 0.001) for short, long in tries)


def test_a_card_that_was_cut_off_is_left_alone() -> None:
    """Nothing is guessed."""
    assert find_sections(record()[:-10]) == []


def test_a_copy_is_no_place_of_a_kernel() -> None:
    """The page would draw another notebook's buttons into it."""
    place = html.render_container(record(), hub_id="hub-1", place_id="p", version=3)
    assert "hub-1" in place
    assert "hub-1" not in without_hub_ids(place)
    assert find_sections(without_hub_ids(place)) == find_sections(place)
