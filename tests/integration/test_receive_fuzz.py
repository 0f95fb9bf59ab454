"""Twenty thousand broken, forged and hostile requests: nothing is raised, nothing is believed."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import math
import random
import time
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import pytest
from tornado.httpserver import HTTPServer

from kling_nb.callbacks.listen import create_endpoint
from kling_nb.callbacks.server import create_server
from kling_nb.callbacks.worker import CallbackWorker
from kling_nb.core.job_state import Stage
from kling_nb.core.limits import CALLBACK_LIMIT_BYTES
from kling_nb.core.poll_schedule import PollSchedule
from kling_nb.core.secret import Key
from kling_nb.emulator import Emulator
from kling_nb.jobs.callback_inbox import stored_callbacks
from kling_nb.jobs.poller import Poller
from kling_nb.jobs.session import Session
from kling_nb.kie.webhooks import sign_callback
from kling_nb.storage.job_record import JobRecord
from tests.support.callback_endpoints import each, exchange, status_of
from tests.support.service import EASY, RECORD, Open, Wire

REQUESTS = 20_000
CHUNK = 1_000
SEED = 20261123
WEBHOOK_KEY = "whsec-0123456789"
SAMPLES = [
    path.read_bytes() for path in sorted((Path(__file__).parents[1] / "samples").glob("callback.*"))
]
METHODS = ["POST"] * 60 + ["GET", "PUT", "HEAD", "DELETE", "OPTIONS", "TRACE", "post", "P\xd6ST"]
PATHS = ["/"] * 60 + ["//", "/kling", "/../", "/\x00", "*", "", "/" + "x" * 5000]
ENCODINGS = ["utf-8"] * 8 + ["utf-16", "utf-32", "utf-7", "cp037", "utf-8-sig"]
ANSWERS = {200, 400, 403, 404, 405, 408, 413, 415, 503}


class Attacker:
    """Makes requests out of the real documents, with and without what only the service knows."""

    def __init__(self, rows: list[JobRecord]) -> None:
        self.dice = random.Random(SEED)
        self.tokens = [row.nonce for row in rows]
        self.ids = [row.task_id for row in rows if row.task_id] + ["0" * 32, "x", "' OR 1=1 --"]

    def request(self) -> list[bytes]:
        """The head of a request, and the parts of its body."""
        body = self.body()
        headers = self.headers(body)
        target = self.dice.choice(PATHS).encode() + b"?" + self.query()
        lines = [b"%s %s HTTP/1.1" % (self.dice.choice(METHODS).encode("latin-1"), target)]
        lines += [b"%s: %s" % header for header in headers]
        cuts = sorted(self.dice.randrange(len(body) + 1) for _ in range(self.dice.randrange(4)))
        parts = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
        if not any(name == b"content-length" for name, _ in headers):
            lines.append(b"transfer-encoding: chunked")
            parts = [b"%x\r\n%s\r\n" % (len(part), part) for part in parts if part]
            parts.append(b"0\r\n\r\n")
        return [b"\r\n".join([*lines, b"", b""]), *parts]

    def query(self) -> bytes:
        """A value that is known, guessed, bent or missing."""
        token = self.dice.choice(self.tokens)
        known = f"kling_nb={token}"
        bent = [
            "", "kling_nb=", f"kling_nb={token[:-1]}", f"KLING_NB={token}", f"kling_nb={token}%00",
            f"kling_nb={token}&kling_nb=x", "kling_nb=" + "A" * 5000, "kling_nb=' OR ''='",
            f"a=1&kling_nb={token}&b=%ff", "&" * 1000, "kling_nb=\u2028",
        ]  # fmt: skip
        return self.dice.choice([known] * 20 + bent).encode()

    def headers(self, body: bytes) -> list[tuple[bytes, bytes]]:
        """Signed well, badly or not; encodings and lengths that are true or false."""
        at = str(int(time.time()) + self.dice.choice([0, 0, 0, 0, -400, 400]))
        key = self.dice.choice([WEBHOOK_KEY] * 6 + ["another"])
        task_id = self.dice.choice(self.ids)
        found = [
            (b"x-webhook-timestamp", self.dice.choice([at.encode()] * 9 + [b"", b"\xff", b"1e9"])),
            (b"x-webhook-signature", sign_callback(key, task_id, at).encode()),
            (b"content-encoding", self.dice.choice([b"identity"] * 9 + [b"gzip", b"\xff", b"br"])),
            (b"content-length", self.dice.choice(
                [str(len(body)).encode()] * 19 + [b"-1", b"9" * 5000, b"x", b""])),
            (b"host", self.dice.choice([b"h"] * 19 + [b"", b"\xff"])),
        ]  # fmt: skip
        broken = (b"\xe4\x00", bytes(self.dice.randrange(256) for _ in range(5)))
        kept = [header for header in found if self.dice.random() < 0.8 or header[0] == b"host"]
        return [*kept, broken] if self.dice.random() < 0.02 else kept

    def body(self) -> bytes:
        """A document, mutated."""
        body = self.document()
        for _ in range(self.dice.choice([0, 0, 0, 1, 2, 5])):
            body = self.mutated(body)
        return body

    def document(self) -> bytes:
        """One of the specification's, or one of another form, about a task that may be ours."""
        task_id, state = self.dice.choice(self.ids), self.dice.choice(["success", "fail", "x", 7])
        links = json.dumps({"resultUrls": ["https://evil.example/x.mp4"]})
        data = {"taskId": task_id, "state": state, "resultJson": links, "failMsg": "<script>"}
        forms: list[object] = [
            {"code": 200, "data": data},
            {"code": 200, "data": {"task_id": task_id}},
            {"taskId": task_id},
            {"data": {**data, "completeTime": 1e308, "consumeCredits": float("nan")}},
            {"data": [data]},
            [data],
            task_id,
        ]
        if self.dice.random() < 0.3:
            sample = self.dice.choice(SAMPLES)
            old = sample.partition(b'"taskId": "')[2][:32]
            return sample.replace(old, task_id.encode())
        text = json.dumps(self.dice.choice(forms))
        return text.encode(self.dice.choice(ENCODINGS))

    def mutated(self, body: bytes) -> bytes:
        """One change."""
        at = self.dice.randrange(len(body) + 1)
        until = min(len(body), at + self.dice.randrange(1, 50))
        match self.dice.randrange(10):
            case 0:
                return body[:at]
            case 1:
                return body[:at] + self.dice.randbytes(self.dice.randrange(1, 20)) + body[at:]
            case 2:
                return body[:at] + body[until:]
            case 3:
                return body[:until] + body[at:]
            case 4:
                return body[:at] + self.dice.choice([b'"', b"\\", b"{", b'}"', b"\0"]) + body[at:]
            case 5:
                return body.replace(b'"', self.dice.choice([b"'", b'\\"', b'\\\\"']), 3)
            case 6:
                return gzip.compress(body, 1, mtime=0)
            case 7 if self.dice.random() < 0.1:
                return body + b" " * CALLBACK_LIMIT_BYTES
            case 8 if self.dice.random() < 0.2:
                return b"[" * 20_000 + body
            case _:
                return body[:at] + bytes([self.dice.randrange(256)]) + body[at + 1 :]


