"""Reserve a prepared request: one new row in the ledger, unless the request is answered already.

Nothing here sends createTask. A request is reserved if no job of this folder answers it, no other
folder of the user has paid for it, and every budget has enough left.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import replace

from kling_nb.core.errors import AlreadyPaid
from kling_nb.core.job_state import SUBMITTING, Stage
from kling_nb.storage.job_record import JobRecord

from .background_loop import committed, in_thread
from .balance_watch import BalanceSample
from .context import Context
from .prepare import PreparedRequest
from .takes import candidate_takes

_RecoverOrphan = Callable[[JobRecord], JobRecord]
"""Ends a submission of this session that broke off; returns any other record as it is."""


async def read_balance(context: Context, request: PreparedRequest) -> BalanceSample:
    """Return the balance before a request, or an empty sample if a job answers it already.

    Raises:
        AlreadyPaid: It is paid for, and no row of this ledger answers it.
    """
    if await in_thread(_is_answered, context, request):
        return BalanceSample()
    return await context.balance_watch.read()


def _is_answered(context: Context, request: PreparedRequest) -> bool:
    """Return whether a job of this ledger answers a request; otherwise check that it is unpaid.

    Raises:
        AlreadyPaid: It is paid for, and no row of this ledger answers it.
    """
    known = context.ledger.blocking(*request.record.fingerprints)
    # A row that was never sent may turn out to be orphaned; then this is a new request.
    if known is not None and known.stage not in SUBMITTING:
        return True
    check_unpaid(context, request)
    return False


def check_unpaid(context: Context, request: PreparedRequest) -> None:
    """Check that no folder of the user has paid for a request.

    Raises:
        AlreadyPaid: Says when, where, and what to do.
    """
    context.other_folders.refuse_paid(request.record, request.fingerprints_of)


async def reserve(
    context: Context,
    request: PreparedRequest,
    notebook: str,
    balance: BalanceSample,
    recover_orphan: _RecoverOrphan,
) -> tuple[JobRecord, bool]:
    """Record a request as `intended`, in one transaction.

    Args:
        context: The parts of the session.
        request: The request.
        notebook: Path of the notebook, from the parent of the clip folder; empty if unknown.
        balance: The balance before it.
        recover_orphan: Ends a submission that broke off and has the same fingerprint; called in a
            worker thread.

    Returns:
        The new record and True, or the record that answers the request already and False.

    Raises:
        BudgetExceeded: A budget has not enough left; nothing is recorded.
    """
    intended = replace(
        request.record, notebook=notebook, balance_before=balance.credits, balance_at=balance.at
    )
    ledger = context.ledger
    record, is_new = await committed(ledger.submit(ledger.intend, intended))
    if not is_new:
        record = await in_thread(recover_orphan, record)
        if record.stage is Stage.DISCARDED:
            record, is_new = await committed(ledger.submit(ledger.intend, intended))
    return record, is_new


async def unpaid_takes(
    context: Context, record: JobRecord, request: PreparedRequest
) -> AsyncGenerator[PreparedRequest]:
    """Yield the free takes of a request in order: no job has them in any folder of the user.

    Args:
        context: The parts of the session.
        record: A job of the same request.
        request: The request, with any take.
    """
    last_take = await in_thread(
        context.ledger.last_take, record.model, record.service, request.fingerprints_of
    )
    for take in candidate_takes(record, last_take):
        candidate = request.with_take(take)
        with suppress(AlreadyPaid):
            await in_thread(check_unpaid, context, candidate)
            yield candidate
