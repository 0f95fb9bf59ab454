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
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger
from kling_nb.storage.user_index import Payment, UserIndex, already_paid_error

_MAY_BE_PAID = BLOCKING - {Stage.INTENDED}
_NOT_PAID = frozenset({Stage.REFUSED, Stage.FAILED, Stage.DISCARDED})
_NOT_SENT = frozenset({Stage.INTENDED, Stage.DISCARDED})


@dataclass(frozen=True, slots=True)
class OtherFolders:
    """The user's paid requests in this and other folders, as one session sees them.

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
        intent: JobRecord,
        fingerprints_of: Callable[[int], Sequence[str]] | None = None,
        *,
        now: datetime | None = None,
    ) -> None:
        """Refuse a request that is paid for in another folder, or here without a record.

        Args:
            intent: The request.
            fingerprints_of: Returns every fingerprint of the same request as a take, also those of
                earlier versions. Default: those of the intent.
            now: The current time; a payment of the last minutes may still be in progress.

        Raises:
            AlreadyPaid: Says when, where, and what to do.
        """
        if self.service != "live":
            return
        # A row of the ledger has the current fingerprint alone.
        names = fingerprints_of(intent.take) if fingerprints_of else intent.fingerprints
        paid = unaccounted(self.index, self.ledger, *names)
        if paid is not None:
            free_take = self._free_take(intent.take, fingerprints_of)
            raise already_paid_error(paid, self.ledger.folder, free_take, now=now)

    def _free_take(self, take: int, fingerprints_of: Callable[[int], Sequence[str]] | None) -> int:
        """Return the next take that neither the ledger nor the index lists as paid."""
        if fingerprints_of is None:
            return take + 1
        index, ledger = self.index, self.ledger
        takes = ((number, fingerprints_of(number)) for number in count(take + 1))
        return next(
            number
            for number, names in takes
            if not ledger.blocking(*names) and not unaccounted(index, ledger, *names)
        )

    def claim(
        self,
        record: JobRecord,
        at: datetime,
        fingerprints_of: Callable[[int], Sequence[str]] | None = None,
    ) -> None:
        """Record in the index that a request is about to be sent, or refuse it.

        Uploads may have taken minutes since it was reserved: if two folders make the same request,
        the first to claim it pays. The caller drops the claim if nothing is sent. If the kernel
        dies before `sending` is on disk, the folder's next session drops it.

        Raises:
            AlreadyPaid: It is paid for, here or in another folder; says what to do.
        """
        if record.service == "live":
            self.refuse_paid(record, fingerprints_of, now=at)
            folder = self.ledger.folder
            self.index.claim(record.fingerprint, folder, at, take=record.take, job_id=record.id)

    def preallocate(self, record: JobRecord) -> None:
        """Record in the index that a request is being sent, and preallocate its task id."""
        if record.service == "live":
            self.index.preallocate(record.fingerprint, self.ledger.folder, record.id)

    def write_task_id(self, record: JobRecord, task_id: str) -> bool:
        """Write the id of an accepted task to the index; return whether it is on the disk."""
        folder = self.ledger.folder
        return self.service == "live" and self.index.write_task_id(
            record.fingerprint, folder, record.id, task_id
        )

    def complete(self, record: JobRecord) -> JobRecord:
        """Give an unknown job the task id in the index; return other records as they are."""
        if self.service != "live" or record.service != "live" or record.stage is not Stage.UNKNOWN:
            return record
        paid = self.index.find(record.fingerprint)
        if paid is None or paid.job_id != record.id or not paid.task_id:
            return record
        return self.ledger.task_matching.assign_task(record.id, paid.task_id)

    def note(self, record: JobRecord) -> None:
        """Record in the index whether a request is or may be paid.

        A request that is being sent may be paid: its kernel can die before the answer.
        """
        if record.service != "live":
            return
        if record.stage in _MAY_BE_PAID:
            self.index.note(
                record.fingerprint,
                self.ledger.folder,
                _paid_at(record),
                job_id=record.id,
                task_id=record.task_id,
            )
        elif record.stage in _NOT_PAID:
            self.drop(record)

    def drop(self, record: JobRecord) -> None:
        """Allow the request of a record in any folder.

        An entry of another payment stays: the same request was made again since, and the ledger
        may have lost it.
        """
        ledger = self.ledger
        if record.service != "live":
            return
        paid = self.index.find(record.fingerprint)
        if paid is None or not _accounts_for(record, paid):
            return
        answer = ledger.blocking(record.fingerprint)
        if answer is None or answer.id == record.id:
            self.index.drop(record.fingerprint, ledger.folder, paid.at)

    def report_end(self, job_id: str) -> None:
        """Record how a job ended: a task that failed was not paid."""
        self.note(self.ledger.row(job_id))

    def recover_orphans(self) -> None:
        """Recover the jobs of dead sessions, and record in the index what may be paid."""
        for record in self.ledger.recover_orphans(self.service):
            self.note(self.complete(record))

    def import_record(self, record: JobRecord) -> JobRecord | None:
        """Add a job of another ledger; None if this one has the job or its request."""
        brought = self.ledger.import_record(record)
        if brought is not None:
            self.note(brought)
        return brought

    def note_all(self) -> None:
        """Add the paid requests of the ledger to the index, which may be older or lost."""
        self.index.note_all(self.ledger.folder, self.ledger.paid_requests(*_MAY_BE_PAID))


def _paid_at(record: JobRecord) -> datetime:
    """Return when a request was paid. Showing an old clip does not change it."""
    return record.sent_at or record.accepted_at or record.created_at


def unaccounted(index: UserIndex, ledger: Ledger, *fingerprints: str) -> Payment | None:
    """Return the payment in the index that no row of a ledger accounts for, or None.

    The ledger was deleted, cut or replaced by an older copy, or another folder has paid.

    Args:
        index: The user's index of paid requests.
        ledger: The ledger.
        *fingerprints: Of one request, also in earlier versions; the first payment without a row
            counts.
    """
    payments = index.payments(*fingerprints)
    for fingerprint in fingerprints:
        paid = payments.get(fingerprint)
        if paid is None:
            continue
        if paid.folder != ledger.folder:
            return paid
        records = ledger.with_fingerprint(fingerprint)
        if not any(_accounts_for(record, paid) for record in records):
            return paid
    return None


def _accounts_for(record: JobRecord, paid: Payment) -> bool:
    """Return whether a record explains a payment of its folder.

    A record that answers the request always does. Another one does if the payment was its own: by
    the job's id, or by the time for an entry of an older version. A record that was not sent does
    not explain a payment that was: it comes from an older copy of the ledger.
    """
    if record.stage in _MAY_BE_PAID:
        return True
    if paid.job_id:
        return record.id == paid.job_id and not (paid.is_sent and record.stage in _NOT_SENT)
    return record.created_at <= paid.at and (
        record.finished_at is None or paid.at <= record.finished_at
    )
