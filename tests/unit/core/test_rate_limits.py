"""Test `rate_limits`: the time of the next slot, and the rules for a limit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_nb.core.rate_limits import (
    NEW_TASKS,
    STATUS_REQUESTS,
    Rate,
    next_slots,
    rate_limit_back_off_s,
)

TIGHT = Rate("tries", 3, 2.0, 0.5)


@pytest.mark.parametrize(
    ("taken", "held_until", "slot"),
    [
        ([], 0.0, 100.0),
        ([100.0, 100.0], 0.0, 100.0),
        ([100.0, 100.0, 100.0], 0.0, 102.5),
        ([98.0, 99.0, 100.0], 0.0, 100.5),
        ([97.5, 99.0, 100.0], 0.0, 100.0),
        ([99.0, 98.0, 100.0, 100.5], 0.0, 101.5),
        ([200.0, 200.0, 200.0], 0.0, 100.0),
        ([107.0, 107.0, 107.0], 0.0, 107.5),
        ([], 99.0, 100.0),
        ([], 101.0, 101.0),
        ([], 107.5, 107.5),
        ([], 160.0, 160.0),
        ([], 160.5, 100.0),
    ],
    ids=str,
)
def test_the_next_slot(taken: list[float], held_until: float, slot: float) -> None:
    """As soon as fewer than three count and the hold is over; times too far ahead do not count."""
    assert next_slots(taken, 100.0, TIGHT, held_until) == [slot]


@pytest.mark.parametrize("taken", [[], [99.0], [99.0, 100.5, 101.0]], ids=str)
def test_a_block_of_slots_is_as_one_by_one(taken: list[float]) -> None:
    """Also beside slots that are later than the first of the block."""
    block = next_slots(taken, 100.0, TIGHT, count=5)
    known = list(taken)
    for _ in block:
        known += next_slots(known, 100.0, TIGHT)
    assert known[len(taken) :] == block


@given(st.lists(st.floats(0.0, 3.0), min_size=1, max_size=60))
def test_no_window_holds_more_than_the_limit(pauses: list[float]) -> None:
    """Any slot and the third one after it are at least a window apart."""
    now, taken = 1_000.0, []
    for pause in pauses:
        now += pause
        (slot,) = next_slots(taken, now, TIGHT)
        if slot < now + TIGHT.longest_wait_s:
            taken = sorted([*taken, slot])
    assert all(
        later - sooner >= TIGHT.kept_s - 1e-6
        for sooner, later in zip(taken, taken[3:], strict=False)
    )


@pytest.mark.parametrize("rate", [NEW_TASKS, STATUS_REQUESTS])
def test_the_services_limits_are_kept_with_a_margin(rate: Rate) -> None:
    """20 new tasks in 10 s, 10 status requests in 1 s (source: D), and time for the transfer."""
    assert (rate.limit, rate.window_s) in {(20, 10.0), (10, 1.0)}
    assert rate.window_s < rate.kept_s <= 1.25 * rate.window_s


@pytest.mark.parametrize(("asked_s", "held_s"), [(None, 0.625), (0.0, 0.0), (5, 5), (600, 60.0)])
def test_how_long_a_429_holds(asked_s: float | None, held_s: float) -> None:
    """`Retry-After` within bounds, otherwise a quarter of a window."""
    assert rate_limit_back_off_s(TIGHT, asked_s) == held_s


def test_a_429_after_a_429_holds_longer() -> None:
    """Twice as long each time, up to a window; `Retry-After` is exact."""
    assert [rate_limit_back_off_s(TIGHT, None, n) for n in (1, 2, 3, 99)] == [1.25, 2.5, 2.5, 2.5]
    assert rate_limit_back_off_s(TIGHT, 2.0, 3) == 2.0


@pytest.mark.parametrize("limit", [0, 0.5, -1, float("nan")])
def test_a_limit_lets_at_least_one_through(limit: float) -> None:
    """A smaller limit would block every clip."""
    with pytest.raises(ValueError, match=r"^new tasks: the limit must be at least 1, not "):
        Rate("new tasks", limit, 10.0, 1.0)
