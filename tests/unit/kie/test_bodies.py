"""Test `bodies`: reading an answer ends within limits of time and size."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from kling_nb.core.secret import Key
from kling_nb.errors import AnswerLost, KlingError, MediaError
from kling_nb.kie.bodies import Limits, announced_bytes, read_pieces
from kling_nb.kie.client import Client, SubmitOutcome
from kling_nb.kie.http import Downloader, Transfer
from kling_nb.kie.network import Network
from tests.support.service import KEY

BODY = {"model": "kling-2.6/text-to-video", "input": {"prompt": "x"}}
URL = "https://media.example/a.png"
SHORT = Limits(call_s=0.05, create_s=0.05, stalled_s=0.05, spare_s=0.05)
"""Limits that end long requests at once."""
USUAL = Limits()

Respond = Callable[[httpx.Request], httpx.Response]


class Body(httpx.AsyncByteStream):
    """A body of these pieces, which then ends, repeats them for ever, or stops."""

    def __init__(self, *pieces: bytes, then: str = "end") -> None:
        self.pieces = pieces
        self.then = then
        self.given = 0
        self.closed = False
        self.read_timeout_s: float | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the pieces."""
        while True:
            for piece in self.pieces:
                self.given += len(piece)
                yield piece
                await asyncio.sleep(0)
            if self.then == "stop":
                await self.stop()
            if self.then == "end":
                return

    async def stop(self) -> None:
        """Send nothing more, until the client's read timeout."""
        try:
            async with asyncio.timeout(self.read_timeout_s):
                await asyncio.Event().wait()
        except TimeoutError:
            raise httpx.ReadTimeout("") from None

    async def aclose(self) -> None:
        """Note that the client closed the connection."""
        self.closed = True


