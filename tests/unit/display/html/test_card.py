"""Cards, bars, tables, notices and their plain text twins, as others get them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kling_nb.core.job_state import (
    Downloading,
    JobState,
    Preparing,
    Refused,
    Saved,
    Unresponsive,
    Uploading,
)
from kling_nb.display import html
from kling_nb.storage.job_record import JobRecord
from tests.support.html_outline import Outline, live, record, text
from tests.support.html_states import (
    ALREADY,
    EMULATED,
    ENDED,
    EVERY,
    FACTS,
    RUNNING,
    SAVED,
    TASK,
    TINY_JPEG,
    UNKNOWN,
    WAITING,
    ago,
    name_of,
)


@pytest.mark.parametrize("state", EVERY, ids=name_of)
def test_the_record_names_job_and_state(state: JobState) -> None:
    """Tests, style sheets and other programs find a card by its attributes."""
    root = Outline(record(state)).only("kling-record")
    assert root["data-kling-job"] == "k7f2qd"
    assert root["data-kling-state"] == state.name
    assert "kling-card" in str(root["class"])


@pytest.mark.parametrize("state", EVERY, ids=name_of)
@pytest.mark.parametrize("facts", [FACTS, EMULATED], ids=["live", "emulated"])
def test_an_emulated_card_says_so_and_a_real_one_does_not(
    facts: JobRecord, state: JobState
) -> None:
    """The badge is on every card, in HTML and in text, and no real credits are claimed."""
    badge = 'class="kling-emulated"' in record(state, facts)
    assert badge == facts.emulated
    assert ("EMULATED" in text(state, facts)) == facts.emulated
    assert ("no real credits" in text(state, facts)) == facts.emulated


@pytest.mark.parametrize("state", EVERY, ids=name_of)
def test_text_and_html_hold_the_same_facts(state: JobState) -> None:
    """Badge, model, prompt and task stand in both."""
    shown, plain = Outline(record(state)).text, text(state)
    for fact in (plain.split(" · ")[0], FACTS.model, FACTS.prompt, getattr(state, "task_id", "")):
        assert fact in shown
        assert fact in plain


@pytest.mark.parametrize("state", RUNNING, ids=name_of)
def test_a_running_record_tells_the_reader_of_a_saved_notebook_what_to_do(state: JobState) -> None:
    """The one line that a living foot hides."""
    markup = record(state)
    assert Outline(markup).only("kling-saved-only")
    assert "Run this cell again to see the clip: 0 credits" in Outline(markup).text


@pytest.mark.parametrize("state", ENDED, ids=name_of)
def test_an_ended_record_is_final(state: JobState) -> None:
    """Nothing in it asks to be run again to see the clip."""
    assert 'class="kling-saved-only"' not in record(state)


def test_running_states_have_the_same_pieces() -> None:
    """The card does not jump: same elements, same looks, from the first moment to the last."""
    outlines = {
        tuple(
            (tag, attrs.get("class"))
            for tag, attrs in Outline(record(state)).elements
            if tag not in ("span", "code")
        )
        for state in RUNNING
    }
    assert len(outlines) == 1


def test_the_picture_has_its_room_and_its_words() -> None:
    """Width and height are known before decoding, and alt says what it is."""
    picture = Outline(record(WAITING)).only("kling-picture")
    assert (picture["width"], picture["height"], picture["alt"]) == ("144", "81", "Image fox.png")


def test_without_a_picture_there_is_no_gap() -> None:
    """A text-to-video card has no picture column."""
    assert "kling-side" not in record(WAITING, replace(FACTS, thumbnail=b"")).split("</style>")[1]


def test_the_bar_has_its_role_and_values() -> None:
    """A screen reader is told how far it is, and in words."""
    bar = Outline(live(WAITING)).only("kling-bar")
    assert (bar["role"], bar["aria-valuenow"]) == ("progressbar", "44")
    assert (bar["aria-valuemin"], bar["aria-valuemax"]) == ("0", "100")
    assert bar["aria-label"] == "Progress of the clip"
    assert str(bar["aria-valuetext"]).startswith("elapsed 1 min 12 s")


def test_the_bar_has_a_literal_width_where_no_style_sheet_lives() -> None:
    """44 % is 44 % without any animation."""
    assert str(Outline(live(WAITING)).only("kling-fill")["style"]).endswith("width:44%")


def test_the_bar_goes_on_from_where_it_was() -> None:
    """Its times are delays, so that a new message continues the motion and none is needed."""
    style = str(Outline(live(WAITING)).only("kling-live")["style"])
    assert style.endswith("--kling-span:164s;--kling-passed:-72.0s;--kling-left:92.0s")


def test_a_clock_that_runs_backwards_does_not_break_the_bar() -> None:
    """A task from the future has just begun."""
    bar = Outline(live(replace(WAITING, since=ago(-30)))).only("kling-bar")
    assert bar["aria-valuenow"] == "0"


def test_later_than_usual_the_bar_is_full_and_says_why() -> None:
    """It never goes beyond its end."""
    outline = Outline(live(replace(WAITING, since=ago(400))))
    assert outline.only("kling-bar")["aria-valuenow"] == "100"
    assert "slower than usual" in outline.text


@pytest.mark.parametrize("state", [Preparing(), Downloading(TASK, 5, None), Uploading(0, 0)])
def test_a_bar_that_cannot_know_claims_no_value(state: JobState) -> None:
    """No value is made up for a step of unknown length."""
    assert "aria-valuenow" not in Outline(live(state)).only("kling-bar")


def test_a_transfers_bar_is_its_share() -> None:
    """Bytes of bytes."""
    assert Outline(live(Downloading(TASK, 25, 100))).only("kling-bar")["aria-valuenow"] == "25"


def test_out_of_sight_keeps_the_bar() -> None:
    """The job goes on, and so does its expectation."""
    state = Unresponsive(TASK, ago(82), 164, ago(40), "no route")
    assert Outline(live(state)).only("kling-bar")["aria-valuenow"] == "50"


def test_a_saved_clip_shows_its_player_first() -> None:
    """Player, then prompt, then what was measured, paid and where it is."""
    markup = record(SAVED, player="<video></video>", file_href="kling_clips/fox.mp4")
    assert markup.index("<video>") < markup.index(FACTS.prompt)
    shown = Outline(markup.replace("<video></video>", "")).text
    for fact in (
        "5.0 s · 1280×720",
        "55 credits ($0.28)",
        "fox_k7f2qd.mp4",
        TASK,
        "Open the file (0.9 MB)",
    ):
        assert fact in shown


def test_a_saved_clip_without_a_player_shows_the_picture() -> None:
    """There is always something to see."""
    assert Outline(record(SAVED)).only("kling-picture")["width"] == "640"


def test_a_second_run_says_when_it_was_made() -> None:
    """And that it costs nothing now."""
    assert "made on 20 November · 0 credits now" in Outline(record(ALREADY)).text


def test_the_player_has_a_label_and_its_room() -> None:
    """The label survives where ARIA does not; the size comes from the clip, else the poster."""
    attributes = html.video_attributes(FACTS, size_px=(720, 1280))
    assert 'title="Clip: A red fox' in attributes
    assert 'width="252" height="448"' in attributes
    assert 'width="640" height="360"' in html.video_attributes(FACTS, poster=TINY_JPEG)
    assert "height=" not in html.video_attributes(FACTS)


def test_a_long_prompt_is_cut_and_whole_in_a_fold() -> None:
    """The card keeps its height; nothing is lost."""
    prompt = "word " * 190 + "end"
    outline = Outline(
        record(WAITING, replace(FACTS, values=FACTS.values | {"prompt": prompt}, cell=""))
    )
    assert outline.only("kling-fold") is not None
    assert prompt in outline.text
    assert "word…" in outline.text


def test_the_cell_is_there_to_copy_exactly() -> None:
    """What is shown is what makes the same request."""
    cell = '%%kling -i "a b.png"\n{x} <b> & 100 %\n\n  indented'
    assert cell in Outline(record(SAVED, replace(FACTS, cell=cell))).text


def test_a_cell_with_invisible_characters_warns() -> None:
    """A copy of it would be another request, and would be paid for."""
    assert "Invisible characters" in record(SAVED, replace(FACTS, cell="a\u202eb"))
    assert "Invisible characters" not in record(SAVED)


def test_commands_in_sentences_are_set_as_commands() -> None:
    """No backtick is left for a person to wonder about."""
    assert "`" not in Outline(record(replace(ENDED[1], credits=None))).text  # type: ignore[type-var]


def test_the_two_ways_on_are_rows() -> None:
    """Each command beside what it does."""
    names = [tag for tag, _ in Outline(record(UNKNOWN)).elements if tag in ("dt", "dd")]
    assert names == ["dt", "dd", "dt", "dd"]


def test_plain_text_of_a_saved_clip() -> None:
    """The four lines, word for word."""
    assert text(SAVED).splitlines() == [
        f"Saved · kling-2.6/image-to-video · job k7f2qd · task {TASK}",
        "A red fox shakes the snow off its coat, slow push-in",
        "5.0 s · 1280×720 · 24 fps · H.264 · silent · 0.9 MB · 55 credits ($0.28)",
        "The clip is saved: 2026-11-22_fox_k7f2qd.mp4.",
    ]


def test_another_take_is_named() -> None:
    """Two results of the same request can be told apart."""
    facts = replace(FACTS, take=2)
    assert "take 2" in text(SAVED, facts)
    assert "take 2" in Outline(record(SAVED, facts)).text


def test_numbers_stand_to_the_right_in_tables() -> None:
    """Amounts are compared digit below digit; dates and ids are not amounts."""
    rows = [["k7f2qd", "55", "20 November"], ["m1", "1,100", "—"]]
    outline = Outline(html.render_table(["Job", "Credits", "Made"], rows, caption="Jobs"))
    classes = [attrs["class"] for tag, attrs in outline.elements if tag == "td"]
    assert classes == ["kling-short", "kling-number", "kling-short"] * 2
    assert html.table_text(["Job", "Credits", "Made"], rows).splitlines() == [
        "Job     Credits  Made",
        "k7f2qd       55  20 November",
        "m1        1,100  —",
    ]


@pytest.mark.parametrize(
    ("cell", "is_whole"),
    [
        ("--sound, --no-sound", True),
        ("kling-2.6/image-to-video", True),
        ("A spoon stirs the espresso once", False),
        ("https://hub.example/user/me/kling/callback", False),
    ],
)
def test_names_in_tables_stay_whole(cell: str, is_whole: bool) -> None:
    """A browser would break them at their hyphens; sentences and addresses may break."""
    assert ("nowrap" in html.render_table(["a"], [[cell]]).rpartition("<td")[2]) == is_whole


def test_a_table_without_rows_keeps_its_head() -> None:
    """Nothing to show is shown as nothing."""
    assert "Job" in Outline(html.render_table(["Job"], [])).text
    assert html.table_text(["Job"], []) == "Job"


@pytest.mark.parametrize(
    ("kind", "word"), [("info", "Note"), ("warning", "Warning"), ("error", "Error")]
)
def test_a_notice_says_its_kind_in_a_word(kind: html.NoticeKind, word: str) -> None:
    """Not by colour alone."""
    assert Outline(html.render_notice(kind, "Title", ["line"])).text == f"{word}Titleline"


@pytest.mark.parametrize("state", [*EVERY, Refused("no")], ids=name_of)
def test_no_card_uses_what_an_untrusted_notebook_removes(state: JobState) -> None:
    """Outside the style sheet: no variable, no script, no button."""
    bare = record(state).split("</style>")[1]
    assert "var(" not in bare
    assert "<button" not in bare


def test_records_are_small() -> None:
    """A card without its pictures adds less than 20 kB to a notebook."""
    assert max(len(record(state)) for state in EVERY if not isinstance(state, Saved)) < 20_000
