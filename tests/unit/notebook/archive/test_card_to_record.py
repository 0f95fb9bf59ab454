"""Convert a card to a ledger row: the stage, the values, and the limits of forged ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kling_nb.core.job_state import BLOCKING, Stage
from kling_nb.display.cards.metadata import CardMetadata, card_json, read_card
from kling_nb.models.catalog import CATALOGUE
from kling_nb.models.spec import most_credits
from kling_nb.notebook.archive.card_to_record import CardEvidence, check_card, precedence_of, row_of
from tests.support.html_states import CLIP, EVERY, FACTS, NOW, SAVED, TASK

CARD = replace(
    read_card(card_json(replace(FACTS, fingerprint="ab" * 32), SAVED, "whole"))[0], id="0123abcd"
)
LATER = NOW + timedelta(days=1)


def evidence(**changes: Any) -> CardEvidence:
    """A card in a notebook that was saved an hour after its job."""
    card = replace(CARD, **changes)
    return CardEvidence(card, "as it is shown", "film.ipynb", NOW + timedelta(hours=1))


def test_a_clip_that_is_here_is_saved() -> None:
    """With all values of its card."""
    row = row_of(evidence(), CLIP, LATER)
    assert (row.id, row.stage, row.task_id, row.clip) == ("0123abcd", Stage.SAVED, TASK, CLIP)
    assert (row.fingerprint, row.service, row.take) == ("ab" * 32, "live", 1)
    assert row.values == {
        "image": "fox.png",
        "prompt": FACTS.prompt,
        "duration": "5",
        "sound": False,
    }
    assert (row.cell, row.price_credits, row.credits) == (FACTS.cell, 55.0, 55.0)
    assert (row.created_at, row.finished_at) == (NOW, SAVED.finished_at)
    assert row.notebook == "film.ipynb"
    assert row.owner == ""


@pytest.mark.parametrize(
    ("state", "task_id", "days", "stage"),
    [
        ("saved", TASK, 13, Stage.ACCEPTED),
        ("saved", TASK, 15, Stage.EXPIRED),
        ("saved", "", 1, Stage.EXPIRED),
        ("waiting", TASK, 13, Stage.ACCEPTED),
        ("waiting", TASK, 15, Stage.EXPIRED),
        ("outofsight", TASK, 1, Stage.ACCEPTED),
        ("downloading", TASK, 1, Stage.ACCEPTED),
        ("detached", TASK, 1, Stage.ACCEPTED),
        ("detached", "", 1, Stage.UNKNOWN),
        ("preparing", "", 1, Stage.UNKNOWN),
        ("uploading", "", 1, Stage.UNKNOWN),
        ("sending", "", 1, Stage.UNKNOWN),
        ("unknown", "", 1, Stage.UNKNOWN),
        ("vanished", TASK, 1, Stage.VANISHED),
        ("expired", TASK, 1, Stage.EXPIRED),
        ("deleted", TASK, 1, Stage.EXPIRED),
        ("failed", TASK, 1, Stage.FAILED),
        ("refused", "", 1, Stage.REFUSED),
        ("discarded", "", 1, Stage.DISCARDED),
    ],
)
def test_without_a_clip_the_stage_is_the_one_that_is_known(
    state: str, task_id: str, days: int, stage: Stage
) -> None:
    """Asked for while results are kept; what may be paid for blocks."""
    given = evidence(state=state, task_id=task_id)
    row = row_of(given, None, NOW + timedelta(days=days))
    assert row.stage is stage
    assert row.clip is None
    if stage in BLOCKING:
        assert "film.ipynb" in row.reason


@pytest.mark.parametrize("state", EVERY, ids=lambda state: type(state).__name__)
def test_every_state_of_a_card_makes_a_row(state: Any) -> None:
    """None is forgotten where states are added."""
    (card,) = read_card(card_json(replace(FACTS, fingerprint="ab" * 32), state))
    card = replace(card, id="0123abcd")
    assert check_card(card) == ""
    assert row_of(CardEvidence(card, "", "film.ipynb", NOW), None, LATER).stage in Stage


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id": "../x"}, "is not a job id"),
        ({"id": "k7f2qd"}, "is not a job id"),
        ({"state": "stolen"}, "is not a job state"),
        ({"fingerprint": ""}, "does not identify a request"),
        ({"service": ""}, "does not identify a request"),
    ],
)
def test_an_unusable_card_has_a_reason(changes: dict[str, str], words: str) -> None:
    """In words for a person."""
    assert words in check_card(replace(CARD, **changes))


def test_a_cell_that_cannot_be_read_costs_only_the_values() -> None:
    """The prompt is the one on the card."""
    for cell in ("", "%%kling --nonsense\nx", "%%kling\nwords alone", "%%kling -i 'open\nx"):
        row = row_of(evidence(cell=cell), CLIP, LATER)
        assert (row.values, row.cell) == ({"prompt": "as it is shown"}, "")


@pytest.mark.parametrize("url", ["", "https://example.org/"])
def test_the_folder_of_an_image_is_left_out(url: str) -> None:
    """As ledgers have it; a URL stays."""
    row = row_of(evidence(cell=f"%%kling --image {url or '/home/ada/'}fox.png\nx"), CLIP, LATER)
    assert row.values["image"] == f"{url}fox.png"


def test_a_record_of_an_earlier_version_has_no_times() -> None:
    """Then the notebook's own counts, and no duration is learnt from it."""
    row = row_of(evidence(created_at="", finished_at=""), CLIP, LATER)
    assert row.created_at == row.finished_at == NOW + timedelta(hours=1)
    assert row.accepted_at is None


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("9999-12-31T23:59:59-23:59", None),
        ("2026-99-99T00:00:00+00:00", None),
        ("2026-11-22T16:05:00+02:00", datetime(2026, 11, 22, 14, 5, tzinfo=UTC)),
    ],
)
def test_times_are_utc_and_never_in_the_future(time: str, expected: datetime | None) -> None:
    """Whatever offset they were written with; nor do they break anything."""
    row = row_of(evidence(created_at=time, finished_at=time), CLIP, LATER)
    assert row.finished_at is not None
    for found in (row.created_at, row.finished_at):
        assert found == expected if expected else found <= LATER
        assert found.tzinfo is UTC


