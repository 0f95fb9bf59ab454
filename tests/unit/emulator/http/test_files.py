"""Uploads and downloads follow kie-api.md, row by row."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest

STREAM = "/api/file-stream-upload"
BASE64 = "/api/file-base64-upload"
URL = "/api/file-url-upload"


def post(service: Any, path: str, **fields: object) -> dict[str, Any]:
    """The answer to a JSON upload."""
    return dict(service.call("POST", "upload", path, json=fields).json())


def test_a_stream_upload_is_answered_as_documented(start: Any, clock: Any, photo: bytes) -> None:
    """All fields of the recorded answer (L); then the file is there, without a key."""
    service = start(clock=clock)
    answer = service.upload(photo)
    data = answer.pop("data")
    assert answer == {"success": True, "code": 200, "msg": "File uploaded successfully"}
    assert re.fullmatch(rf"{int(clock.now)}000-[a-z0-9]{{11}}\.png", data["fileName"])
    assert data == {
        "success": True,
        "fileName": data["fileName"],
        "filePath": f"kieai/emulator/pictures/{data['fileName']}",
        "downloadUrl": f"https://tempfile.redpandaai.co/{data['filePath']}",
        "fileSize": len(photo),
        "mimeType": "image/png",
        "uploadedAt": "2026-09-21T14:13:20.000Z",
    }
    got = service.call("GET", "", data["downloadUrl"], key=None)
    assert (got.content, got.headers["content-type"]) == (photo, "image/png")


@pytest.mark.parametrize("head", ["", "data:image/png;base64,"])
def test_a_base64_upload_is_kept(local: Any, photo: bytes, head: str) -> None:
    """Bare base64 and a data URL."""
    data = head + base64.b64encode(photo).decode()
    answer = post(local, BASE64, base64Data=data, uploadPath="a/b", fileName="fox.png")
    assert answer["data"]["filePath"] == "kieai/emulator/a/b/fox.png"
    assert answer["data"]["mimeType"] == "image/png"
    assert local.call("GET", "", answer["data"]["downloadUrl"], key=None).content == photo


def test_a_url_upload_copies_own_files(local: Any, photo: bytes) -> None:
    """An upload and a result of this emulator."""
    for url in (local.upload(photo)["data"]["downloadUrl"], local.clip_url()):
        answer = post(local, URL, fileUrl=url, uploadPath="copies")
        copy = local.call("GET", "", answer["data"]["downloadUrl"], key=None).content
        assert copy == local.call("GET", "", url, key=None).content


def test_a_url_upload_fetches_nothing_else(local: Any) -> None:
    """An error in the upload host's envelope."""
    answer = post(local, URL, fileUrl="https://example.com/a.png", uploadPath="copies")
    assert (answer["success"], answer["code"]) == (False, 400)
    assert "nothing but its own files" in answer["msg"]


@pytest.mark.parametrize("path", [STREAM, BASE64, URL])
@pytest.mark.parametrize("key", [None, "bad-key"])
def test_a_bad_key_cannot_upload(local: Any, path: str, key: str | None) -> None:
    """The upload host's own wording, HTTP 200 (D)."""
    answer = local.call("POST", "upload", path, key=key, json={})
    assert answer.status_code == 200
    assert answer.json() == {
        "success": False,
        "code": 401,
        "msg": "Unauthorized - Authentication failed.",
    }


@pytest.mark.parametrize("folder", ["", "/pictures", "pictures/", "/"])
def test_the_upload_path_has_no_slash_at_its_ends(local: Any, photo: bytes, folder: str) -> None:
    """And is required."""
    answer = local.upload(photo, uploadPath=folder)
    assert (answer["success"], answer["code"]) == (False, 400)
    assert "uploadPath" in answer["msg"]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"base64Data": "???", "uploadPath": "a"},
        {"base64Data": "QUJD", "uploadPath": "a", "fileName": "b/c"},
        {"base64Data": base64.b64encode(bytes(10 * 1024 * 1024 + 1)).decode(), "uploadPath": "a"},
    ],
    ids=["missing", "broken", "a name with a slash", "more than 10 MB decoded"],
)
def test_a_bad_base64_upload_is_refused(local: Any, fields: dict[str, object]) -> None:
    """With code 400."""
    assert post(local, BASE64, **fields)["code"] == 400


def test_a_stream_upload_needs_its_file(local: Any) -> None:
    """A body without the multipart field is refused."""
    answer = local.call("POST", "upload", STREAM, json={}).json()
    assert (answer["code"], answer["msg"]) == (400, "file is required")


def test_the_same_name_overwrites(local: Any, photo: bytes) -> None:
    """As at the service: use unique names."""
    first = local.upload(photo, fileName="same.png")["data"]["downloadUrl"]
    second = local.upload(b"other", fileName="same.png")["data"]["downloadUrl"]
    assert first == second
    assert local.call("GET", "", first, key=None).content == b"other"


def test_a_name_with_spaces_and_letters_comes_back(local: Any, photo: bytes) -> None:
    """The URL is quoted; the file is found by it."""
    url = local.upload(photo, fileName="ein Fuchs, schön.png")["data"]["downloadUrl"]
    assert " " not in url
    assert local.call("GET", "", url, key=None).content == photo


def test_a_clip_has_a_length_and_ranges(local: Any) -> None:
    """Content-Length, Content-Type, Accept-Ranges; a part on request."""
    url = local.clip_url()
    whole = local.call("GET", "", url, key=None)
    assert int(whole.headers["content-length"]) == len(whole.content)
    assert whole.headers["content-type"] == "video/mp4"
    assert whole.headers["accept-ranges"] == "bytes"
    part = local.call("GET", "", url, key=None, headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, b"ftyp")
    assert part.headers["content-range"] == f"bytes 4-7/{len(whole.content)}"
    head = local.call("HEAD", "", url, key=None)
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize(("is_clip", "hours"), [(False, 24), (True, 14 * 24)])
def test_uploads_live_24_hours_and_clips_14_days(
    start: Any, clock: Any, photo: bytes, is_clip: bool, hours: int
) -> None:
    """By the clock; then 404."""
    service = start(clock=clock)
    url = service.clip_url() if is_clip else service.upload(photo)["data"]["downloadUrl"]
    clock.move(hours * 3600 - 1)
    assert service.call("GET", "", url, key=None).status_code == 200
    clock.move(2)
    assert service.call("GET", "", url, key=None).status_code == 404


def test_an_unknown_clip_is_not_found(local: Any) -> None:
    """Also with a known task's id in a name that was never given out."""
    url = local.clip_url()
    for wrong in (url.replace("_1_", "_2_"), "https://tempfile.aiquickdraw.com/k/none.mp4"):
        assert local.call("GET", "", wrong, key=None).status_code == 404


def test_a_key_at_a_file_host_is_noted(service: Any, photo: bytes) -> None:
    """The account stores the path, not the key."""
    upload = service.upload(photo)["data"]
    clip = service.clip_url()
    service.call("GET", "", clip, key=None)
    assert service.account.leaks() == []
    service.call("GET", "", clip)
    service.call("GET", "", upload["downloadUrl"])
    service.call("GET", "", "https://tempfile.redpandaai.co/elsewhere")
    assert service.account.leaks() == [
        clip.removeprefix("https://tempfile.aiquickdraw.com"),
        f"/{upload['filePath']}",
        "/elsewhere",
    ]
