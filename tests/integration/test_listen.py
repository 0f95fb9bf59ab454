"""`listen` over loopback HTTP: a callback makes the service be polled, which ends a job."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

import kling_nb
from kling_nb.callbacks.listen import listen
from kling_nb.core.job_state import Stage
from kling_nb.core.limits import CALLBACK_LIMIT_BYTES
from kling_nb.core.poll_schedule import PollSchedule
from kling_nb.errors import ConfigurationError
from kling_nb.jobs import default_session
from kling_nb.jobs.callback_urls import Listening
from kling_nb.jobs.job import Job
from kling_nb.jobs.session import Session
from kling_nb.kie.webhooks import add_callback_token, sign_callback
from kling_nb.storage.callback_store import CallbackStore
from tests.support.callback_receivers import wait_until
from tests.support.controllers import StubController
from tests.support.service import KEY, Open, emulated_account

PATIENCE_S = 60.0
WEBHOOK_KEY = "whsec-0123456789"
PUBLIC = "https://abc.tunnel.example/kling"


@pytest.fixture
def slow(open_session: Open) -> Iterator[Session]:
    """A session with clips that take an hour, so that nothing ends by itself."""
    session = open_session(emulator_seconds=3600)
    yield session
    session.callback_urls.stop()


@pytest.fixture
def listening(slow: Session) -> Listening:
    """The handle of `listen` for it."""
    return listen(session=slow)


def ask(session: Session, prompt: str = "A red fox") -> tuple[Job, str, bytes]:
    """A job, the address that the service would post to, and what it would post."""
    job = session.text_to_video(prompt)
    row = session.ledger.row(job.id)
    url = add_callback_token(session.callback_urls.url, row.nonce)
    return job, url, document(row.task_id)


def document(task_id: str) -> bytes:
    """A callback that claims success."""
    data = {"taskId": task_id, "state": "success", "resultJson": '{"resultUrls": ["https://e.x"]}'}
    return json.dumps({"code": 200, "data": data}).encode()


def post(url: str, body: bytes, **headers: str) -> int:
    """What a POST is answered with."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(url, content=body, headers=named, timeout=PATIENCE_S).status_code


def count_polls(job: Job) -> list[str]:
    """Gets an item each time the job's poller is woken."""
    polled: list[str] = []
    controller = job.controller
    assert controller is not None

    def poll_now() -> None:
        polled.append(job.id)
        controller.poll_now()

    job.controller = StubController(controller.detach, controller.another_take, poll_now=poll_now)
    return polled


# --- what it is for ----------------------------------------------------------------------------


@pytest.mark.parametrize("webhook_key", ["", WEBHOOK_KEY])
def test_a_callback_ends_a_job(
    open_session: Open, monkeypatch: pytest.MonkeyPatch, webhook_key: str
) -> None:
    """Polling alone would notice an hour later. With a webhook key the emulator signs."""
    monkeypatch.setattr(PollSchedule, "delay_s", lambda *given, **named: 3600.0)
    session = open_session()
    with listen(session=session, webhook_key=webhook_key) as listening:
        job = session.text_to_video("A red fox")
        assert job.result(PATIENCE_S).path.is_file()
        assert listening.received["accepted"] == 1
        assert session.callback_urls.offer(session.ledger.folder)[0].startswith(listening.url)
    assert [each.status for each in session.emulator.callback_queue.posts()] == [200]


def test_a_lost_job_is_brought_back(open_session: Open) -> None:
    """The answer to createTask was lost; the callback has the id."""
    session = open_session()
    with listen(session=session):
        emulated_account(session).inject("lose-answer")
        job = session.text_to_video("A red fox")
        wait_until(lambda: session.ledger.row(job.id).stage is Stage.SAVED)
    assert emulated_account(session).count_tasks() == 1


def test_a_forged_success_ends_nothing(slow: Session, listening: Listening) -> None:
    """Even with the callback token: the service is asked, and it says that the task runs."""
    job, url, body = ask(slow)
    polled = count_polls(job)
    assert post(url, body) == 200
    wait_until(lambda: polled == [job.id])
    assert not job.done()
    assert slow.ledger.row(job.id).stage is Stage.ACCEPTED
    assert slow.ledger.row(job.id).result_url == ""


