"""What this user pays for in other folders: asked before a request is noted and when it is sent.

They are told what became of it. Joins one ledger with the user's index. Emulated requests are of no
interest to other folders, so that nothing here does anything for them. Touches the disk: call it
beside the loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from .index import PaidIndex
from .ledger import Intent, Row
from .states import BLOCKING, Stage
from .submission import Context

__all__ = ["Elsewhere"]

_MAY_BE_PAID = BLOCKING - {Stage.INTENDED}
_NOT_PAID = frozenset({Stage.REFUSED, Stage.FAILED, Stage.DISCARDED})


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The other folders of this user, as one session sees them.

    Args:
        index: What the user paid for, and where.
        context: Of this session.
        service: `live` or `emulator`.
    """

    index: PaidIndex
    context: Context
    service: str

    def refuse_paid(self, intent: Intent) -> None:
        """Stop a request that another folder has paid for.

        Raises:
            AlreadyPaid: Says when, where, and what to do.
        """
        if self.service == "live":
            folder = self.context.ledger.folder
            self.index.refuse_paid(intent.fingerprint, folder, take=intent.take)

    def claim(self, row: Row, at: datetime) -> None:
        """Let the other folders know that a request is about to be sent, or stop it.

        Uploads may have taken minutes since it was noted: of two folders that want the same, the
        first to come here pays. What is claimed and not sent is to be dropped; where its kernel
        dies before `sending` is on disk, the folder's next session does so.

        Raises:
            AlreadyPaid: Another folder pays for it, or has; says what to do.
        """
        if row.service == "live":
            folder = self.context.ledger.folder
            self.index.claim(row.fingerprint, folder, at, take=row.take)

    def note(self, row: Row) -> None:
        """Let the other folders know whether a request is paid for, or may be.

        What is being sent may be: its kernel can die before it hears what became of it.
        """
        if row.service != "live":
            return
        ledger = self.context.ledger
        if row.stage in _MAY_BE_PAID:
            # By the time of the payment: looking at an old clip makes it no newer.
            at = row.sent_at or row.accepted_at or row.created_at
            self.index.note(row.fingerprint, ledger.folder, at)
        elif row.stage in _NOT_PAID:
            self.drop(row)

    def drop(self, row: Row) -> None:
        """Allow a request in any folder: what this row paid for, or may have, is no obstacle.

        The same request may have been made again since, by this kernel or another, and paid for:
        that stays one.
        """
        ledger = self.context.ledger
        if row.service != "live":
            return
        paid = ledger.blocking(row.fingerprint)
        if paid is None or paid.id == row.id:
            self.index.drop(row.fingerprint, ledger.folder)

    def tell_end(self, job_id: str) -> None:
        """Let the other folders know how a job ended: a task that failed was not paid for."""
        self.note(self.context.ledger.row(job_id))

    def settle(self) -> None:
        """Sort out what dead sessions left, and let the other folders know of what may be paid."""
        for row in self.context.ledger.settle(self.service):
            self.note(row)

    def bring(self, row: Row) -> Row | None:
        """Take in a job that another ledger had; None where this one has it or its request."""
        brought = self.context.ledger.bring(row)
        if brought is not None:
            self.note(brought)
        return brought
