"""What was heard is acted on: letters are taken out of the mailbox, and the service is asked.

Looks there as long as somebody listens. Must not know how a letter came there. None is believed,
and none is thrown away before it was acted on: it may be all that is known of a paid task.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Set
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from . import pace
from .default import default_session
from .errors import KlingError
from .ledger import Letter, Mailbox
from .portal import in_thread
from .session import Session
from .states import ENDED

__all__ = ["Collector"]

LOOK_S: Final = 1.0
"""How often the mailbox is looked into."""
REST_S: Final = 5.0
"""One value has the service asked once in this time, whoever knows it."""
OTHERS_FIRST: Final = timedelta(seconds=30)
"""How long a letter for another kernel's lost job is left to that kernel."""

_log = logging.getLogger("kling_nb")


@dataclass(slots=True)
class Collector:
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
            letters = await in_thread(letters_for, session, frozenset(self._not_before))
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

    async def _act(self, session: Session, letter: Letter) -> None:
        rest_s = REST_S
        try:
            await self._hear(session, letter)
            await in_thread(Mailbox(session.ledger.folder).discard, letter)
        except KlingError as error:
            # It may be all that is known of a paid task: it waits for a later look.
            self._tries[letter.nonce] += 1
            rest_s = pace.retry_wait_s(self._tries[letter.nonce])
            _log.info("a notification could not be acted on: %s", error)
        else:
            self._tries.pop(letter.nonce, None)
        finally:
            self._not_before[letter.nonce] = asyncio.get_running_loop().time() + rest_s

    async def _hear(self, session: Session, letter: Letter) -> None:
        """Have the service asked.

        Raises:
            KlingError: It cannot be asked now.
        """
        try:
            job = await session.hear(letter.body, letter.nonce)
        except KlingError:
            raise
        except Exception:  # a fault of ours would come again with every look
            _log.exception("a notification could not be acted on")
            return
        self.counts["heard"] += 1
        _log.info("a notification came%s", "" if job else " and changed nothing")


def letters_for(session: Session, acting: Set[str]) -> list[Letter]:
    """The oldest letter for each of a session's jobs that none is acted on for.

    Raises:
        LedgerError: The ledger cannot be used.
    """
    box = Mailbox(session.ledger.folder)
    found = (box.oldest(nonce) for nonce in box.nonces() - acting)
    now = datetime.now(UTC)
    return [letter for letter in found if letter is not None and is_for(session, letter, now)]


def is_for(session: Session, letter: Letter, now: datetime) -> bool:
    """Whether a letter is for a job that is this session's, or that nobody looks after."""
    row = session.ledger.by_nonce(letter.nonce)
    if row is None or row.service != session.service:
        return False
    if row.owner == session.ledger.owner or not session.ledger.owner_lives(row.owner):
        return True
    # A lost job is followed by nobody, and its own kernel may not listen any more.
    return row.stage in ENDED and now - letter.at > OTHERS_FIRST
