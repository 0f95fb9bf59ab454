"""The upload host and the file hosts: files come in, files and clips go out.

Owns names, limits and lifetimes as the service shows them. Must not know tasks' rules or render.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import mimetypes
import secrets
import string
from collections.abc import Mapping

from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute

from kling_nb.emulator.account.tasks import result_names
from kling_nb.emulator.account.uploads import Upload
from kling_nb.emulator.hosts import Addresses, own_clip_name, own_upload_path
from kling_nb.emulator.render.worker import Studio

from .routes import Call, accepted_key, json_answer, route

__all__ = ["Files"]

MEGABYTE = 1024 * 1024
STREAM_LIMIT_BYTES = 100 * MEGABYTE
BASE64_LIMIT_BYTES = 10 * MEGABYTE
ACCOUNT = "emulator"
NAME_CHARS = string.ascii_lowercase + string.digits


class UploadRefused(Exception):
    """An upload that the service does not take, with the text it answers."""


class Files:
    """The upload endpoints, and the files that both file hosts give out without a key."""

    def __init__(self, studio: Studio, addresses: Addresses) -> None:
        """Give out the studio's clips and its uploads."""
        self.studio = studio
        self.uploads = studio.uploads
        self.books = studio.books
        self.addresses = addresses

    def upload_routes(self) -> list[BaseRoute]:
        """The paths of the upload host."""
        return [
            route("/api/file-stream-upload", "POST", self.take_stream),
            route("/api/file-base64-upload", "POST", self.take_base64),
            route("/api/file-url-upload", "POST", self.take_url),
        ]

    def clip_routes(self) -> list[BaseRoute]:
        """The paths of the host of results."""
        return [route("/k/{name}", "GET", self.give_clip)]

    def uploaded_routes(self) -> list[BaseRoute]:
        """The paths of the host of uploaded files."""
        return [route("/kieai/{path:path}", "GET", self.give_upload)]

    def take_stream(self, call: Call) -> Response:
        """`POST /api/file-stream-upload`: multipart, at most 100 MB. Source: D."""
        if accepted_key(call) is None:
            return unauthorized()
        try:
            if call.file is None:
                raise UploadRefused("file is required")
            return self.keep(call.form, call.file, call.file_type, STREAM_LIMIT_BYTES)
        except UploadRefused as refused:
            return refusal(400, str(refused))

    def take_base64(self, call: Call) -> Response:
        """`POST /api/file-base64-upload`: JSON, at most 10 MB. Source: D."""
        if accepted_key(call) is None:
            return unauthorized()
        body = call.json()
        fields = body if isinstance(body, dict) else {}
        try:
            content, mime_type = decode(fields.get("base64Data"))
            return self.keep(fields, content, mime_type, BASE64_LIMIT_BYTES)
        except UploadRefused as refused:
            return refusal(400, str(refused))

    def take_url(self, call: Call) -> Response:
        """`POST /api/file-url-upload`: JSON. Only URLs of this emulator: it fetches no others."""
        if accepted_key(call) is None:
            return unauthorized()
        body = call.json()
        fields = body if isinstance(body, dict) else {}
        try:
            content, mime_type = self.read_own(str(fields.get("fileUrl", "")))
            return self.keep(fields, content, mime_type, STREAM_LIMIT_BYTES)
        except UploadRefused as refused:
            return refusal(400, str(refused))

    def read_own(self, url: str) -> tuple[bytes, str]:
        """Content and type of an uploaded file or a result of this emulator."""
        path = own_upload_path(url)
        upload = self.uploads.find(path) if path else None
        if upload is not None and not upload.expired:
            return self.uploads.file_of(upload).read_bytes(), upload.mime_type
        name = own_clip_name(url)
        task = self.books.task(name.partition("_")[0]) if name else None
        clip = self.studio.file_of(task) if task else None
        if clip is not None:
            return clip.read_bytes(), "video/mp4"
        raise UploadRefused("fileUrl: the emulator fetches nothing but its own files")

    def keep(
        self, fields: Mapping[str, object], content: bytes, mime_type: str, limit_bytes: int
    ) -> JSONResponse:
        """Keep a file under the asked path and name, and answer as the service does (L)."""
        if len(content) > limit_bytes:
            raise UploadRefused(f"file is too large: at most {limit_bytes // MEGABYTE} MB")
        folder, name = place(fields, mime_type, int(self.books.clock() * 1000))
        guessed = mimetypes.guess_type(name, strict=False)[0]
        kind = mime_type if "/" in mime_type else guessed or "application/octet-stream"
        path = f"kieai/{ACCOUNT}/{folder}/{name}"
        return self.describe(name, self.uploads.add(path, content, kind))

    def describe(self, name: str, upload: Upload) -> JSONResponse:
        """The answer to an upload. Source: recorded live traffic (L), 2026-04-30."""
        moment = datetime.datetime.fromtimestamp(upload.uploaded_at, datetime.UTC)
        data = {
            "success": True,
            "fileName": name,
            "filePath": upload.path,
            "downloadUrl": self.addresses.upload_url(upload.path),
            "fileSize": upload.size_bytes,
            "mimeType": upload.mime_type,
            "uploadedAt": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        return json_answer(
            {"success": True, "code": 200, "msg": "File uploaded successfully", "data": data}
        )

    def give_upload(self, call: Call) -> Response:
        """An uploaded file, for 24 hours."""
        upload = self.uploads.find(call.path.lstrip("/"))
        if upload is None or upload.expired:
            return not_found()
        return FileResponse(self.uploads.file_of(upload), media_type=upload.mime_type)

    def give_clip(self, call: Call) -> Response:
        """A result, whole or in ranges, for 14 days; a link from download-url for 20 minutes."""
        name, now = call.path.removeprefix("/k/"), self.books.clock()
        task = self.books.task(name.partition("_")[0])
        if task is None or task.state != "success" or name not in result_names(task):
            return not_found()
        until = call.query.get("until", "")
        if until and not (until.isdecimal() and len(until) < 20 and now <= int(until)):
            return not_found()
        clip = self.studio.file_of(task)
        if clip is None or now > (task.ended_at or now) + self.books.terms.clip_life_s:
            return not_found()
        if name.endswith(".jpg"):
            from kling_nb.emulator.render.images import draw_cover

            return Response(draw_cover(), media_type="image/jpeg")
        return FileResponse(clip, media_type="video/mp4")


def place(fields: Mapping[str, object], mime_type: str, now_ms: int) -> tuple[str, str]:
    """The folder and name to keep a file under; a name is made where none is asked for."""
    folder, name = fields.get("uploadPath"), fields.get("fileName")
    if not isinstance(folder, str) or not folder or folder != folder.strip("/"):
        raise UploadRefused("uploadPath is required, without a slash at either end")
    if name is not None and not isinstance(name, str):
        raise UploadRefused("fileName must be a string")
    if name and "/" in name:
        raise UploadRefused("fileName must not hold a slash")
    random = "".join(secrets.choice(NAME_CHARS) for _ in range(11))
    suffix = mimetypes.guess_extension(mime_type, strict=False) or ""
    return folder, name or f"{now_ms}-{random}{suffix}"


def decode(data: object) -> tuple[bytes, str]:
    """Content and type of base64 text, bare or as a data URL."""
    if not isinstance(data, str) or not data:
        raise UploadRefused("base64Data is required")
    mime_type = ""
    if data.startswith("data:"):
        head, _, data = data.partition(",")
        mime_type = head.removeprefix("data:").partition(";")[0]
    try:
        return base64.b64decode(data, validate=True), mime_type
    except (binascii.Error, ValueError) as error:
        raise UploadRefused("base64Data is not base64") from error


def refusal(code: int, msg: str) -> JSONResponse:
    """An error of the upload host, HTTP status 200. Source: D."""
    return json_answer({"success": False, "code": code, "msg": msg})


def unauthorized() -> JSONResponse:
    """The upload host's answer to a bad key. Source: D."""
    return refusal(401, "Unauthorized - Authentication failed.")


def not_found() -> Response:
    """What a file host answers for a file it does not have."""
    return PlainTextResponse("Not Found", status_code=404)
