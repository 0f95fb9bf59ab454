"""`other_folders`: live requests are known in every folder of a user, and no others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kling_nb.core.job_state import Stage
from kling_nb.errors import AlreadyPaid
from kling_nb.jobs.other_folders import OtherFolders
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger
from kling_nb.storage.user_index import UserIndex
from tests.support.service import World

INTENT = JobRecord("f" * 64, "live", "kling-2.6/text-to-video", {}, 1, 55.0)


@pytest.fixture
def index(tmp_path: Path) -> UserIndex:
    """What the user paid for."""
    return UserIndex(tmp_path / "paid.sqlite3")


def elsewhere(world: World, index: UserIndex, service: str = "live") -> OtherFolders:
    """The user's folders, as the world's session sees them."""
    return OtherFolders(index, world.ledger, service)


def sent(world: World, stage: Stage = Stage.ACCEPTED) -> JobRecord:
    """A request that was sent, in this stage."""
    row, _ = world.ledger.intend(INTENT)
    world.ledger.advance(row.id, Stage.SENDING)
    return world.ledger.advance(row.id, stage)


@pytest.mark.parametrize("stage", [Stage.ACCEPTED, Stage.UNKNOWN])
def test_what_is_or_may_be_paid_is_refused_in_another_folder(
    world: World, index: UserIndex, tmp_path: Path, stage: Stage
) -> None:
    """In its own folder it is not: there the ledger answers."""
    here = elsewhere(world, index)
    here.note(sent(world, stage))
    here.refuse_paid(INTENT)
    there = replace(here, ledger=Ledger(tmp_path / "there"))
    with pytest.raises(AlreadyPaid, match=f"in {world.ledger.folder}.*--take 2"):
        there.refuse_paid(INTENT)


def test_of_two_folders_the_first_to_send_pays(
    world: World, index: UserIndex, tmp_path: Path
) -> None:
    """Both were let through when they asked; the second is stopped before it sends."""
    here = elsewhere(world, index)
    there = replace(here, ledger=Ledger(tmp_path / "there"))
    row, at = world.ledger.intend(INTENT)[0], world.clock()
    for each in (here, there):
        each.refuse_paid(INTENT)
    here.claim(row, at)
    with pytest.raises(AlreadyPaid, match=f"in {world.ledger.folder}.*--take 2"):
        there.claim(row, at)
    there.claim(replace(row, service="emulator"), at)


def test_a_claim_of_a_session_that_died_before_it_sent_is_taken_back(
    world: World, index: UserIndex
) -> None:
    """Nothing was sent; once the folder is opened again others may pay."""
    dead = Ledger(world.ledger.folder, clock=world.clock)
    row, _ = dead.intend(INTENT)
    here = elsewhere(world, index)
    here.claim(row, world.clock())
    dead.close()
    here.recover_orphans()
    assert world.ledger.row(row.id).stage is Stage.DISCARDED
    assert index.find(INTENT.fingerprint) is None


def test_what_the_same_folder_has_paid_for_since_is_not_dropped(
    world: World, index: UserIndex
) -> None:
    """Another kernel took a request for dead and made it again: that one is paid for."""
    here = elsewhere(world, index)
    row, _ = world.ledger.intend(INTENT)
    world.ledger.advance(row.id, Stage.DISCARDED)
    here.note(sent(world))
    here.drop(row)
    assert index.find(INTENT.fingerprint) is not None


def test_what_is_being_sent_is_noted_until_it_is_refused(world: World, index: UserIndex) -> None:
    """A kernel that dies while it sends may have paid: then no other folder may pay again.

    One that dies before has certainly sent nothing, and a refusal was not paid for.
    """
    here = elsewhere(world, index)
    row, _ = world.ledger.intend(INTENT)
    here.note(row)
    assert index.find(INTENT.fingerprint) is None
    here.note(world.ledger.advance(row.id, Stage.SENDING))
    assert index.find(INTENT.fingerprint) is not None
    here.note(world.ledger.advance(row.id, Stage.REFUSED))
    assert index.find(INTENT.fingerprint) is None


@pytest.mark.parametrize("stage", [Stage.REFUSED, Stage.FAILED])
def test_an_old_failure_hides_no_payment(world: World, index: UserIndex, stage: Stage) -> None:
    """The request was made again since: who looks at the first row leaves the second noted."""
    here = elsewhere(world, index)
    old = sent(world, Stage.ACCEPTED if stage is Stage.FAILED else stage)
    old = world.ledger.advance(old.id, stage) if old.stage is not stage else old
    here.note(sent(world))
    here.note(old)
    assert index.find(INTENT.fingerprint) is not None


def test_a_payment_is_as_old_as_its_request(world: World, index: UserIndex) -> None:
    """However much later somebody looks at it."""
    row = sent(world)
    world.clock.move(3600)
    elsewhere(world, index).note(row)
    paid = index.find(INTENT.fingerprint)
    assert paid is not None
    assert paid.at == row.sent_at


def test_a_failed_task_may_be_made_anywhere(world: World, index: UserIndex) -> None:
    """Its credits came back; one that goes on is noted."""
    here = elsewhere(world, index)
    row = sent(world)
    here.report_end(row.id)
    assert index.find(INTENT.fingerprint) is not None
    world.ledger.advance(row.id, Stage.FAILED)
    here.report_end(row.id)
    assert index.find(INTENT.fingerprint) is None


def test_what_another_folder_has_paid_for_is_not_dropped(world: World, index: UserIndex) -> None:
    """A failure here says nothing of it."""
    row = world.ledger.advance(sent(world).id, Stage.FAILED)
    index.note(INTENT.fingerprint, Path("/elsewhere"), world.clock())
    elsewhere(world, index).drop(row)
    assert index.find(INTENT.fingerprint) is not None


@pytest.mark.parametrize("service", ["live", "emulator"])
def test_what_a_dead_session_was_sending_is_told(
    world: World, index: UserIndex, service: str
) -> None:
    """It may be paid for; an emulated session that comes upon it tells it, too."""
    dead = Ledger(world.ledger.folder, clock=world.clock)
    row, _ = dead.intend(INTENT)
    dead.advance(row.id, Stage.SENDING)
    dead.close()
    elsewhere(world, index, service).recover_orphans()
    assert world.ledger.row(row.id).stage is Stage.UNKNOWN
    assert index.find(INTENT.fingerprint) is not None


def test_what_is_brought_from_another_ledger_is_told(
    world: World, index: UserIndex, tmp_path: Path
) -> None:
    """Once it is in this one; a second time there is nothing to tell."""
    other = Ledger(tmp_path / "lost", clock=world.clock)
    row, _ = other.intend(INTENT)
    other.advance(row.id, Stage.SENDING)
    row = other.advance(row.id, Stage.ACCEPTED, task_id="t1")
    other.close()
    here = elsewhere(world, index)
    assert here.import_record(row) is not None
    assert index.find(INTENT.fingerprint) is not None
    assert here.import_record(row) is None


def test_the_emulator_is_of_no_interest_to_other_folders(world: World, index: UserIndex) -> None:
    """It costs nothing."""
    index.note(INTENT.fingerprint, Path("/elsewhere"), world.clock())
    here = elsewhere(world, index, "emulator")
    here.refuse_paid(INTENT)
    here.note(replace(sent(world), service="emulator"))
    paid = index.find(INTENT.fingerprint)
    assert paid is not None
    assert paid.folder == Path("/elsewhere")
