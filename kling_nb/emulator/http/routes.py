"""Requests and answers as the handlers see them, and how a handler becomes a route.

Owns the step between Starlette and plain functions: bodies are read on the event loop, handlers
run in a worker thread, since they wait for the disk. Must not know what any endpoint does.
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

__all__ = [
    "BAD_KEYS",
    "JSON_TYPE",
    "Call",
    "Handler",
    "accepted_key",
    "envelope",
    "json_answer",
    "route",
]

JSON_TYPE = "application/json;charset=UTF-8"
"""The type of every JSON answer. Source: recorded live traffic (L), 2026-08 to 2026-10."""

BAD_KEYS = frozenset({"", "bad-key"})
"""The keys that this emulator refuses; any other is good."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose body has been read."""

    path: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    form: Mapping[str, str] = field(default_factory=dict)
    """Text fields of a multipart body."""
    file: bytes | None = None
    """Content of a multipart body's `file`."""
    file_type: str = ""

    def json(self) -> object:
        """The body read as JSON; None where it is none, or holds text that UTF-8 cannot."""
        try:
            value: object = json.loads(self.body)
            json.dumps(value, ensure_ascii=False).encode()
            return value
        except (ValueError, RecursionError):
            return None


Handler = Callable[[Call], Response]


def envelope(code: int, msg: str, data: object = None) -> JSONResponse:
    """The service's answer: HTTP status 200 nearly always, `code` decides. Source: L, C."""
    return json_answer({"code": code, "msg": msg, "data": data})


def json_answer(document: object) -> JSONResponse:
    """A JSON document with the type that the service gives it."""
    return JSONResponse(document, media_type=JSON_TYPE)


def accepted_key(call: Call) -> str | None:
    """The key of an `Authorization: Bearer KEY` header, or None if it is missing or bad."""
    scheme, _, key = call.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme == "Bearer" and key.strip() not in BAD_KEYS else None


def route(path: str, method: str, handler: Handler) -> Route:
    """A Starlette route to a plain function."""

    async def respond(request: Request) -> Response:
        if refusal := refuse_agent(request):
            return refusal
        try:
            call = await read_call(request)
        except ClientDisconnect:
            return Response(status_code=400)
        return await asyncio.to_thread(handler, call)

    return Route(path, respond, methods=[method])


def refuse_agent(request: Request) -> Response | None:
    """The 403 that the gateway gives a bare Python-urllib User-Agent. Source: C."""
    if request.headers.get("user-agent", "").startswith("Python-urllib"):
        return PlainTextResponse("error code: 1010", status_code=403)
    return None


async def read_call(request: Request) -> Call:
    """Read a request to its end."""
    facts = {
        "path": request.url.path,
        "headers": request.headers,
        "query": request.query_params,
    }
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return Call(**facts, body=await request.body())  # type: ignore[arg-type]
    async with request.form() as form:
        file = form.get("file")
        texts = {name: value for name, value in form.items() if isinstance(value, str)}
        if not isinstance(file, UploadFile):
            return Call(**facts, body=b"", form=texts)  # type: ignore[arg-type]
        return Call(
            **facts,  # type: ignore[arg-type]
            body=b"",
            form=texts,
            file=await file.read(),
            file_type=file.content_type or "",
        )
