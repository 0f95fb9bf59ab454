"""The gallery as a notebook keeps it: pictures and facts, small, and readable where it is text."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kling_nb.display.html.gallery import (
    GalleryItem,
    clip_text,
    describe_empty,
    format_count,
    gallery_text,
    render_gallery,
)
from tests.support.html_outline import Outline
from tests.support.html_states import CLIP, EMULATED, FACTS, NOW, SAVED, TINY_JPEG

HOSTILE = '<script>alert(1)</script> & "quoted" {{x}} \u202e'
LIVE = GalleryItem(FACTS, SAVED, poster=TINY_JPEG)
MADE_UP = GalleryItem(EMULATED, SAVED, poster=TINY_JPEG)


def render(*items: GalleryItem, matching: int = 0, kept: int = 0) -> Outline:
    """Render the saved form at the fixed moment; as many clips as are given, unless told."""
    counts = {"matching": matching or len(items), "kept": kept or len(items)}
    return Outline(render_gallery(items, now=NOW, **counts))


def text(*items: GalleryItem, kept: int = 0) -> str:
    """Write the plain text at the fixed moment."""
    count = kept or len(items)
    return gallery_text(items, matching=count, kept=count, now=NOW)


@pytest.mark.parametrize("write", [lambda *given: render(*given).text, text], ids=["html", "text"])
def test_each_clip_says_what_it_is(write: Any) -> None:
    """Prompt, price, date and file, in both forms."""
    words = write(replace(LIVE, starred=True))
    for fact in ("A red fox shakes", "55 credits ($0.28)", "22 November", "fox_k7f2qd.mp4", "★"):
        assert fact in words


@pytest.mark.parametrize("write", [lambda *given: render(*given).text, text], ids=["html", "text"])
def test_a_title_stands_for_the_prompt(write: Any) -> None:
    """As text."""
    words = write(replace(LIVE, record=replace(FACTS, title="<b>Fox</b>, take 2")))
    assert "<b>Fox</b>, take 2" in words
    assert FACTS.prompt not in words


def test_the_picture_has_room_for_length_and_model() -> None:
    """The text leaves them out: its lines are short."""
    shown = render(LIVE)
    assert "5 s" in shown.text
    assert "kling-2.6/image-to-video" in shown.text
    assert (shown.only("kling-still")["src"] or "").startswith("data:image/jpeg;base64,")
    assert shown.only("kling-gallery")["aria-label"] == "Gallery of clips"


@pytest.mark.parametrize(
    ("item", "price", "cost"),
    [
        (LIVE, "55 credits ($0.28)", "55 credits ($0.28)"),
        (replace(LIVE, state=replace(SAVED, credits=60.0)),
         "60 credits ($0.30)", "60 credits ($0.30)"),
        (replace(LIVE, state=replace(SAVED, credits=None)),
         "55 credits ($0.28)", "55 credits ($0.28)"),
        (GalleryItem(replace(FACTS, price_credits=None), replace(SAVED, credits=None)),
         "price not known", "price not known"),
        (MADE_UP, "would cost 55 credits ($0.28)", "would cost $0.28"),
    ],
)  # fmt: skip
def test_the_price_is_what_the_service_took(item: GalleryItem, price: str, cost: str) -> None:
    """Our own price where it does not say; a narrow tile has less text for what was not paid."""
    label = clip_text(item, now=NOW)
    assert (label.price, label.cost) == (price, cost)


def test_take_and_length_are_told() -> None:
    """The take where it is not the first, the sound where there is some."""
    first = clip_text(LIVE, now=NOW)
    loud = replace(SAVED, clip=replace(CLIP, audio_codec="aac"))
    third = clip_text(GalleryItem(replace(FACTS, take=3), loud), now=NOW)
    assert (first.about, first.length) == ("kling-2.6/image-to-video", "5 s")
    assert (third.about, third.length) == ("kling-2.6/image-to-video · take 3", "5 s · sound")


def test_a_clip_without_its_file_says_so() -> None:
    """In the place of the name that nobody would find."""
    gone = replace(LIVE, fault="fox.mp4 is not there any more.", poster=b"")
    assert "fox.mp4 is not there any more." in render(gone).text
    assert "No image" in render(gone).text
    assert "fox.mp4 is not there" in text(gone)
    assert clip_text(gone, now=NOW).file == ""


def test_what_people_wrote_stays_text() -> None:
    """Markup in a prompt or a fault is read and not obeyed."""
    facts = replace(FACTS, values=FACTS.values | {"prompt": HOSTILE}, model=f"kling/{HOSTILE}")
    named = replace(SAVED, clip=replace(CLIP, path=f"/clips/{HOSTILE.replace('/', '')}.mp4"))
    broken = GalleryItem(facts, named, fault=HOSTILE, poster=TINY_JPEG)
    for hostile in (broken, replace(broken, fault="")):
        shown = render(hostile)
        assert not {"script", "b"} & {name for name, _ in shown.elements}
        assert shown.text.count("<script>alert(1)") == 3
        title = shown.only("kling-caption-of")["title"] or ""
        assert "\u202e" not in shown.text + text(hostile) + title


def test_pictures_keep_their_shape() -> None:
    """An upright still stands in a wide frame, with its own ratio in numbers."""
    upright = TINY_JPEG.replace(b"\x02\xd0\x05\x00", b"\x05\x00\x02\xd0")
    attributes = render(replace(LIVE, poster=upright)).only("kling-still")
    width, height = int(attributes["width"] or 0), int(attributes["height"] or 0)
    assert (width, height) == (66, 117)


def test_nothing_depends_on_what_is_removed_from_untrusted_notebooks() -> None:
    """No variable, no button, no script: literal looks alone."""
    shown = render(LIVE, MADE_UP)
    assert all("var(" not in (attrs.get("style") or "") for _, attrs in shown.elements)
    assert not {"button", "script", "video", "input"} & {name for name, _ in shown.elements}


def test_the_text_is_at_most_twenty_lines() -> None:
    """However many clips there are, and it says how many."""
    lines = text(*[replace(LIVE, starred=number % 2 == 0) for number in range(24)], kept=340)
    assert len(lines.splitlines()) <= 20
    assert lines.startswith("The newest 17 of 340 clips\n")


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((1, 1, 1), "1 clip"),
        ((7, 7, 7), "7 clips"),
        ((3, 3, 7), "3 of 7 clips"),
        ((24, 340, 340), "The newest 24 of 340 clips"),
        ((24, 50, 1340), "The newest 24 of 50 matching, of 1,340 clips"),
        ((0, 0, 7), "0 of 7 clips"),
    ],
)
def test_the_heading_counts(counts: tuple[int, int, int], expected: str) -> None:
    """How many are shown, fit, and are there."""
    assert format_count(*counts) == expected


@pytest.mark.parametrize(
    ("counts", "title", "line"),
    [
        ((7, "../clips"), "No clip matches", ""),
        ((0, "../clips"), "No clips yet in ../clips", "Make one in a `%%kling` cell"),
        ((0, "clips", 1), "1 clip in", "%kling recover"),
        ((0, "clips", 1200), "1,200 clips in", "%kling recover"),
    ],
)
def test_an_empty_gallery_says_what_to_do(counts: tuple[Any, ...], title: str, line: str) -> None:
    """Nothing fits the filter, no clip yet, or clips without a ledger: those were paid for."""
    found, lines = describe_empty(*counts)
    assert found.startswith(title)
    assert line in lines[0]
    assert any("%%kling" in each for each in lines) == ("%%kling" in line)


def test_dates_are_the_readers() -> None:
    """A clip of last year has its year."""
    old = GalleryItem(FACTS, replace(SAVED, finished_at=NOW - timedelta(days=400)))
    assert clip_text(old, now=NOW).date == "18 October 2025"


def test_a_long_prompt_is_cut_and_whole_at_a_touch() -> None:
    """What is cut is in the title; the image is named by its beginning: it is read aloud."""
    prompt = "A red fox\nshakes the snow " + "off its coat, " * 40
    shown = render(replace(LIVE, record=replace(FACTS, values=FACTS.values | {"prompt": prompt})))
    assert shown.only("kling-caption-of")["title"] == prompt.strip()
    assert "A red fox shakes" in shown.text
    assert shown.text.count("off its coat") < 9
    alt = shown.only("kling-still")["alt"] or ""
    assert alt.startswith("Clip: A red fox shakes the snow off its coat")
    assert len(alt) <= 90


def test_bytes_that_are_no_picture_are_not_shown() -> None:
    """The place says so instead."""
    shown = render(replace(LIVE, poster=b"no picture"))
    assert "No image" in shown.text
    assert "img" not in {name for name, _ in shown.elements}


def test_a_clip_has_only_its_own_marks() -> None:
    """No star that nobody gave, and no badge on what is real."""
    plain, marked = render(LIVE).text, render(replace(MADE_UP, starred=True))
    assert "★" not in plain + text(LIVE)
    assert "EMULATED" not in (plain + text(LIVE)).upper()
    assert "★ Starred" in marked.text
    assert marked.only("kling-emulated")
    assert "EMULATED" in marked.text.upper()
    assert "emulated" in text(MADE_UP)


def test_the_saved_form_counts_and_says_how_to_have_more() -> None:
    """The same heading as on the page, and what it costs to have it alive."""
    shown = render(LIVE, matching=50, kept=1340).text
    assert "The newest 1 of 50 matching, of 1,340 clips" in shown
    assert "Run this cell again to play, filter, star and compare them: 0 credits." in shown
    assert text(LIVE, kept=3).startswith("The newest 1 of 3 clips\n")


def test_a_clip_is_one_line_of_the_text() -> None:
    """Whatever was written in its prompt, and whatever is wrong with its file."""
    facts = replace(FACTS, values=FACTS.values | {"prompt": "A red fox\n\nshakes\nthe snow"})
    lines = text(GalleryItem(facts, SAVED, fault="fox.mp4\nis gone")).splitlines()
    assert len(lines) == len(text(LIVE).splitlines())
    assert "A red fox shakes the snow" in lines[-1]
    assert "fox.mp4 is gone" in lines[-1]
    assert FACTS.id in lines[-1]
