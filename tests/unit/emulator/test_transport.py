"""The in-process transport behaves as a socket does, whatever the app."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse, StreamingResponse

from kling_nb.emulator.transport import EmulatorTransport

URL = "http://emulated/path?question=1"
HEAD = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]}


def run(app: Any, act: Callable[[httpx.AsyncClient], Awaitable[Any]], **timeouts: Any) -> Any:
    """What the act returns with a client of that app."""

    async def main() -> Any:
        transport = EmulatorTransport(app, frozenset({"emulated"}))
        timeout = httpx.Timeout(5.0, **timeouts)
        async with httpx.AsyncClient(transport=transport, timeout=timeout) as client:
            return await act(client)

    return asyncio.run(main())


async def stall(scope: Any, receive: Any, send: Any) -> None:
    """Never answers."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the body it got."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    await PlainTextResponse(body)(scope, receive, send)


def test_a_request_and_its_answer_pass_whole() -> None:
    """Method, query, a body in pieces, status and headers."""

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(40):
            yield bytes([number]) * 1000

    async def post(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post(URL, content=pieces())

    answer = run(echo, post)
    assert answer.status_code == 200
    assert answer.content == b"".join(bytes([n]) * 1000 for n in range(40))


def test_an_unknown_host_cannot_be_connected() -> None:
    """Nothing leaves the process."""
    with pytest.raises(httpx.ConnectError, match="not emulated"):
        run(echo, lambda client: client.get("https://example.com"))


async def pause(scope: Any, receive: Any, send: Any) -> None:
    """Stops in the middle of its answer."""
    await send(HEAD)
    await send({"type": "http.response.body", "body": b"12345", "more_body": True})
    await stall(scope, receive, send)


@pytest.mark.parametrize("app", [stall, pause])
def test_a_stalled_answer_is_a_read_timeout(app: Any) -> None:
    """The timeout counts for each piece of the body; the app receives the disconnect."""
    with pytest.raises(httpx.ReadTimeout):
        run(app, lambda client: client.get(URL), read=0.05)


def test_a_body_nobody_takes_is_a_write_timeout() -> None:
    """The app reads nothing; the buffer is full."""

    async def deaf(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1000

    with pytest.raises(httpx.WriteTimeout):
        run(deaf, lambda client: client.post(URL, content=pieces()), write=0.05)


def test_a_broken_body_of_the_request_reaches_the_caller() -> None:
    """The exception of the caller's own generator, unchanged."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"x"
        raise LookupError("the file is gone")

    with pytest.raises(LookupError, match="the file is gone"):
        run(echo, lambda client: client.post(URL, content=pieces()))


def test_an_early_answer_ends_the_upload() -> None:
    """An app that answers without reading does not hang the client."""

    async def rude(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("no")(scope, receive, send)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 1000

    assert run(rude, lambda client: client.post(URL, content=pieces())).text == "no"


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("close", httpx.RemoteProtocolError),
        ("reset", httpx.ReadError),
        ("refuse", httpx.ConnectError),
    ],
)
def test_a_broken_connection_raises(how: str, error: type[Exception]) -> None:
    """No answer at all."""

    async def breaks(scope: Any, receive: Any, send: Any) -> None:
        getattr(scope["state"]["connection"], how)()

    with pytest.raises(error):
        run(breaks, lambda client: client.get(URL))


@pytest.mark.parametrize("ends", [True, False])
def test_a_body_shorter_than_its_length_raises(ends: bool) -> None:
    """Whether the app ends its answer or just returns."""

    async def cut(scope: Any, receive: Any, send: Any) -> None:
        await send(HEAD)
        await send({"type": "http.response.body", "body": b"1234", "more_body": not ends})

    with pytest.raises(httpx.RemoteProtocolError, match="received 4 bytes, expected 10"):
        run(cut, lambda client: client.get(URL))


def test_the_answer_streams() -> None:
    """The first piece is there while the app still holds the second back."""
    release = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"first"
        await release.wait()
        yield b"second"

    async def read(client: httpx.AsyncClient) -> list[bytes]:
        got = []
        async with client.stream("GET", URL) as answer:
            async for piece in answer.aiter_raw():
                got.append(piece)
                release.set()
        return got

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await StreamingResponse(pieces())(scope, receive, send)

    assert run(app, read) == [b"first", b"second"]


def test_an_answer_in_many_pieces_passes_whole() -> None:
    """More of them than the buffer holds."""

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(200):
            yield bytes([number])

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await StreamingResponse(pieces())(scope, receive, send)

    assert run(app, lambda client: client.get(URL), read=2.0).content == bytes(range(200))


def test_a_slow_reader_slows_the_app() -> None:
    """The app cannot run ahead by more than the buffer."""
    sent = 0

    async def floods(scope: Any, receive: Any, send: Any) -> None:
        nonlocal sent
        await send({**HEAD, "headers": []})
        for _ in range(1000):
            await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
            sent += 1
        await send({"type": "http.response.body"})

    async def read(client: httpx.AsyncClient) -> int:
        async with client.stream("GET", URL) as answer:
            await anext(answer.aiter_raw())
            for _ in range(50):
                await asyncio.sleep(0)
            return sent

    assert run(floods, read) < 40


def test_a_client_that_gives_up_stops_the_app() -> None:
    """Cancelling the request cancels the app, at once."""
    ends = []

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ends.append("stopped")

    async def give_up(client: httpx.AsyncClient) -> None:
        task = asyncio.ensure_future(client.get(URL))
        for _ in range(20):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ends == ["stopped"]

    run(watched, give_up)


def test_many_requests_run_at_once() -> None:
    """A hundred meet inside the app before any is answered."""
    inside = 0
    together = asyncio.Event()

    async def gather(scope: Any, receive: Any, send: Any) -> None:
        nonlocal inside
        inside += 1
        if inside == 100:
            together.set()
        await together.wait()
        await PlainTextResponse("all here")(scope, receive, send)

    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        return await asyncio.gather(*(client.get(URL) for _ in range(100)))

    assert {answer.text for answer in run(gather, ask)} == {"all here"}
