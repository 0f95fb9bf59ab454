"""The upload host and the file hosts: receive uploads, return uploads and clips.

Names, limits and lifetimes are the service's. Contains no rules of tasks and no rendering.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import mimetypes
import secrets
import string
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute

from kling_nb.emulator.account.tasks import result_names
from kling_nb.emulator.account.uploads import Upload
from kling_nb.emulator.hosts import PublicUrls, own_clip_name, own_upload_path
from kling_nb.emulator.render.worker import RenderWorker

from .routes import Call, json_answer, route

_MEGABYTE = 1024 * 1024
_STREAM_LIMIT_BYTES = 100 * _MEGABYTE
_BASE64_LIMIT_BYTES = 10 * _MEGABYTE
_ACCOUNT = "emulator"
_NAME_CHARS = string.ascii_lowercase + string.digits


class _UploadRefused(Exception):
    """The service refuses an upload; the message is the text of its answer."""


class Received(NamedTuple):
    """An upload request."""

    fields: Mapping[str, object]
    content: bytes
    mime_type: str
    limit_bytes: int = _STREAM_LIMIT_BYTES


class Files:
    """The upload endpoints, and both file hosts, which need no key."""

    def __init__(self, renderer: RenderWorker, urls: PublicUrls) -> None:
        """Serve the clips and the uploads of this renderer."""
        self.renderer = renderer
        self.uploads = renderer.uploads
        self.account = renderer.account
        self.urls = urls

    def upload_routes(self) -> list[BaseRoute]:
        """Return the routes of the upload host."""
        readers = {"stream": _read_stream, "base64": _read_base64, "url": self.read_url}
        return [
            route(f"/api/file-{name}-upload", "POST", partial(self.upload, reader), _unauthorized)
            for name, reader in readers.items()
        ]

    def clip_routes(self) -> list[BaseRoute]:
        """Return the routes of the host of results."""
        return [route("/k/{name}", "GET", self.get_clip)]

    def uploaded_routes(self) -> list[BaseRoute]:
        """Return the routes of the host of uploaded files."""
        return [route("/kieai/{path:path}", "GET", self.get_upload)]

    def upload(self, reader: Callable[[Call], Received], call: Call) -> Response:
        """Store a file, or answer with HTTP 200 and code 400."""
        try:
            return self.store(reader(call))
        except _UploadRefused as refused:
            return refusal(400, str(refused))

    def read_url(self, call: Call) -> Received:
        """Read a URL upload, JSON (D). Only URLs of this emulator: it fetches no others."""
        fields = _json_fields(call)
        url = str(fields.get("fileUrl", ""))
        path, name = own_upload_path(url), own_clip_name(url)
        upload = self.uploads.find(path) if path else None
        if upload is not None and not upload.expired:
            return Received(fields, self.uploads.file_of(upload).read_bytes(), upload.mime_type)
        task = self.account.task(name.partition("_")[0]) if name else None
        clip = self.renderer.file_of(task) if task else None
        if clip is not None:
            return Received(fields, clip.read_bytes(), "video/mp4")
        raise _UploadRefused("fileUrl: the emulator fetches nothing but its own files")

    def store(self, received: Received) -> JSONResponse:
        """Store a file under the requested path and name; answer as the service does (L)."""
        fields, content, mime_type, limit_bytes = received
        if len(content) > limit_bytes:
            raise _UploadRefused(f"file is too large: at most {limit_bytes // _MEGABYTE} MB")
        folder, name = _target_of(fields, mime_type, int(self.account.clock() * 1000))
        guessed = mimetypes.guess_type(name, strict=False)[0]
        kind = mime_type if "/" in mime_type else guessed or "application/octet-stream"
        path = f"kieai/{_ACCOUNT}/{folder}/{name}"
        return self.describe(name, self.uploads.add(path, content, kind))

    def describe(self, name: str, upload: Upload) -> JSONResponse:
        """Return the answer to an upload. Source: recorded live traffic (L), 2026-04-30."""
        moment = datetime.datetime.fromtimestamp(upload.uploaded_at, datetime.UTC)
        data = {
            "success": True,
            "fileName": name,
            "filePath": upload.path,
            "downloadUrl": self.urls.upload_url(upload.path),
            "fileSize": upload.size_bytes,
            "mimeType": upload.mime_type,
            "uploadedAt": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        return json_answer(
            {"success": True, "code": 200, "msg": "File uploaded successfully", "data": data}
        )

    def get_upload(self, call: Call) -> Response:
        """Return an uploaded file, for 24 hours."""
        upload = self.uploads.find(call.path.lstrip("/"))
        if upload is None or upload.expired:
            return _not_found()
        return FileResponse(self.uploads.file_of(upload), media_type=upload.mime_type)

    def get_clip(self, call: Call) -> Response:
        """Return a result, whole or in ranges, for 14 days; a download-url link 20 minutes."""
        name, now = call.path.removeprefix("/k/"), self.account.clock()
        task = self.account.task(name.partition("_")[0])
        if task is None or task.state != "success" or name not in result_names(task):
            return _not_found()
        until = call.query.get("until", "")
        if until and not (until.isdecimal() and len(until) < 20 and now <= int(until)):
            return _not_found()
        clip = self.renderer.file_of(task)
        if clip is None or now > (task.ended_at or now) + self.account.limits.clip_life_s:
            return _not_found()
        if name.endswith(".jpg"):
            from kling_nb.emulator.render.images import draw_cover

            return Response(draw_cover(), media_type="image/jpeg")
        return FileResponse(clip, media_type="video/mp4")


def _read_stream(call: Call) -> Received:
    """Read a multipart upload of at most 100 MB. Source: D."""
    if call.file is None:
        raise _UploadRefused("file is required")
    return Received(call.form, call.file, call.file_type)


def _read_base64(call: Call) -> Received:
    """Read a JSON upload of at most 10 MB: base64, bare or as a data URL. Source: D."""
    fields, mime_type = _json_fields(call), ""
    data = fields.get("base64Data")
    if not isinstance(data, str) or not data:
        raise _UploadRefused("base64Data is required")
    if data.startswith("data:"):
        head, _, data = data.partition(",")
        mime_type = head.removeprefix("data:").partition(";")[0]
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _UploadRefused("base64Data is not base64") from error
    return Received(fields, content, mime_type, _BASE64_LIMIT_BYTES)


def _json_fields(call: Call) -> Mapping[str, object]:
    """Return the fields of a JSON body; none if it is no object."""
    body = call.json()
    return body if isinstance(body, dict) else {}


def _target_of(fields: Mapping[str, object], mime_type: str, now_ms: int) -> tuple[str, str]:
    """Return folder and name of an upload; the name is generated if none is requested."""
    folder, name = fields.get("uploadPath"), fields.get("fileName")
    if not isinstance(folder, str) or not folder or folder != folder.strip("/"):
        raise _UploadRefused("uploadPath is required, without a slash at either end")
    if name is not None and not isinstance(name, str):
        raise _UploadRefused("fileName must be a string")
    if name and "/" in name:
        raise _UploadRefused("fileName must not contain a slash")
    random = "".join(secrets.choice(_NAME_CHARS) for _ in range(11))
    suffix = mimetypes.guess_extension(mime_type, strict=False) or ""
    return folder, name or f"{now_ms}-{random}{suffix}"


def refusal(code: int, msg: str) -> JSONResponse:
    """Return an error of the upload host, with HTTP 200. Source: D."""
    return json_answer({"success": False, "code": code, "msg": msg})


def _unauthorized() -> JSONResponse:
    """Return the upload host's answer to a bad key. Source: D."""
    return refusal(401, "Unauthorized - Authentication failed.")


def _not_found() -> Response:
    """Return a file host's answer for a missing file."""
    return PlainTextResponse("Not Found", status_code=404)
