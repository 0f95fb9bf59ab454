"""What `elsewhere` promises: live requests are known in every folder of a user, and no others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kling_nb.elsewhere import Elsewhere
from kling_nb.errors import AlreadyPaid
from kling_nb.index import PaidIndex
from kling_nb.ledger import Intent, Ledger, Row
from kling_nb.states import Stage
from tests.service import World

INTENT = Intent("f" * 64, "live", "kling-2.6/text-to-video", {}, 1, 55.0)


@pytest.fixture
def index(tmp_path: Path) -> PaidIndex:
    """What the user paid for."""
    return PaidIndex(tmp_path / "paid.sqlite3")


def elsewhere(world: World, index: PaidIndex, service: str = "live") -> Elsewhere:
    """The user's folders, as the world's session sees them."""
    return Elsewhere(index, world.context, service)


def sent(world: World, stage: Stage = Stage.ACCEPTED) -> Row:
    """A request that was sent, in this stage."""
    row, _ = world.ledger.intend(INTENT)
    world.ledger.advance(row.id, Stage.SENDING)
    return world.ledger.advance(row.id, stage)


@pytest.mark.parametrize("stage", [Stage.ACCEPTED, Stage.UNKNOWN])
def test_what_is_or_may_be_paid_is_refused_in_another_folder(
    world: World, index: PaidIndex, tmp_path: Path, stage: Stage
) -> None:
    """In its own folder it is not: there the ledger answers."""
    here = elsewhere(world, index)
    here.note(sent(world, stage))
    here.refuse_paid(INTENT)
    there = replace(here, context=replace(world.context, ledger=Ledger(tmp_path / "there")))
    with pytest.raises(AlreadyPaid, match=f"in {world.ledger.folder}.*--take 2"):
        there.refuse_paid(INTENT)


def test_what_was_refused_is_not_noted(world: World, index: PaidIndex) -> None:
    """It was not paid for."""
    elsewhere(world, index).note(sent(world, Stage.REFUSED))
    assert index.find(INTENT.fingerprint) is None


def test_a_failed_task_may_be_made_anywhere(world: World, index: PaidIndex) -> None:
    """Its credits came back; one that goes on stays noted."""
    here = elsewhere(world, index)
    row = sent(world)
    here.note(row)
    here.drop_failed(row.id)
    assert index.find(INTENT.fingerprint) is not None
    world.ledger.advance(row.id, Stage.FAILED)
    here.drop_failed(row.id)
    assert index.find(INTENT.fingerprint) is None


def test_the_emulator_is_of_no_interest_to_other_folders(world: World, index: PaidIndex) -> None:
    """It costs nothing."""
    index.note(INTENT.fingerprint, Path("/elsewhere"), world.clock())
    here = elsewhere(world, index, "emulator")
    here.refuse_paid(INTENT)
    here.note(sent(world))
    paid = index.find(INTENT.fingerprint)
    assert paid is not None
    assert paid.folder == Path("/elsewhere")
