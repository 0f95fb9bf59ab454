"""What `client` promises: createTask once, all else until it works, the key where it belongs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import stamina

from kling_nb.core.poll_schedule import NEW_TASKS, STATUS_REQUESTS
from kling_nb.core.secret import Key
from kling_nb.core.task_status import TaskMissing, TaskPending
from kling_nb.errors import (
    AnswerLost,
    BadRequest,
    EndpointNotFound,
    InsufficientCredits,
    KeyLimitReached,
    LedgerError,
    Maintenance,
    NotSent,
    Problem,
    RateLimited,
    ServerFault,
    ServiceError,
    Unauthorized,
    UnreadableAnswer,
)
from kling_nb.kie.client import Client, SubmitOutcome
from kling_nb.kie.rate_limit import Account, RateLimiter
from tests.support.service import CREATE, KEY, Clock

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


class Service:
    """Gives the answers in turn, the last one again and again, and keeps the requests."""

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
        """A client whose network ends here."""
        return Client(Key(KEY), transport=httpx.MockTransport(self))

    def create(self) -> str | SubmitOutcome:
        """How a createTask ends."""
        return asyncio.run(self.client().create_task(BODY, fields=FIELDS))


def test_a_task_is_made() -> None:
    """One POST with our User-Agent and the key; the id comes back."""
    service = Service(CREATED)
    assert service.create() == TASK
    [request] = service.requests
    assert str(request.url) == f"https://api.kie.ai{CREATE}"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"].startswith("kling_nb/")
    assert json.loads(request.content) == BODY


@pytest.mark.parametrize("error", LOST, ids=lambda error: error.__name__)
def test_a_lost_answer_is_not_asked_for_again(error: type[Exception]) -> None:
    """The request may have arrived: nobody knows, and it is sent once."""
    service = Service(error, CREATED)
    outcome = service.create()
    assert isinstance(outcome, SubmitOutcome)
    assert outcome.may_exist
    assert isinstance(outcome.error, AnswerLost)
    assert len(service.requests) == 1


@pytest.mark.parametrize("error", NEVER_SENT, ids=lambda error: error.__name__)
def test_what_never_left_is_sent_again(error: type[Exception]) -> None:
    """Not resolved, not connected, no connection free: no task can exist."""
    service = Service(error, error, CREATED)
    assert service.create() == TASK
    assert len(service.requests) == 3


def test_no_connection_at_all() -> None:
    """After some tries it is a refusal: surely no task exists."""
    service = Service(httpx.ConnectError)
    outcome = service.create()
    assert isinstance(outcome, SubmitOutcome)
    assert not outcome.may_exist
    assert isinstance(outcome.error, NotSent)
    assert len(service.requests) == 8


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"code": 401, "msg": "You do not have access permissions"}, Unauthorized),
        ({"code": 402, "msg": "Credits insufficient"}, InsufficientCredits),
        ({"code": 500, "msg": "Credits insufficient"}, InsufficientCredits),
        ({"code": 404, "msg": "no such endpoint"}, EndpointNotFound),
        ({"code": 422, "message": "generate playground failed, task id is blank"}, BadRequest),
        ({"code": 400, "msg": "bad"}, BadRequest),
        ({"code": 500, "msg": "This field is required"}, BadRequest),
        ({"code": 433, "msg": "limit"}, KeyLimitReached),
        ({"code": 455, "msg": "The service is under maintenance."}, Maintenance),
        (httpx.Response(401, text="no"), Unauthorized),
        (httpx.Response(402, text="no"), InsufficientCredits),
        (httpx.Response(422, json={"code": 422, "msg": "no"}), BadRequest),
    ],
    ids=str,
)
def test_a_refusal_is_told_once(answer: object, error: type[ServiceError]) -> None:
    """The service said no: its words, no task, nothing sent again."""
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
        {"code": 501, "msg": "Generation failed"},
        {"code": 505, "msg": "off"},
        {"code": 408, "msg": "timeout"},
        {"code": 200, "msg": "success", "data": {}},
        {"code": 200, "msg": "success", "data": {"taskId": " "}},
        httpx.Response(200, text="<h1>Just a moment...</h1>"),
        httpx.Response(502, text="<h1>502 Bad Gateway</h1>"),
        httpx.Response(524, text="a timeout occurred"),
        httpx.Response(403, text="error code: 1010"),
        httpx.Response(503, json={"code": 422, "msg": "a gateway that speaks JSON"}),
        httpx.Response(302, headers={"location": "https://elsewhere.example/"}),
        TOO_OFTEN | {"data": {"taskId": TASK}},
        httpx.Response(429, json={"recordId": TASK}),
        httpx.Response(429, json=CREATED),
    ],
    ids=str,
)
def test_an_answer_that_says_nothing(answer: object) -> None:
    """Nobody knows whether the task exists: told so, never sent again."""
    service = Service(answer)
    outcome = service.create()
    assert isinstance(outcome, SubmitOutcome)
    assert outcome.may_exist
    assert len(service.requests) == 1
    assert "Nothing was charged" not in str(outcome.error)


def test_a_refusal_says_what_is_allowed() -> None:
    """The catalogue's words stand beside the service's."""
    outcome = Service({"code": 422, "msg": "bad duration"}).create()
    assert isinstance(outcome, SubmitOutcome)
    assert "bad duration" in str(outcome.error)
    assert "duration: given '5'; allowed: 5, 10" in str(outcome.error)


def test_429_is_sent_again() -> None:
    """It was rejected and not queued."""
    service = Service(TOO_OFTEN, httpx.Response(429, text=""), CREATED)
    assert service.create() == TASK
    assert len(service.requests) == 3


def test_429_for_ever_is_a_refusal() -> None:
    """No task exists, and the person is told the limit."""
    service = Service(TOO_OFTEN)
    outcome = service.create()
    assert isinstance(outcome, SubmitOutcome)
    assert not outcome.may_exist
    assert isinstance(outcome.error, RateLimited)
    assert len(service.requests) == 8


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long is waited between tries, without waiting."""
    slept: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float, result: Any = None) -> Any:
        slept.append(seconds)
        return await sleep(0, result)

    monkeypatch.setattr(asyncio, "sleep", note)
    return slept


