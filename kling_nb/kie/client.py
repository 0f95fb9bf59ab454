"""The API client over httpx: create tasks, poll them, upload files, read the balance.

Async and usable alone. `wire` parses answers, `core/poll_schedule` decides when to poll,
`rate_limit` limits the requests of an account, and the ledger records payments. The key is sent to
the API host and the upload host only; redirects are not followed.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import math
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

import httpx
import stamina

from kling_nb.core.errors import (
    AnswerLost,
    ConfigurationError,
    KlingError,
    NotSent,
    Problem,
    RateLimited,
    ServiceError,
    Unreachable,
)
from kling_nb.kie.multipart import UPLOAD_FOLDER, MultipartUpload

from . import urls, wire
from .bodies import read_answer, read_number
from .http_log import HttpLog
from .network import Network, Transport, check_open, open_http
from .progress import Progress, ProgressReport
from .rate_limit import RateLimiter, Turn
from .urls import API_URL, UPLOAD_URL

if TYPE_CHECKING:
    from kling_nb.core.secret import Key
    from kling_nb.core.task_status import TaskStatus

T = TypeVar("T")

# Without a handler, stamina's log of each retry would be printed into the running cell.
logging.getLogger("stamina").addHandler(logging.NullHandler())

_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_CREATE_TIMEOUT = httpx.Timeout(120.0, connect=10.0)
"""Time between two bytes; `Limits` has the total time of a request."""
_UNREACHED_WAITS_S = (0.5, 1.0, 2.0, 4.0)
"""Seconds between attempts to reach the service: a person waits for the end of the cell."""
_UNREACHED_S = 10.0
"""No attempt to reach the service begins later than this after the first one."""

_UPLOADS_IN_FLIGHT = 4
"""More uploads would share the bandwidth, and each would come closer to its time limit."""


@dataclass(frozen=True, slots=True)
class SubmitOutcome:
    """The result of a createTask request without a task id."""

    error: KlingError
    may_exist: bool
    """True: a paid task may exist. False: certainly none does."""
    answer: str = ""
    """The raw answer, cut if it is long; empty if there was none."""


class Client:
    """The requests of one account.

    Args:
        key: The account's key; the emulator accepts any.
        api_url: The host of createTask and recordInfo.
        upload_url: The host for uploads.
        transport: Replaces the network, for the emulator and for tests. None is the real one.
        rate_limiter: The rate limiter of the account. None sends at once; the service then rejects
            requests above its limit.
        network: Proxies, certificates and limits; None reads the environment.
        log: Keeps the last requests; None keeps them for this client alone.
    """

    def __init__(  # noqa: PLR0913 - each replaces one dependency
        self,
        key: Key,
        *,
        api_url: str = API_URL,
        upload_url: str = UPLOAD_URL,
        transport: Transport | None = None,
        rate_limiter: RateLimiter | None = None,
        network: Network | None = None,
        log: HttpLog | None = None,
    ) -> None:
        self._key = key
        self._log = log or HttpLog()
        self._network = (network or Network()).behind(transport)
        self._api_url = api_url.rstrip("/")
        self.upload_url = upload_url.rstrip("/")
        """The host for uploads."""
        self._transport = transport
        self._rate_limiter = rate_limiter or RateLimiter.unlimited()
        self._http = open_http(timeout=_TIMEOUT, transport=transport, network=self._network)
        self._upload_turn = asyncio.Semaphore(_UPLOADS_IN_FLIGHT)

    async def create_task(
        self,
        body: Mapping[str, object],
        *,
        fields: tuple[Problem, ...] = (),
        sending: Callable[[], Awaitable[None]] | None = None,
        keep_answer: Callable[[str], object] | None = None,
    ) -> str | SubmitOutcome:
        """Create one task: the only request that costs money.

        Waits for the rate limiter first. The request is sent again only if it certainly did not
        reach the service, or was rejected with 429 and the answer names no task: an answer that
        contradicts itself ends as `may_exist`. It opens a connection of its own: on a kept-alive
        connection that the server has closed, it would be unknown whether the request arrived.

        Args:
            body: See `wire.create_body`.
            fields: The given and the allowed values, for the message of a refusal.
            sending: Called once, after the rate limiter and before a socket is opened.
            keep_answer: Called with the raw answer if it names another id beside the task's.

        Returns:
            The task id, or a `SubmitOutcome` if there is none.

        Raises:
            LedgerError: The session was closed; nothing was sent.
        """
        content = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        resend = _Resend()
        try:
            # No total time: the rate limit may delay the request by minutes.
            async for attempt in stamina.retry_context(
                on=resend.wait_s, attempts=8, timeout=None, wait_initial=0.5, wait_max=15.0
            ):
                with attempt:
                    async with self._rate_limiter.new_tasks.turn():
                        if attempt.num == 1:
                            await self._begin(sending)
                        resend.begin()
                        return await self._create_once(content, fields, keep_answer)
        except (NotSent, RateLimited) as error:
            return SubmitOutcome(error, may_exist=False)
        raise AssertionError("unreachable: retry_context returns or raises")

    def status_turn(self, after_s: float) -> Turn:
        """Return the queue entry of a status request that is due after this many seconds."""
        return self._rate_limiter.status_requests.turn(after_s)

    async def task(self, task_id: str, turn: Turn | None = None) -> TaskStatus:
        """Return the status of a task, from recordInfo.

        Args:
            task_id: The id of the task.
            turn: The queue entry; None sends as soon as the rate limit allows.

        Raises:
            ServiceError: The service answered with an error; see `wire.parse_record`.
            Unreachable: There is no answer. Both errors leave the state of the task unknown.
        """
        request = self._http.build_request(
            "GET", f"{self._api_url}{urls.RECORD_PATH}", params={"taskId": task_id}
        )
        async with turn or self.status_turn(0.0):
            answer = await self._send(self._http, request, self._network.limits.call_s)
            return wire.parse_record(answer, task_id)

    async def balance(self) -> float:
        """Return the account's balance in credits."""
        request = self._http.build_request("GET", f"{self._api_url}{urls.CREDIT_PATH}")
        return await self._call(request, wire.parse_credit)

    async def upload(
        self,
        content: bytes | Path,
        file_name: str,
        mime_type: str,
        progress: Progress | None = None,
        *,
        sha256: str = "",
    ) -> str:
        """Upload a file and return the URL for createTask, valid for 24 h (source: D).

        Uploading costs nothing, so it is retried. A file is read in pieces.

        Args:
            content: The content, or the path of a file.
            file_name: A unique name; the same name overwrites (source: D).
            mime_type: The MIME type.
            progress: Called with the number of bytes sent.
            sha256: The expected hash of the content; empty for no check.

        Raises:
            MediaError: The file is missing or has changed.
        """
        upload = MultipartUpload(content, file_name, mime_type, sha256)
        url = f"{self.upload_url}{urls.UPLOAD_PATH}"
        pack = partial(upload.packed, self._http, url, ProgressReport(progress))
        return await self._upload(pack, upload.size_bytes)

    async def upload_base64(self, content: bytes, file_name: str) -> str:
        """Upload a file of at most 10 MB as JSON and return its URL; see `upload` (source: D)."""
        data = base64.b64encode(content).decode("ascii")
        return await self._upload_json(urls.UPLOAD_BASE64_PATH, file_name, {"base64Data": data})

    async def upload_from_url(self, url: str, file_name: str) -> str:
        """Let the service fetch a file from a URL, and return its URL there; see `upload`.

        The file has at most 100 MB, and the service takes at most 30 s (source: D).
        """
        return await self._upload_json(urls.UPLOAD_URL_PATH, file_name, {"fileUrl": url})

    async def fresh_url(self, result_url: str) -> str:
        """Return a link to a result that is valid for 20 minutes (source: D)."""
        request = self._http.build_request(
            "POST", f"{self._api_url}{urls.DOWNLOAD_URL_PATH}", json={"url": result_url}
        )
        return await self._call(request, wire.parse_download_url)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def _upload_json(self, path: str, file_name: str, source: dict[str, str]) -> str:
        body = {**source, "uploadPath": UPLOAD_FOLDER, "fileName": file_name}
        url = f"{self.upload_url}{path}"

        def pack() -> AbstractAsyncContextManager[httpx.Request]:
            return nullcontext(self._http.build_request("POST", url, json=body))

        return await self._upload(pack, len(source.get("base64Data", "")))

    async def _upload(
        self, pack: Callable[[], AbstractAsyncContextManager[httpx.Request]], size_bytes: int
    ) -> str:
        """Send an upload, rebuilt for each attempt, and return the URL of the file.

        Time limits start when the upload starts, not while it is queued.
        """
        within_s = self._network.limits.transfer_s(size_bytes)
        async with self._upload_turn:
            resend = _Resend(is_free=True)
            async for attempt in stamina.retry_context(on=resend.wait_s, attempts=4, timeout=300.0):
                with attempt:
                    async with pack() as request:
                        resend.begin()
                        answer = await self._send(self._http, request, within_s)
                        return wire.parse_uploaded(answer)
        raise AssertionError("unreachable: retry_context returns or raises")

    async def _begin(self, sending: Callable[[], Awaitable[None]] | None) -> None:
        check_open(self._http)
        if sending is not None:
            await sending()

    async def _create_once(
        self,
        content: bytes,
        fields: tuple[Problem, ...],
        keep_answer: Callable[[str], object] | None,
    ) -> str | SubmitOutcome:
        http = open_http(
            timeout=_CREATE_TIMEOUT,
            transport=self._transport,
            keepalive=0,
            network=self._network,
        )
        request = http.build_request(
            "POST",
            f"{self._api_url}{urls.CREATE_PATH}",
            content=content,
            headers={"Content-Type": "application/json"},
        )
        try:
            answer = await self._send(http, request, self._network.limits.create_s)
        except AnswerLost as error:
            return SubmitOutcome(error, error.may_exist, wire.Answer(0, error.partial).text)
        except ConfigurationError as error:
            return SubmitOutcome(error, error.may_exist)
        finally:
            if self._transport is None:
                await http.aclose()
        try:
            task_id = wire.parse_created(answer, fields)
        except RateLimited:
            raise
        except ServiceError as error:
            return SubmitOutcome(error, wire.create_may_exist(answer, error), answer.text)
        if keep_answer is not None and set(wire.named_ids(answer.whole_text)) - {task_id}:
            keep_answer(answer.text)
        return task_id

    async def _call(self, request: httpx.Request, parse: Callable[[wire.Answer], T]) -> T:
        async with self._rate_limiter.other_calls.turn():
            return parse(await self._send(self._http, request, self._network.limits.call_s))

    async def _send(
        self, http: httpx.AsyncClient, request: httpx.Request, within_s: float
    ) -> wire.Answer:
        """Send one request and read its answer, within a total time.

        Raises its errors outside the `except` blocks: an httpx error holds the request's headers,
        with the key, and would be their context.
        """
        check_open(http)
        request.headers["Authorization"] = f"Bearer {self._key.reveal()}"
        failure: Unreachable | None = None
        response: httpx.Response | None = None
        received, limits = bytearray(), self._network.limits
        try:
            async with asyncio.timeout(within_s):
                response = await http.send(request, stream=True)
                async with aclosing(response):
                    await read_answer(response, limits.answer_bytes, received)
        except TimeoutError:
            failure = AnswerLost(f"{request.url.host}: no complete answer within {within_s:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
            failure = self._network.failure(error, request.url)
        except AnswerLost as error:
            failure = error
        content = self._key.remove_from(bytes(received))  # the service may repeat the key
        self._log.add(request, response, content, str(failure or ""))
        if failure is None and response is not None:
            return self._answer_of(response, content)
        if isinstance(failure, AnswerLost):
            failure.partial = content
        assert failure is not None
        raise failure

    def _answer_of(self, response: httpx.Response, content: bytes) -> wire.Answer:
        retry_after_s = read_number(response, "retry-after")  # never seen from the service
        through = str(self._network.proxy_for(response.request.url) or "")
        return wire.Answer(response.status_code, content, retry_after_s, through)


class _Resend:
    """Decides whether one request is sent again after an error.

    Args:
        is_free: Whether it costs nothing, so that it is repeated after a lost answer, too.
    """

    def __init__(self, *, is_free: bool = False) -> None:
        self._is_free = is_free
        self._began_s: float | None = None
        """The first of the attempts that did not reach the service."""
        self._waits_s = iter(_UNREACHED_WAITS_S)

    def begin(self) -> None:
        """Note the start of an attempt."""
        if self._began_s is None:
            self._began_s = monotonic()

    def wait_s(self, error: Exception) -> bool | float:
        """Return whether to send it again; the delay in seconds if it is known."""
        if isinstance(error, NotSent):
            passed_s = monotonic() - (self._began_s or 0.0)
            wait_s = next(self._waits_s, math.inf)
            return wait_s if passed_s + wait_s < _UNREACHED_S else False
        self._began_s, self._waits_s = None, iter(_UNREACHED_WAITS_S)
        if isinstance(error, RateLimited):
            return True if error.retry_after_s is None else min(error.retry_after_s, 60.0)
        return self._is_free and isinstance(error, KlingError) and error.may_exist
