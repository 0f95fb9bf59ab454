"""Test `client`: createTask is sent once, the rest until it works, the key only to its hosts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest
import stamina

from kling_nb.core.rate_limits import NEW_TASKS, STATUS_REQUESTS
from kling_nb.core.secret import Key
from kling_nb.core.task_status import TaskPending
from kling_nb.errors import (
    AnswerLost,
    BadRequest,
    InsufficientCredits,
    LedgerError,
    NotSent,
    Problem,
    RateLimited,
    ServerFault,
    ServiceError,
    Unauthorized,
    UnreadableAnswer,
)
from kling_nb.kie import client
from kling_nb.kie.client import Client, SubmitOutcome
from kling_nb.kie.rate_limit import RateLimiter
from kling_nb.kie.slots import Account
from tests.support.service import CREATE, KEY, Clock, take_turn

FIELDS = (Problem("duration", "given '5'", "allowed: 5, 10"),)
BODY = {"model": "kling-2.6/text-to-video", "input": {"prompt": "Füchse 🦊"}}
TASK = "56074f12319c68b246e5a03e05608f31"
CREATED = {"code": 200, "msg": "success", "data": {"taskId": TASK, "recordId": TASK}}
"""Source: recorded live traffic (L)."""
TOO_OFTEN = {"code": 429, "msg": "Your call frequency is too high. Please try again later."}

NEVER_SENT = [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError]
LOST = [
    httpx.ReadError,
    httpx.ReadTimeout,
    httpx.WriteError,
    httpx.WriteTimeout,
    httpx.RemoteProtocolError,
    httpx.DecodingError,
    ConnectionResetError,
]


async def no_sleep(_seconds: float) -> None:
    """Return at once."""


class Service:
    """A server that gives these answers in turn, then repeats the last; it records the requests."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, type):
            raise answer("broken")
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    def client(self) -> Client:
        """Return a client of this server."""
        limiter = RateLimiter.unlimited(sleep=no_sleep)
        return Client(Key(KEY), transport=httpx.MockTransport(self), rate_limiter=limiter)

    def create(self) -> str | SubmitOutcome:
        """Return the outcome of a createTask."""
        return asyncio.run(self.client().create_task(BODY, fields=FIELDS))


def test_a_task_is_made() -> None:
    """One POST with our User-Agent and the key returns the id."""
    service = Service(CREATED)
    assert service.create() == TASK
    [request] = service.requests
    assert str(request.url) == f"https://api.kie.ai{CREATE}"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"].startswith("kling_nb/")
    assert json.loads(request.content) == BODY


@pytest.mark.parametrize("error", LOST, ids=lambda error: error.__name__)
def test_a_request_whose_answer_is_lost_is_not_repeated(error: type[Exception]) -> None:
    """The request may have arrived: the task is unknown, and the request is sent once."""
    service = Service(error, CREATED)
    outcome = service.create()
    assert isinstance(outcome, SubmitOutcome)
    assert outcome.may_exist
    assert isinstance(outcome.error, AnswerLost)
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    "answers",
    [*([error] * 2 for error in NEVER_SENT), [TOO_OFTEN, httpx.Response(429, text="")]],
    ids=str,
)
def test_a_request_that_made_no_task_is_sent_again(answers: list[object]) -> None:
    """Not resolved, not connected, no free connection, or 429: rejected and not queued."""
    service = Service(*answers, CREATED)
    assert service.create() == TASK
    assert len(service.requests) == 3


