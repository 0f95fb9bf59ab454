"""Test `id_slots`: a task id is written in place, next to the row of its job."""

from __future__ import annotations

import logging
import os
import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from kling_nb.core.job_state import Stage
from kling_nb.errors import LedgerError
from kling_nb.storage.id_slots import IdSlots
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger

INTENT = JobRecord(
    "f" * 64, "live", "m", {"prompt": "A fox\nand “a” hen"}, 2, 55.0, thumbnail=b"jpeg"
)


@pytest.fixture
def row(ledger: Ledger) -> JobRecord:
    """A row as it is while its request is being sent."""
    row, _ = ledger.intend(INTENT)
    return replace(row, stage=Stage.SENDING, sent_at=row.created_at, nonce="n")


def left_by_dead(folder: Path, stage: Stage) -> JobRecord:
    """Return the row of a session that died after its task id was written."""
    with closing(Ledger(folder)) as dead:
        row, _ = dead.intend(INTENT)
        dead.id_slots.allocate(replace(row, stage=Stage.SENDING))
        row = dead.advance(row.id, Stage.SENDING)
        dead.id_slots.write(row.id, "t")
        return row if stage is Stage.SENDING else dead.advance(row.id, stage)


@pytest.fixture
def slots(tmp_path: Path) -> IdSlots:
    """The files of a folder."""
    return IdSlots(tmp_path / "sending", tmp_path)


def test_an_id_is_written_in_place(slots: IdSlots, row: JobRecord) -> None:
    """The file keeps its size and the row, without its thumbnail; the next session reads both."""
    slots.allocate(row)
    file = slots.path / f"{row.id}.json"
    before = file.stat()
    assert slots.read(row.id) == ""
    assert slots.rows() == [replace(row, thumbnail=b"")]
    assert slots.write(row.id, 'täsk "1"\n')
    after = file.stat()
    assert (after.st_ino, after.st_size) == (before.st_ino, before.st_size)
    slots.close()
    later = IdSlots(slots.path, slots.path.parent)
    assert later.read(row.id) == 'täsk "1"\n'
    assert later.rows() == [replace(row, thumbnail=b"")]
    assert later.job_ids() == [row.id]


def test_a_file_that_was_deleted_is_made_again(slots: IdSlots, row: JobRecord) -> None:
    """Its folder is created again, too."""
    slots.allocate(row)
    shutil.rmtree(slots.path)
    assert slots.write(row.id, "t")
    assert slots.read(row.id) == "t"
    assert len(slots.rows()) == 1


@pytest.mark.parametrize(("folder_bits", "bits"), [(0o700, 0o600), (0o770, 0o660)])
def test_a_file_is_as_private_as_its_folder(
    slots: IdSlots, row: JobRecord, folder_bits: int, bits: int
) -> None:
    """It contains prompts; in a shared folder the others recover what a dead session left."""
    slots.path.parent.chmod(folder_bits)
    slots.allocate(row)
    assert (slots.path / f"{row.id}.json").stat().st_mode & 0o777 == bits
    assert slots.path.stat().st_mode & 0o777 == folder_bits


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(slots: IdSlots, ledger: Ledger) -> None:
    """A session starts without waiting."""
    slots.path.mkdir()
    os.mkfifo(slots.path / "1a2b3c4d.json")
    assert slots.rows() == []
    assert ledger.recover_orphans("live") == []


def test_what_is_freed_is_gone(slots: IdSlots, row: JobRecord) -> None:
    """A second call, or a call without files, does nothing."""
    slots.free(row.id)
    slots.allocate(row)
    slots.free(row.id)
    slots.free(row.id)
    assert (slots.rows(), slots.job_ids(), slots.read(row.id)) == ([], [], "")
    assert not slots.write(row.id, "t")


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 600, b'"half an id', b'""\n[]', b'""\n{"id": 1}', b"7\n{}"]
)
def test_a_file_that_holds_something_else_is_left_alone(
    slots: IdSlots, content: bytes, caplog: pytest.LogCaptureFixture, ledger: Ledger
) -> None:
    """The log names it, and a session starts."""
    slots.path.mkdir()
    file = slots.path / "1a2b3c4d.json"
    file.write_bytes(content)
    with caplog.at_level(logging.WARNING, logger="kling_nb"):
        assert slots.rows() == []
    assert str(file) in caplog.text
    assert slots.read("1a2b3c4d") == ""
    assert ledger.recover_orphans("live") == []
    assert file.read_bytes() == content


def test_no_space_is_an_error(slots: IdSlots, row: JobRecord) -> None:
    """The error says that nothing was sent and what to do; no file is left."""
    slots.path.write_text("")
    with pytest.raises(LedgerError, match=r"cannot reserve space.*No task was created.*run again"):
        slots.allocate(row)
    assert not slots.write(row.id, "t")


def test_a_file_of_a_living_session_is_left_alone(ledger: Ledger, other: Ledger) -> None:
    """The session still waits for its answer."""
    row, _ = ledger.intend(INTENT)
    ledger.id_slots.allocate(replace(row, stage=Stage.SENDING))
    ledger.advance(row.id, Stage.SENDING)
    ledger.id_slots.write(row.id, "t")
    assert other.recover_orphans("live") == []
    assert other.id_slots.job_ids() == [row.id]
    assert other.row(row.id).stage is Stage.SENDING


@pytest.mark.parametrize("stage", [Stage.SENDING, Stage.UNKNOWN])
def test_the_id_of_a_dead_session_is_recovered(
    ledger: Ledger, tmp_path: Path, stage: Stage
) -> None:
    """The session that finds it follows it, also if an older version made the job unknown."""
    left_by_dead(tmp_path, stage)
    [settled] = ledger.recover_orphans("live")
    assert (settled.stage, settled.task_id, settled.owner) == (Stage.ACCEPTED, "t", ledger.owner)
    assert settled.accepted_at == settled.sent_at
    assert ledger.id_slots.job_ids() == []


def test_the_task_of_a_dead_session_is_adopted(ledger: Ledger, tmp_path: Path) -> None:
    """Adopting the same task returns the same job."""
    row = left_by_dead(tmp_path, Stage.SENDING)
    adopted = ledger.task_matching.adopt("t", "live", row.id)
    assert (adopted.id, adopted.stage, adopted.task_id) == (row.id, Stage.ACCEPTED, "t")


def test_noting_late_is_noting_once(ledger: Ledger) -> None:
    """In either order, the row is accepted and does not change."""
    row, _ = ledger.intend(INTENT)
    ledger.advance(row.id, Stage.SENDING)
    first = ledger.accept(row.id, "t")
    assert (first.stage, first.task_id, first.owner) == (Stage.ACCEPTED, "t", ledger.owner)
    assert ledger.accept(row.id, "t") == first
