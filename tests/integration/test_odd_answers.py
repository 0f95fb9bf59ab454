"""Unexpected createTask answers: at most one task in two runs, and each end is typed.

The stand-in speaks over real sockets and counts the tasks that it makes. Where an answer may come
from a task that was made, it makes one at each request, so that a request sent twice is seen.
"""

from __future__ import annotations

import gzip
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
import pytest

import kling_nb.kie.client
from kling_nb.core.job_state import Refused, Stage, Unknown
from kling_nb.display.html import render_record, render_text
from kling_nb.errors import KlingError, LedgerError, TaskUnknown
from kling_nb.jobs.job import Job
from tests.support.html_states import NOW
from tests.support.service import CREATE, KEY, RECORD, Open

TASK = "56074f12319c68b246e5a03e05608f31"
OTHER = "0f2e4d6c8b0a1f3e5d7c9b8a6f4e2d0c"
MODEL = "kling-2.6/text-to-video"
Meaning = Literal["accepted", "refused", "unknown"]


@dataclass(frozen=True)
class Odd:
    """An answer of createTask, byte by byte, and what it means."""

    pieces: tuple[bytes, ...]
    meaning: Meaning = "unknown"
    ids: tuple[str, ...] = (TASK,)
    """What it names and can be adopted."""
    stalls: bool = False
    """The connection stays open behind the last piece."""


def http(status: int, body: bytes, *headers: str, length: int | None = None) -> bytes:
    """An HTTP answer as bytes; `length` is a Content-Length that is not true."""
    size = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status} Odd", "Connection: close", f"Content-Length: {size}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def envelope(code: object, data: object = None, msg: str = "their words", **more: object) -> bytes:
    """A body as the service writes it."""
    return json.dumps({"code": code, "msg": msg, "data": data} | more).encode()


def odd(status: int, body: bytes, *headers: str, **more: Any) -> Odd:
    """An answer that comes whole."""
    return Odd((http(status, body, *headers),), **more)


