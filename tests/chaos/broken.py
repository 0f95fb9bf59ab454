"""The rules that a chaos run can break on purpose, and what it must find then.

Imported by the kernels, and by the command for the names. Everything is patched from here; the
package knows nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kling_nb.core.forks import OwnProcess
from kling_nb.errors import LedgerError
from kling_nb.jobs import default_session
from kling_nb.jobs.other_folders import OtherFolders
from kling_nb.jobs.recovery import Recovery
from kling_nb.kie import wire
from kling_nb.kie.client import Client
from kling_nb.storage import id_slots
from kling_nb.storage.user_index import UserIndex
from tests.chaos import inside
from tests.chaos.judge import Kind

__all__ = ["RULES", "Rule"]

RESENDS = 3
FOR_EVER_S = 1e6


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the package."""

    break_it: Callable[[], object]
    finding: Kind
    """What a run without the rule finds."""


def resend_lost_answers() -> None:
    """Send a request again after its answer was lost."""
    create = Client.create_task

    async def insist(self: Client, *given: Any, **more: Any) -> Any:
        for _ in range(RESENDS):
            outcome = await create(self, *given, **more)
            if not getattr(outcome, "may_exist", False):
                break
            # The ledger would stop a second `sending`; a client that breaks this rule bypasses
            # the ledger.
            more.pop("sending", None)
        return outcome

    Client.create_task = insist  # type: ignore[method-assign]


def believe_refusals() -> None:
    """Take the code of an answer for the truth, whatever else the answer says."""
    wire._contradiction = lambda answer: ""


def trust_the_ledger() -> None:
    """Know of payments from the ledger alone."""
    OtherFolders.refuse_paid = lambda self, *given, **more: None  # type: ignore[method-assign]


def keep_ids_in_the_ledger_only() -> None:
    """Write the id of an accepted task to the ledger once, and nowhere else."""

    def fail(*given: Any) -> Any:
        raise LedgerError("this rule is broken on purpose")

    recover = Recovery.recover_orphan
    id_slots.encode_id = lambda task_id: b""
    UserIndex.write_task_id = lambda self, *given: False  # type: ignore[method-assign]
    Recovery.accept_late = fail  # type: ignore[method-assign]
    Recovery.recover_orphan = lambda self, row, _: recover(self, row, "")  # type: ignore[method-assign]


def share_the_session_with_children() -> None:
    """Let a forked child go on with its parent's session."""

    def inherit() -> None:
        if default_session._inherited:
            default_session._current = default_session._inherited.pop()

    OwnProcess.check = lambda self, *given: None  # type: ignore[method-assign]
    os.register_at_fork(after_in_child=inherit)


def wait_for_ever() -> None:
    """Read answers for as long as they come."""
    inside.TIMES.update(dict.fromkeys(inside.TIMES, FOR_EVER_S))
    inside.TIMES_ARE_FIXED = True


RULES: Mapping[str, Rule] = {
    "resend": Rule(resend_lost_answers, "double"),
    "contradiction": Rule(believe_refusals, "double"),
    "lost-ledger": Rule(trust_the_ledger, "double"),
    "lost-id": Rule(keep_ids_in_the_ledger_only, "unexplained"),
    "fork": Rule(share_the_session_with_children, "wrong end"),
    "endless": Rule(wait_for_ever, "no end"),
}
