"""What a card shows, when, and how often: jobs driven by hand in a shell that keeps all output."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kling_nb.core.charge_evidence import NO_EVIDENCE
from kling_nb.core.job_state import Detached, Event, JobState, Preparing, Saved
from kling_nb.display import comm
from kling_nb.display import threads as workers
from kling_nb.display.cards import card
from kling_nb.display.cards import card as entries
from kling_nb.display.cards.card import Card, show_card
from kling_nb.display.comm import Hub
from kling_nb.display.front_end import FrontEnd
from kling_nb.errors import LedgerError, TaskFailed
from kling_nb.jobs.background_loop import background_loop, in_thread
from kling_nb.jobs.clip import Clip
from kling_nb.jobs.job import Job
from kling_nb.media import clips
from kling_nb.notebook.extension import teach_displays
from tests.support import html_states
from tests.support.controllers import StubController
from tests.support.html_states import FACTS, NOW, WAITING
from tests.support.shells import htmls, open_shell, texts, updates_of

PATIENCE_S = 20.0
STATES = {html_states.name_of(state): state for state in html_states.EVERY}

OpenCard = Callable[..., tuple[Any, Job, Card]]


class Pages:
    """What the hub sends to its pages, and their messages."""

    def __init__(self, hub: Hub) -> None:
        self.told: list[dict[str, Any]] = []
        self._hub = hub
        hub.send = lambda content, buffers=None: self.told.append(content)  # type: ignore[method-assign]

    @property
    def actions(self) -> list[str]:
        """All that was drawn below records, in order."""
        return [foot for each in self.told for foot in each.get("feet", {}).values()]

    def say(self, **content: object) -> None:
        """A message from a page, about the one place."""
        place = self.told[0]["place"]
        self._hub._handle_custom_msg({"place": place, **content}, [])

    def see(self, version: int) -> None:
        """A page shows this version and asks what is drawn there."""
        places = {self.told[0]["place"]: version}
        self._hub._handle_custom_msg({"do": "seen", "places": places}, [])

    def click(self, word: str, *, job: str = FACTS.id, turn: int = 0) -> None:
        """A click on a button."""
        self.say(do=word, job=job, turn=turn)


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> Pages:
    """The pages of a new hub."""
    hub = Hub()
    monkeypatch.setattr(comm, "_hubs", [hub])
    return Pages(hub)


@pytest.fixture(params=["notebook", "headless", "terminal", "VS Code"])
def place(request: pytest.FixtureRequest) -> FrontEnd:
    """Each kind of front end."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def open_card(pages: Pages) -> Iterator[OpenCard]:
    """Shows a job's card in a front end; gives the shell, the job and the card."""
    opened = []

    def begin(place: FrontEnd, state: JobState = WAITING) -> tuple[Any, Job, Card]:
        opened.append(open_shell("terminal" if place == "terminal" else place))
        shell = opened[-1].__enter__()
        job = Job(FACTS, state, background_loop())
        return shell, job, show_card(job, shell)

    yield begin
    for shell in opened:
        shell.__exit__(None, None, None)


def finish(job: Job, saved: Saved, shown: Card | None = None) -> None:
    """End a job with its clip, and wait until its card has shown it."""
    job.finish(saved, Clip(job.record, saved.clip, saved.task_id, "", saved.credits, NOW))
    if shown is not None:
        shown.settled.result(PATIENCE_S)


