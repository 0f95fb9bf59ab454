"""What `parameters` promises: one reading of each value, or one sentence why not."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kling_nb.core.formatting import shorten
from kling_nb.models.parameter_kind import Rejected
from kling_nb.models.parameters import Choice, Flag, Media, Number, Text
from kling_nb.models.spec import Kind

TEXT = Text(max_chars=1000)
DURATION = Choice(("5", "10"), unit="s")
SOUND = Flag(on="sound", off="no sound")
SCALE = Number(0, 1, step=0.1)
COUNT = Number(3, 15, integer=True)
ONE_PICTURE = Media(("image/jpeg", "image/png"), 10_000_000)
KINDS: tuple[Kind, ...] = (TEXT, DURATION, SOUND, SCALE, COUNT, ONE_PICTURE)


class Unprintable(str):
    """A text whose repr fails."""

    __slots__ = ()

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


def rejection(kind: Kind, value: object) -> str:
    """What a kind says of a value that it does not take."""
    with pytest.raises(Rejected) as caught:
        kind.parse(value)
    return caught.value.given


# --- text --------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["a\r\nb", "a\rb", "a\nb", "  a\nb\n\n"])
def test_line_ends_and_blank_ends_are_made_plain(given: str) -> None:
    """However an editor writes lines, the same text is sent."""
    assert TEXT.parse(given) == "a\nb"


@pytest.mark.parametrize(
    "text",
    ["x" * 1000, "🦊" * 1000, "ab\r\n" * 333 + "a"],
    ids=["limit", "code points count once", "line ends count once"],
)
def test_a_text_may_have_just_the_limit(text: str) -> None:
    """1,000 characters are allowed."""
    assert len(TEXT.parse(text)) == 1000


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("x" * 1001, "has 1,001 characters"),
        ("", "is empty"),
        ("   ", "is empty"),
        ("\r\n\t", "is empty"),
        (5, "5 is not text"),
        (b"fox", "bytes of 3 bytes is not text"),
        (["fox"], "is not text"),
        ("fox \ud83e", "surrogate"),
    ],
)
def test_what_is_no_text_is_refused(given: object, said: str) -> None:
    """Blank space is no prompt, a lone surrogate cannot be sent, and nothing is converted."""
    assert said in rejection(TEXT, given)
    assert TEXT.allowed == "allowed: 1 to 1,000 characters"


# --- choice ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [5, 5.0, "5", " 5 ", Fraction(5), np.int64(5), np.uint8(5), np.float32(5), np.float64(5)],
    ids=lambda value: f"{type(value).__name__}",
)
def test_a_number_that_reads_the_same_is_the_option(given: object) -> None:
    """5, 5.0, "5" and numpy's are the same, and are sent as the string "5"."""
    parsed = DURATION.parse(given)
    assert parsed == "5"
    assert type(parsed) is str


@pytest.mark.parametrize(
    "given",
    [True, np.True_, 7, 5.1, "5.0", "5s", b"5", None, [5], float("nan"), float("inf"), 10**400],
    ids=str,
)
def test_anything_else_is_no_option(given: object) -> None:
    """Truth, other numbers, other spellings and numbers beyond reason are refused."""
    assert rejection(DURATION, given) == f"{shorten(given)} is not one of 5, 10"
    assert rejection(Choice(("1", "2")), True) == "True is not one of 1, 2"
    assert DURATION.allowed == "allowed: 5, 10"


def test_an_option_has_its_unit_or_its_own_words() -> None:
    """One that another version had is said as it stands in the ledger."""
    facing = Choice(("image", "video"), words=("facing as in the image", "facing as in the video"))
    assert DURATION.format_value("5") == "5 s"
    assert Choice(("std",)).format_value("std") == "std"
    assert [facing.format_value(each) for each in ("video", "left")] == [
        "facing as in the video",
        "left",
    ]


def test_a_long_row_of_numbers_is_said_by_its_ends() -> None:
    """Thirteen lengths are no list that anybody reads; shapes and a row with a gap stay one."""
    lengths = Choice(tuple(map(str, range(3, 16))))
    assert lengths.allowed == "allowed: 3 to 15"
    assert rejection(lengths, 2) == "2 is not one of 3 to 15"
    assert Choice(("3", "4", "5", "6", "8")).allowed == "allowed: 3, 4, 5, 6, 8"