@pytest.mark.parametrize(
    ("answer", "error", "attempts"),
    [(httpx.ConnectError, NotSent, 5), (TOO_OFTEN, RateLimited, 8)],
)
def test_after_some_attempts_it_is_a_refusal(
    answer: object, error: type[Exception], attempts: int
) -> None:
    """No task exists, and the error says why."""
    service = Service(answer)
    outcome = service.create()
    assert isinstance(outcome, SubmitOutcome)
    assert not outcome.may_exist
    assert isinstance(outcome.error, error)
    assert len(service.requests) == attempts


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"code": 402, "msg": "Credits insufficient"}, InsufficientCredits),
        ({"code": 500, "msg": "This field is required"}, BadRequest),
        (httpx.Response(401, text="no"), Unauthorized),
    ],
    ids=str,
)
def test_a_refusal_is_not_repeated(answer: object, error: type[ServiceError]) -> None:
    """No task exists, and nothing is sent again; `test_wire_create` has all refusals."""
    service = Service(answer)
    outcome = service.create()
    assert isinstance(outcome, SubmitOutcome)
    assert type(outcome.error) is error
    assert not outcome.may_exist
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        {"code": 500, "msg": "Internal Error, Please try again later."},
        {"code": 200, "msg": "success", "data": {}},
        httpx.Response(200, text="<h1>Just a moment...</h1>"),
        httpx.Response(502, text="<h1>502 Bad Gateway</h1>"),
        httpx.Response(302, headers={"location": "https://elsewhere.example/"}),
        TOO_OFTEN | {"data": {"taskId": TASK}},
        httpx.Response(429, json={"recordId": TASK}),
        httpx.Response(429, json=CREATED),
    ],
    ids=str,
)
def test_an_unclear_answer_is_not_requested_again(answer: object) -> None:
    """The task may exist; `test_wire_create` has all such answers."""
    service = Service(answer)
    outcome = service.create()
    assert isinstance(outcome, SubmitOutcome)
    assert outcome.may_exist
    assert len(service.requests) == 1
    assert "Nothing was charged" not in str(outcome.error)


def test_a_refusal_says_what_is_allowed() -> None:
    """The error has the service's text and the catalogue's rules."""
    outcome = Service({"code": 422, "msg": "bad duration"}).create()
    assert isinstance(outcome, SubmitOutcome)
    assert "bad duration" in str(outcome.error)
    assert "duration: given '5'; allowed: 5, 10" in str(outcome.error)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record the waits between attempts, without waiting."""
    slept: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float, result: Any = None) -> Any:
        slept.append(seconds)
        return await sleep(0, result)

    monkeypatch.setattr(asyncio, "sleep", note)
    return slept


@pytest.mark.parametrize(("asked", "waited"), [("7", 7), ("600", 60)])
def test_retry_after_is_honoured(waits: list[float], asked: str, waited: float) -> None:
    """At most a minute: no cell should wait longer."""
    service = Service(httpx.Response(200, json=TOO_OFTEN, headers={"Retry-After": asked}), CREATED)
    with stamina.set_testing(False):
        assert service.create() == TASK
    assert waits == [waited]


def test_a_service_that_cannot_be_reached_is_given_up_soon(
    waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person waits: after a few quick attempts, also to upload."""
    monkeypatch.setattr("kling_nb.kie.client.monotonic", lambda: sum(waits))
    service = Service(httpx.ConnectError)
    with stamina.set_testing(False):
        service.create()
        assert waits == [0.5, 1, 2, 4]
        waits.clear()
        with pytest.raises(NotSent):
            asyncio.run(service.client().upload(b"x", "a.png", "image/png"))
        assert waits == [0.5, 1, 2]


def test_no_attempt_begins_late_if_each_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packets that are dropped, or a name server that does not answer."""
    service = Service(httpx.ConnectTimeout)
    monkeypatch.setattr("kling_nb.kie.client.monotonic", lambda: 6.0 * len(service.requests))
    service.create()
    assert len(service.requests) == 2


def test_a_lost_answer_is_a_reason_to_repeat_only_what_is_free() -> None:
    """Also if createTask raised it."""
    assert not client._Resend().wait_s(AnswerLost("lost"))
    assert client._Resend(is_free=True).wait_s(AnswerLost("lost"))
    assert not client._Resend(is_free=True).wait_s(Unauthorized(401, "no"))


def test_attempts_to_reach_the_service_count_from_its_last_answer() -> None:
    """A rejection for too many requests was an answer."""
    service = Service(*[httpx.ConnectError] * 3, TOO_OFTEN, *[httpx.ConnectError] * 3, CREATED)
    assert service.create() == TASK


def test_without_retry_after_waits_grow(waits: list[float]) -> None:
    """The pauses after a 429 grow; a date in `Retry-After` is no number of seconds."""
    limited = httpx.Response(429, headers={"Retry-After": "Fri, 20 Nov 2026 12:00:00 GMT"})
    service = Service(limited, TOO_OFTEN, TOO_OFTEN, TOO_OFTEN, CREATED)
    with stamina.set_testing(False):
        assert service.create() == TASK
    assert len(waits) == 4
    assert 0 < sum(waits) < 20
    assert waits[-1] > 0.4


def test_create_has_a_connection_of_its_own() -> None:
    """A stale kept-alive connection would give a false unknown."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.current_task())
        head = await reader.readuntil(b"\r\n\r\n")
        balance = {"code": 200, "msg": "success", "data": 5916.25}
        answer = json.dumps(balance if b"/credit" in head else CREATED).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
        await reader.read(1)
        writer.close()
        await writer.wait_closed()

    served: list[asyncio.Task[None] | None] = []

    async def play() -> tuple[float, str | SubmitOutcome]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        client = Client(Key(KEY), api_url=f"http://127.0.0.1:{port}")
        async with server:
            balance = await client.balance()
            created = await client.create_task(BODY)
            await client.aclose()
            await asyncio.gather(*filter(None, served))
        return balance, created

    assert asyncio.run(play()) == (5916.25, TASK)


