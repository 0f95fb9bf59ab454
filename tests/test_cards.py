"""What a card shows, when, and how often: jobs driven by hand in a shell that keeps all output."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kling_nb import cards
from kling_nb.cards import Card, FrontEnd, card_bundle, front_end
from kling_nb.clips import probe_clip
from kling_nb.emulator.render import render_clip
from kling_nb.errors import TaskFailed
from kling_nb.html import video_attributes
from kling_nb.jobs import Clip, Job
from kling_nb.portal import portal
from kling_nb.states import Event, JobState, Saved
from tests import html_states
from tests.html_states import FACTS, NOW, WAITING
from tests.shells import htmls, open_shell, texts, updates_of

PATIENCE_S = 20.0
NOTHING = {"text/html": "", "text/plain": ""}
STATES = {html_states.name_of(state): state for state in html_states.EVERY}


@pytest.fixture(scope="module")
def clip_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny clip on disk."""
    from PIL import Image

    path = tmp_path_factory.mktemp("clips") / "20261122-140500-k7f2qd.mp4"
    picture = Image.new("RGB", (64, 36), "firebrick")
    render_clip(picture, path, size=(64, 36), length_s=1.0, sound=False, stop=lambda: False)
    return path


@pytest.fixture(scope="module")
def saved(clip_path: Path) -> Saved:
    """The state of a job whose clip that is."""
    return Saved("t" * 32, probe_clip(clip_path), 55.0, NOW)


@pytest.fixture(params=["notebook", "headless", "terminal"])
def place(request: pytest.FixtureRequest) -> FrontEnd:
    """Each front end."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def open_card() -> Iterator[Callable[..., tuple[Any, Job, Card]]]:
    """Shows a job's card in a front end; gives the shell, the job and the card."""
    opened = []

    def begin(place: FrontEnd, state: JobState = WAITING) -> tuple[Any, Job, Card]:
        opened.append(open_shell(place))
        shell = opened[-1].__enter__()
        job = Job(FACTS, state, portal())
        return shell, job, cards.show(job, shell)

    yield begin
    for shell in opened:
        shell.__exit__(None, None, None)


def finish(job: Job, saved: Saved) -> None:
    """End a job with its clip."""
    job.finish(saved, Clip(FACTS, saved.clip, saved.task_id, "", saved.credits, NOW))


def test_front_ends_are_told_apart() -> None:
    """By the kernel, and by whether the front end can be asked a question."""
    for place in ("terminal", "headless", "notebook"):
        with open_shell(place) as shell:  # type: ignore[arg-type]
            assert front_end(shell) == place


@pytest.mark.parametrize("name", STATES)
def test_every_state_has_html_and_text(name: str) -> None:
    """Both name the job; nothing but these two is in a record."""
    state = STATES[name]
    if isinstance(state, Saved):
        state = replace(state, clip=replace(state.clip, path="/nowhere/gone.mp4"))
    bundle = card_bundle(FACTS, state)
    assert set(bundle) == {"text/html", "text/plain"}
    assert all(FACTS.id in part for part in bundle.values())


