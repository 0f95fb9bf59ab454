"""Notifications that came in: from a body and the address it was sent to, to a job.

A notification is never believed. It makes us ask the service, and its one-time value brings back
the id of a task whose creation went unanswered. Who listens for notifications is not known here.
"""

from __future__ import annotations

from .callbacks import parse_callback
from .jobs import Job
from .recovery import Recovery
from .roster import Roster
from .states import ENDED

__all__ = ["take_callback"]


async def take_callback(recovery: Recovery, roster: Roster, body: bytes, nonce: str) -> Job | None:
    """Have the service asked, now, about the task that a notification names.

    Args:
        recovery: Finds the job.
        roster: Follows it.
        body: The notification as it came.
        nonce: The one-time value in the address that it came to.

    Returns:
        The job; None where the value is none of ours, where the service does not confirm the
        task, and where the job has ended: a value is good for one end.

    Raises:
        UnreadableAnswer: Not even a task id can be read.
        KlingError: The service cannot be asked; nothing has changed.
    """
    row = await recovery.called_back(parse_callback(body).task_id, nonce)
    if row is None or row.stage in ENDED:
        return None
    job = await roster.attach(row)
    job.ask_now()
    return job