def until(seen: Callable[[], Any]) -> Any:
    """Wait for what another thread does."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := seen()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return found


def settle_down() -> None:
    """Wait until all that was begun behind a click or an event is done."""
    for begin in (workers.draw_later, workers.work_later, workers.draw_later):
        done = threading.Barrier(2)
        begin(done.wait, PATIENCE_S)
        done.wait(PATIENCE_S)
    time.sleep(0.05)


def test_a_card_ends_with_the_clip(
    open_card: OpenCard, place: FrontEnd, saved: Saved, capsys: pytest.CaptureFixture[str]
) -> None:
    """In each front end, and then it is settled."""
    shell, job, opened = open_card(place)
    finish(job, saved, opened)
    if place == "terminal":
        told = capsys.readouterr().out
        assert told.count("Saved") == 1
        assert "<" not in told
        assert not shell.display_pub.outputs
    else:
        *_, last = updates_of(shell, 0)
        assert "data:video/mp4" in last["text/html"]
        assert last["text/plain"].startswith("Saved")


def test_only_pages_that_live_are_told(open_card: OpenCard, pages: Pages, saved: Saved) -> None:
    """A headless run and a terminal have no place, and their HTML names no hub."""
    for place in ("headless", "terminal"):
        shell, job, opened = open_card(place)
        finish(job, saved, opened)
        assert not any("data-kling-hub" in html for html in htmls(shell))
    assert pages.told == []


def test_a_notebook_has_one_output_without_any_widget(open_card: OpenCard, saved: Saved) -> None:
    """Whatever is saved shows itself without a kernel."""
    shell, job, opened = open_card("notebook")
    finish(job, saved, opened)
    assert len([output for output in shell.display_pub.outputs if not output["update"]]) == 1
    assert not any(comm.VIEW_MIME in output["data"] for output in shell.display_pub.outputs)


def test_where_widgets_live_only_if_displayed_the_hub_is(open_card: OpenCard) -> None:
    """Beside the record, once; VS Code and Colab."""
    shell, _, _ = open_card("VS Code")
    first, second = [output["data"] for output in shell.display_pub.outputs]
    assert comm.VIEW_MIME not in first
    assert second[comm.VIEW_MIME]["model_id"] == comm.hub().model_id


def test_a_card_ends_with_a_failure(open_card: OpenCard) -> None:
    """With what the service said."""
    shell, job, opened = open_card("notebook")
    job.fail(STATES["Failed"], TaskFailed("no", job_id=job.id))
    opened.settled.result(PATIENCE_S)
    assert "Internal Error, Please try again later." in updates_of(shell, 0)[-1]["text/plain"]


@pytest.mark.parametrize("shown_late", [False, True])
def test_a_verdict_comes_later(open_card: OpenCard, pages: Pages, shown_late: bool) -> None:
    """The card is drawn anew with it, also where it was shown when the answer was lost already."""
    lost = replace(html_states.UNKNOWN, evidence=NO_EVIDENCE)
    if shown_late:
        shell, job, opened = open_card("notebook", lost)
    else:
        shell, job, opened = open_card("notebook")
    job.fail(lost, TaskFailed("lost", job_id=job.id))
    opened.settled.result(PATIENCE_S)
    until(lambda: "Cannot tell" in texts(shell)[-1])
    job.amend(html_states.UNKNOWN)
    until(lambda: "very probably" in texts(shell)[-1])


def test_a_finished_job_is_one_display(open_card: OpenCard, pages: Pages, saved: Saved) -> None:
    """Complete at once, without an update; its buttons are there."""
    shell, _, opened = open_card("notebook", saved)
    assert opened.settled.done()
    assert len(htmls(shell)) == 1
    assert "data:video/mp4" in htmls(shell)[0]
    assert 'data-kling-do="take"' in pages.actions[-1]


def test_a_terminal_prints_changes(open_card: OpenCard, capsys: pytest.CaptureFixture[str]) -> None:
    """The same state again prints nothing."""
    _, job, _ = open_card("terminal")
    before = capsys.readouterr().out
    assert before.count("\n") <= 4
    for _ in range(5):
        job.enter(WAITING)
    assert capsys.readouterr().out == ""
    job.enter(STATES["Unresponsive"])
    assert capsys.readouterr().out.count("\n") <= 4


def test_a_waiting_job_sends_nothing(open_card: OpenCard, pages: Pages) -> None:
    """Its bar moves by itself, so a poll that tells nothing new costs no message."""
    shell, job, _ = open_card("notebook")
    before = len(texts(shell)), len(pages.told)
    for _ in range(50):
        job.enter(replace(WAITING))
    settle_down()
    assert (len(texts(shell)), len(pages.told)) == before


def test_another_state_word_is_one_update(open_card: OpenCard, pages: Pages) -> None:
    """The badge changes; the bar goes on by itself."""
    shell, job, _ = open_card("notebook")
    before = len(pages.told)
    job.enter(replace(WAITING, word="queuing"))
    until(lambda: updates_of(shell, 0))
    settle_down()
    assert "Queued" in updates_of(shell, 0)[-1]["text/plain"]
    assert len(pages.told) == before


def test_throttling(open_card: OpenCard, pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most every two seconds, however many pieces arrive."""
    now = [1000.0]
    monkeypatch.setattr(entries, "time", SimpleNamespace(monotonic=lambda: now[0]))
    _, job, _ = open_card("notebook")
    before = len(pages.told)
    for received in range(0, 100):
        now[0] += 0.1
        job.enter(replace(STATES["Downloading"], received_bytes=received * 1000))  # type: ignore[call-arg]
    settle_down()
    assert 4 <= len(pages.told) - before <= 6