def test_after_its_callback_a_job_is_polled_as_usual(slow: Session, listening: Listening) -> None:
    """A forged or early one costs no lateness."""
    job, url, body = ask(slow)
    assert slow.callback_urls.covers(slow.ledger.row(job.id))
    post(url, body)
    wait_until(lambda: not slow.callback_urls.covers(slow.ledger.row(job.id)))


def test_repeated_and_late_callbacks_change_nothing(open_session: Open) -> None:
    """They are answered well, and a job that is over is left alone, even without its file."""
    session = open_session()
    with listen(session=session) as listening:
        job = session.text_to_video("A red fox")
        clip = job.result(PATIENCE_S)
        row = session.ledger.row(job.id)
        clip.path.unlink()
        url = add_callback_token(listening.url, row.nonce)
        assert [post(url, document(row.task_id)) for _ in range(3)] == [200] * 3
        assert session.receive_callback(document(row.task_id), row.nonce) is None
        assert session.ledger.row(job.id) == row
        assert not clip.path.exists()


# --- what is rejected --------------------------------------------------------------------------


def test_bad_requests_are_rejected(slow: Session, listening: Listening) -> None:
    """By method, path, size, token and body; the job is never polled."""
    job, url, body = ask(slow)
    polled = count_polls(job)
    assert httpx.get(url).status_code == 405
    assert httpx.get(listening.url).status_code == 405
    assert post(listening.url, body) == 403
    assert post(add_callback_token(listening.url, "guessed"), body) == 403
    assert post(add_callback_token(listening.url + "other", "guessed"), body) == 404
    assert post(url, b"x" * (CALLBACK_LIMIT_BYTES + 1)) == 413
    assert post(url, b"x" * (3 * CALLBACK_LIMIT_BYTES)) == 413
    assert post(url, b"hello") == 400
    assert post(url, body, content_encoding="gzip") == 415
    assert listening.received == {
        f"rejected: {status}": count
        for status, count in {405: 2, 403: 2, 404: 1, 413: 2, 400: 1, 415: 1}.items()
    }
    assert polled == []


def test_with_a_key_the_signature_counts(slow: Session) -> None:
    """Missing, old or forged ones are rejected; a good one is accepted."""
    with listen(webhook_key=WEBHOOK_KEY, session=slow) as listening:
        job, url, body = ask(slow)
        polled = count_polls(job)
        task_id = slow.ledger.row(job.id).task_id

        def signed(at_s: float, key: str = WEBHOOK_KEY) -> int:
            at = str(int(at_s))
            signature = sign_callback(key, task_id, at)
            return post(url, body, x_webhook_timestamp=at, x_webhook_signature=signature)

        assert post(url, body) == 403
        assert signed(time.time(), "another") == 403
        assert signed(time.time() - 400) == 403
        assert polled == []
        assert signed(time.time()) == 200
        wait_until(lambda: polled == [job.id])
        assert "signed" in str(listening)