@pytest.mark.parametrize(
    ("given", "advice"), [("4k", "write 4K"), ("PRO", "write pro"), ("8K", "choose one of them")]
)
def test_a_choice_in_other_letters_is_named(given: str, advice: str) -> None:
    """4K is written so for one model and 4k for the next: what is meant is said, not guessed."""
    with pytest.raises(Rejected) as caught:
        Choice(("std", "pro", "4K")).parse(given)
    assert caught.value.advice == advice


# --- flag --------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [True, False, np.True_, np.False_], ids=repr)
def test_a_flag_is_a_plain_bool(given: object) -> None:
    """True and False, numpy's too, are sent as JSON's."""
    assert SOUND.parse(given) is bool(given)


@pytest.mark.parametrize("given", ["yes", "true", "", 1, 0, 1.0, []], ids=repr)
def test_words_and_numbers_are_no_flag(given: object) -> None:
    """Sound costs twice as much: nothing is guessed."""
    assert rejection(SOUND, given).endswith("is not true or false")


# --- number ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "sent"),
    [(0, 0), (1, 1), (0.3, 0.3), ("0.3", 0.3), (0.1 + 0.2, 0.3), ("0.5", 0.5), (0.7, 0.7)],
)
def test_a_number_on_the_grid_is_taken(given: object, sent: float) -> None:
    """The ends and the steps between are allowed, floating point's own errors forgiven."""
    assert SCALE.parse(given) == sent
    assert isinstance(SCALE.parse(given), float)


@pytest.mark.parametrize("given", [-0.1, 1.1, 0.25, "2"])
def test_a_number_off_the_grid_is_refused(given: object) -> None:
    """Outside the range or between two steps is out of range."""
    assert rejection(SCALE, given).endswith("is out of range")


@pytest.mark.parametrize(
    "given", ["fox", True, float("nan"), float("inf"), 10**400, None, [1], b"\xff"], ids=str
)
def test_what_is_no_number_is_refused(given: object) -> None:
    """Words, truth, NaN, infinity and numbers beyond a float are no numbers here."""
    assert rejection(SCALE, given).endswith("is not a number")


def test_an_integer_is_sent_as_one() -> None:
    """A field that is documented as integer gets an int."""
    parsed = COUNT.parse(5.0)
    assert parsed == 5
    assert type(parsed) is int


# --- media -------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["fox.png", b"bytes", object()], ids=["path", "bytes", "any"])
def test_one_image_may_come_alone_or_in_a_list(source: object) -> None:
    """A list of one is that one; a source is passed on unopened."""
    for value in (source, [source], (source,)):
        assert ONE_PICTURE.parse(value) is source
    assert ONE_PICTURE.allowed == "give 1 JPEG or PNG of at most 10 MB"
    assert Media(("image/png",), 1000, max_count=2).parse(["a", source]) == ("a", source)


@pytest.mark.parametrize(
    ("given", "said"),
    [([], "0 were given"), (["a", "b"], "2 were given"), ("", "is empty"), ("  ", "is empty")],
    ids=repr,
)
def test_the_number_of_pictures_is_checked(given: object, said: str) -> None:
    """None, two or a blank one are refused before any file is opened."""
    assert rejection(ONE_PICTURE, given) == said


# --- quoting -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("fox", "'fox'"),
        (b"\x00" * 5000, "bytes of 5,000 bytes"),
        (np.zeros(3), "a ndarray"),
        (None, "None"),
        (Unprintable("x"), "a Unprintable"),
        (10**5000, "a int"),
        ("x" * 500, "'" + "x" * 58 + "…"),
    ],
    ids=["text", "bytes", "array", "none", "unprintable", "huge", "long"],
)
def test_a_value_is_quoted_shortly(value: object, text: str) -> None:
    """Files and arrays are named and not printed; what is cut shows it."""
    assert shorten(value) == text


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(value=JSON_LIKE)
def test_every_kind_parses_or_rejects(value: object) -> None:
    """No value whatever gets anything but a reading or a rejection out of a kind."""
    for kind in KINDS:  # to make a value takes longer than to parse it
        with suppress(Rejected):
            kind.parse(value)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\x0b", "\u2028"])
def test_a_text_of_one_line_has_its_lines_joined(end: str) -> None:
    """What is an option of a cell could not be written otherwise."""
    assert Text(20, one_line=True).parse(f" blur{end}text ") == "blur text"
