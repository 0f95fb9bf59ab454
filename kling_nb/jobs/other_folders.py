"""Check before a request is sent whether this user has paid for it, here or in another folder.

Combines one ledger with the user's index of paid requests. Emulated requests cost nothing, so they
are neither recorded nor checked. Does disk I/O: do not call it on the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count

from kling_nb.core.job_state import BLOCKING, Stage
from kling_nb.storage import Intent, JobRecord, Ledger
from kling_nb.storage.user_index import Paid, UserIndex, refusal

__all__ = ["OtherFolders", "unaccounted"]

_MAY_BE_PAID = BLOCKING - {Stage.INTENDED}
_NOT_PAID = frozenset({Stage.REFUSED, Stage.FAILED, Stage.DISCARDED})
_NOT_SENT = frozenset({Stage.INTENDED, Stage.DISCARDED})


@dataclass(frozen=True, slots=True)
class OtherFolders:
    """The other folders of this user, as one session sees them.

    Args:
        index: The user's index of paid requests.
        ledger: Of this session.
        service: `live` or `emulator`.
    """

    index: UserIndex
    ledger: Ledger
    service: str

    def refuse_paid(
        self,
        intent: Intent,
        names_of: Callable[[int], Sequence[str]] | None = None,
        *,
        now: datetime | None = None,
    ) -> None:
        """Stop a request that is paid for in another folder, or here without a row for it.

        Args:
            intent: The request.
            names_of: Every fingerprint of the same request as a take, those of earlier versions
                among them; those of the intent when not given.
            now: The present; a payment of the last minutes may still be in progress.

        Raises:
            AlreadyPaid: Says when, where, and what to do.
        """
        if self.service != "live":
            return
        names = names_of(intent.take) if names_of else intent.fingerprints
        paid = self._obstacle_to(names)
        if paid is not None:
            free_take = self._free_take(intent.take, names_of)
            raise refusal(paid, self.ledger.folder, free_take, now=now)

    def obstacle(self, fingerprint: str) -> Paid | None:
        """Return the payment that no row of this ledger accounts for, or None."""
        return unaccounted(self.index, self.ledger, fingerprint)

    def _obstacle_to(self, names: Sequence[str]) -> Paid | None:
        return next(filter(None, map(self.obstacle, names)), None)

    def _free_take(self, take: int, names_of: Callable[[int], Sequence[str]] | None) -> int:
        """Return the next take that neither the ledger nor the index lists as paid."""
        if names_of is None:
            return take + 1
        blocking = self.ledger.blocking
        takes = ((number, names_of(number)) for number in count(take + 1))
        return next(
            n for n, names in takes if not blocking(*names) and not self._obstacle_to(names)
        )

    def claim(
        self, row: JobRecord, at: datetime, names_of: Callable[[int], Sequence[str]] | None = None
    ) -> None:
        """Note in the index that a request is about to be sent, or stop it.

        Uploads may have taken minutes since it was intended: of two folders that want the same,
        the first to come here pays. What is claimed and not sent is to be dropped; where its
        kernel dies before `sending` is on disk, the folder's next session does so.

        Raises:
            AlreadyPaid: It is paid for, here or in another folder; says what to do.
        """
        if row.service == "live":
            self.refuse_paid(row, names_of, now=at)
            folder = self.ledger.folder
            self.index.claim(row.fingerprint, folder, at, take=row.take, job_id=row.id)

    def preallocate(self, row: JobRecord) -> None:
        """Note in the index that a request is sent now, and reserve space for its task id."""
        if row.service == "live":
            self.index.preallocate(row.fingerprint, self.ledger.folder, row.id)

    def write_task_id(self, job_id: str, fingerprint: str, task_id: str) -> bool:
        """Write the id of an accepted task to the index; return whether it is on the disk."""
        folder = self.ledger.folder
        return self.service == "live" and self.index.write_task_id(
            fingerprint, folder, job_id, task_id
        )

    def complete(self, row: JobRecord) -> JobRecord:
        """Give an unknown job the task id that the index has; other rows stay as they are."""
        if self.service != "live" or row.service != "live" or row.stage is not Stage.UNKNOWN:
            return row
        paid = self.index.find(row.fingerprint)
        if paid is None or paid.job_id != row.id or not paid.task_id:
            return row
        return self.ledger.adoptions.identify(row.id, paid.task_id)

    def note(self, row: JobRecord) -> None:
        """Let the other folders know whether a request is paid for, or may be.

        What is being sent may be: its kernel can die before it hears what became of it.
        """
        if row.service != "live":
            return
        if row.stage in _MAY_BE_PAID:
            self.index.note(
                row.fingerprint,
                self.ledger.folder,
                paid_at(row),
                job_id=row.id,
                task_id=row.task_id,
            )
        elif row.stage in _NOT_PAID:
            self.drop(row)

    def drop(self, row: JobRecord) -> None:
        """Allow a request in any folder: ignore what this row paid for, or may have.

        An entry that the row does not account for stays: the same request was made again since,
        and the ledger may have lost that.
        """
        ledger = self.ledger
        if row.service != "live":
            return
        paid = self.index.find(row.fingerprint)
        if paid is None or not accounts_for(row, paid):
            return
        answer = ledger.blocking(row.fingerprint)
        if answer is None or answer.id == row.id:
            self.index.drop(row.fingerprint, ledger.folder, paid.at)

    def report_end(self, job_id: str) -> None:
        """Let the other folders know how a job ended: a task that failed was not paid for."""
        self.note(self.ledger.row(job_id))

    def settle(self) -> None:
        """Sort out what dead sessions left, and let the other folders know of what may be paid."""
        for row in self.ledger.settle(self.service):
            self.note(self.complete(row))

    def bring(self, row: JobRecord) -> JobRecord | None:
        """Take in a job that another ledger had; None where this one has it or its request."""
        brought = self.ledger.bring(row)
        if brought is not None:
            self.note(brought)
        return brought

    def fill_in(self) -> None:
        """Add the paid requests of the ledger to the index, which may be older or lost."""
        rows = self.ledger.rows(*_MAY_BE_PAID, limit=-1)
        self.index.fill_in(
            self.ledger.folder,
            [
                (row.fingerprint, paid_at(row), row.id, row.task_id)
                for row in rows
                if row.service == "live" and not row.is_adopted
            ],
        )


def paid_at(row: JobRecord) -> datetime:
    """Return when a row's request was paid for: looking at an old clip makes it no newer."""
    return row.sent_at or row.accepted_at or row.created_at


def unaccounted(index: UserIndex, ledger: Ledger, fingerprint: str) -> Paid | None:
    """Return the payment in the index that no row of a ledger accounts for, or None.

    The ledger was deleted, cut or replaced by an older copy, or another folder has paid.
    """
    paid = index.find(fingerprint)
    if paid is None:
        return None
    if paid.folder != ledger.folder:
        return paid
    rows = ledger.of_request(fingerprint)
    return None if any(accounts_for(row, paid) for row in rows) else paid


def accounts_for(row: JobRecord, paid: Paid) -> bool:
    """Whether a row of the folder that paid says what became of this payment.

    A row that answers the request always does. Another one does if the payment was its own: by
    the job's id, or in an entry of an older version by the time. A row that says that nothing was
    sent does not account for a request that was: it comes from an older copy of the ledger.
    """
    if row.stage in _MAY_BE_PAID:
        return True
    if paid.job_id:
        return row.id == paid.job_id and not (paid.is_sent and row.stage in _NOT_SENT)
    return row.created_at <= paid.at and (row.finished_at is None or paid.at <= row.finished_at)
