"""Cards, bars, tables, notices and their plain text twins, as others get them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kling_nb.core.job_state import (
    Downloading,
    JobState,
    Preparing,
    Refused,
    Unresponsive,
    Uploading,
)
from kling_nb.display import html
from kling_nb.storage.job_record import JobRecord
from tests.support.html_outline import Outline, foot, live, record, text
from tests.support.html_states import (
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
    """Once: by the badge of a card, and by a word of its text."""
    markup = record(state, facts)
    assert ('class="kling-emulated"' in markup) == facts.emulated
    for words in (Outline(markup).text, text(state, facts)):
        assert words.casefold().count("emulated") == facts.emulated
    assert "emulated" not in foot(state, facts)


def test_a_card_is_named_by_state_prompt_and_job() -> None:
    """For screen readers. It is a group and no landmark, since a page may show it twice."""
    named = Outline(record(SAVED)).only("kling-record")
    assert named["role"] == "group"
    assert named["aria-label"] == f"Kling clip, saved: {FACTS.prompt}, job k7f2qd"
    bare = Outline(record(SAVED, replace(FACTS, values={}))).only("kling-record")
    assert bare["aria-label"] == "Kling clip, saved: job k7f2qd"


@pytest.mark.parametrize("state", EVERY, ids=name_of)
def test_text_and_html_hold_the_same_facts(state: JobState) -> None:
    """Badge, model, prompt and task stand in both."""
    shown, plain = Outline(record(state)).text, text(state)
    for fact in (plain.split(" · ")[0], FACTS.model, FACTS.prompt, getattr(state, "task_id", "")):
        assert fact in shown
        assert fact in plain


@pytest.mark.parametrize("state", EVERY, ids=name_of)
def test_a_title_is_on_every_card(state: JobState) -> None:
    """As text, before the prompt; without one nothing is there."""
    titled = replace(FACTS, title="<b>Fox</b>, take 2")
    markup = record(state, titled)
    assert markup.index('class="kling-title"') < markup.index('class="kling-prompt"')
    assert "<b>Fox</b>, take 2" in Outline(markup).text
    assert f"<b>Fox</b>, take 2 · {FACTS.prompt}" in text(state, titled)
    assert 'class="kling-title"' not in record(state)


@pytest.mark.parametrize("state", EVERY, ids=name_of)
def test_only_a_running_record_says_to_run_its_cell_again(state: JobState) -> None:
    """For the reader of a saved notebook: the one line that live card actions hide."""
    markup = record(state)
    assert ('class="kling-saved-only"' in markup) == (state in RUNNING)
    hint = "Run this cell again to see the clip: 0 credits"
    assert (hint in Outline(markup).text) == (state in RUNNING)


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


def test_the_image_has_its_room_and_its_text() -> None:
    """Width and height are known before decoding, alt says what it is; no image leaves no gap."""
    image = Outline(record(WAITING)).only("kling-picture")
    assert (image["width"], image["height"], image["alt"]) == ("144", "81", "Image fox.png")
    assert Outline(record(SAVED)).only("kling-picture")["width"] == "640"
    assert "kling-side" not in record(WAITING, replace(FACTS, thumbnail=b"")).split("</style>")[1]


def test_the_bar_has_its_role_and_values() -> None:
    """For a screen reader; where no style sheet is kept, its width is literal.

    Its times are delays: a new message continues the motion, and none is needed.
    """
    outline = Outline(live(WAITING))
    bar = outline.only("kling-bar")
    assert (bar["role"], bar["aria-valuenow"]) == ("progressbar", "32")
    assert (bar["aria-valuemin"], bar["aria-valuemax"]) == ("0", "100")
    assert bar["aria-label"] == "Progress of the clip"
    assert str(bar["aria-valuetext"]).startswith("elapsed 1 min 12 s")
    assert str(outline.only("kling-fill")["style"]).endswith("width:32%")
    style = str(outline.only("kling-live")["style"])
    assert style.endswith("--kling-span:226s;--kling-passed:-72.0s;--kling-left:154.0s")


@pytest.mark.parametrize(
    ("state", "value"),
    [
        (replace(WAITING, since=ago(-30)), "0"),
        (replace(WAITING, since=ago(400)), "100"),
        (Unresponsive(TASK, ago(113), 164, 226, ago(40), "no route"), "50"),
        (Downloading(TASK, 25, 100), "25"),
        (Downloading(TASK, 5, None), None),
        (Preparing(), None),
        (Uploading(0, 0), None),
    ],
    ids=["a clock that runs backwards", "later than usual", "no answer", "bytes of bytes",
         "unknown length", "preparing", "no bytes"],
)  # fmt: skip
def test_the_value_of_the_bar(state: JobState, value: str | None) -> None:
    """From 0 to 100; a step of unknown length has none."""
    assert Outline(live(state)).only("kling-bar").get("aria-valuenow") == value


def test_a_saved_clip_shows_its_player_first() -> None:
    """Player, then prompt, then what was measured, paid and where it is."""
    markup = record(SAVED, player="<video></video>", file_href="kling_clips/fox.mp4")
    assert markup.index("<video>") < markup.index(f">{FACTS.prompt}")
    shown = Outline(markup.replace("<video></video>", "")).text
    for fact in (
        "5.0 s · 1280×720",
        "55 credits ($0.28)",
        "fox_k7f2qd.mp4",
        TASK,
        "Open the file (0.9 MB)",
    ):
        assert fact in shown


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
    """Invisible characters are warned of: a copy would be another request, and paid for."""
    cell = '%%kling -i "a b.png"\n{x} <b> & 100 %\n\n  indented'
    assert cell in Outline(record(SAVED, replace(FACTS, cell=cell))).text
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
    """Outside the style sheet: no variable, no script, no button; and it is below 20 kB."""
    markup = record(state)
    bare = markup.split("</style>")[1]
    assert "var(" not in bare
    assert "<button" not in bare
    assert len(markup) < 20_000
