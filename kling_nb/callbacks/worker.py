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
from kling_nb.storage import StoredCallback

__all__ = ["CallbackWorker"]

LOOK_S: Final = 1.0
"""How often the mailbox is looked into."""
REST_S: Final = 5.0
"""One value has the service asked once in this time, whoever knows it."""

_log = logging.getLogger("kling_nb")


@dataclass(slots=True)
class CallbackWorker:
    """Acts on the letters in the folder of a session.

    Args:
        session: Whose; None is the default session of the moment.
    """

    session: Session | None = None
    counts: Counter[str] = field(default_factory=Counter)
    """How many letters were acted on: `heard`."""
    _woken: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    _loop: asyncio.AbstractEventLoop | None = field(default=None, repr=False)
    _acting: set[asyncio.Task[None]] = field(default_factory=set, repr=False)
    _not_before: dict[str, float] = field(default_factory=dict, repr=False)
    """When a one-time value may have the service asked again, by the loop's clock."""
    _tries: Counter[str] = field(default_factory=Counter, repr=False)

    def wake(self) -> None:
        """There may be a letter: look now. From any thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._woken.set)

    async def keep_looking(self) -> None:
        """Look whenever it is told to, and every second; until it is cancelled.

        What is acted on just then is brought to its end.
        """
        self._loop = asyncio.get_running_loop()
        while True:
            self._woken.clear()
            await self.look()
            # Not `wait_for`: in Python 3.11 it may lose a cancellation.
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._woken.wait()

    async def look(self) -> None:
        """Begin to act on each letter that is for this session."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._not_before = {nonce: at for nonce, at in self._not_before.items() if at > now}
        try:
            session = self.session or default_session()
            letters = await in_thread(
                stored_callbacks, session.ledger, session.service, frozenset(self._not_before)
            )
        except KlingError as error:
            _log.debug("the mailbox cannot be looked into: %s", error)
            return
        except Exception:
            _log.exception("the mailbox cannot be looked into")
            return
        for letter in letters:
            self._not_before[letter.nonce] = math.inf
            acting = loop.create_task(self._act(session, letter))
            self._acting.add(acting)
            acting.add_done_callback(self._acting.discard)

    async def settle(self) -> None:
        """Wait until what was begun has been acted on."""
        while self._acting:
            await asyncio.wait(set(self._acting))

    async def _act(self, session: Session, letter: StoredCallback) -> None:
        rest_s = REST_S
        try:
            self.counts["heard"] += await process_stored_one(
                session.ledger, letter, session.process_callback
            )
        except KlingError as error:
            # It may be all that is known of a paid task: it waits for a later look.
            self._tries[letter.nonce] += 1
            rest_s = poll_schedule.retry_wait_s(self._tries[letter.nonce])
            _log.info("a notification could not be acted on: %s", error)
        else:
            self._tries.pop(letter.nonce, None)
        finally:
            self._not_before[letter.nonce] = asyncio.get_running_loop().time() + rest_s
