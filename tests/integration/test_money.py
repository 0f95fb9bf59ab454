"""Never paid twice: what goes wrong at createTask, what the account count, and what comes next."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

import kling_nb.kie.client
from kling_nb.core.job_state import Stage, Unknown, Waiting
from kling_nb.emulator import EmulatedAccount
from kling_nb.errors import InvalidInput, NotSent, TaskUnknown
from kling_nb.jobs.session import Session
from tests.support.service import CREATE, Open, Served, serve

PATIENCE_S = 30.0

LOST = ("lose-answer", "create-stall", "create-502", "create-html", "create-no-id", "create-524")
"""The task is made and paid, and the answer does not say so."""


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer to createTask that never comes is given up soon."""
    monkeypatch.setattr(kling_nb.kie.client, "_CREATE_TIMEOUT", httpx.Timeout(1.0))


@pytest.mark.parametrize("fault", LOST)
def test_a_lost_answer(session: Session, account: EmulatedAccount, fault: str) -> None:
    """One task, the job is unknown, and the same request again sends nothing and explains."""
    account.inject(fault)
    job = session.text_to_video("A red fox")
    assert isinstance(job.state, Unknown)
    for again in (job, session.text_to_video("A red fox"), session.job(job.id)):
        assert again.id == job.id
        with pytest.raises(
            TaskUnknown, match="may exist and may be paid for; nothing is sent again"
        ):
            again.result(0)
    assert account.count_tasks() == 1
    assert account.requests(CREATE) == 1
    assert session.resume() == []


def test_a_server_fault_that_made_nothing(session: Session, account: EmulatedAccount) -> None:
    """A task may exist: it blocks as well, until a person decides."""
    account.inject("create-500")
    job = session.text_to_video("A red fox")
    assert isinstance(job.state, Unknown)
    session.text_to_video("A red fox")
    assert (account.count_tasks(), account.requests(CREATE)) == (0, 1)
    session.forget(job.id, yes=True)
    session.text_to_video("A red fox").result(PATIENCE_S)
    assert (account.count_tasks(), account.requests(CREATE)) == (1, 2)


def test_no_connection_at_all(session: Session, account: EmulatedAccount) -> None:
    """Refused with the reason; made later by the same request."""
    account.inject("unreachable", times=5)
    with pytest.raises(NotSent):
        session.text_to_video("A red fox")
    assert session.jobs()[0].stage is Stage.REFUSED
    session.text_to_video("A red fox").result(PATIENCE_S)
    assert account.count_tasks() == 1


def test_all_problems_at_once(session: Session, account: EmulatedAccount) -> None:
    """A bad prompt, a bad image and a bad length in one error; not a byte is sent or noted."""
    with pytest.raises(InvalidInput) as caught:
        session.image_to_video("nowhere.png", "x" * 1001, duration=7)
    assert {problem.field for problem in caught.value.problems} == {"prompt", "image", "duration"}
    assert account.all_requests() == {}
    assert session.ledger.rows() == []


def test_run_all_again(session: Session, account: EmulatedAccount) -> None:
    """A notebook of three shots, run three times, costs three clips."""
    for _ in range(3):
        for prompt in ("One", "Two", "Three"):
            session.text_to_video(prompt).result(PATIENCE_S)
    assert account.count_tasks() == 3
    assert account.balance() == 5916 - 3 * 55


def test_a_connection_that_the_server_closed(open_session: Open, tmp_path: Path) -> None:
    """Kept alive by us, closed by the server: accepted, one task, no unknown."""
    with serve(tmp_path / "served", "--keep-alive", "0") as served:
        session = open_session(**served.settings(tmp_path / "clips"))
        for number in range(3):
            session.balance()
            job = session.text_to_video(f"Fox {number}")
            assert isinstance(job.state, Waiting)
        assert served.account.count_tasks() == served.account.requests(CREATE) == 3
        session.close()


@pytest.mark.parametrize("fault", ["lose-answer", "create-524", "unreachable"])
def test_faults_on_sockets(open_session: Open, served: Served, tmp_path: Path, fault: str) -> None:
    """Over sockets as in the same process: one task at most, and the next run sends nothing."""
    session = open_session(**served.settings(tmp_path / "clips"))
    tasks, requests = served.account.count_tasks(), served.account.requests(CREATE)
    served.account.inject(fault)
    job = session.text_to_video("A red fox")
    assert isinstance(job.state, Unknown)
    session.text_to_video("A red fox")
    assert served.account.count_tasks() - tasks == (0 if fault == "unreachable" else 1)
    assert served.account.requests(CREATE) - requests == 1