def prepare(session: Session, emulator: Emulator) -> list[JobRecord]:
    """A running job, a lost one, a failed one, and one with an expired clip."""
    running = session.text_to_video("Running", callback_url="https://my.example/")
    emulator.account.inject("lose-answer")
    lost = session.text_to_video("Lost", callback_url="https://my.example/")
    emulator.account.inject("fail-internal")
    failed = session.text_to_video("Failed", callback_url="https://my.example/")
    expired = session.text_to_video("Expired", callback_url="https://my.example/")
    rows = [session.ledger.row(job.id) for job in (running, lost, failed, expired)]
    assert [row.stage for row in rows[:2]] == [Stage.ACCEPTED, Stage.UNKNOWN]
    # These are over for the ledger, whatever the service would say now.
    for row, stages in zip(
        rows[2:], ([Stage.FAILED], [Stage.SUCCEEDED, Stage.EXPIRED]), strict=True
    ):
        session.job(row.id).detach()
        while session.ledger.row(row.id).owner:  # it is let go behind the call
            time.sleep(0.01)
        for stage in stages:
            session.ledger.advance(row.id, stage, reason="for the test")
    return [session.ledger.row(row.id) for row in rows]


async def attack(server: HTTPServer, attacker: Attacker, number: int) -> Counter[int]:
    """Send so many requests; what was answered. An exception ends the test."""
    answers = [await exchange(server, each(*attacker.request())) for _ in range(number)]
    return Counter(status_of(answer) if answer else 0 for answer in answers)