CALLS: list[Callable[[Client], Any]] = [
    lambda client: client.task(TASK),
    lambda client: client.balance(),
    lambda client: client.fresh_url("https://tempfile.example/k/a.mp4"),
    lambda client: client.upload(b"x", "a.png", "image/png"),
    lambda client: client.upload_base64(b"x", "a.png"),
    lambda client: client.upload_from_url("https://a.example/a.png", "a.png"),
]
"""Each call except createTask."""


@pytest.mark.parametrize("call", [lambda client: client.create_task(BODY), *CALLS])
def test_no_redirect_is_followed(call: Callable[[Client], Any]) -> None:
    """A redirect would carry the key to another host."""
    service = Service(httpx.Response(307, headers={"location": "https://elsewhere.example/"}))

    async def play() -> None:
        with suppress(ServiceError):
            await call(service.client())

    asyncio.run(play())
    hosts = {request.url.host for request in service.requests}
    assert hosts
    assert hosts <= {"api.kie.ai", "kieai.redpandaai.co"}


def test_a_status_request_returns_the_status() -> None:
    """The id is a query parameter."""
    service = Service(
        {"code": 200, "msg": "success", "data": {"taskId": "a b", "state": "queuing"}}
    )
    assert asyncio.run(service.client().task("a b")) == TaskPending("a b", "queuing")
    assert service.requests[0].url.params["taskId"] == "a b"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.ConnectError, NotSent),
        (httpx.ReadTimeout, AnswerLost),
        (httpx.Response(502, text="<h1>502</h1>"), ServerFault),
        (httpx.Response(200, text="<h1>one moment</h1>"), UnreadableAnswer),
        (TOO_OFTEN, RateLimited),
    ],
)
def test_a_status_request_is_sent_once(answer: object, error: type[Exception]) -> None:
    """The poller decides when to poll again."""
    service = Service(answer)
    with pytest.raises(error):
        asyncio.run(service.client().task(TASK))
    assert len(service.requests) == 1


def test_an_upload_is_multipart_and_reports_progress() -> None:
    """It goes to the upload host; `test_multipart` has the fields."""
    url = "https://tempfile.redpandaai.co/kieai/a.png"
    service = Service({"success": True, "code": 200, "msg": "ok", "data": {"downloadUrl": url}})
    content, progress = b"p" * 150_000, []
    upload = service.client().upload(
        content, "a.png", "image/png", lambda *each: progress.append(each)
    )
    assert asyncio.run(upload) == url
    [request] = service.requests
    assert request.url.host == "kieai.redpandaai.co"
    assert content in request.content
    assert progress[-1] == (len(request.content), len(request.content))
    assert progress == sorted(progress)


@pytest.mark.parametrize(
    "answer", [httpx.ReadError, httpx.ConnectError, httpx.Response(502, text="no"), TOO_OFTEN]
)
def test_an_upload_is_sent_again(answer: object) -> None:
    """It costs nothing."""
    done = {"code": 200, "msg": "ok", "data": {"fileUrl": "https://files.example/a.png"}}
    service = Service(answer, done)
    sent = asyncio.run(service.client().upload(b"x", "a.png", "image/png"))
    assert sent == "https://files.example/a.png"
    assert len(service.requests) == 2