@pytest.mark.parametrize(("asked", "waited"), [("7", 7), ("600", 60)])
def test_retry_after_is_honoured(waits: list[float], asked: str, waited: float) -> None:
    """Up to a minute: longer than that, no cell should stand still."""
    service = Service(httpx.Response(200, json=TOO_OFTEN, headers={"Retry-After": asked}), CREATED)
    with stamina.set_testing(False):
        assert service.create() == TASK
    assert waits == [waited]


def test_without_retry_after_waits_grow(waits: list[float]) -> None:
    """A rate limit is not hammered at; a date in `Retry-After` is no number of seconds."""
    limited = httpx.Response(429, headers={"Retry-After": "Fri, 20 Nov 2026 12:00:00 GMT"})
    service = Service(limited, TOO_OFTEN, TOO_OFTEN, TOO_OFTEN, CREATED)
    with stamina.set_testing(False):
        assert service.create() == TASK
    assert len(waits) == 4
    assert 0 < sum(waits) < 20
    assert waits[-1] > 0.4


def test_create_has_a_connection_of_its_own() -> None:
    """A kept-alive one that the server closes at the next request would give a false unknown."""

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


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.create_task(BODY),
        lambda client: client.task(TASK),
        lambda client: client.balance(),
        lambda client: client.fresh_url("https://tempfile.example/k/a.mp4"),
        lambda client: client.upload(b"x", "a.png", "image/png"),
        lambda client: client.upload_base64(b"x", "a.png"),
        lambda client: client.upload_from_url("https://a.example/a.png", "a.png"),
    ],
)
def test_no_redirect_is_followed(call: Callable[[Client], Any]) -> None:
    """A redirect would carry the key to another host."""
    seen: list[str] = []

    def redirect(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.host)
        return httpx.Response(307, headers={"location": "https://elsewhere.example/"})

    async def play() -> None:
        try:
            await call(Client(Key(KEY), transport=httpx.MockTransport(redirect)))
        except ServiceError:
            return

    asyncio.run(play())
    assert set(seen) <= {"api.kie.ai", "kieai.redpandaai.co"}
    assert seen