def test_a_clip_that_is_gone_is_still_a_card(
    saved: Saved, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a video, and with a warning in the log that says why."""
    gone = replace(saved, clip=replace(saved.clip, path=str(tmp_path / "gone.mp4")))
    bundle = card_bundle(FACTS, gone)
    assert "<video" not in bundle["text/html"]
    assert "gone.mp4" in caplog.text


def test_a_small_clip_is_embedded_whole(saved: Saved, clip_path: Path) -> None:
    """On the element itself, byte by byte, without a link to the file."""
    html = card_bundle(FACTS, saved)["text/html"]
    content = base64.b64encode(clip_path.read_bytes()).decode()
    assert f'<video src="data:video/mp4;base64,{content}"' in html
    assert "<source" not in html
    assert "href=" not in html
    assert video_attributes(FACTS)[:20] in html


def test_never_embedding_shows_a_still(
    saved: Saved, clip_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And links the file relative to the working folder."""
    monkeypatch.chdir(clip_path.parent.parent)
    html = card_bundle(FACTS, saved, "never")["text/html"]
    assert "<video" not in html
    assert "<img" in html
    assert f'href="{clip_path.parent.name}/{clip_path.name}"' in html


def test_a_large_clip_becomes_a_preview(
    saved: Saved, clip_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above 2 MB, of at most 1.5 MB; `always` still embeds the file."""
    large = clip_path.with_name("large.mp4")
    large.write_bytes(clip_path.read_bytes() + bytes(2_000_000))
    asked: list[int] = []

    def preview(_path: Path, *, max_bytes: int) -> bytes:
        asked.append(max_bytes)
        return b"preview"

    monkeypatch.setattr(cards.clips, "preview", preview)
    state = replace(
        saved, clip=replace(saved.clip, path=str(large), size_bytes=large.stat().st_size)
    )
    html = card_bundle(FACTS, state)["text/html"]
    assert base64.b64encode(b"preview").decode() in html
    assert asked == [1_500_000]
    assert len(card_bundle(FACTS, state, "always")["text/html"]) > 2_600_000
    assert asked == [1_500_000]


def test_a_kept_poster_is_used(saved: Saved, clip_path: Path, tmp_path: Path) -> None:
    """The file beside the clip, so that it is not decoded for each display."""
    copy = tmp_path / clip_path.name
    copy.write_bytes(clip_path.read_bytes())
    copy.with_suffix(".jpg").write_bytes(html_states.TINY_JPEG)
    state = replace(saved, clip=replace(saved.clip, path=str(copy)))
    kept = base64.b64encode(html_states.TINY_JPEG).decode()
    assert f'poster="data:image/jpeg;base64,{kept}"' in card_bundle(FACTS, state)["text/html"]


def test_a_card_ends_with_the_clip(
    open_card: Callable[..., tuple[Any, Job, Card]],
    place: FrontEnd,
    saved: Saved,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In each front end, and then it is settled."""
    shell, job, card = open_card(place)
    finish(job, saved)
    card.settled.result(PATIENCE_S)
    if place == "terminal":
        told = capsys.readouterr().out
        assert told.count("Saved") == 1
        assert "<" not in told
        assert not shell.display_pub.outputs
    else:
        *_, last = updates_of(shell, 0)
        assert "data:video/mp4" in last["text/html"]
        assert last["text/plain"].startswith("Saved")


def test_only_a_notebook_has_a_live_part(
    open_card: Callable[..., tuple[Any, Job, Card]], saved: Saved
) -> None:
    """It is replaced by nothing at the end; a headless run never shows one."""
    shell, job, card = open_card("notebook")
    finish(job, saved)
    card.settled.result(PATIENCE_S)
    assert updates_of(shell, 1) == [NOTHING]
    shell, job, card = open_card("headless")
    finish(job, saved)
    card.settled.result(PATIENCE_S)
    assert len([output for output in shell.display_pub.outputs if not output["update"]]) == 1


def test_a_card_ends_with_a_failure(
    open_card: Callable[..., tuple[Any, Job, Card]],
) -> None:
    """With what the service said."""
    shell, job, card = open_card("notebook")
    state = STATES["Failed"]
    job.fail(state, TaskFailed("no", job_id=job.id))
    card.settled.result(PATIENCE_S)
    assert "Internal Error, Please try again later." in updates_of(shell, 0)[-1]["text/plain"]


def test_a_finished_job_is_one_display(
    open_card: Callable[..., tuple[Any, Job, Card]], saved: Saved
) -> None:
    """Complete at once: no live part, no update, nobody observes."""
    shell, _job, card = open_card("notebook", saved)
    assert card.settled.done()
    assert len(htmls(shell)) == 1
    assert "data:video/mp4" in htmls(shell)[0]


def test_a_terminal_is_told_changes_only(
    open_card: Callable[..., tuple[Any, Job, Card]], capsys: pytest.CaptureFixture[str]
) -> None:
    """The same state again prints nothing."""
    _, job, _ = open_card("terminal")
    before = capsys.readouterr().out
    assert before.count("\n") <= 4
    for _ in range(5):
        job.enter(WAITING)
    assert capsys.readouterr().out == ""
    job.enter(STATES["OutOfSight"])
    assert capsys.readouterr().out.count("\n") <= 4


def test_a_waiting_job_sends_nothing(
    open_card: Callable[..., tuple[Any, Job, Card]],
) -> None:
    """Its bar moves by itself, so a poll that tells nothing new costs no message."""
    shell, job, _ = open_card("notebook")
    before = len(texts(shell))
    for _ in range(50):
        job.enter(replace(WAITING))
    assert len(texts(shell)) == before


def test_figures_that_move_are_told_now_and_then(
    open_card: Callable[..., tuple[Any, Job, Card]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most every two seconds, however many pieces arrive."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    _, job, card = open_card("notebook")
    live: list[str] = []
    card._live.observe(lambda change: live.append(change["new"]), "html")  # type: ignore[union-attr]
    for received in range(0, 100):
        now[0] += 0.1
        job.enter(replace(STATES["Downloading"], received_bytes=received * 1000))  # type: ignore[call-arg]
    assert 4 <= len(live) <= 6


def test_the_record_has_the_task_id_before_the_clip(
    open_card: Callable[..., tuple[Any, Job, Card]],
) -> None:
    """A notebook that is saved meanwhile says which task to look for."""
    shell, job, _ = open_card("notebook", STATES["Sending"])
    assert WAITING.task_id not in texts(shell)[0]
    job.enter(WAITING)
    assert WAITING.task_id in updates_of(shell, 0)[-1]["text/plain"]


def test_a_job_that_ends_while_its_card_is_made(
    monkeypatch: pytest.MonkeyPatch, saved: Saved
) -> None:
    """The end between the display and the observer is not missed."""
    with open_shell("headless") as shell:
        job = Job(FACTS, WAITING, portal())
        observe = job.observe

        def late(observer: Callable[[Event], None]) -> Callable[[], None]:
            finish(job, saved)
            return observe(observer)

        monkeypatch.setattr(job, "observe", late)
        cards.show(job, shell).settled.result(PATIENCE_S)
        assert "data:video/mp4" in updates_of(shell, 0)[-1]["text/html"]


def test_a_click_detaches_the_job(
    open_card: Callable[..., tuple[Any, Job, Card]],
) -> None:
    """Once it is followed; a word that nobody knows does nothing."""
    _, job, card = open_card("notebook")
    stopped: list[bool] = []
    job.on_detach = lambda: stopped.append(True)
    view = card._live
    assert view is not None
    for content in ({"do": "explode"}, {"do": 7}, "detach", {}, {"do": "detach"}):
        view._handle_custom_msg(content, [])
    card.settled.result(PATIENCE_S)
    assert stopped == [True]
    assert type(job.state).__name__ == "Detached"


def test_a_display_that_breaks_still_settles(
    open_card: Callable[..., tuple[Any, Job, Card]],
    saved: Saved,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A cell that waits for the card is not held for ever; the log says what broke."""
    _, job, card = open_card("headless")

    def broken(*_: object) -> None:
        raise RuntimeError("no display")

    monkeypatch.setattr(cards, "card_bundle", broken)
    finish(job, saved)
    card.settled.result(PATIENCE_S)
    assert "no display" in caplog.text
    assert job.result().path == Path(saved.clip.path)


def test_a_clip_is_a_card(saved: Saved) -> None:
    """Displayed by itself, it is the card of its job; registering twice changes nothing."""
    with open_shell() as shell:
        for _ in range(2):
            cards.register(shell, lambda job: None)
        clip = Clip(FACTS, saved.clip, saved.task_id, "", saved.credits, NOW)
        data, _ = shell.display_formatter.format(clip)
    assert "data:video/mp4" in data["text/html"]
    assert data["text/plain"].startswith("Saved")
