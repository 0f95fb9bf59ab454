"""`Session.submitting`: an interrupt before a request is sent leaves nothing of it behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from kling_nb.core.job_state import Discarded, Stage
from kling_nb.emulator import Emulator
from kling_nb.errors import KlingError, LedgerError, WaitInterrupted
from kling_nb.jobs.background_loop import BackgroundLoop
from kling_nb.jobs.session import Session
from kling_nb.models.catalog import TEXT_TO_VIDEO
from kling_nb.models.clip_request import ClipRequest
from kling_nb.storage.ledger import Ledger
from kling_nb.storage.user_index import UserIndex
from tests.support.service import CREATE, KEY, Open

PATIENCE_S = 20.0
WISH = ClipRequest(TEXT_TO_VIDEO, {"prompt": "A red fox"})


class Impatient(BackgroundLoop):
    """A background loop that interrupts its first wait, once it is time.

    Args:
        loop: The one that works.
        is_time: Waits until the person has had enough of a future.
    """

    def __init__(self, loop: BackgroundLoop, is_time: Callable[[Future[Any]], object]) -> None:
        super().__init__()
        self.loop = loop
        self.is_time = is_time
        self.begun: list[Future[Any]] = []

    def submit(self, coro: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Start it; the one that waits for the first is interrupted."""
        real = self.loop.submit(coro)
        self.begun.append(real)
        if len(self.begun) > 1:
            return real
        shown: Future[Any] = Future()

        def result(timeout: float | None = None) -> Any:
            self.is_time(real)
            raise KeyboardInterrupt

        shown.result = result  # type: ignore[method-assign]
        shown.add_done_callback = real.add_done_callback  # type: ignore[method-assign]
        return shown


def interrupted(session: Session, is_time: Callable[[Future[Any]], object]) -> Impatient:
    """Interrupt the preparation of a request."""
    loop = Impatient(session.loop, is_time)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "loop", loop)
        with pytest.raises(WaitInterrupted, match="before anything was sent: nothing was charged"):
            session.reserve(WISH)
    return loop


def sent(session: Session) -> int:
    """How many requests for a task went out."""
    return session.emulator.account.requests(CREATE)


def test_an_interrupt_before_the_note(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """The interrupt comes during the query of the balance."""
    waiting, go = threading.Event(), threading.Event()

    async def balance() -> float:
        waiting.set()
        await asyncio.to_thread(go.wait, PATIENCE_S)
        return 1.0

    monkeypatch.setattr(session._context.client, "balance", balance)
    loop = interrupted(session, lambda _: waiting.wait(PATIENCE_S))
    go.set()
    with pytest.raises(CancelledError):
        loop.begun[0].result(PATIENCE_S)
    assert session.jobs() == []


def test_what_was_noted_meanwhile_is_discarded(session: Session, open_session: Open) -> None:
    """The row and its handle end, and the same cell begins anew, in any kernel."""
    loop = interrupted(session, lambda real: real.exception(PATIENCE_S))
    job = loop.begun[0].result(0)
    assert isinstance(job.exception(PATIENCE_S), KlingError)
    assert isinstance(job.state, Discarded)
    assert session.ledger.row(job.id).stage is Stage.DISCARDED
    assert sent(session) == 0
    other = open_session()
    assert other.text_to_video("A red fox").result(PATIENCE_S).path.is_file()
    assert session.text_to_video("A red fox").result(PATIENCE_S).path.is_file()


def test_what_was_interrupted_holds_no_budget(session: Session) -> None:
    """Another request has room at once."""
    session.budget(60, "folder")
    loop = interrupted(session, lambda real: real.exception(PATIENCE_S))
    loop.begun[0].result(0).exception(PATIENCE_S)
    assert session.text_to_video("Another fox").result(PATIENCE_S).path.is_file()


@pytest.mark.parametrize(
    ("broken", "told"),
    [(RuntimeError("no card"), RuntimeError), (KeyboardInterrupt(), WaitInterrupted)],
)
def test_what_cannot_be_shown_is_not_sent(
    session: Session, broken: BaseException, told: type[BaseException]
) -> None:
    """It broke between preparing and sending: the job is over and nothing was charged."""
    with pytest.raises(told), session.submitting(WISH) as job:
        raise broken
    assert isinstance(job.state, Discarded)
    assert isinstance(job.exception(0), KlingError)
    assert [row.stage for row in session.jobs()] == [Stage.DISCARDED]
    assert sent(session) == 0
    assert session.text_to_video("A red fox").result(PATIENCE_S).path.is_file()


def test_what_a_dead_kernel_claimed_is_taken_back_with_it(tmp_path: Path) -> None:
    """That one died just before it sent; afterwards any folder may pay."""
    index, emulator = UserIndex(tmp_path / "paid.sqlite3"), Emulator(tmp_path / "service")
    with closing(emulator):
        session = Session(
            mode="live", api_key=KEY, folder=tmp_path / "here", transport=emulator.transport(),
            index=index,
        )  # fmt: skip
        with closing(session), suppress(RuntimeError), session.submitting(WISH):
            [row] = session.jobs()
            index.claim(row.fingerprint, session.ledger.folder, row.created_at, take=1)
            raise RuntimeError("no card")
    assert index.find(row.fingerprint) is None


def test_it_is_sent_at_the_end(session: Session) -> None:
    """And once it is, nothing takes it back."""
    with session.submitting(WISH) as job:
        assert sent(session) == 0
    assert sent(session) == 1
    session.withdraw(job)
    assert job.result(PATIENCE_S).path.is_file()


def test_a_running_job_that_is_joined_is_not_taken_back(session: Session) -> None:
    """Its own cell has sent it; only the showing of the second one broke."""
    first = session.text_to_video("A red fox")
    with pytest.raises(RuntimeError), session.submitting(WISH) as second:
        raise RuntimeError
    assert second.id == first.id
    assert first.result(PATIENCE_S).path.is_file()


def test_a_full_disk_ends_the_job(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait for it ends; the next session recovers the row."""

    def refuse(*given: object, **facts: object) -> None:
        raise LedgerError("the disk is full")

    job = session.reserve(WISH)
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "advance", refuse)
        session.withdraw(job)
    assert isinstance(job.state, Discarded)
    assert session.text_to_video("A red fox").result(PATIENCE_S).path.is_file()


def test_an_interrupt_while_sending_goes_on(session: Session) -> None:
    """The sentence says so, and the clip comes."""
    job = session.reserve(WISH)
    loop = Impatient(session.loop, lambda real: real.exception(PATIENCE_S))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "loop", loop)
        with pytest.raises(WaitInterrupted, match="continues and its clip"):
            session.submit(job)
    assert job.result(PATIENCE_S).path.is_file()