def test_the_environments_key(slow: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """KIE_WEBHOOK_KEY is used where none is given."""
    monkeypatch.setenv("KIE_WEBHOOK_KEY", WEBHOOK_KEY)
    with listen(session=slow):
        _, url, body = ask(slow)
        assert post(url, body) == 403


def test_no_secret_is_shown(
    slow: Session, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither value nor key nor body, in the log, the handle or on screen."""
    caplog.set_level(logging.DEBUG, "kling_nb")
    with listen(webhook_key=WEBHOOK_KEY, session=slow) as listening:
        job, url, body = ask(slow)
        token = slow.ledger.row(job.id).nonce
        at = str(int(time.time()))
        signature = sign_callback(WEBHOOK_KEY, slow.ledger.row(job.id).task_id, at)
        headers = {"x_webhook_timestamp": at, "x_webhook_signature": signature}
        assert post(url, body, **headers) == 200
        assert post(url, b"the-body-itself", **headers) == 400
        assert post(url, body) == 403
        wait_until(lambda: "a callback was received" in caplog.text)
    ours = "\n".join(r.getMessage() for r in caplog.records if r.name.startswith("kling_nb"))
    shown = [ours, repr(listening), str(listening._repr_mimebundle_()), *capfd.readouterr()]
    for secret in (token, WEBHOOK_KEY, signature, "the-body-itself"):
        assert not any(secret in text for text in shown)


def test_a_key_that_is_none_is_not_quoted(slow: Session) -> None:
    """The message counts its characters."""
    with pytest.raises(ConfigurationError) as caught:
        listen(webhook_key="not a key", session=slow)
    assert "not a key" not in str(caught.value)


# --- where it listens --------------------------------------------------------------------------


def test_live_needs_an_address(open_live: Callable[[str], Session]) -> None:
    """The message says why, and what to set up."""
    session = open_live("clips")
    with pytest.raises(ConfigurationError, match=r"cannot reach 127\.0\.0\.1.*tunnel"):
        listen(session=session)
    with pytest.raises(ConfigurationError, match="cannot reach 'localhost'"):
        listen("http://localhost:8787", session=session)
    assert session.callback_urls.listening is None


def test_an_address_behind_a_proxy(slow: Session) -> None:
    """It is what is sent; the proxy may strip its path, or not."""
    with listen(PUBLIC, session=slow) as listening:
        job = slow.text_to_video("A red fox")
        row = slow.ledger.row(job.id)
        assert emulated_account(slow).tasks()[0].callback_url == add_callback_token(
            PUBLIC, row.nonce
        )
        port = int(str(listening).partition("127.0.0.1:")[2].partition(".")[0])
        local = f"http://127.0.0.1:{port}"
        assert post(add_callback_token(f"{local}/", row.nonce), document(row.task_id)) == 200
        assert post(add_callback_token(f"{local}/kling", row.nonce), document(row.task_id)) == 200
        assert post(add_callback_token(f"{local}/other", row.nonce), document(row.task_id)) == 404


def test_a_second_call_takes_the_place_of_the_first(slow: Session, listening: Listening) -> None:
    """Also at the very same port."""
    port = urlsplit(listening.url).port or 0
    again = listen(port=port, session=slow)
    assert again.url == listening.url
    assert not listening.is_open
    assert slow.callback_urls.listening is again
    _, url, body = ask(slow)
    assert post(url, body) == 200


def test_a_port_that_another_has(slow: Session, open_session: Open, tmp_path: Path) -> None:
    """One error that says which and what to do."""
    other = open_session(folder=tmp_path / "other")
    with listen(session=other) as first:
        port = urlsplit(first.url).port or 0
        with pytest.raises(ConfigurationError, match=f"port: {port} .*another port"):
            listen(port=port, session=slow)
    assert slow.callback_urls.url == ""


@pytest.mark.parametrize("given", [{}, {"webhook_key": WEBHOOK_KEY}])
def test_a_failed_listen_changes_nothing(
    slow: Session, listening: Listening, given: dict[str, Any]
) -> None:
    """A port that is taken costs nothing: callbacks still come to the former address."""
    refused = pytest.raises(ConfigurationError, match="another port")
    with socket.create_server(("127.0.0.1", 0)) as taken, refused:
        listen(port=taken.getsockname()[1], session=slow, **given)
    assert slow.callback_urls.listening is listening
    assert listening.is_open
    assert not slow.emulator.backend.callback_sender.webhook_key
    job, url, body = ask(slow)
    polled = count_polls(job)
    assert post(url, body) == 200
    wait_until(lambda: polled == [job.id])


def test_a_failed_jupyter_listen_changes_nothing(slow: Session, listening: Listening) -> None:
    """No Jupyter server started this process."""
    with pytest.raises(ConfigurationError, match="jupyter"):
        listen(jupyter=True, session=slow)
    assert slow.callback_urls.listening is listening
    assert listening.is_open


def test_closed_it_receives_nothing(slow: Session) -> None:
    """And requests go without a callback again."""
    threads = threading.active_count()
    listening = listen(session=slow)
    listening.close()
    listening.close()
    with pytest.raises(httpx.ConnectError):
        post(listening.url, b"")
    assert threading.active_count() == threads
    job = slow.text_to_video("A red fox")
    assert slow.ledger.row(job.id).nonce == ""


def test_listening_is_not_part_of_the_request(open_session: Open) -> None:
    """The same cell is the same request, with or without a listener."""
    session = open_session()
    job = session.text_to_video("A red fox")
    with listen(session=session):
        assert session.text_to_video("A red fox").id == job.id


def test_callbacks_of_an_earlier_kernels_jobs_are_accepted(open_session: Open) -> None:
    """Their values are in the ledger; a fixed address outlives the kernel."""
    first = open_session(emulator_seconds=3600)
    with listen(session=first) as listening:
        job = first.text_to_video("A red fox")
        row = first.ledger.row(job.id)
        port = urlsplit(listening.url).port or 0
    first.close()
    second = open_session(emulator_seconds=3600)
    with listen(port=port, session=second) as listening:
        (job,) = second.resume()
        polled = count_polls(job)
        assert post(add_callback_token(listening.url, row.nonce), document(row.task_id)) == 200
        wait_until(lambda: polled == [job.id])


def test_a_closed_session_still_stores_callbacks(slow: Session, listening: Listening) -> None:
    """The next session in the folder finds them."""
    job, url, body = ask(slow)
    token = slow.ledger.row(job.id).nonce
    slow.close()
    assert post(add_callback_token(listening.url, "never-handed-out"), body) == 403
    assert post(url, body) == 200
    assert CallbackStore(slow.ledger.folder).callback_tokens() == {token}


@pytest.mark.parametrize("given", [{"port": 8900}, {"webhook_key": WEBHOOK_KEY}])
def test_the_jupyter_server_has_its_own(slow: Session, given: dict[str, Any]) -> None:
    """Port and key; what would be left unheeded is refused."""
    with pytest.raises(ConfigurationError, match=r"jupyter: .*KIE_WEBHOOK_KEY") as caught:
        listen(jupyter=True, session=slow, **given)
    assert WEBHOOK_KEY not in str(caught.value)


# --- the default session -----------------------------------------------------------------------


@pytest.fixture
def shared(
    open_session: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Session]:
    """The default session, with an emulator that takes an hour for a clip."""
    monkeypatch.setattr(default_session, "_current", None)
    monkeypatch.setattr(default_session, "_given", {})
    session = kling_nb.configure(mode="emulator", folder=tmp_path / "clips", emulator_seconds=3600)
    yield session
    kling_nb.default_session().callback_urls.stop()
    kling_nb.default_session().close()


def test_listening_goes_on_with_another_default_session(shared: Session) -> None:
    """Jobs of the new one are called back, those of the old one still are."""
    listening = kling_nb.listen()
    job, url, body = ask(shared)
    session = kling_nb.configure(emulator_seconds=1800)
    assert session is not shared
    assert session.callback_urls.listening is listening
    assert listening.is_open
    (taken_up,) = session.resume()
    assert taken_up.id == job.id
    polled = count_polls(taken_up)
    assert post(url, body) == 200
    wait_until(lambda: polled == [job.id])
    assert session.callback_urls.covers(session.ledger.row(session.text_to_video("Another").id))


def test_what_comes_for_another_folder_is_kept_there(shared: Session, tmp_path: Path) -> None:
    """A lost id is stored in its folder; the next session there finds it."""
    kling_nb.listen()
    emulated_account(shared).inject("lose-answer")
    lost = shared.text_to_video("A red fox")
    row, task = shared.ledger.row(lost.id), emulated_account(shared).tasks()[-1]
    url = add_callback_token(shared.callback_urls.url, row.nonce)
    kling_nb.configure(folder=tmp_path / "other")
    assert post(url, document(task.task_id)) == 200
    assert CallbackStore(shared.ledger.folder).callback_tokens() == {row.nonce}
    session = kling_nb.configure(folder=shared.ledger.folder)
    wait_until(lambda: session.ledger.row(lost.id).task_id == task.task_id)
    assert session.ledger.row(lost.id).stage is Stage.ACCEPTED


def test_the_service_is_never_given_an_address_of_this_machine(shared: Session) -> None:
    """A session that goes live leaves what only the emulator can reach."""
    listening = kling_nb.listen()
    session = kling_nb.configure(mode="live", api_key=KEY)
    assert not listening.is_open
    assert session.callback_urls.offer(session.ledger.folder) == ("", "")


def test_a_public_address_stays(shared: Session) -> None:
    """The service reaches it."""
    listening = kling_nb.listen(PUBLIC)
    session = kling_nb.configure(mode="live", api_key=KEY)
    assert listening.is_open
    assert session.callback_urls.offer(session.ledger.folder)[0].startswith(PUBLIC)
