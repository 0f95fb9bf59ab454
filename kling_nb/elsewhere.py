"""What this user pays for in other folders: asked before a request is noted, told afterwards.

Joins one ledger with the user's index. Emulated requests are of no interest to other folders, so
that nothing here does anything for them. Touches the disk: call it beside the loop.
"""

from __future__ import annotations

from dataclasses import dataclass

from .index import PaidIndex
from .ledger import Intent, Row
from .states import BLOCKING, Stage
from .submission import Context

__all__ = ["Elsewhere"]


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

    def note(self, row: Row) -> None:
        """Let the other folders know of a request that is, or may be, paid for."""
        if self.service == "live" and row.stage in BLOCKING:
            self.index.note(row.fingerprint, self.context.ledger.folder, self.context.now())

    def drop_failed(self, job_id: str) -> None:
        """Allow a request in any folder whose task failed: it was not paid for."""
        if self.service == "live":
            row = self.context.ledger.row(job_id)
            if row.stage is Stage.FAILED:
                self.index.drop(row.fingerprint)
