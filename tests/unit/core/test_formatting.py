"""Test `formatting`: quantities as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from kling_nb.core.formatting import (
    format_about,
    format_balance,
    format_bytes,
    format_credits,
    format_date,
    format_duration,
    format_number,
    replace_invisible,
    to_one_line,
)

NOW = datetime(2026, 11, 22, 14, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (-3, "0 s"),
        (40.4, "40 s"),
        (72, "1 min 12 s"),
        (120, "2 min"),
        (3900, "1 h 5 min"),
    ],
)
def test_times_have_the_two_largest_units(seconds: float, text: str) -> None:
    """A time is never negative."""
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.3, "1 s"),
        (13.7, "14 s"),
        (47, "45 s"),
        (59, "1 min"),
        (80, "1.5 min"),
        (164, "2.5 min"),
        (170, "3 min"),
        (643, "11 min"),
        (4_000, "1 h 7 min"),
    ],
)
def test_estimates_are_round(seconds: float, text: str) -> None:
    """To the second, to 5 seconds, or to half or whole minutes."""
    assert format_about(seconds) == text


@pytest.mark.parametrize(
    ("size_bytes", "words"),
    [(512, "512 bytes"), (83_558, "84 kB"), (912_345, "0.9 MB"), (40_000_000, "40.0 MB")],
)
def test_sizes_are_in_powers_of_ten(size_bytes: int, words: str) -> None:
    """Sizes read as in a file manager."""
    assert format_bytes(size_bytes) == words


def test_numbers() -> None:
    """Thousands are separated; large balances are rounded down to whole credits."""
    assert format_number(5916) == "5,916"
    assert format_number(5916.25) == "5,916.25"
    assert format_number(0.5) == "0.5"
    assert (format_balance(5916.99), format_balance(40.5)) == ("5,916", "40.5")
    assert (format_credits(1), format_credits(55)) == ("1 credit", "55 credits")


def test_a_date_is_local_and_has_only_another_year() -> None:
    """Late evening in UTC is the next day further east."""
    assert format_date(datetime(2026, 11, 20, tzinfo=UTC), NOW) == "20 November"
    assert format_date(datetime(2025, 3, 1, tzinfo=UTC), NOW) == "1 March 2025"
    east = NOW.astimezone(timezone(timedelta(hours=8)))
    assert format_date(datetime(2026, 11, 19, 23, tzinfo=UTC), east) == "20 November"


def test_control_characters_become_visible() -> None:
    """Controls, terminal escapes, direction overrides and half surrogates have no effect."""
    text = replace_invisible("a\x00b\x1b[31mc\u202ed\ud800e\r\nf\tg")
    assert text == "a\ufffdb\ufffd[31mc\ufffdd\ufffde\nf\tg"


def test_one_line_is_one_line_and_cut_at_a_word() -> None:
    """A long text is cut between words and ends with an ellipsis."""
    assert to_one_line("a\n b\t c") == "a b c"
    assert to_one_line("one two three four", 15) == "one two three…"
    assert len(to_one_line("x" * 300, 100)) == 100