def trickled(status: int, body: bytes) -> Odd:
    """An answer with a body in chunks of one byte."""
    head = http(status, b"", "Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"")
    return Odd((head, *(b"1\r\n%c\r\n" % byte for byte in body), b"0\r\n\r\n"))


NAMED = {"taskId": TASK, "recordId": TASK}
PARAMETER = "This field is required"
CREATED = envelope(200, NAMED, "success")
REFUSING = envelope(429, NAMED)
ZIPPED = gzip.compress(REFUSING, mtime=0)
TWICE = {
    "code": b'{"code":429,"code":200,"data":{"taskId":"%s"}}',
    "code, the other way": b'{"code":200,"code":429,"data":{"taskId":"%s"}}',
    "data": b'{"code":429,"data":{"taskId":"%s"},"data":null}',
    "data, the other way": b'{"code":422,"data":null,"data":{"taskId":"%s"}}',
    "taskId": b'{"code":429,"data":{"taskId":"%s","taskId":""}}',
    "taskId of a success": b'{"code":200,"data":{"taskId":"","taskId":"%s"}}',
}
PLACES: dict[str, bytes] = {
    "recordId": envelope(429, {"recordId": TASK}),
    "root": envelope(429, None, taskId=TASK),
    "root recordId": envelope(422, None, recordId=TASK),
    "nested": envelope(429, {"task": {"info": [{"taskId": TASK}]}}),
    "list": envelope(429, {"taskIds": [TASK]}),
    "task_id": envelope(429, {"task_id": TASK}),
    "JSON in JSON": envelope(429, json.dumps({"taskId": TASK})),
    "JSON in JSON in JSON": envelope(429, json.dumps({"a": json.dumps({"taskId": TASK})})),
    "escaped key": REFUSING.replace(b"taskId", rb"task\u0049d").replace(b"record", b"other"),
    "UTF-8 mark": b"\xef\xbb\xbf" + REFUSING,
    "UTF-16": REFUSING.decode().encode("utf-16"),
    "behind 9,000 characters": envelope(429, {"noise": "x" * 9000, "taskId": TASK}),
    "cut": REFUSING[: REFUSING.index(b"recordId") + 20],
}

ANSWERS: dict[str, Odd] = {
    **{
        f"code {code} with a task": odd(200, envelope(code, NAMED, msg))
        for code, msg in (
            (400, "no"), (401, "no"), (402, "no"), (403, "no"), (404, "no"), (408, "no"),
            (409, "no"), (422, "no"), (429, "no"), (433, "no"), (455, "no"), (524, "no"),
            (500, PARAMETER), (500, "Credits insufficient"), (500, "no"), (501, "no"), (505, "no"),
        )
    },
    **{
        f"code 500, {msg!r}, with a task": odd(200, envelope(500, NAMED, msg))
        for msg in (PARAMETER, "Credits insufficient")
    },
    **{
        f"HTTP {status} with a task": odd(status, envelope(status, NAMED))
        for status in (400, 401, 402, 403, 404, 422, 429, 500, 502, 503)
    },
    **{
        f"HTTP {status} without a code, with a task": odd(status, json.dumps(NAMED).encode())
        for status in (401, 402, 404, 422, 429)
    },
    **{f"429 with a task: {place}": odd(200, body) for place, body in PLACES.items()},
    **{
        f"HTTP 429 with a task: {place}": odd(429, PLACES[place])
        for place in ("JSON in JSON", "cut", "UTF-16", "escaped key")
    },
    **{f"twice: {key}": odd(200, body % TASK.encode()) for key, body in TWICE.items()},
    **{
        f"HTTP {status} and code 200": odd(status, CREATED)
        for status in (201, 202, 401, 402, 404, 422, 429, 500, 502)
    },
    "HTTP 429 and code 422": odd(429, envelope(422), ids=()),
    "HTTP 422 and code 429": odd(422, envelope(429), ids=()),
    "HTTP 401 and code 200 without a task": odd(401, envelope(200), ids=()),
    "HTTP 404 and a code that is none": odd(404, envelope("no"), ids=()),
    "HTTP 429 and half a document": odd(429, b'{"code":42', ids=()),
    **{
        f"redirect {status}": odd(status, b"", f"Location: {CREATE}", ids=())
        for status in (301, 302, 303, 307, 308)
    },
    "redirect 307 with a task": odd(307, CREATED, f"Location: {CREATE}"),
    "trickle": trickled(200, REFUSING),
    "trickle, HTTP 429": trickled(429, REFUSING),
    "trickle without an end": Odd((http(200, CREATED[:30], length=900),), ids=(), stalls=True),
    "trickle without an end, with a task": Odd((http(429, REFUSING, length=900),), stalls=True),
    "shorter than its length": Odd((http(200, REFUSING, length=900),)),
    "HTTP 429 shorter than its length": Odd((http(429, REFUSING, length=900),)),
    "larger than 1 MB": odd(200, envelope(429, NAMED, noise="x" * 1_100_000)),
    "gzip that breaks off": odd(429, ZIPPED[:-9], "Content-Encoding: gzip"),
    "longer than its length": Odd((http(200, CREATED, length=40),), ids=()),
    "HTTP 429 longer than its length": Odd((http(429, REFUSING, length=12),), ids=()),
    "two lengths": odd(200, REFUSING, "Content-Length: 5", ids=()),
    "a length that is none": Odd((http(200, REFUSING).replace(b"Length: ", b"Length: x"),), ids=()),
    "a broken chunk": Odd(
        (http(429, b"", "Transfer-Encoding: chunked") + b"zz\r\n" + REFUSING,), ids=()
    ),
    "bad gzip": odd(200, REFUSING, "Content-Encoding: gzip", ids=()),
    "HTTP 429 bad gzip": odd(429, REFUSING, "Content-Encoding: gzip", ids=()),
    "gzip": odd(200, ZIPPED, "Content-Encoding: gzip"),
    "gzip, HTTP 429": odd(429, ZIPPED, "Content-Encoding: gzip"),
    "no status line": Odd((REFUSING,), ids=()),
    "nothing": Odd((b"",), ids=()),
    "HTTP 429 with a form": odd(429, f"status=queued&taskId={TASK}".encode()),
    "HTTP 429 with plain text": odd(429, f"Busy. Task_ID: {TASK}.".encode()),
    "429 with a task in its message": odd(200, envelope(429, None, f"queued as taskId={TASK}")),
    "429 with a task in words": odd(200, envelope(429, None, f"Queued. Task ID: {TASK}")),
    "429 with a quoted task": odd(200, envelope(429, None, f'queued as taskId="{TASK}"')),
    "429 with a page": odd(429, f"<p>Busy</p><taskId>{TASK}</taskId>".encode()),
    "429 with an object for an id": odd(200, envelope(429, {"taskId": {"id": TASK}}), ids=()),
    "429 with a long id": odd(429, envelope(429, {"taskId": TASK * 9}), ids=()),
    "a page with a task": odd(200, b"<pre>" + CREATED + b"</pre>"),
    "success without a code": odd(200, json.dumps({"data": NAMED}).encode()),
    "success whose task is a number": odd(200, envelope(200, {"taskId": 17}), ids=("17",)),
    "two ids": odd(
        200, envelope(200, {"taskId": TASK, "recordId": OTHER}), meaning="accepted"
    ),
    "an id at the root": odd(200, envelope(200, None, taskId=TASK), meaning="accepted"),
    "an id with spaces around": odd(
        200, envelope(200, {"taskId": f" {TASK} "}), meaning="accepted"
    ),
    "a refusal with an empty id": odd(
        200, envelope(422, {"taskId": "", "recordId": " "}), meaning="refused"
    ),
    "a refusal that speaks of a task": odd(
        200, envelope(422, None, "task_id: is required"), meaning="refused"
    ),
    "a refusal with null for an id": odd(200, envelope(422, {"taskId": None}), meaning="refused"),
    "a refusal with words about an id": odd(
        200, envelope(422, None, "generate playground failed, task id is blank"), meaning="refused"
    ),
    "HTTP 422 as a page": odd(422, b"<html>no</html>", meaning="refused"),
    "HTTP 422 as its code": odd(422, envelope("422"), meaning="refused"),
}  # fmt: skip
BY_MEANING = {
    meaning: {name: each for name, each in ANSWERS.items() if each.meaning == meaning}
    for meaning in ("accepted", "refused", "unknown")
}


@dataclass
class StandIn:
    """A service on this machine that gives one odd answer to each createTask."""

    answer: Odd = field(default_factory=lambda: Odd(()))
    posts: int = 0
    url: str = ""

    @property
    def tasks(self) -> int:
        """How many tasks were made: one at each request, unless it was refused."""
        return 0 if self.answer.meaning == "refused" else self.posts


class Handler(socketserver.StreamRequestHandler):
    """One connection, one request."""

    def handle(self) -> None:
        """Answer createTask with the odd answer; other endpoints as the service does."""
        stand_in: StandIn = self.server.stand_in  # type: ignore[attr-defined]
        path = self.rfile.readline().split()[1].decode().partition("?")[0]
        length = 0
        while (line := self.rfile.readline().strip().lower()) != b"":
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        self.rfile.read(length)
        if path != CREATE:
            self.wfile.write(self.usual(path))
            return
        stand_in.posts += 1
        for piece in stand_in.answer.pieces:
            self.wfile.write(piece)
        if stand_in.answer.stalls:
            self.rfile.read(1)

    def usual(self, path: str) -> bytes:
        """The balance, or a task that runs."""
        if path == RECORD:
            return http(200, envelope(200, {"state": "generating"}))
        return http(200, envelope(200, 5916.25))


class Server(socketserver.ThreadingTCPServer):
    """Serves a stand-in."""

    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves early is no error."""


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    """A stand-in that listens on this machine."""
    stand_in = StandIn()
    with Server(("127.0.0.1", 0), Handler) as server:
        server.stand_in = stand_in  # type: ignore[attr-defined]
        stand_in.url = f"http://127.0.0.1:{server.server_address[1]}"
        serving = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        serving.start()
        yield stand_in
        server.shutdown()
        serving.join()


Run = Callable[[Odd], tuple[Any, Job | KlingError]]


@pytest.fixture
def run(stand_in: StandIn, open_session: Open, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Make the request in a new session: the session, and the job or why there is none."""

    def make(answer: Odd) -> tuple[Any, Job | KlingError]:
        stand_in.answer = answer
        if answer.stalls:
            monkeypatch.setattr(kling_nb.kie.client, "_CREATE_TIMEOUT", httpx.Timeout(0.3))
        url = stand_in.url
        session = open_session(mode="live", api_key=KEY, api_url=url, upload_url=url)
        try:
            return session, session.generate(MODEL, prompt="A red fox")
        except KlingError as error:
            return session, error

    return make


def test_the_table_is_long_enough() -> None:
    """It does not shrink by a mistake."""
    assert len(ANSWERS) >= 65


@pytest.mark.parametrize("name", BY_MEANING["unknown"])
def test_an_odd_answer_is_unknown(name: str, stand_in: StandIn, run: Run) -> None:
    """One request in two runs; the end is typed, and names the command for each id it holds."""
    answer = ANSWERS[name]
    for _ in range(2):
        session, job = run(answer)
        assert isinstance(job, Job)
        error = job.exception(0)
        assert isinstance(error, TaskUnknown)
        assert isinstance(job.state, Unknown)
        assert job.state.evidence.task_ids == answer.ids
        for shown in (
            str(error),
            render_text(job.record, job.state, now=NOW),
            render_record(job.record, job.state, now=NOW),
        ):
            assert all(f"%kling adopt {each} {job.id}" in shown for each in answer.ids)
            assert "othing was charged" not in shown
            assert shown.count("may be paid") == 1
            # What was answered is unclear, not lost.
            assert ("lost" in shown) == (not session.ledger.row(job.id).answer.strip())
        session.close()
    assert stand_in.tasks == 1


@pytest.mark.parametrize("name", BY_MEANING["accepted"])
def test_a_success_is_accepted(name: str, stand_in: StandIn, run: Run) -> None:
    """By `taskId`; another id is kept as evidence. The second run joins the job."""
    for _ in range(2):
        session, job = run(ANSWERS[name])
        assert isinstance(job, Job)
        row = session.ledger.row(job.id)
        assert (row.stage, row.task_id) == (Stage.ACCEPTED, TASK)
        assert (OTHER in row.answer) == (name == "two ids")
        session.close()
    assert stand_in.tasks == 1


@pytest.mark.parametrize("name", BY_MEANING["refused"])
def test_a_refusal_stays_one(name: str, stand_in: StandIn, run: Run) -> None:
    """Nothing in it names a task: the person may change the request and send it again."""
    for _ in range(2):
        session, error = run(ANSWERS[name])
        assert isinstance(error, KlingError)
        assert not error.may_exist
        [row, *_] = session.ledger.rows()
        assert row.stage is Stage.REFUSED
        assert isinstance(session.job(row.id).state, Refused)
        session.close()
    assert stand_in.tasks == 0
    assert stand_in.posts == 2


def test_a_named_task_is_adopted(stand_in: StandIn, run: Run) -> None:
    """The command that the card shows brings the task to its job, and sends nothing."""
    session, job = run(ANSWERS["code 429 with a task"])
    assert isinstance(job, Job)
    adopted = session.adopt(TASK, job.id)
    assert adopted.id == job.id
    assert session.ledger.row(job.id).stage is Stage.ACCEPTED
    assert stand_in.posts == 1


def test_a_named_task_is_not_forgotten_by_the_way(stand_in: StandIn, run: Run) -> None:
    """To pay again although the answer names a task, a person has to say `--yes`."""
    session, job = run(ANSWERS["code 429 with a task"])
    assert isinstance(job, Job)
    with pytest.raises(LedgerError, match=rf"%kling adopt {TASK} {job.id}.*--yes"):
        session.forget(job.id)
    assert session.forget(job.id, yes=True).stage is Stage.FORGOTTEN
    assert stand_in.posts == 1