def test_what_recordinfo_says() -> None:
    """The id is a query parameter; the answer is a value."""
    service = Service(
        {"code": 200, "msg": "success", "data": {"taskId": "a b", "state": "queuing"}}
    )
    assert asyncio.run(service.client().task("a b")) == TaskPending("a b", "queuing")
    assert service.requests[0].url.params["taskId"] == "a b"


def test_a_task_that_is_not_known() -> None:
    """422 `recordInfo is null` is an answer about the task and no error."""
    service = Service({"code": 422, "msg": "recordInfo is null", "data": None})
    assert asyncio.run(service.client().task(TASK)) == TaskMissing(TASK, "recordInfo is null")


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
def test_a_question_is_asked_once(answer: object, error: type[Exception]) -> None:
    """When to ask again is not the client's business."""
    service = Service(answer)
    with pytest.raises(error):
        asyncio.run(service.client().task(TASK))
    assert len(service.requests) == 1


def test_an_upload_goes_up_in_full() -> None:
    """Multipart with the fields that the service asks for; told how far it is."""
    url = "https://tempfile.redpandaai.co/kieai/a.png"
    service = Service({"success": True, "code": 200, "msg": "ok", "data": {"downloadUrl": url}})
    content, told = b"p" * 150_000, []
    client = service.client()
    sent = asyncio.run(client.upload(content, "a.png", "image/png", lambda *so: told.append(so)))
    [request] = service.requests
    body = request.content
    assert sent == url
    assert request.url.host == "kieai.redpandaai.co"
    assert len(body) == int(request.headers["content-length"])
    assert content in body
    for part in (b'name="uploadPath"', b'filename="a.png"', b"image/png"):
        assert part in body
    assert told[-1] == (len(body), len(body))
    assert [done for done, _ in told] == sorted(done for done, _ in told)


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
    """A budget on a clock that waiting moves, and what it made us wait."""

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
        return Client(Key(KEY), transport=httpx.MockTransport(service), budget=self.budget)


def test_new_tasks_wait_for_their_turn() -> None:
    """Forty at once go in two crowds of twenty, and none is rejected."""
    service, waiting = Service(CREATED), Waiting()

    async def play() -> list[str | SubmitOutcome]:
        client = waiting.client(service)
        return await asyncio.gather(*(client.create_task(BODY) for _ in range(40)))

    assert asyncio.run(play()) == [TASK] * 40
    assert waiting.waits == [pytest.approx(NEW_TASKS.kept_s)]


def test_questions_wait_for_their_turn() -> None:
    """Ten a second; asking for the balance is not counted (source: D)."""
    service, waiting = (
        Service({"code": 200, "data": {"taskId": TASK, "state": "waiting"}}),
        Waiting(),
    )

    async def play() -> None:
        client = waiting.client(service)
        await asyncio.gather(*(client.task(TASK) for _ in range(11)))

    asyncio.run(play())
    assert waiting.waits == [pytest.approx(STATUS_REQUESTS.kept_s)]
    balance = waiting.client(Service({"code": 200, "data": 1}))
    assert asyncio.run(balance.balance()) == 1
    assert len(waiting.waits) == 1


