"""Test `http`: files arrive whole or not at all, from any host, and without the key."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

import kling_nb.kie.http
from kling_nb.errors import AnswerLost, LedgerError, MediaError, NotSent, ServiceError
from kling_nb.kie.bodies import Limits
from kling_nb.kie.http import Downloader, Fetched, Received
from kling_nb.kie.network import Network

URL = "https://tempfile.example/k/a.mp4"
CONTENT = bytes(range(256)) * 600

Handler = Callable[[httpx.Request], httpx.Response]


class Pieces(httpx.AsyncByteStream):
    """A body of these pieces, which may end in an error."""

    def __init__(self, *pieces: bytes, error: Exception | None = None) -> None:
        self.pieces = pieces
        self.error = error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the pieces, then raise the error."""
        for piece in self.pieces:
            yield piece
        if self.error:
            raise self.error


def fetcher(handler: Handler | httpx.Response | Exception) -> Downloader:
    """Return a downloader whose network is this handler, answer or error."""

    def answer(request: httpx.Request) -> httpx.Response:
        if isinstance(handler, Exception):
            raise handler
        return handler if isinstance(handler, httpx.Response) else handler(request)

    return Downloader(transport=httpx.MockTransport(answer))


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    """Size and hash are returned, and progress is reported."""
    progress: list[tuple[int, int | None]] = []
    response = httpx.Response(
        200,
        stream=Pieces(CONTENT[:100_000], CONTENT[100_000:]),
        headers={"content-length": str(len(CONTENT))},
    )
    received = asyncio.run(
        fetcher(response).download(URL, tmp_path / "a", lambda *at: progress.append(at))
    )
    assert (tmp_path / "a").read_bytes() == CONTENT
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert received == Received(len(CONTENT), digest)
    assert progress == [(100_000, len(CONTENT)), (len(CONTENT), len(CONTENT))]


PACKED = gzip.compress(CONTENT, mtime=0)


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (CONTENT, {}),
        (PACKED, {"content-length": str(len(PACKED)), "content-encoding": "gzip"}),
        (CONTENT, {"content-length": b"\xb2"}),
        (CONTENT, {"content-length": "9" * 5_000}),
        (CONTENT, {"content-length": "many"}),
    ],
    ids=["no length", "encoded", "odd digit", "too many digits", "no number"],
)
def test_a_file_of_unknown_length(
    content: bytes, headers: dict[str, str | bytes], tmp_path: Path
) -> None:
    """The file is what was received; progress has no total. An encoded length is another one."""
    progress: list[tuple[int, int | None]] = []
    named = [(name.encode(), value) for name, value in headers.items()]
    response = httpx.Response(200, stream=Pieces(content), headers=named)
    download = fetcher(response).download(URL, tmp_path / "a", lambda *at: progress.append(at))
    assert asyncio.run(download).size_bytes == len(CONTENT)
    assert progress == [(len(CONTENT), None)]


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (
            httpx.Response(200, stream=Pieces(b"half"), headers={"content-length": "8"}),
            AnswerLost,
            "4 of 8 bytes",
        ),
        (
            httpx.Response(200, stream=Pieces(b"half", error=httpx.ReadError("reset"))),
            AnswerLost,
            r"tempfile\.example: ReadError reset",
        ),
        (
            httpx.ConnectError("no route"),
            NotSent,
            r"tempfile\.example could not be reached \(no route\)",
        ),
    ],
    ids=["short", "broken off", "not connected"],
)
def test_a_file_that_does_not_arrive(
    answer: httpx.Response | Exception, error: type[Exception], words: str, tmp_path: Path
) -> None:
    """Fewer bytes than announced are no file; the error has the host and the reason."""
    with pytest.raises(error, match=words):
        asyncio.run(fetcher(answer).download(URL, tmp_path / "a"))


@pytest.mark.parametrize("status", [403, 404, 410, 500])
def test_a_file_that_does_not_exist(tmp_path: Path, status: int) -> None:
    """The error has the status as its code; nothing is written."""
    with pytest.raises(ServiceError) as caught:
        asyncio.run(fetcher(httpx.Response(status)).download(URL, tmp_path / "a"))
    assert caught.value.code == status
    assert not (tmp_path / "a").exists()


def test_a_file_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server cannot fill the disk."""
    monkeypatch.setattr(kling_nb.kie.http, "_CLIP_LIMIT_BYTES", 10)
    with pytest.raises(MediaError, match="is larger than"):
        asyncio.run(
            fetcher(httpx.Response(200, stream=Pieces(CONTENT))).download(URL, tmp_path / "a")
        )


@pytest.mark.parametrize("url", ["ftp://files.example/a", "no url", "https:///a", "http://a:x/"])
def test_an_invalid_url_is_an_error(tmp_path: Path, url: str) -> None:
    """The error is one of ours."""
    with pytest.raises((MediaError, AnswerLost)):
        asyncio.run(Downloader().download(url, tmp_path / "a"))
    with pytest.raises(MediaError):
        asyncio.run(Downloader().fetch(url, 100))


def test_a_host_that_only_httpx_accepts(tmp_path: Path) -> None:
    """The service may name anything as a result; an odd host raises no other error."""
    download = fetcher(httpx.ConnectError("no such host")).download("https://[/a", tmp_path / "a")
    with pytest.raises(NotSent, match="no such host"):
        asyncio.run(download)


def test_redirects_are_followed_without_a_key() -> None:
    """To any host. Requests have our User-Agent, since a bare library name gets 403 (source: C)."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if request.url.host == "api.kie.ai":
            return httpx.Response(200, content=b"picture")
        return httpx.Response(302, headers={"location": "https://api.kie.ai/picture"})

    assert asyncio.run(fetcher(answer).fetch(URL, 100)).content == b"picture"
    assert [request.url.host for request in seen] == ["tempfile.example", "api.kie.ai"]
    for request in seen:
        assert "authorization" not in request.headers
        assert request.headers["accept-encoding"] == "identity"
        assert request.headers["user-agent"].startswith("kling_nb/")