def answering(body: Body, status: int, **headers: str) -> httpx.MockTransport:
    """Return a network with one answer; `_` in names of headers stands for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def answer(request: httpx.Request) -> httpx.Response:
        body.read_timeout_s = request.extensions["timeout"]["read"]
        return httpx.Response(status, headers=named, stream=body)

    return httpx.MockTransport(answer)


def client(body: Body, limits: Limits = USUAL, **headers: str) -> Client:
    """Return a client of a service with one answer."""
    transport = answering(body, 200, **headers)
    return Client(Key(KEY), transport=transport, network=Network({}, limits))


def fetcher(body: Body, limits: Limits = USUAL, status: int = 200, **headers: str) -> Downloader:
    """Return a downloader with one answer."""
    transport = answering(body, status, **headers)
    return Downloader(transport=transport, network=Network({}, limits))


CALLS = [
    lambda client: client.task("t"),
    lambda client: client.balance(),
    lambda client: client.fresh_url("https://tempfile.example/k/a.mp4"),
    lambda client: client.upload(b"x", "a.png", "image/png"),
]
"""Every call beside createTask."""


@pytest.mark.parametrize("body", [Body(b" ", then="stop"), Body(b" ", then="again")])
@pytest.mark.parametrize("call", CALLS)
def test_a_slow_answer_ends(call: Callable[[Client], object], body: Body) -> None:
    """A call has a fixed total time."""
    with pytest.raises(AnswerLost, match=r"no complete answer within|is larger than"):
        asyncio.run(call(client(body, SHORT)))  # type: ignore[arg-type]
    assert body.closed


def test_a_task_with_a_slow_answer_is_unknown() -> None:
    """The time is over, and the task may exist."""
    begun = json.dumps({"code": 200, "data": {"taskId": "t" * 32}})[:-3].encode()
    outcome = asyncio.run(client(Body(begun, then="stop"), SHORT).create_task(BODY))
    assert isinstance(outcome, SubmitOutcome)
    assert outcome.may_exist
    assert "no complete answer within 0.05 s" in str(outcome.error)


def test_a_task_without_the_head_of_an_answer_is_unknown() -> None:
    """The total time includes the wait for the head."""

    async def never(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    transport, network = httpx.MockTransport(never), Network({}, SHORT)
    outcome = asyncio.run(Client(Key(KEY), transport=transport, network=network).create_task(BODY))
    assert isinstance(outcome, SubmitOutcome)
    assert outcome.may_exist


@pytest.mark.parametrize("call", CALLS)
def test_an_answer_ends_at_a_megabyte(call: Callable[[Client], object]) -> None:
    """The rest is not read."""
    body = Body(b"x" * 10_000, then="again")
    with pytest.raises(AnswerLost, match="larger than 1 MB"):
        asyncio.run(call(client(body)))  # type: ignore[arg-type]
    # An upload is sent again: each time as much is read.
    assert body.given <= 8 * 1_020_000


def test_a_task_with_an_endless_answer_is_unknown() -> None:
    """The request is sent once."""
    body = Body(b"x" * 10_000, then="again")
    outcome = asyncio.run(client(body).create_task(BODY))
    assert isinstance(outcome, SubmitOutcome)
    assert outcome.may_exist
    assert body.given <= 1_020_000


BOMB = gzip.compress(bytes(100_000_000), 9, mtime=0)
"""About 100 kB that decode to 100 MB."""


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (gzip.compress(gzip.compress(bytes(10_000_000), mtime=0), mtime=0), "gzip, gzip"),
        (gzip.compress(b"x", mtime=0), "br"),
        (gzip.compress(b"x", mtime=0), "zstd"),
        (gzip.compress(b"x", mtime=0), "gzip, br"),
    ],
)
def test_other_encodings_are_refused(content: bytes, encoding: str) -> None:
    """They were not requested, and nothing is decoded."""
    with pytest.raises(MediaError, match="which was not requested"):
        asyncio.run(fetcher(Body(content), content_encoding=encoding).fetch(URL, 10_000_000))
    outcome = asyncio.run(client(Body(content), content_encoding=encoding).create_task(BODY))
    assert isinstance(outcome, SubmitOutcome)
    assert outcome.may_exist


def test_a_decompression_bomb_is_decoded_up_to_the_limit() -> None:
    """100 kB that decode to 100 MB raise an error."""
    with pytest.raises(MediaError, match="larger than 10 MB"):
        asyncio.run(fetcher(Body(BOMB), content_encoding="gzip").fetch(URL, 10_000_000))
    with pytest.raises(AnswerLost, match="larger than 1 MB"):
        asyncio.run(client(Body(BOMB), content_encoding="gzip").balance())


def test_pieces_are_small() -> None:
    """Also if one packet decodes to more."""

    async def play() -> list[int]:
        response = httpx.Response(200, headers={"content-encoding": "gzip"}, stream=Body(BOMB))
        return [len(piece) async for piece in read_pieces(response)]

    sizes = asyncio.run(play())
    assert max(sizes) <= 1_000_000
    assert sum(sizes) == 100_000_000


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (gzip.compress(b'{"code": 200, "data": 5}', mtime=0), "gzip"),
        (zlib.compress(b'{"code": 200, "data": 5}'), "deflate"),
        (b'{"code": 200, "data": 5}', "identity"),
    ],
)
def test_one_encoding_is_decoded(content: bytes, encoding: str) -> None:
    """A proxy may encode an answer without request; the client still reads the paid answer."""
    assert asyncio.run(client(Body(content), content_encoding=encoding).balance()) == 5


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(b"x" * 1000, mtime=0)[:-20]])
def test_a_damaged_encoding_is_a_lost_answer(content: bytes) -> None:
    """One of our errors; after createTask the task is unknown."""
    with pytest.raises(AnswerLost, match="encoded body"):
        asyncio.run(client(Body(content), content_encoding="gzip").balance())


def test_the_length_of_an_encoded_body_is_not_its_size() -> None:
    """The size of an encoded body is unknown."""
    headers = {"content-length": "7"}
    assert announced_bytes(httpx.Response(200, headers=headers)) == 7
    packed_headers = headers | {"content-encoding": "gzip"}
    assert announced_bytes(httpx.Response(200, headers=packed_headers)) is None


# --- transfers ---------------------------------------------------------------------------------


def transfers(body: Body, limits: Limits, path: Path, **headers: str) -> str:
    """Return the errors of the transfer of an image and of a clip."""
    errors = ""
    for begin in (
        lambda fetcher: fetcher.fetch(URL, 100_000_000),
        lambda fetcher: fetcher.download(URL, path / "a"),
    ):
        with pytest.raises(KlingError) as caught:
            asyncio.run(begin(fetcher(body, limits, **headers)))
        errors += f"{caught.typename}: {caught.value}\n"
        assert body.closed
    return errors


def test_a_transfer_without_data_ends(tmp_path: Path) -> None:
    """A transfer ends if no data arrives, long before its time limit."""
    limits = Limits(stalled_s=0.05)
    body = Body(b"half", then="stop")
    words = "media.example: no data arrived for 0.05 s"
    assert transfers(body, limits, tmp_path) == (
        f"MediaError: {URL} could not be fetched: {words}\nAnswerLost: {words}\n"
    )
    assert body.read_timeout_s == limits.stalled_s


def test_a_slow_transfer_ends(tmp_path: Path) -> None:
    """A transfer that never pauses but is too slow ends."""
    limits = Limits(spare_s=0.05, bytes_per_s=1e12)
    body = Body(b"", then="again")
    for headers in ({}, {"content_length": "100"}):
        ends = transfers(body, limits, tmp_path, **headers)
        assert ends.count("media.example: slower than") == 2


def test_the_time_of_a_transfer_grows_with_its_size() -> None:
    """60 s, and its size at 50 kB/s."""
    assert Limits().transfer_s(0) == 60
    assert Limits().transfer_s(10_000_000) == 260


TRANSFERS = [
    lambda server, path: server.downloader.download(f"{URL}/{path.name}", path),
    lambda server, path: server.downloader.fetch(f"{URL}/{path.name}", 10_000),
    lambda server, path: server.client.upload(b"x" * server.size_bytes, path.name, "image/png"),
]
"""A download, the fetch of an input, and an upload."""


class Holding(httpx.AsyncBaseTransport):
    """A server whose answers wait until they may come."""

    def __init__(self, limits: Limits = USUAL) -> None:
        self.client = Client(Key(KEY), transport=self, network=Network({}, limits))
        self.downloader = Downloader(transport=self, network=Network({}, limits))
        self.size_bytes = 1_000
        self.begun = 0
        self.held = 0
        self.is_full = asyncio.Event()
        self.may_come = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a GET with a file, and a POST as an upload."""
        self.begun += 1
        if request.method == "POST":
            await self.hold()
            url = {"downloadUrl": "https://files.example/a.png"}
            return httpx.Response(200, json={"success": True, "code": 200, "data": url})
        size = {"content-length": str(self.size_bytes)}
        return httpx.Response(200, headers=size, content=self.body(self.size_bytes))

    async def body(self, size_bytes: int) -> AsyncIterator[bytes]:
        """Yield a file when it may come."""
        await self.hold()
        yield b"x" * size_bytes

    async def hold(self) -> None:
        """Wait until the answers may come."""
        self.held += 1
        if self.held == 4:
            self.is_full.set()
        await self.may_come.wait()

    async def holds_four(self) -> None:
        """Wait until four transfers wait for their answers, and everything else has run."""
        await self.is_full.wait()
        for _ in range(200):
            await asyncio.sleep(0)