async def act(worker: CallbackWorker, poller: Poller) -> None:
    """Process all stored callbacks, and wait for the status requests that they cause."""
    session = worker.session
    while stored_callbacks(session.ledger, session.service, frozenset()):
        worker._not_before.clear()
        await worker.check()
        while tasks := set(worker._tasks):
            await asyncio.wait(tasks)
    await asyncio.sleep(0)  # `poll_now` is called by the loop
    while poller._is_urgent or not (  # noqa: ASYNC110 - a poller does not report that it waits
        poller._turn.is_waiting and math.isfinite(poller._turn.due_at)
    ):
        await asyncio.sleep(0.01)


@pytest.mark.timeout(600)
def test_twenty_thousand_requests(
    open_session: Open,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """0 exceptions past the handler, and no job changes without a question to the service."""
    # Only callbacks trigger polls.
    monkeypatch.setattr(PollSchedule, "delay_s", lambda *_, **__: 3600.0)
    caplog.set_level(logging.INFO, "kling_nb")
    emulator = Emulator(tmp_path / "service", seconds=3600, render="canned", limits=EASY)
    wire = Wire(emulator.transport())
    session = open_session(transport=wire, emulator_seconds=3600)
    rows = prepare(session, emulator)
    attacker = Attacker(rows)
    real = {task.task_id for task in emulator.account.tasks()}
    answered = play(session, rows, attacker, wire, real)
    check_end(session, rows, answered)
    assert not [record for record in caplog.records if record.exc_info]
    log = caplog.text
    assert not any(secret in log for secret in [*attacker.tokens, WEBHOOK_KEY, "evil.example"])
    emulator.close()


def play(
    session: Session, rows: list[JobRecord], attacker: Attacker, wire: Wire, real: set[str]
) -> Counter[int]:
    """Attack with and without a webhook key, and look at the jobs each time."""
    told: list[bool] = []
    servers = [
        create_server(create_endpoint("", key, session, lambda: told.append(True)))
        for key in (None, Key(WEBHOOK_KEY))
    ]
    worker, answered, last = CallbackWorker(session), Counter[int](), REQUESTS // CHUNK - 1
    poller = session.job(rows[0].id).controller.poller
    with asyncio.Runner() as runner:
        for chunk in range(last + 1):
            if chunk == last:  # now the lost task is named, too
                attacker.ids = sorted(real - {row.task_id for row in rows})
            before = standings(session, rows)
            wire.requests.clear()
            answered += runner.run(attack(servers[chunk % 2], attacker, CHUNK))
            # Accepted callbacks are on disk by now; nothing was polled, and no job has changed.
            assert ids_asked(wire.requests) == set()
            assert standings(session, rows) == before
            session.loop.call(act(worker, poller))
            check_asked(before, standings(session, rows), real & ids_asked(wire.requests))
    assert len(told) == answered[200]
    assert worker.counts["accepted"] > 50
    return answered


def standings(session: Session, rows: list[JobRecord]) -> list[tuple[object, ...]]:
    """What a callback could change; the balance is watched meanwhile, and noted."""
    return [
        (row.task_id, row.stage, row.result_url, row.clip, row.credits, row.owner, row.nonce)
        for row in (session.ledger.row(each.id) for each in rows)
    ]


def check_asked(
    before: list[tuple[object, ...]], after: list[tuple[object, ...]], asked: set[str]
) -> None:
    """Each job that has changed has a task that exists, and was asked about since."""
    for old, new in zip(before, after, strict=True):
        assert new == old or new[0] in asked, f"{new[1]} without a question"


def ids_asked(requests: list[httpx.Request]) -> set[str]:
    """Which tasks the service was asked about; nothing but questions may be sent."""
    assert {request.method for request in requests} <= {"GET"}
    asked = [request for request in requests if request.url.path == RECORD]
    return {parse_qs(request.url.query.decode())["taskId"][0] for request in asked}


def check_end(session: Session, rows: list[JobRecord], answered: Counter[int]) -> None:
    """What is left: one answer each, the forged ends changed nothing, the lost job is found."""
    assert sum(answered.values()) == REQUESTS
    assert answered.keys() <= ANSWERS
    # The attack got through: every kind of answer was given often enough to mean something.
    assert all(answered[status] > 50 for status in (200, 400, 403, 404, 405, 413, 415)), answered
    running, lost, failed, expired = (session.ledger.row(row.id) for row in rows)
    assert running.stage is Stage.ACCEPTED
    assert not session.job(running.id).done()
    assert (failed.stage, expired.stage) == (Stage.FAILED, Stage.EXPIRED)
    assert lost.stage is Stage.ACCEPTED
    assert len({row.task_id for row in (running, lost, failed, expired)}) == 4
    assert len(session.ledger.rows(limit=-1)) == len(rows)
