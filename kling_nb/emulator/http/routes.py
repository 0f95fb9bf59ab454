"""Turn plain functions into Starlette routes.

The event loop reads the bodies; the handlers run in worker threads, since they read the disk.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

_JSON_TYPE = "application/json;charset=UTF-8"
"""The type of every JSON answer. Source: recorded live traffic (L), 2026-08 to 2026-10."""
BAD_KEY = "bad-key"
"""The key that this emulator refuses; any other is accepted."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request with its whole body."""

    path: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    form: Mapping[str, str] = field(default_factory=dict)
    """Text fields of a multipart body."""
    file: bytes | None = None
    """Content of the field `file` of a multipart body."""
    file_type: str = ""

    @property
    def key(self) -> str:
        """The key of the header `Authorization: Bearer KEY`; empty if missing or refused."""
        scheme, _, key = self.headers.get("authorization", "").partition(" ")
        return key.strip() if scheme == "Bearer" and key.strip() != BAD_KEY else ""

    def json(self) -> object:
        """Return the parsed body; None if it is no JSON or has text that UTF-8 cannot encode."""
        try:
            value: object = json.loads(self.body)
            json.dumps(value, ensure_ascii=False).encode()
            return value
        except (ValueError, RecursionError):
            return None


def envelope(code: int, msg: str, data: object = None) -> JSONResponse:
    """Return the service's answer: HTTP 200 nearly always, `code` decides. Source: L, C."""
    return json_answer({"code": code, "msg": msg, "data": data})


def json_answer(document: object) -> JSONResponse:
    """Return a JSON answer with the service's content type."""
    return JSONResponse(document, media_type=_JSON_TYPE)


def route(
    path: str,
    method: str,
    handler: Callable[[Call], Response],
    unauthorized: Callable[[], Response] | None = None,
) -> Route:
    """Return a route to a plain function; `unauthorized` is the answer to a bad key."""

    async def respond(request: Request) -> Response:
        if request.headers.get("user-agent", "").startswith("Python-urllib"):
            # The gateway's answer to a bare Python-urllib User-Agent. Source: C.
            return PlainTextResponse("error code: 1010", status_code=403)
        try:
            call = await _read_call(request)
        except ClientDisconnect:
            return Response(status_code=400)
        if unauthorized and not call.key:
            return unauthorized()
        return await asyncio.to_thread(handler, call)

    return Route(path, respond, methods=[method])


async def _read_call(request: Request) -> Call:
    """Read a request to its end."""
    path, headers, query = request.url.path, request.headers, request.query_params
    if not headers.get("content-type", "").startswith("multipart/form-data"):
        return Call(path, headers, query, await request.body())
    async with request.form() as form:
        file = form.get("file")
        texts = {name: value for name, value in form.items() if isinstance(value, str)}
        if not isinstance(file, UploadFile):
            return Call(path, headers, query, b"", texts)
        content = await file.read()
        return Call(path, headers, query, b"", texts, content, file.content_type or "")