@pytest.mark.parametrize("begin", TRANSFERS)
def test_few_transfers_run_at_once(begin: Callable[..., Any], tmp_path: Path) -> None:
    """The others wait: they would share the same line."""

    async def play() -> None:
        server = Holding()
        tasks = [asyncio.create_task(begin(server, tmp_path / str(at))) for at in range(9)]
        await server.holds_four()
        assert server.begun == 4
        server.may_come.set()
        await asyncio.gather(*tasks)

    asyncio.run(play())


@pytest.mark.parametrize("begin", TRANSFERS)
def test_the_time_of_a_transfer_begins_with_its_turn(
    begin: Callable[..., Any], tmp_path: Path
) -> None:
    """It is not the fault of a transfer that others are slow."""
    limits = Limits(stalled_s=1e9, spare_s=10, bytes_per_s=1)

    async def play() -> None:
        server, loop = Holding(limits), asyncio.get_running_loop()
        first = [asyncio.create_task(begin(server, tmp_path / str(at))) for at in range(4)]
        await server.holds_four()
        server.size_bytes = 1
        last = asyncio.create_task(begin(server, tmp_path / "last"))
        await server.holds_four()
        real = loop.time
        loop.time = lambda: real() + 500  # type: ignore[method-assign]
        await server.holds_four()
        assert not last.done()
        server.may_come.set()
        await asyncio.gather(*first, last)

    asyncio.run(play())


