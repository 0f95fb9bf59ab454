"""Test `task_matching`: the row of a task that a user or a callback names."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from kling_nb.core.job_state import Stage
from kling_nb.errors import LedgerError
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger
from tests.support.records import advance_to

REQUEST = JobRecord("f", "live", "m", {"prompt": "A red fox"}, 1, 55.0)


def lead(ledger: Ledger, stage: Stage, name: str = "f", service: str = "live") -> JobRecord:
    """Return a new row in that stage, without a task."""
    row, _ = ledger.intend(replace(REQUEST, fingerprint=name, service=service))
    return advance_to(ledger, row, stage)


def test_a_callback_before_the_answer_assigns_the_task(ledger: Ledger, other: Ledger) -> None:
    """Any session may process the callback; the session that sends ends the submission."""
    row = lead(ledger, Stage.SENDING)
    found = other.task_matching.assign_task(row.id, "t1")
    assert (found.stage, found.task_id, found.owner) == (Stage.SENDING, "t1", ledger.owner)
    event = (Stage.SENDING, "a callback named the id of its task")
    assert ledger.events(row.id)[-1][1:] == event
    assert other.task_matching.assign_task(row.id, "t2") == found


@pytest.mark.parametrize("stage", [Stage.UNKNOWN, Stage.REFUSED])
def test_an_answer_that_is_lost_is_accepted_where_the_task_is_known(
    ledger: Ledger, stage: Stage
) -> None:
    """The task exists, whatever the answer was. It is as old as its request."""
    row = lead(ledger, Stage.SENDING)
    ledger.task_matching.assign_task(row.id, "t1")
    row = ledger.task_matching.conclude(row.id, stage, reason="lost", code="524", answer="")
    assert (row.stage, row.task_id, row.reason) == (Stage.ACCEPTED, "t1", "")
    assert row.accepted_at == row.sent_at


@pytest.mark.parametrize("stage", [Stage.UNKNOWN, Stage.REFUSED])
def test_else_it_is_what_the_answer_says(ledger: Ledger, stage: Stage) -> None:
    """The reason is saved, including characters that UTF-8 does not have."""
    row = ledger.task_matching.conclude(
        lead(ledger, Stage.SENDING).id, stage, reason="\ud800", code="524", answer="<html>"
    )
    assert (row.stage, row.reason, row.code, row.answer) == (stage, "?", "524", "<html>")


def test_the_answer_goes_before_the_callback(ledger: Ledger) -> None:
    """If both come at the same time, the row is accepted once, with the id of the answer."""
    row = lead(ledger, Stage.SENDING)
    ledger.task_matching.assign_task(row.id, "t1")
    row = ledger.advance(row.id, Stage.ACCEPTED, task_id="t1")
    assert ledger.task_matching.assign_task(row.id, "t1") == row


@pytest.mark.parametrize("service", ["live", "emulator"])
def test_a_dead_sessions_request_whose_task_is_known(
    ledger: Ledger, other: Ledger, service: str
) -> None:
    """It is accepted; a session that can follow its service owns it."""
    row = lead(other, Stage.SENDING)
    other.task_matching.assign_task(row.id, "t1")
    other.close()
    [settled] = ledger.recover_orphans(service)
    assert (settled.stage, settled.task_id) == (Stage.ACCEPTED, "t1")
    assert (settled.owner == ledger.owner) is (service == "live")
    assert ledger.intend(REQUEST) == (settled, False)


@pytest.mark.parametrize("stage", [Stage.UNKNOWN, Stage.VANISHED])
def test_a_callback_finds_what_was_lost(ledger: Ledger, stage: Stage) -> None:
    """It is accepted, and this session owns it."""
    row = ledger.task_matching.assign_task(lead(ledger, stage).id, "t1")
    assert (row.stage, row.task_id, row.owner) == (Stage.ACCEPTED, "t1", ledger.owner)
    assert row.accepted_at == row.sent_at


@pytest.mark.parametrize("stage", [Stage.FORGOTTEN, Stage.REFUSED])
def test_a_callback_to_a_job_that_blocks_nothing(ledger: Ledger, stage: Stage) -> None:
    """The task becomes a new job, once; the request may still be made again."""
    row = lead(ledger, stage)
    heir = ledger.task_matching.assign_task(row.id, "t1")
    assert (heir.stage, heir.task_id, heir.price_credits) == (Stage.ACCEPTED, "t1", 55)
    assert heir.values == row.values
    assert heir.fingerprint != row.fingerprint
    assert heir.is_adopted
    assert not row.is_adopted
    assert ledger.row(row.id).stage is stage
    assert ledger.task_matching.assign_task(row.id, "t1") == heir
    assert ledger.intend(REQUEST)[1]


def test_a_task_of_another_job_is_not_this_ones(ledger: Ledger) -> None:
    """A callback that names it changes neither job."""
    ledger.advance(lead(ledger, Stage.SENDING, "known").id, Stage.ACCEPTED, task_id="t1")
    row = lead(ledger, Stage.UNKNOWN)
    assert ledger.task_matching.assign_task(row.id, "t1") == row


def test_the_same_id_at_the_other_service_is_another_task(ledger: Ledger) -> None:
    """Task ids of `live` and `emulator` are independent."""
    emulated = lead(ledger, Stage.SENDING, "emulated", "emulator")
    ledger.advance(emulated.id, Stage.ACCEPTED, task_id="t1")
    row = lead(ledger, Stage.UNKNOWN)
    assert ledger.task_matching.adopt("t1", "live").id == row.id


@pytest.mark.parametrize("stage", [Stage.UNKNOWN, Stage.VANISHED])
def test_what_a_callback_brings_back_teaches_how_long_it_took(ledger: Ledger, stage: Stage) -> None:
    """Its task is as old as its request; the age of a task that a user adopts is not known."""
    for name in ("identified", "adopted"):
        row = lead(ledger, stage, name)
        if name == "identified":
            row = ledger.task_matching.assign_task(row.id, name)
        else:
            row = ledger.task_matching.adopt(name, "live", row.id)
        end = (row.sent_at or row.created_at) + timedelta(seconds=90)
        ledger.advance(row.id, Stage.SUCCEEDED, finished_at=end)
    assert ledger.durations_s("m", "live") == [90]


def test_adopting_by_two_sessions_at_once(ledger: Ledger, other: Ledger) -> None:
    """There is one row, whichever session is second."""
    first = ledger.task_matching.adopt("t1", "live")
    assert other.task_matching.adopt("t1", "live") == first
    assert len(ledger.rows()) == 1


def test_a_dead_sessions_request_is_adopted(tmp_path: Path, ledger: Ledger, other: Ledger) -> None:
    """It is unknown without a call of `settle`."""
    row = lead(other, Stage.SENDING)
    with pytest.raises(LedgerError, match="being sent by another session"):
        ledger.task_matching.adopt("t1", "live", row.id)
    other.close()
    adopted = ledger.task_matching.adopt("t1", "live", row.id)
    assert (adopted.id, adopted.stage) == (row.id, Stage.ACCEPTED)
