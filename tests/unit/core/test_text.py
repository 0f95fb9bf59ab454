"""Test `text`: texts that look the same are one request; letters stay whole."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_nb.core.text import comparable_text, normalize_text, similar
from kling_nb.models.parameter_kind import Rejected
from kling_nb.models.parameters import Text

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
SCOTLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"
ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (unicodedata.normalize("NFD", "a café"), "a café"),
        ("a\u00a0red\u202ffox\u2007runs", "a red fox runs"),
        ("a\tfox", "a fox"),
        ("a \0fox\x07\x1b\x7f\x9f", "a fox"),
        ("\ufeffa f\u200box\u2060 run\u00ads\u200b", "a fox runs"),
        ("a\u2028b\u2029c\x85d\ve\ff\rg\r\nh", "a\nb\nc\nd\ne\nf\ng\nh"),
        (" \u200b a fox \u00a0\0 ", "a fox"),
        (FAMILY, FAMILY),
        ("\u2764\ufe0f", "\u2764\ufe0f"),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",) * 2,
        (SCOTLAND, SCOTLAND),
        ("雪の中の\u3000狐",) * 2,
    ],
)
def test_the_text_that_is_sent(given: str, sent: str) -> None:
    """NFC, plain spaces, no control characters; joiners of emoji and scripts are kept."""
    assert normalize_text(given) == Text(1000).parse(given) == sent


@pytest.mark.parametrize(
    "given",
    ["a fo\u200cx", "a \u200efox\u200f", "a\u2066 fox\u2069", "a fox\ufe0f", "a fo\u200dx \u200d"],
)
def test_texts_that_look_the_same_compare_equal(given: str) -> None:
    """Zero-width characters and joiners do not count; the invisible tags of flags do."""
    assert comparable_text(given) == "a fox"
    assert comparable_text(SCOTLAND) != comparable_text(ENGLAND)


@pytest.mark.parametrize("given", ["\u200b", "\0", "\u200d\ufe0f", "\u00a0\ufeff"])
def test_an_invisible_text_is_empty(given: str) -> None:
    """It is refused like an empty prompt."""
    with pytest.raises(Rejected, match="is empty"):
        Text(1000).parse(given)


@given(st.text())
def test_normalizing_twice_changes_nothing(text: str) -> None:
    """A text that was sent is sent again unchanged."""
    assert normalize_text(normalize_text(text)) == normalize_text(text)
    assert comparable_text(normalize_text(text)) == comparable_text(text)
    assert comparable_text(comparable_text(text)) == comparable_text(text)


@given(st.text(alphabet=st.characters(max_codepoint=0x17F, exclude_categories=("Cc", "Cf", "Zs"))))
def test_plain_texts_stay_as_they_are(text: str) -> None:
    """Requests of Latin letters keep their fingerprint."""
    assert comparable_text(text) == normalize_text(text) == text.strip()


@pytest.mark.parametrize(
    ("option", "found"),
    [
        ("--dur", "--duration"),
        ("--duraton", "--duration"),
        ("--images", "--image"),
        ("--ratio", "--aspect-ratio"),
        ("--aspect_ratio", "--aspect-ratio"),
        ("--sund", "--sound"),
        ("--colour", ""),
        ("--x", ""),
        ("--d", ""),
    ],
)
def test_a_similar_option_is_found(option: str, found: str) -> None:
    """By its beginning, one of its words, or most of its letters; anything else finds nothing."""
    known = ["--image", "--last-image", "--duration", "--sound", "--no-sound", "--aspect-ratio"]
    assert next(iter(similar(option, known)), "") == found