class Moved(asyncio.Timeout):
    """A deadline that records its changes."""

    def __init__(self) -> None:
        self.moves: list[float] = []

    def reschedule(self, when: float | None) -> None:
        """Record the change."""
        self.moves.append(when or 0.0)


def moves(**headers: str) -> list[float]:
    """Return the deadlines of a file of two pieces of 1 MB, from its start."""
    deadline = Moved()

    async def play() -> float:
        begun = asyncio.get_running_loop().time()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response = httpx.Response(200, headers=named, stream=Body(*[b"x" * 1_000_000] * 2))
        response.request = httpx.Request("GET", URL)
        limits = Limits(spare_s=60e6, bytes_per_s=0.05)
        async for _ in Transfer(response, False, 10_000_000, limits, deadline).pieces():
            pass
        return begun

    begun = asyncio.run(play())
    # In millions of seconds, beside which the test takes no time.
    return [round((move - begun) / 1e6) for move in deadline.moves]


def test_the_deadline_grows_with_the_size() -> None:
    """With the announced size, otherwise with what has arrived."""
    assert moves() == [60, 80, 100]
    assert moves(content_length="2000000") == [100]


@pytest.mark.parametrize(("headers", "most"), [({"content_length": "1001"}, 0), ({}, 3000)])
def test_a_file_that_is_too_large_is_not_read(headers: dict[str, str], most: int) -> None:
    """Not at all if Content-Length is too large; otherwise up to the limit."""
    body = Body(b"x" * 1000, then="again")
    with pytest.raises(MediaError, match=r"larger than 0\.001 MB"):
        asyncio.run(fetcher(body, **headers).fetch(URL, 1000))
    assert body.given <= most


def test_an_upload_without_an_answer_ends() -> None:
    """Its time grows with its size."""
    uploading = client(Body(b" ", then="stop"), Limits(spare_s=0.05, bytes_per_s=1e12))
    with pytest.raises(AnswerLost, match=r"no complete answer within 0\.05 s"):
        asyncio.run(uploading.upload(b"x" * 1000, "a.png", "image/png"))


@pytest.mark.parametrize("status", [302, 403, 500])
def test_the_body_of_a_refusal_is_not_read_to_its_end(status: int) -> None:
    """The error has its first words."""
    body = Body(b"<h1>Blocked by the <b>proxy</b></h1>" * 100, then="again")
    with pytest.raises(
        MediaError, match=f"HTTP {status}: .Blocked by the proxy|HTTP {status}: Blo"
    ):
        asyncio.run(fetcher(body, status=status).fetch(URL, 1000))
    assert body.given < 100_000
