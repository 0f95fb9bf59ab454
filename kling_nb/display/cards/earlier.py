"""The cards of earlier kernels: redraw them if their jobs are running, or have ended since.

A kernel cannot change the output of an earlier one. The page finds these cards in its notebook and
reports them to the hub (`static/earlier.js`). Here each gets a card controller of this kernel, and
the page replaces the output by what it draws.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any

from kling_nb.core.errors import KlingError, LedgerError
from kling_nb.core.job_state import SUBMITTING, has_ended
from kling_nb.display.comm import Hub, hub
from kling_nb.display.threads import work_later
from kling_nb.jobs.default_session import default_session
from kling_nb.jobs.job_from_record import state_of
from kling_nb.jobs.session import Session
from kling_nb.storage.job_record import JobRecord

from .card import Card
from .mimebundle import Bundle, Updates

_log = logging.getLogger("kling_nb")


def revive_cards() -> None:
    """Redraw the cards of earlier kernels from now on; opens the hub's comm."""
    EarlierCards(hub()).start()


class EarlierCards:
    """The cards of earlier kernels on the pages of a hub.

    Args:
        own: The hub of this kernel.
    """

    def __init__(self, own: Hub) -> None:
        self._hub = own
        self._cards: dict[str, Card] = {}
        self._reviving = threading.Lock()

    def start(self) -> None:
        """Handle what pages report, and have reported."""
        self._hub.observe(lambda _: self._receive(), "earlier")
        self._receive()

    def _receive(self) -> None:
        reported, self._hub.earlier = self._hub.earlier, {}
        if reported:
            work_later(self._revive_all, reported)

    def _revive_all(self, reported: Mapping[str, Mapping[str, str]]) -> None:
        try:
            session = default_session()
            session.resume()
            with self._reviving:  # two pages may report the same cards
                for place_id, shown in reported.items():
                    self._revive(session, place_id, shown)
        except KlingError as error:
            _log.info("the cards of an earlier kernel stay as they are: %s", error)
        except Exception:
            _log.exception("the cards of an earlier kernel could not be redrawn")

    def _revive(self, session: Session, place_id: str, shown: Mapping[str, str]) -> None:
        """Redraw the container of an earlier kernel, if a state in it is out of date.

        Args:
            session: The session that follows the jobs.
            place_id: The container.
            shown: The state that each of its cards shows, by the id of the job.
        """
        if place_id in self._cards:  # the page was reloaded
            self._cards[place_id].redraw()
            return
        records = _records_of(session, shown)
        if not any(_is_outdated(record, shown[record.id]) for record in records):
            return
        first, *others = (session.job(record.id) for record in records)
        card = self._cards[place_id] = Card(first, _EarlierOutput(self._hub, place_id))
        card.display()
        for job in others:
            card.add(job)


def _records_of(session: Session, shown: Mapping[str, str]) -> list[JobRecord]:
    """Return the records of jobs; none if this session does not know or follow all of them."""
    try:
        records = [session.ledger.row(job_id) for job_id in shown]
    except LedgerError:
        return []
    known = [each for each in records if each.id in shown and each.service == session.service]
    return known if len(known) == len(shown) else []


def _is_outdated(record: JobRecord, shown: str) -> bool:
    if record.stage in SUBMITTING:  # another kernel is sending it
        return False
    state = state_of(record)
    return not has_ended(state) or state.name != shown


class _EarlierOutput:
    """An output of an earlier kernel, which pages replace."""

    updates: Updates = "live"

    def __init__(self, own: Hub, place_id: str) -> None:
        self._hub, self._place_id = own, place_id

    def show(self, bundle: Bundle) -> None:
        """Send the bundle to the pages."""
        message: dict[str, Any] = {"earlier": self._place_id, "bundle": bundle}
        self._hub.send(message)