def test_nothing_waits_behind_the_questions() -> None:
    """Fifty jobs ask at once and the budget lets none through: the balance comes all the same."""
    service = Service({"code": 200, "data": 5916.25})
    first, at_rest = asyncio.Event(), asyncio.Event()

    async def sleep(_: float) -> None:
        first.set()
        await at_rest.wait()

    async def play() -> float:
        clock = Clock()
        budget = RateLimiter(Account("here"), clock=clock.epoch, sleep=sleep)
        await budget.status_requests.hold_back(1.0)
        client = Client(Key(KEY), transport=httpx.MockTransport(service), budget=budget)
        asking = [asyncio.create_task(client.task(TASK)) for _ in range(50)]
        async with asyncio.timeout(20):
            await first.wait()
        credits = await client.balance()
        assert len(service.requests) == 1
        for question in asking:
            question.cancel()
        return credits

    assert asyncio.run(asyncio.wait_for(play(), 20)) == 5916.25


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(b"7", 7.0), (b"0", 0.0), (b"\xb2", None), (b"-1", None), (b"9" * 400, None), (b"7.5", None)],
)
def test_retry_after_is_a_whole_number_or_nothing(header: bytes, seconds: float | None) -> None:
    """What cannot be read is as if it were not there, and never an error of ours."""
    limited = httpx.Response(429, headers=[(b"retry-after", header)], json=TOO_OFTEN)
    with pytest.raises(RateLimited) as caught:
        asyncio.run(Service(limited).client().task(TASK))
    assert caught.value.retry_after_s == seconds
    assert Service(limited, limited, CREATED).create() == TASK


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.create_task(BODY, sending=None),
        lambda client: client.task(TASK),
        lambda client: client.balance(),
        lambda client: client.fresh_url("https://tempfile.example/k/a.mp4"),
        lambda client: client.upload(b"x", "a.png", "image/png"),
        lambda client: client.upload_base64(b"x", "a.png"),
        lambda client: client.upload_from_url("https://a.example/a.png", "a.png"),
    ],
)
def test_a_closed_client_says_so(call: Callable[[Client], Any]) -> None:
    """In words for a person, and nothing is sent any more."""
    service = Service(CREATED)

    async def play() -> None:
        client = service.client()
        await client.aclose()
        await call(client)

    with pytest.raises(LedgerError, match="this session is closed; use the session that"):
        asyncio.run(play())
    assert service.requests == []


def test_a_closed_client_does_not_say_that_it_is_sending() -> None:
    """The ledger would take the request for one that may be paid."""

    async def sending() -> None:
        raise AssertionError("it must not be noted as sent")

    async def play() -> None:
        client = Service(CREATED).client()
        await client.aclose()
        await client.create_task(BODY, sending=sending)

    with pytest.raises(LedgerError, match="is closed"):
        asyncio.run(play())


def test_sending_is_told_when_the_turn_has_come() -> None:
    """Once, after the wait and before anything is sent: who dies in the line has sent nothing."""
    service, waiting = Service(TOO_OFTEN, CREATED), Waiting()
    told: list[tuple[int, int]] = []

    async def sending() -> None:
        told.append((len(waiting.waits), len(service.requests)))

    async def play() -> str | SubmitOutcome:
        for _ in range(20):
            await waiting.budget.new_tasks.wait()
        return await waiting.client(service).create_task(BODY, sending=sending)

    assert asyncio.run(play()) == TASK
    assert told == [(1, 0)]


def test_what_cannot_be_noted_is_not_sent() -> None:
    """A ledger that fails in that moment stops the request."""
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
    """The next try, and every other kernel, waits a little: the service's answer wins."""
    service = Service(httpx.Response(200, json=TOO_OFTEN, headers=headers), CREATED)
    waiting = Waiting()
    assert asyncio.run(waiting.client(service).create_task(BODY)) == TASK
    assert waiting.waits == [pytest.approx(held_s)]


def test_a_429_for_a_question_holds_questions_back() -> None:
    """And no new task."""
    service, waiting = Service(TOO_OFTEN), Waiting()
    with pytest.raises(RateLimited):
        asyncio.run(waiting.client(service).task(TASK))
    asyncio.run(waiting.budget.new_tasks.wait())
    assert waiting.waits == []
    asyncio.run(waiting.budget.status_requests.wait())
    assert waiting.waits == [pytest.approx(STATUS_REQUESTS.kept_s / 4)]


def test_a_key_that_the_service_repeats_is_not_kept() -> None:
    """Its answers are kept as they come, and the key is in nothing that is kept."""
    service = Service({"code": 500, "msg": f"broken for {KEY}"})
    outcome = service.create()
    assert isinstance(outcome, SubmitOutcome)
    assert "broken for (key)" in outcome.answer
    assert KEY not in f"{outcome.answer} {outcome.error}"