def test_the_record_has_the_task_id_before_the_clip(open_card: OpenCard) -> None:
    """A notebook that is saved meanwhile says which task to look for."""
    shell, job, _ = open_card("notebook", STATES["Sending"])
    assert WAITING.task_id not in texts(shell)[0]
    job.enter(WAITING)
    until(lambda: updates_of(shell, 0))
    assert WAITING.task_id in updates_of(shell, 0)[-1]["text/plain"]


def test_a_job_that_ends_early(monkeypatch: pytest.MonkeyPatch, saved: Saved) -> None:
    """The end between the display and the observer is not missed."""
    with open_shell("headless") as shell:
        job = Job(FACTS, WAITING, background_loop())
        observe = job.observe

        def late(observer: Callable[[Event], None]) -> Callable[[], None]:
            finish(job, saved)
            return observe(observer)

        monkeypatch.setattr(job, "observe", late)
        show_card(job, shell).settled.result(PATIENCE_S)
        assert "data:video/mp4" in updates_of(shell, 0)[-1]["text/html"]


def test_a_click_detaches_the_job(open_card: OpenCard, pages: Pages) -> None:
    """Once it is polled; an unknown word or job does nothing."""
    _, job, opened = open_card("notebook")
    stopped: list[bool] = []
    job.controller = StubController(detach=lambda: stopped.append(True) or True)
    pages.click("explode")
    pages.click("detach", job="another")
    pages.say(do=7)
    pages.say(do="detach", job=FACTS.id, turn="0")
    assert stopped == []
    pages.click("detach")
    opened.settled.result(PATIENCE_S)
    assert stopped == [True]
    assert isinstance(job.state, Detached)
    assert 'data-kling-do="resume"' in pages.actions[-1]


def takes(job: Job, saved: Saved) -> list[Job]:
    """Let a job be taken again; gives what was made."""
    made: list[Job] = []

    def another() -> Job:
        number = len(made) + 2
        made.append(
            Job(replace(FACTS, id=f"take{number}", take=number), Preparing(), background_loop())
        )
        return made[-1]

    job.controller = StubController(another_take=another)
    return made


def test_another_take_is_shown_below(open_card: OpenCard, pages: Pages, saved: Saved) -> None:
    """One output with both records, and both texts."""
    shell, job, _ = open_card("notebook", saved)
    made = takes(job, saved)
    pages.click("take")
    until(lambda: updates_of(shell, 0))
    until(lambda: pages.told[-1]["feet"].keys() == {FACTS.id})
    finish(made[0], saved)
    until(lambda: updates_of(shell, 0)[-1]["text/html"].count("<video") == 2)
    last = updates_of(shell, 0)[-1]
    assert re.findall(r'data-kling-job="(\w+)"', last["text/html"]) == [FACTS.id, "take2"]
    assert last["text/plain"].count("Saved") == 2
    assert "take 2" in last["text/plain"]


def test_repeated_clicks_are_one_task(open_card: OpenCard, pages: Pages, saved: Saved) -> None:
    """A turn counts once; a page that repeats it gets the current state."""
    _, job, _ = open_card("notebook", saved)
    made = takes(job, saved)
    for _ in range(3):
        pages.click("take")
    until(lambda: len(made) == 1 and "disabled" not in pages.actions[-1])
    settle_down()
    assert len(made) == 1
    pages.click("take", turn=1)
    until(lambda: len(made) == 2)


def test_the_button_is_off_during_a_take(open_card: OpenCard, pages: Pages, saved: Saved) -> None:
    """All pages show it before the request is sent."""
    _, job, _ = open_card("notebook", saved)
    before: list[str] = []

    def another() -> Job:
        before.append(pages.actions[-1])
        raise LedgerError("The picture of this job is not kept: run its cell with `--take 2`.")

    job.controller = StubController(another_take=another)
    pages.click("take")
    until(lambda: "is not kept" in pages.actions[-1])
    assert "Requesting another take" in before[0]
    assert "disabled" in before[0]
    assert "disabled" not in pages.actions[-1]
    assert 'role="alert"' in pages.actions[-1]


def test_a_take_can_be_shown_elsewhere(pages: Pages, saved: Saved) -> None:
    """As the panel does, which puts it on top."""
    shown: list[Job] = []
    screen = SimpleNamespace(updates="live", bundles=[])
    screen.show = screen.bundles.append
    job = Job(FACTS, saved, background_loop())
    made = takes(job, saved)
    Card(job, screen, on_take=shown.append).display()
    pages.click("take")
    until(lambda: shown == made != [])
    assert len(screen.bundles) == 1