HOME = [
    "http://127.0.0.1:8888/files/secret.png",
    "http://localhost/a",
    "http://192.168.1.1/admin",
    "http://169.254.169.254/latest/meta-data",
    "http://[::1]/a",
    "http://[::ffff:10.0.0.7]/a",
    "http://2130706433/a",
    "http://127.1/a",
    "http://0x7f.0.0.1/a",
    "http://nas/a",
    "http://printer.local/a",
]
"""Addresses of this machine or its network."""


def leading(*locations: str) -> tuple[Downloader, list[str]]:
    """Return a downloader that is redirected from each URL to the next, and its requested URLs."""
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        if len(seen) > len(locations):
            return httpx.Response(200, content=b"picture")
        return httpx.Response(302, headers={"location": locations[len(seen) - 1]})

    return fetcher(answer), seen


@pytest.mark.parametrize("local", HOME)
def test_no_redirect_leads_from_the_internet_to_here(local: str, tmp_path: Path) -> None:
    """A redirect from the internet to this machine is refused before any request to it."""
    for hops in ((local,), ("https://other.example/b", local)):
        asking, seen = leading(*hops)
        with pytest.raises(MediaError, match="an address of this machine or its network"):
            asyncio.run(asking.fetch(URL, 100))
        assert len(seen) == len(hops)
        asking, seen = leading(*hops)
        with pytest.raises(AnswerLost, match="an address of this machine or its network"):
            asyncio.run(asking.download(URL, tmp_path / "a"))
        assert len(seen) == len(hops)


@pytest.mark.parametrize("given", HOME)
def test_a_local_address_that_was_given_may_redirect(given: str) -> None:
    """A URL in this network that the user gives is fetched."""
    asking, _ = leading("http://192.168.1.2/b")
    fetched = asyncio.run(asking.fetch(given, 100))
    assert fetched.content == b"picture"
    assert fetched.is_local


class Peer:
    """The connection of an answer, as httpx hands it out."""

    def __init__(self, address: str) -> None:
        self.address = address

    def get_extra_info(self, name: str) -> tuple[str, int] | None:
        """Where it ends."""
        return (self.address, 443) if name == "server_addr" else None


@pytest.mark.parametrize(
    ("peers", "is_local"),
    [(["93.184.216.34"], False), (["10.0.0.7"], True), (["10.0.0.7", "127.0.0.1"], True)],
)
def test_a_name_that_resolves_to_a_local_address(peers: list[str], is_local: bool) -> None:
    """The peer address of the connection decides."""
    assert asyncio.run(by_peers(peers)).is_local is is_local


def test_a_redirect_to_a_name_that_resolves_to_a_local_address() -> None:
    """Its answer is refused."""
    with pytest.raises(MediaError, match=r"redirects to hop1\.example, an address of this machine"):
        asyncio.run(by_peers(["93.184.216.34", "10.0.0.7"]))


async def by_peers(peers: list[str]) -> Fetched:
    """Fetch through redirects with connections to these addresses."""
    left = list(peers)

    def answer(request: httpx.Request) -> httpx.Response:
        peer = {"network_stream": Peer(left.pop(0))}
        if left:
            location = {"location": f"https://hop{len(peers) - len(left)}.example/"}
            return httpx.Response(302, headers=location, extensions=peer)
        return httpx.Response(200, content=b"picture", extensions=peer)

    network = Network({}, Limits())
    return await Downloader(transport=httpx.MockTransport(answer), network=network).fetch(URL, 100)


def test_redirects_without_end() -> None:
    """Ten are followed."""
    asking, seen = leading(*[f"https://a.example/{number}" for number in range(50)])
    with pytest.raises(MediaError, match="more than 10 redirects"):
        asyncio.run(asking.fetch(URL, 100))
    assert len(seen) == 10


def test_an_error_shows_no_password_of_a_url() -> None:
    """A saved notebook keeps the error."""
    for answer in (httpx.Response(404), httpx.Response(200, content=b"x" * 200)):
        with pytest.raises(MediaError) as caught:
            asyncio.run(fetcher(answer).fetch("https://me:s3cret@media.example/a.png", 100))
        assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "broken",
    [httpx.ConnectError("x"), httpx.ReadTimeout("x"), httpx.Response(404), httpx.Response(500)],
    ids=str,
)
def test_media_that_cannot_be_fetched(broken: httpx.Response | Exception) -> None:
    """A MediaError with the URL and the reason."""
    with pytest.raises(MediaError, match=r"tempfile\.example/k/a\.mp4 could not be fetched"):
        asyncio.run(fetcher(broken).fetch(URL, 1000))


def test_a_closed_downloader_fetches_nothing(tmp_path: Path) -> None:
    """The error says that the session is closed."""

    async def play() -> None:
        closed = fetcher(httpx.Response(200, content=CONTENT))
        await closed.aclose()
        await closed.download(URL, tmp_path / "a.mp4")

    with pytest.raises(LedgerError, match="this session is closed"):
        asyncio.run(play())
