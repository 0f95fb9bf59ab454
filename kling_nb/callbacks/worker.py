"""Process stored callbacks: read them from the callback store and poll the service.

Checks the store while a callback URL is in use. Must not depend on how a callback was received. A
callback is not trusted, and is deleted only after it was processed: it may be the only record of
a paid task.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from kling_nb.core import poll_schedule
from kling_nb.core.errors import KlingError
from kling_nb.jobs.background_loop import in_thread
from kling_nb.jobs.callback_inbox import process_stored_one, stored_callbacks
from kling_nb.jobs.default_session import default_session
from kling_nb.jobs.session import Session
from kling_nb.storage.callback_store import StoredCallback

CHECK_INTERVAL_S: Final = 1.0
"""How often the callback store is read."""
POLL_INTERVAL_S: Final = 5.0
"""Minimum time between two status requests caused by the same callback token."""

_log = logging.getLogger("kling_nb")


@dataclass(slots=True)
class CallbackWorker:
    """Processes the stored callbacks in the folder of a session.

    Args:
        session: The session; None is the default session of the moment.
    """

    session: Session | None = None
    counts: Counter[str] = field(default_factory=Counter)
    """How many callbacks were processed: `accepted`."""
    _woken: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    _loop: asyncio.AbstractEventLoop | None = field(default=None, repr=False)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set, repr=False)
    _not_before: dict[str, float] = field(default_factory=dict, repr=False)
    """When a callback token may cause the next status request, by the loop's clock."""
    _tries: Counter[str] = field(default_factory=Counter, repr=False)

    def wake(self) -> None:
        """Check the store now, since there may be a new callback. From any thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._woken.set)

    async def run(self) -> None:
        """Check the store when woken, and every second, until cancelled.

        Callbacks that are being processed at that moment are processed to the end.
        """
        self._loop = asyncio.get_running_loop()
        while True:
            self._woken.clear()
            await self.check()
            # Not `wait_for`: in Python 3.11 it may lose a cancellation.
            with suppress(TimeoutError):
                async with asyncio.timeout(CHECK_INTERVAL_S):
                    await self._woken.wait()

    async def check(self) -> None:
        """Start to process each stored callback of this session."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._not_before = {token: at for token, at in self._not_before.items() if at > now}
        try:
            session = self.session or default_session()
            callbacks = await in_thread(
                stored_callbacks, session.ledger, session.service, frozenset(self._not_before)
            )
        except KlingError as error:
            _log.debug("stored callbacks cannot be read: %s", error)
            return
        except Exception:
            _log.exception("stored callbacks cannot be read")
            return
        for callback in callbacks:
            self._not_before[callback.nonce] = math.inf
            task = loop.create_task(self._process(session, callback))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _process(self, session: Session, callback: StoredCallback) -> None:
        wait_s = POLL_INTERVAL_S
        try:
            self.counts["accepted"] += await process_stored_one(
                session.ledger, callback, session.process_callback
            )
        except KlingError as error:
            # It may be the only record of a paid task, so it stays for a later try.
            self._tries[callback.nonce] += 1
            wait_s = poll_schedule.retry_wait_s(self._tries[callback.nonce])
            _log.info("a callback could not be processed: %s", error)
        else:
            self._tries.pop(callback.nonce, None)
        finally:
            self._not_before[callback.nonce] = asyncio.get_running_loop().time() + wait_s