def test_a_refused_upload_is_not_sent_again() -> None:
    """A wrong key does not become right."""
    service = Service({"success": False, "code": 401, "msg": "Unauthorized"})
    with pytest.raises(Unauthorized):
        asyncio.run(service.client().upload(b"x", "a.png", "image/png"))
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    ("call", "path", "source"),
    [
        (
            lambda client: client.upload_base64(b"hi", "a.png"),
            "/api/file-base64-upload",
            {"base64Data": "aGk="},
        ),
        (
            lambda client: client.upload_from_url("https://a.example/b.png", "a.png"),
            "/api/file-url-upload",
            {"fileUrl": "https://a.example/b.png"},
        ),
    ],
)
def test_uploads_as_json(call: Callable[[Client], Any], path: str, source: dict[str, str]) -> None:
    """Fields and paths as documented (D); a broken one is sent again, since it costs nothing."""
    url = "https://tempfile.redpandaai.co/kieai/a.png"
    service = Service(httpx.ReadError, {"success": True, "code": 200, "data": {"downloadUrl": url}})
    assert asyncio.run(call(service.client())) == url
    assert [request.url.path for request in service.requests] == [path, path]
    named = {"uploadPath": "kling-nb", "fileName": "a.png"}
    assert json.loads(service.requests[-1].content) == source | named
    assert service.requests[-1].url.host == "kieai.redpandaai.co"


def test_a_fresh_link() -> None:
    """The service gives a bare string."""
    service = Service({"code": 200, "data": "https://tempfile.example/fresh"})
    url = "https://tempfile.example/k/a.mp4"
    assert asyncio.run(service.client().fresh_url(url)) == "https://tempfile.example/fresh"
    assert json.loads(service.requests[0].content) == {"url": url}


def test_few_requests_are_in_flight() -> None:
    """The others wait here: httpx collapses when many wait for its pool."""
    flying, most = 0, 0

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        await asyncio.sleep(0)
        flying -= 1
        return httpx.Response(200, json={"code": 200, "data": 1})

    async def play() -> None:
        client = Client(Key(KEY), transport=httpx.MockTransport(answer))
        await asyncio.gather(*(client.balance() for _ in range(50)))

    asyncio.run(play())
    assert most == 8


def test_other_hosts() -> None:
    """A proxy or a served emulator, with or without a slash at the end."""
    service = Service({"code": 200, "data": 1})
    transport = httpx.MockTransport(service)
    asyncio.run(Client(Key(KEY), api_url="http://127.0.0.1:9/", transport=transport).balance())
    assert str(service.requests[0].url) == "http://127.0.0.1:9/api/v1/chat/credit"