def test_a_click_resumes_in_the_same_place(
    open_card: OpenCard, pages: Pages, saved: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `%kling resume ID` does; the record below the click becomes the clip."""
    shell, *_ = open_card("notebook", STATES["Detached"])
    again = Job(FACTS, WAITING, background_loop())
    asked: list[str] = []

    def resume(job_id: str) -> list[Job]:
        asked.append(job_id)
        return [again]

    monkeypatch.setattr(card, "default_session", lambda: SimpleNamespace(resume=resume))
    pages.click("resume")
    until(lambda: updates_of(shell, 0))
    finish(again, saved)
    until(lambda: "data:video/mp4" in updates_of(shell, 0)[-1]["text/html"])
    assert asked == [FACTS.id]


def test_a_click_resumes_in_its_session(
    open_card: OpenCard, pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default one may be of another folder; it is asked only where the own one is closed."""
    _, job, opened = open_card("notebook", STATES["Detached"])
    again = Job(FACTS, WAITING, background_loop())
    job.controller = StubController(resume=lambda: again)
    monkeypatch.setattr(card, "default_session", None)
    pages.click("resume")
    until(lambda: opened.job is again)


def test_each_end_is_told(pages: Pages, saved: Saved) -> None:
    """Also when a job that had ended goes on, and when that ends: records stay true."""
    screen = SimpleNamespace(updates="live", show=lambda _: None)
    job, again = (
        Job(FACTS, STATES["Detached"], background_loop()),
        Job(FACTS, WAITING, background_loop()),
    )
    job.controller = StubController(resume=lambda: again)
    seen: list[str] = []
    shown = Card(job, screen, on_end=lambda: seen.append(type(shown.job.state).__name__))
    shown.display()
    pages.click("resume")
    until(lambda: seen == ["Detached", "Waiting"])
    finish(again, saved)
    until(lambda: seen == ["Detached", "Waiting", "Saved"])


def test_clicks_take_no_thread_of_the_portal(open_card: OpenCard, pages: Pages) -> None:
    """Each waits for the background loop; more of them than it has threads do not block it."""
    clicks = (os.cpu_count() or 1) + 8
    asked, gate = threading.Semaphore(0), threading.Event()

    def another() -> Job:
        asked.release()
        gate.wait(PATIENCE_S)
        # As a session does it: the background loop needs one of its threads to get on.
        background_loop().call(in_thread(lambda: None), PATIENCE_S)
        raise LedgerError("asked for")

    for _ in range(clicks):
        _, job, shown = open_card("notebook", STATES["Detached"])
        job.controller = StubController(another_take=another)
        shown._receive({"do": "take", "job": FACTS.id, "turn": 0})
    assert asked.acquire(timeout=PATIENCE_S)
    gate.set()
    for _ in range(clicks - 1):
        assert asked.acquire(timeout=PATIENCE_S)
    until(lambda: sum("asked for" in foot for foot in pages.actions) >= clicks)


@pytest.fixture
def large(saved: Saved, clip_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Saved:
    """A clip that counts as large."""
    copy = tmp_path / "large clip.mp4"
    copy.write_bytes(clip_path.read_bytes())
    monkeypatch.setattr(clips, "WHOLE_BYTES", 10)
    return replace(saved, clip=replace(saved.clip, path=str(copy), size_bytes=10**7))


def test_a_large_clip_is_a_poster_until_its_preview_is_made(
    open_card: OpenCard, large: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first display waits for nothing; the card is settled when the preview is shown."""
    threads: list[str] = []
    gate = threading.Event()

    def slow(_: Path, **__: object) -> bytes:
        threads.append(threading.current_thread().name)
        gate.wait(PATIENCE_S)
        return b"the preview"

    monkeypatch.setattr(clips, "make_preview", slow)
    shell, _, opened = open_card("notebook", large)
    assert "<video" not in htmls(shell)[0]
    assert "large%20clip.mp4" in htmls(shell)[0]
    assert not opened.settled.done()
    gate.set()
    opened.settled.result(PATIENCE_S)
    assert "<video" in updates_of(shell, 0)[-1]["text/html"]
    assert len(updates_of(shell, 0)) == 1
    assert "MainThread" not in threads
    shell, _, opened = open_card("notebook", large)
    assert opened.settled.done()
    assert "<video" in htmls(shell)[0]
    assert len(threads) == 1


def test_headless_previews(
    open_card: OpenCard, large: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes after the cell is not saved there."""
    monkeypatch.setattr(clips, "make_preview", lambda *_, **__: b"the preview")
    shell, job, opened = open_card("headless")
    finish(job, large, opened)
    (update,) = updates_of(shell, 0)
    assert "<video" in update["text/html"]
    shell, _, opened = open_card("headless", large)
    assert "<video" in htmls(shell)[0]


def test_no_preview_in_terminals(
    open_card: OpenCard, large: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It prints words."""
    monkeypatch.setattr(clips, "make_preview", None)
    _, job, opened = open_card("terminal")
    finish(job, large, opened)


def test_a_card_outlives_its_hub(open_card: OpenCard, pages: Pages, saved: Saved) -> None:
    """After `Widget.close_all` the next record of the card belongs to the new hub."""
    shell, job, opened = open_card("notebook")
    comm.hub().close()
    finish(job, saved, opened)
    assert f'data-kling-hub="{comm.hub().hub_id}"' in updates_of(shell, 0)[-1]["text/html"]
    told = Pages(comm.hub())
    place = re.findall(r'data-kling-place="(\w+)"', updates_of(shell, 0)[-1]["text/html"])[0]
    comm.hub()._handle_custom_msg({"do": "seen", "places": {place: 0}}, [])
    until(lambda: told.told and "bundle" in told.told[-1])


def test_the_file_is_shown_and_hidden(open_card: OpenCard, pages: Pages, saved: Saved) -> None:
    """Its whole path comes from the kernel, which knows it."""
    open_card("notebook", saved)
    pages.click("file")
    until(lambda: str(Path(saved.clip.path).resolve()) in pages.actions[-1])
    pages.click("file", turn=1)
    until(lambda: "Show file" in pages.actions[-1])


def test_a_file_that_is_gone_is_said(open_card: OpenCard, pages: Pages, saved: Saved) -> None:
    """With the way to get it back, and what that costs."""
    _, job, _ = open_card("notebook", saved)
    job._state = replace(saved, clip=replace(saved.clip, path="/nowhere/gone.mp4"))
    pages.click("file")
    until(lambda: "/nowhere/gone.mp4" in pages.actions[-1])
    assert "0 credits" in pages.actions[-1]


def test_an_old_page_gets_the_record(open_card: OpenCard, pages: Pages, saved: Saved) -> None:
    """And one that is not gets the foot only."""
    shell, job, opened = open_card("notebook")
    finish(job, saved, opened)
    newest = int(re.findall(r'data-kling-version="(\d+)"', htmls(shell)[-1])[0])
    pages.see(newest)
    until(lambda: len(pages.told) >= 3)
    assert not any("bundle" in told for told in pages.told)
    pages.see(newest - 1)
    bundle = until(lambda: pages.told[-1].get("bundle"))
    assert "run the cell again (0 credits)" in pages.told[-1]["missed"]
    assert bundle == updates_of(shell, 0)[-1]
    html = bundle["text/html"]
    assert "data:video/mp4" in html
    assert f'data-kling-version="{newest}"' in html


def test_the_cell_is_told_as_it_is(open_card: OpenCard, pages: Pages) -> None:
    """A copy of it is the same request: what is shown may stand for invisible characters."""
    open_card("notebook")
    assert pages.told[0]["cells"] == {FACTS.id: FACTS.cell}


def test_a_closed_card_follows_nothing(open_card: OpenCard, pages: Pages, saved: Saved) -> None:
    """The job goes on without it."""
    shell, job, opened = open_card("notebook")
    opened.close()
    finish(job, saved)
    settle_down()
    assert updates_of(shell, 0) == []


def test_a_display_that_breaks_still_settles(
    open_card: OpenCard,
    saved: Saved,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A cell that waits for the card is not held for ever; the log says what broke."""
    _, job, opened = open_card("headless")

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no display")

    monkeypatch.setattr(card, "card_bundle", broken)
    finish(job, saved, opened)
    until(lambda: "no display" in caplog.text)
    assert job.result().path == Path(saved.clip.path)


def test_a_clip_is_a_card(saved: Saved) -> None:
    """Displayed by itself, it is the card of its job; registering twice changes nothing."""
    with open_shell() as shell:
        for _ in range(2):
            teach_displays(shell)
        clip = Clip(FACTS, saved.clip, saved.task_id, "", saved.credits, NOW)
        data, _ = shell.display_formatter.format(clip)
    assert "data:video/mp4" in data["text/html"]
    assert data["text/plain"].startswith("Saved")
