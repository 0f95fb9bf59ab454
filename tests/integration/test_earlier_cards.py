"""Cards of an earlier kernel: the next one follows their jobs, and pages replace them."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from kling_nb.display import comm
from kling_nb.display.cards.earlier import EarlierCards
from kling_nb.display.comm import Hub
from kling_nb.jobs import default_session
from kling_nb.jobs.session import Session

PATIENCE_S = 20.0
OLD = "0ld91ace"


class Page:
    """A page with cards of an earlier kernel, and what it gets for them."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.told: list[dict[str, Any]] = []
        hub.send = lambda content, buffers=None: self.told.append(content)  # type: ignore[method-assign]

    def report(self, states: object, place: str = OLD) -> None:
        """What a page sends when it connects."""
        self.hub._handle_custom_msg({"do": "earlier", "places": {place: states}}, [])

    @property
    def drawn(self) -> list[str]:
        """The HTML for the earlier card, without its style sheet."""
        told = [each["bundle"]["text/html"] for each in self.told if each.get("earlier") == OLD]
        return [re.sub("<style>.*?</style>", "", html, flags=re.DOTALL) for html in told]

    def states(self, at: int = -1) -> list[str]:
        """The states of the records in one of these."""
        return re.findall(r'data-kling-state="(\w+)"', self.drawn[at])

    def wait_for(self, *states: str) -> None:
        """Wait until the card has these states."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.drawn or self.states() != list(states):
            assert time.monotonic() < deadline, self.told
            time.sleep(0.01)


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    """The page of this kernel's hub, which redraws earlier cards."""
    hub = Hub()
    monkeypatch.setattr(comm, "_hubs", [hub])
    EarlierCards(hub).start()
    return Page(hub)


@pytest.fixture
def next_session(
    open_session: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Session]:
    """Opens the default session of the next kernel."""

    def begin(**given: Any) -> Session:
        session = open_session(**given)
        monkeypatch.setattr(default_session, "_current", session)
        return session

    return begin


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer reports at once, in this thread."""
    earlier = "kling_nb.display.cards.earlier.work_later"
    monkeypatch.setattr(earlier, lambda work, *given: work(*given))


def test_a_job_that_still_runs_is_followed(page: Page, next_session: Any) -> None:
    """The card is live again, and becomes the clip; no task is made."""
    first = next_session(emulator_seconds=1.5)
    job = first.text_to_video("the kernel is killed")
    first.close()
    after = next_session(emulator_seconds=1.5)
    page.report({job.id: "waiting"})
    page.wait_for("waiting")
    page.wait_for("saved")
    assert "data:video/mp4" in page.drawn[-1]
    assert f'data-kling-hub="{page.hub.hub_id}"' in page.drawn[-1]
    assert after.emulator.account.count_tasks() == 1


def test_a_clip_that_was_saved_since_is_shown(page: Page, next_session: Any, at_once: None) -> None:
    """Another kernel had followed the job."""
    job = next_session().text_to_video("saved since")
    job.result(PATIENCE_S)
    page.report({job.id: "waiting"})
    assert page.states() == ["saved"]
    assert "data:video/mp4" in page.drawn[-1]


def test_a_card_that_is_right_stays_as_it_is(page: Page, next_session: Any, at_once: None) -> None:
    """Nothing is sent for a failure that is shown as one."""
    session = next_session()
    session.emulator.account.inject("fail-generation")
    job = session.text_to_video("fails")
    assert job.exception(PATIENCE_S) is not None
    page.report({job.id: "failed"})
    assert page.told == []
    page.report({job.id: "waiting"})
    assert page.states() == ["failed"]


def test_several_takes_keep_their_order(page: Page, next_session: Any, at_once: None) -> None:
    """All records of the card are drawn, also those that have not changed."""
    first = next_session().text_to_video("twice")
    first.result(PATIENCE_S)
    second = first.another_take()
    second.result(PATIENCE_S)
    page.report({first.id: "saved", second.id: "uploading"})
    page.wait_for("saved", "saved")
    assert re.findall(r'<section[^>]*data-kling-job="(\w+)"', page.drawn[-1]) == [
        first.id,
        second.id,
    ]


def test_a_page_that_was_reloaded_gets_the_card_again(
    page: Page, next_session: Any, at_once: None
) -> None:
    """In a newer version; the job has one card."""
    job = next_session().text_to_video("reloaded")
    job.result(PATIENCE_S)
    page.report({job.id: "waiting"})
    page.report({job.id: "waiting"})
    before, after = page.drawn
    mark = r'data-kling-place="(\w+)" data-kling-version="(\d+)"'
    (place, version), (again, newer) = (re.findall(mark, each)[0] for each in (before, after))
    assert place == again
    assert int(newer) > int(version)


@pytest.mark.parametrize("states", [{"ffffffff": "waiting"}, {}, {"ffffffff": 7}, 7, None])
def test_what_is_not_known_is_passed_over(
    page: Page, next_session: Any, at_once: None, states: object
) -> None:
    """A notebook of another folder, or a message that is not ours."""
    next_session()
    page.report(states)
    assert page.told == []


def test_an_id_must_be_whole(page: Page, next_session: Any, at_once: None) -> None:
    """Its first characters name no job here."""
    job = next_session().text_to_video("prefix")
    job.result(PATIENCE_S)
    page.report({job.id[:6]: "waiting"})
    assert page.told == []


def test_a_job_of_the_other_service_stays(
    page: Page, next_session: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, at_once: None
) -> None:
    """Only a session of its own service can follow it."""
    first = next_session()
    job = first.text_to_video("emulated")
    job.result(PATIENCE_S)
    monkeypatch.setattr(type(first), "service", property(lambda _: "live"))
    monkeypatch.setattr(first, "resume", lambda: [])
    page.report({job.id: "waiting"})
    assert page.told == []


def test_a_report_may_come_first(
    next_session: Any, monkeypatch: pytest.MonkeyPatch, at_once: None
) -> None:
    """A card in the first cell connects the page before `%load_ext` has opened the session."""
    page = Page(Hub())
    monkeypatch.setattr(comm, "_hubs", [page.hub])
    job = next_session().text_to_video("early")
    job.result(PATIENCE_S)
    page.report({job.id: "waiting"})
    assert page.told == []
    EarlierCards(page.hub).start()
    assert page.states() == ["saved"]


def test_without_a_session_nothing_is_logged_as_a_fault(
    page: Page, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, at_once: None
) -> None:
    """The next cell reports what is wrong with the settings."""
    monkeypatch.setattr(default_session, "_current", None)
    monkeypatch.setenv("KLING_NB_MODE", "life")
    with caplog.at_level(logging.WARNING):
        page.report({"ffffffff": "waiting"})
    assert page.told == []
    assert caplog.records == []
