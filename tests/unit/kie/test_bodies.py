"""Test `bodies`: every answer ends within limits of time and size."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

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

Respond = Callable[[httpx.Request], httpx.Response]


class Body(httpx.AsyncByteStream):
    """A body of these pieces, which then ends, goes on for ever, or comes to a stop."""

    def __init__(self, *pieces: bytes, then: str = "end") -> None:
        self.pieces = pieces
        self.then = then
        self.given = 0
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The pieces."""
        while True:
            for piece in self.pieces:
                self.given += len(piece)
                yield piece
                await asyncio.sleep(0)
            if self.then == "stop":
                await asyncio.Event().wait()
            if self.then == "end":
                return

    async def aclose(self) -> None:
        """The client hangs up."""
        self.closed = True


def answering(
    body: httpx.AsyncByteStream, status: int = 200, **headers: str
) -> httpx.MockTransport:
    """A network with one answer; names of headers with `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.MockTransport(lambda request: httpx.Response(status, headers=named, stream=body))


def client(body: Body, limits: Limits | None = None, **headers: str) -> Client:
    """A client of a service with one answer."""
    network = Network({}, limits or Limits())
    return Client(Key(KEY), transport=answering(body, **headers), network=network)


def fetcher(body: Body, limits: Limits | None = None, **headers: str) -> Downloader:
    """A fetcher of a web with one answer."""
    network = Network({}, limits or Limits())
    return Downloader(transport=answering(body, **headers), network=network)


CALLS = [
    lambda client: client.task("t"),
    lambda client: client.balance(),
    lambda client: client.fresh_url("https://tempfile.example/k/a.mp4"),
    lambda client: client.upload(b"x", "a.png", "image/png"),
]
"""Every call beside createTask."""


@pytest.mark.parametrize("body", [Body(b" ", then="stop"), Body(b" ", then="again")])
@pytest.mark.parametrize("call", CALLS)
def test_an_answer_that_trickles_ends(call: Callable[[Client], object], body: Body) -> None:
    """A call takes a fixed time in all, however the answer comes."""
    with pytest.raises(AnswerLost, match=r"no complete answer within|is larger than"):
        asyncio.run(call(client(body, SHORT)))  # type: ignore[arg-type]
    assert body.closed


def test_a_task_whose_answer_trickles_is_unknown() -> None:
    """Its time is over, and the task may exist."""
    begun = json.dumps({"code": 200, "data": {"taskId": "t" * 32}})[:-3].encode()
    body = Body(begun, then="stop")
    outcome = asyncio.run(client(body, SHORT).create_task(BODY))
    assert isinstance(outcome, SubmitOutcome)
    assert outcome.may_exist
    assert "no complete answer within 0.05 s" in str(outcome.error)


def test_the_head_of_an_answer_is_waited_for_in_the_same_time() -> None:
    """A server that accepts and says nothing."""

    async def never(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    network = Network({}, SHORT)
    asking = Client(Key(KEY), transport=httpx.MockTransport(never), network=network)
    outcome = asyncio.run(asking.create_task(BODY))
    assert isinstance(outcome, SubmitOutcome)
    assert outcome.may_exist


@pytest.mark.parametrize("call", CALLS)
def test_an_answer_ends_at_a_megabyte(call: Callable[[Client], object]) -> None:
    """It is not read any further."""
    body = Body(b"x" * 10_000, then="again")
    with pytest.raises(AnswerLost, match="larger than 1 MB"):
        asyncio.run(call(client(body)))  # type: ignore[arg-type]
    # An upload is sent again: each time as much is read.
    assert body.given <= 8 * 1_020_000


def test_a_task_whose_answer_has_no_end_is_unknown() -> None:
    """It is sent once."""
    body = Body(b"x" * 10_000, then="again")
    outcome = asyncio.run(client(body).create_task(BODY))
    assert isinstance(outcome, SubmitOutcome)
    assert outcome.may_exist
    assert body.given <= 1_020_000


def packed(content: bytes, times: int) -> bytes:
    """Content in so many layers of gzip."""
    for _ in range(times):
        content = gzip.compress(content, 9, mtime=0)
    return content


BOMB = packed(bytes(100_000_000), 1)


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (packed(bytes(10_000_000), 2), "gzip, gzip"),
        (packed(b"x", 1), "br"),
        (packed(b"x", 1), "zstd"),
        (packed(b"x", 1), "gzip, br"),
    ],
)
def test_what_is_packed_twice_or_in_another_way_is_refused(content: bytes, encoding: str) -> None:
    """It was not asked for, and nothing of it is decoded."""
    with pytest.raises(MediaError, match="which was not requested"):
        asyncio.run(fetcher(Body(content), content_encoding=encoding).fetch(URL, 10_000_000))
    outcome = asyncio.run(client(Body(content), content_encoding=encoding).create_task(BODY))
    assert isinstance(outcome, SubmitOutcome)
    assert outcome.may_exist


def test_a_bomb_is_decoded_no_further_than_is_allowed() -> None:
    """A hundred kilobytes that hold a hundred megabytes."""
    with pytest.raises(MediaError, match="larger than 10 MB"):
        asyncio.run(fetcher(Body(BOMB), content_encoding="gzip").fetch(URL, 10_000_000))
    with pytest.raises(AnswerLost, match="larger than 1 MB"):
        asyncio.run(client(Body(BOMB), content_encoding="gzip").balance())


def test_pieces_are_small() -> None:
    """However much one packet of an encoded body holds."""

    async def play() -> list[int]:
        response = httpx.Response(200, headers={"content-encoding": "gzip"}, stream=Body(BOMB))
        return [len(piece) async for piece in read_pieces(response, None)]

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
def test_one_layer_is_read_all_the_same(content: bytes, encoding: str) -> None:
    """A proxy may encode an answer without request; the client still reads the paid answer."""
    assert asyncio.run(client(Body(content), content_encoding=encoding).balance()) == 5


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(b"x" * 1000, mtime=0)[:-20]])
def test_a_damaged_encoding_is_a_lost_answer(content: bytes) -> None:
    """An error of ours, and after createTask `unknown`."""
    with pytest.raises(AnswerLost, match="encoded body"):
        asyncio.run(client(Body(content), content_encoding="gzip").balance())


def test_the_length_of_an_encoded_body_is_not_its_size() -> None:
    """The size is unknown then."""
    headers = {"content-length": "7"}
    assert announced_bytes(httpx.Response(200, headers=headers)) == 7
    packed_headers = headers | {"content-encoding": "gzip"}
    assert announced_bytes(httpx.Response(200, headers=packed_headers)) is None


# --- transfers ---------------------------------------------------------------------------------


def transfers(body: Body, limits: Limits, path: Path, **headers: str) -> str:
    """How a picture and a clip end."""
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


def test_a_transfer_that_stands_still_ends(tmp_path: Path) -> None:
    """A transfer ends if no data arrives, long before its time limit."""
    limits = Limits(stalled_s=0.05)
    body = Body(b"half", then="stop")
    words = "no data arrived for 0.05 s"
    assert transfers(body, limits, tmp_path) == (
        f"MediaError: {URL} could not be fetched: {words}\nAnswerLost: {words}\n"
    )


def test_a_transfer_that_trickles_ends(tmp_path: Path) -> None:
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


class Moved(asyncio.Timeout):
    """A deadline that notes where it is moved to."""

    def __init__(self) -> None:
        self.moves: list[float] = []

    def reschedule(self, when: float | None) -> None:
        """Note it."""
        self.moves.append(when or 0.0)


def moves(**headers: str) -> list[float]:
    """Where the deadline of a file of 2 MB, in two pieces, is moved to, after its begin."""
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


def test_the_time_follows_the_size() -> None:
    """Of the whole file where its size is told, else of what has come."""
    assert moves() == [60, 80, 100]
    assert moves(content_length="2000000") == [100]


def test_a_size_that_is_too_large_is_not_begun() -> None:
    """Its Content-Length is too large."""
    body = Body(b"x" * 1000, then="again")
    with pytest.raises(MediaError, match=r"larger than 0\.001 MB"):
        asyncio.run(fetcher(body, content_length="1001").fetch(URL, 1000))
    assert body.given == 0


def test_an_upload_that_is_not_answered_ends() -> None:
    """Its time follows its size."""
    uploading = client(Body(b" ", then="stop"), Limits(spare_s=0.05, bytes_per_s=1e12))
    with pytest.raises(AnswerLost, match=r"no complete answer within 0\.05 s"):
        asyncio.run(uploading.upload(b"x" * 1000, "a.png", "image/png"))


@pytest.mark.parametrize("status", [302, 403, 500])
def test_the_body_of_a_refusal_is_not_read_to_its_end(status: int) -> None:
    """Its first words are kept."""
    body = Body(b"<h1>Blocked by the <b>proxy</b></h1>" * 100, then="again")
    transport = answering(body, status)
    asking = Downloader(transport=transport, network=Network({}, Limits()))
    with pytest.raises(
        MediaError, match=f"HTTP {status}: .Blocked by the proxy|HTTP {status}: Blo"
    ):
        asyncio.run(asking.fetch(URL, 1000))
    assert body.given < 100_000
