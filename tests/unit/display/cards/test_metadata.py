"""The JSON record on each card: what it says, what it keeps to itself, what a reader believes."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_nb.display.cards.metadata import CardMetadata, card_json, join_cards, read_card
from kling_nb.display.html import escape, render_record
from tests.support.html_states import CLIP, EMULATED, FACTS, NOW, RUNNING, SAVED, TASK

FINGERPRINT = "ab" * 32
SAID = asdict(
    CardMetadata(
        id=FACTS.id,
        fingerprint=FINGERPRINT,
        model=FACTS.model,
        service="live",
        task_id=TASK,
        state="saved",
        take=1,
        file="2026-11-22_fox_k7f2qd.mp4",
        sha256=CLIP.sha256,
        size_bytes=CLIP.size_bytes,
        embed="preview",
        cell=FACTS.cell,
        price_credits=55.0,
        credits=55.0,
        created_at="2026-11-22T14:05:00+00:00",
        finished_at="2026-11-22T14:05:00+00:00",
        title="Fox, take 2",
    )
)


def test_a_saved_clip_is_recorded() -> None:
    """Ids, the file's name and hash, the title, and how much of the clip is inside."""
    record = replace(FACTS, fingerprint=FINGERPRINT, title="Fox, take 2")
    said = card_json(record, SAVED, "preview")
    assert said == {"version": 1, "cards": [SAID]}


def test_nothing_private_is_in_it() -> None:
    """No folder of clips, no picture, no balance; the cell stands in the card's HTML as well."""
    said = card_json(FACTS, SAVED, "whole")
    text = json.dumps(said)
    for private in ("/clips", "thumbnail", str(FACTS.balance_before)):
        assert private not in text
    assert said["cards"][0]["cell"] == FACTS.cell
    assert escape(FACTS.cell) in render_record(FACTS, SAVED, now=NOW)


@pytest.mark.parametrize("state", RUNNING, ids=lambda state: type(state).__name__)
def test_every_state_is_recorded_and_read(state: Any) -> None:
    """With no file while there is none."""
    (receipt,) = read_card(card_json(EMULATED, state))
    assert receipt.state == state.name
    assert receipt.task_id == getattr(state, "task_id", "")
    assert (receipt.service, receipt.file, receipt.embed) == ("emulator", "", "")


def test_several_cards_are_joined_in_their_order() -> None:
    """Takes that stand in one output."""
    second = replace(FACTS, id="second", take=2)
    joined = join_cards(card_json(FACTS, SAVED, "whole"), card_json(second, RUNNING[0]))
    assert [(each.id, each.take) for each in read_card(joined)] == [(FACTS.id, 1), ("second", 2)]


@pytest.mark.parametrize(
    "written",
    [
        {"version": 1, "cards": [SAID]},
        {"version": 7, "cards": [SAID | {"mood": "calm"}], "signed": True},
        {"cards": [{"file": "a.mp4"}, SAID, {"id": "../x"}, {"id": "\u00e4"}, 7]},
    ],
    ids=["this version", "a later version", "cards without an id"],
)
def test_what_was_written_is_read(written: object) -> None:
    """As far as it is known; a card without a valid id is left out."""
    assert read_card(json.loads(json.dumps(written))) == (CardMetadata(**SAID),)


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("cell", "import os"),
        ("cell", "%%kling\n" + "x" * 50_001),
        ("created_at", "yesterday"),
        ("finished_at", "2026-11-22T14:05:00"),
        ("file", "../../etc/passwd.mp4"),
        ("file", "/clips/a.mp4"),
        ("file", "a\\b.mp4"),
        ("file", ".hidden.mp4"),
        ("file", "ledger.sqlite3"),
        ("file", "a.mp4\n"),
        ("file", "a" * 300 + ".mp4"),
        ("file", "\u00e4" * 190 + ".mp4"),
        ("cell", "%%kling\n\ud83d"),
        ("sha256", "0" * 63),
        ("sha256", "Z" * 64),
        ("embed", "all"),
        ("service", "elsewhere"),
        ("model", 7),
        ("file", None),
    ],
)
def test_what_has_not_its_form_is_not_believed(field: str, given: object) -> None:
    """A notebook may come from anybody, and a file name leads nowhere else."""
    assert read_card({"cards": [SAID | {field: given}]}) == (
        replace(CardMetadata(**SAID), **{field: ""}),
    )


@pytest.mark.parametrize(
    ("field", "given", "default"),
    [
        *(("size_bytes", given, 0) for given in (True, -1, "3", 1.5, None, 2**53 + 1)),
        *(("take", given, 1) for given in (True, -1, "3", 1.5, None, 10**40)),
        *((field, given, None) for field in ("price_credits", "credits")
          for given in (True, -1, "3", float("nan"), float("inf"), 10**400, None)),
    ],
)  # fmt: skip
def test_what_is_no_number_has_the_default(field: str, given: object, default: object) -> None:
    """Nor is a number larger than JSON keeps exactly."""
    (card,) = read_card({"cards": [SAID | {field: given}]})
    assert getattr(card, field) == default


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*SAID, "cards"]), inner),
    max_leaves=20,
)


@given(JSON)
def test_anything_can_be_read(value: object) -> None:
    """Never an exception; what comes out can be written and read again."""
    read = read_card({"cards": [value]}) + read_card(value)
    assert read_card(join_cards({"cards": [asdict(each) for each in read]})) == read