def test_the_card_that_tells_most_is_believed() -> None:
    """A clip before an end, an end before what was on the way."""
    ways = [
        CardMetadata("a", state="preparing"),
        CardMetadata("a", state="discarded"),
        CardMetadata("a", state="waiting", task_id="t"),
        CardMetadata("a", state="failed", task_id="t"),
        CardMetadata("a", state="saved", embed="preview"),
        CardMetadata("a", state="saved", embed="whole"),
    ]
    weights = [precedence_of(each) for each in ways]
    assert weights == sorted(set(weights))


def test_a_deleted_clip_stays_deleted() -> None:
    """An older notebook that shows the clip does not bring it back."""
    row = row_of(evidence(state="deleted", title="Fox"), None, LATER)
    assert row.is_deleted
    assert (row.deleted_at, row.title) == (NOW + timedelta(hours=1), "Fox")
    deleted, saved = (replace(CARD, state=state, embed="whole") for state in ("deleted", "saved"))
    assert precedence_of(deleted) > precedence_of(saved)


def test_several_media_are_named_each() -> None:
    """Two frames, and the pictures of an element, without the folders they lay in."""
    element = '[{"name": "fox", "description": "red", "images": ["/home/ada/a.png", "b.png"]}]'
    line = f"-m kling-3.0/video -i /home/ada/fox.png -i last.png --elements '{element}'"
    row = row_of(evidence(model="kling-3.0/video", cell=f"%%kling {line}\nx"), CLIP, LATER)
    assert row.values["image"] == "fox.png, last.png"
    assert row.values["elements"] == (
        {"name": "fox", "description": "red", "images": "a.png, b.png"},
    )


def test_shots_alone_are_a_request() -> None:
    """A cell without a body is read as it was run."""
    shots = '[{"prompt": "wakes", "duration": 3}]'
    cell = f"%%kling --model kling-3.0/video --shots '{shots}'\n"
    row = row_of(evidence(model="kling-3.0/video", cell=cell), CLIP, LATER)
    assert "prompt" not in row.values
    assert (row.prompt, row.values["duration"], row.cell) == ("wakes", "3", cell)


@pytest.mark.parametrize(
    ("changes", "price"),
    [
        ({}, 55.0),
        ({"cell": "%%kling -i fox.png --duration 10\nx"}, 110.0),
        ({"cell": ""}, 220.0),
        ({"cell": "", "model": "kling-2.6/motion-control"}, 540.0),
        ({"cell": "", "model": "of another version"}, max(map(most_credits, CATALOGUE.values()))),
    ],
)
def test_a_recorded_cost_is_capped_by_the_price_list(changes: dict[str, Any], price: float) -> None:
    """By the price of the request where its cell can be read, else by the dearest one."""
    row = row_of(evidence(price_credits=1e9, credits=1e9, **changes), CLIP, LATER)
    assert (row.price_credits, row.credits) == (price, price)
    row = row_of(evidence(price_credits=3.0, credits=None, **changes), CLIP, LATER)
    assert (row.price_credits, row.credits) == (3.0, None)


def test_an_unproven_record_has_a_name_that_no_request_has() -> None:
    """And it keeps the fingerprint that it states behind it."""
    row = row_of(evidence(), CLIP, LATER, is_proven=False)
    assert row.fingerprint == "recovered:" + "ab" * 32
    again = row_of(evidence(fingerprint=row.fingerprint), CLIP, LATER, is_proven=False)
    assert again.fingerprint == row.fingerprint