class Waiting:
    """A rate limiter on a clock that waiting moves, and its waits."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.waits: list[float] = []
        self.budget = RateLimiter(Account("here"), clock=self.clock.epoch, sleep=self.sleep)

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.waits.append(seconds)
        self.clock.move(seconds)

    def client(self, service: Service) -> Client:
        """A client that keeps this budget."""
        return Client(Key(KEY), transport=httpx.MockTransport(service), rate_limiter=self.budget)


def test_new_tasks_wait_for_the_rate_limit() -> None:
    """Forty at once are sent twenty by twenty, and none is rejected."""
    service, waiting = Service(CREATED), Waiting()

    async def play() -> list[str | SubmitOutcome]:
        client = waiting.client(service)
        return await asyncio.gather(*(client.create_task(BODY) for _ in range(40)))

    assert asyncio.run(play()) == [TASK] * 40
    assert waiting.waits == [pytest.approx(NEW_TASKS.kept_s)]


def test_status_requests_wait_for_the_rate_limit() -> None:
    """Ten a second; a request for the balance is not counted (source: D)."""
    service = Service({"code": 200, "data": {"taskId": TASK, "state": "waiting"}})
    waiting = Waiting()

    async def play() -> None:
        client = waiting.client(service)
        await asyncio.gather(*(client.task(TASK) for _ in range(11)))

    asyncio.run(play())
    assert waiting.waits == [pytest.approx(STATUS_REQUESTS.kept_s)]
    balance = waiting.client(Service({"code": 200, "data": 1}))
    assert asyncio.run(balance.balance()) == 1
    assert len(waiting.waits) == 1


def test_nothing_waits_behind_status_requests() -> None:
    """The rate limiter holds back the status requests of fifty jobs; the balance is read."""
    service = Service({"code": 200, "data": 5916.25})
    first, at_rest = asyncio.Event(), asyncio.Event()

    async def sleep(_: float) -> None:
        first.set()
        await at_rest.wait()

    async def play() -> float:
        clock = Clock()
        budget = RateLimiter(Account("here"), clock=clock.epoch, sleep=sleep)
        await budget.status_requests.hold_back(None)
        client = Client(Key(KEY), transport=httpx.MockTransport(service), rate_limiter=budget)
        polls = [asyncio.create_task(client.task(TASK)) for _ in range(50)]
        async with asyncio.timeout(20):
            await first.wait()
        credits = await client.balance()
        assert len(service.requests) == 1
        for poll in polls:
            poll.cancel()
        return credits

    assert asyncio.run(asyncio.wait_for(play(), 20)) == 5916.25


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(b"7", 7.0), (b"0", 0.0), (b"\xb2", None), (b"-1", None), (b"9" * 400, None), (b"7.5", None)],
)
def test_retry_after_is_a_whole_number_or_nothing(header: bytes, seconds: float | None) -> None:
    """An unreadable header counts as missing and raises no other error."""
    limited = httpx.Response(429, headers=[(b"retry-after", header)], json=TOO_OFTEN)
    with pytest.raises(RateLimited) as caught:
        asyncio.run(Service(limited).client().task(TASK))
    assert caught.value.retry_after_s == seconds
    assert Service(limited, limited, CREATED).create() == TASK


async def must_not_send() -> None:
    """Fail: the ledger would record the request as one that may be paid."""
    raise AssertionError("recorded as sending")


@pytest.mark.parametrize(
    "call", [lambda client: client.create_task(BODY, sending=must_not_send), *CALLS]
)
def test_a_closed_client_sends_nothing(call: Callable[[Client], Any]) -> None:
    """The error says which session to use; a createTask is not recorded as sending."""
    service = Service(CREATED)

    async def play() -> None:
        client = service.client()
        await client.aclose()
        await call(client)

    with pytest.raises(LedgerError, match="this session is closed; use the session that"):
        asyncio.run(play())
    assert service.requests == []


def test_sending_is_reported_after_the_wait() -> None:
    """Once, before anything is sent: a kernel that dies while it waits has sent nothing."""
    service, waiting = Service(TOO_OFTEN, CREATED), Waiting()
    reported: list[tuple[int, int]] = []

    async def sending() -> None:
        reported.append((len(waiting.waits), len(service.requests)))

    async def play() -> str | SubmitOutcome:
        for _ in range(20):
            await take_turn(waiting.budget.new_tasks)
        return await waiting.client(service).create_task(BODY, sending=sending)

    assert asyncio.run(play()) == TASK
    assert reported == [(1, 0)]


def test_a_request_that_cannot_be_recorded_is_not_sent() -> None:
    """A ledger that fails at that moment stops the request."""
    service = Service(CREATED)

    async def sending() -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        asyncio.run(service.client().create_task(BODY, sending=sending))
    assert service.requests == []


@pytest.mark.parametrize(
    ("headers", "held_s"), [({}, NEW_TASKS.kept_s / 4), ({"Retry-After": "7"}, 7.0)]
)
def test_a_429_holds_the_account_back(headers: dict[str, str], held_s: float) -> None:
    """The next attempt, of any kernel, waits; `Retry-After` takes precedence."""
    service = Service(httpx.Response(200, json=TOO_OFTEN, headers=headers), CREATED)
    waiting = Waiting()
    assert asyncio.run(waiting.client(service).create_task(BODY)) == TASK
    assert waiting.waits == [pytest.approx(held_s)]


def test_a_429_for_a_status_request_holds_back_status_requests() -> None:
    """It holds back no new task."""
    service, waiting = Service(TOO_OFTEN), Waiting()
    with pytest.raises(RateLimited):
        asyncio.run(waiting.client(service).task(TASK))
    asyncio.run(take_turn(waiting.budget.new_tasks))
    assert waiting.waits == []
    asyncio.run(take_turn(waiting.budget.status_requests))
    assert waiting.waits == [pytest.approx(STATUS_REQUESTS.kept_s / 4)]


def test_a_key_in_an_answer_is_not_saved() -> None:
    """Answers are saved as received, except for the key."""
    service = Service({"code": 500, "msg": f"broken for {KEY}"})
    outcome = service.create()
    assert isinstance(outcome, SubmitOutcome)
    assert "broken for (key)" in outcome.answer
    assert KEY not in f"{outcome.answer} {outcome.error}"
