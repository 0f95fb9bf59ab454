"""A file that exceeds a limit fails the task; a file at another URL is never fetched."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import av
import pytest

from kling_nb.emulator.models import MODELS
from kling_nb.emulator.models.fields import ObjectList, UrlList, VideoFile
from kling_nb.emulator.render.input_files import is_allowed
from kling_nb.emulator.render.media_probe import MediaFacts
from tests.support.emulator_requests import GOOD, film, photo_of, speech

MOTION = "kling-2.6/motion-control"
AVATAR = "kling/ai-avatar-standard"
OMNI = "kling-3.0-omni/image-to-video"
UNAVAILABLE = ("fail", "422", "Your media file is unavailable, please replace it.")


def put(service: Any, content: bytes) -> str:
    """The URL of an upload."""
    return str(service.upload(content)["data"]["downloadUrl"])


def run(service: Any, name: str, **changes: Any) -> dict[str, Any]:
    """The record of a task that has ended."""
    answer = service.post_task({"model": name, "input": GOOD[name] | changes}).json()
    assert answer["code"] == 200, answer
    service.account.set_balance(5916)
    return dict(service.finish(answer["data"]["taskId"]))


def end_of(record: dict[str, Any]) -> tuple[str, str, str]:
    """How a task ended."""
    return record["state"], record["failCode"], record["failMsg"]


@pytest.mark.parametrize(
    ("name", "width", "height", "kind", "good"),
    [
        (MOTION, 301, 301, "PNG", True),
        (MOTION, 301, 750, "JPEG", True),
        (MOTION, 300, 600, "PNG", False),
        (MOTION, 301, 760, "PNG", False),
        (MOTION, 760, 301, "PNG", False),
        (MOTION, 400, 400, "WEBP", False),
        (OMNI, 300, 300, "PNG", True),
        (OMNI, 300, 750, "JPEG", True),
        (OMNI, 299, 300, "PNG", False),
        (OMNI, 300, 751, "PNG", False),
        (OMNI, 400, 400, "WEBP", False),
    ],
)
def test_an_image_has_the_size_and_ratio_of_the_page(
    local: Any, name: str, width: int, height: int, kind: str, good: bool
) -> None:
    """JPEG or PNG, ratio 2:5 to 5:2, sides above 300 px, of omni at least 300 px. Source: D."""
    urls = [put(local, photo_of(width, height, kind))]
    omni = {"image_urls": urls, "multi_prompt": None, "customize_multi_shots": False}
    record = run(local, name, **({"input_urls": urls} if name == MOTION else omni))
    assert (record["state"] == "success") == good
    assert good or end_of(record) == UNAVAILABLE


@pytest.mark.parametrize(
    ("seconds", "orientation", "good"),
    [
        (3.0, "image", True),
        (2.5, "video", False),
        (10.5, "video", True),
        (10.5, "image", False),
        (31.0, "video", False),
    ],
)
def test_a_video_for_motion_control(
    local: Any, tmp_path: Path, seconds: float, orientation: str, good: bool
) -> None:
    """3 to 30 s, at most 10 s where the character faces as in the picture. Source: D."""
    url = put(local, film(tmp_path, seconds))
    record = run(local, MOTION, video_urls=[url], character_orientation=orientation)
    assert (record["state"] == "success") == good


@pytest.mark.parametrize(
    ("size", "seconds", "rate", "good"),
    [
        ((1280, 720), 3.0, 24, True),
        ((1280, 720), 15.5, 24, True),
        ((1280, 720), 2.5, 24, False),
        ((1280, 720), 16.0, 24, False),
        ((1280, 698), 3.0, 24, False),
        ((1700, 700), 3.0, 24, False),
        ((700, 1770), 3.0, 24, False),
        ((4560, 2400), 3.0, 24, False),
        ((3840, 2162), 3.0, 24, False),
        ((1280, 720), 3.0, 60, True),
        ((1280, 720), 3.0, 12, False),
    ],
)
@pytest.mark.parametrize("place", ["video", "element"])
def test_a_video_for_omni(
    place: str, size: tuple[int, int], seconds: float, rate: int, good: bool
) -> None:
    """3–15.5 s, sides 700–4,553 px, at most 8,294,400 px, ratio 0.4–2, 24–60 fps. Source: D."""
    fields = MODELS["kling-3.0-omni/reference-to-video"].fields
    kind = fields["video_urls"]
    if place == "element":
        assert isinstance(fields["elements"], ObjectList)
        kind = fields["elements"].fields["element_input_urls"]
    assert isinstance(kind, UrlList)
    media = kind.media if place == "video" else kind.alone
    assert isinstance(media, VideoFile)
    facts = MediaFacts(seconds, is_video=True, has_sound=False, size=size, rate=rate)
    assert is_allowed(media, facts, {}) is good


WEBP = photo_of(400, 400, "WEBP")


@pytest.mark.parametrize(
    ("name", "field", "content"),
    [
        ("kling/v3-turbo-image-to-video", "image_urls", WEBP),
        ("kling/v2-5-turbo-image-to-video-pro", "image_url", WEBP),
        ("kling/v2-1-standard", "image_url", WEBP),
        ("kling/ai-avatar-pro", "image_url", WEBP),
        ("kling/v2-1-pro", "image_url", b"none"),
        ("kling/v2-1-pro", "tail_image_url", b"none"),
        (MOTION, "video_urls", b"no video"),
        (MOTION, "video_urls", photo_of(64, 36)),
        (MOTION, "video_urls", speech(4)),
        (AVATAR, "audio_url", b"none"),
        (AVATAR, "audio_url", speech(301)),
    ],
)
def test_a_file_that_its_field_does_not_take_fails_the_task(
    local: Any, name: str, field: str, content: bytes
) -> None:
    """Another format, or more than 5 minutes of audio (D). The task costs nothing."""
    url = put(local, content)
    record = run(local, name, **{field: [url] if field.endswith("s") else url})
    assert end_of(record) == UNAVAILABLE
    assert record["creditsConsumed"] == 0


def test_a_silent_video_is_no_audio(local: Any, tmp_path: Path) -> None:
    """An avatar needs sound."""
    url = put(local, film(tmp_path, 3.0))
    assert end_of(run(local, AVATAR, audio_url=url)) == UNAVAILABLE


@pytest.mark.parametrize(
    ("number", "kind", "good"),
    [(1, "video", True), (1, "image", False), (2, "image", True), (2, "broken", False)],
)
def test_the_sources_of_elements_are_checked(
    local: Any, tmp_path: Path, number: int, kind: str, good: bool
) -> None:
    """Two to four images, or one video; also inside lists of objects. Source: D."""
    contents = {"image": photo_of(400, 400), "broken": b"none", "video": film(tmp_path, 3.0)}
    urls = [put(local, photo_of(400, 400))] * (number - 1) + [put(local, contents[kind])]
    element = {"name": "n", "description": "d", "element_input_urls": urls}
    record = run(local, "kling-3.0/video", kling_elements=[element])
    assert (record["state"] == "success") == good
    assert good or end_of(record) == UNAVAILABLE


def length_of(service: Any, record: dict[str, Any]) -> tuple[float, bool]:
    """Seconds of a task's clip, and whether it has sound."""
    clip = service.call("GET", "", json.loads(record["resultJson"])["resultUrls"][0], key=None)
    with av.open(io.BytesIO(clip.content)) as made:
        return made.duration / av.time_base, bool(made.streams.audio)


def test_a_clip_follows_its_reference_video(local: Any, tmp_path: Path) -> None:
    """Its length is the clip's; a second that has begun is paid."""
    record = run(local, MOTION, video_urls=[put(local, film(tmp_path, 3.5))])
    assert length_of(local, record) == (pytest.approx(3.5, abs=0.06), False)
    assert record["creditsConsumed"] == 4 * 11


def test_an_avatar_speaks_as_long_as_its_audio(local: Any) -> None:
    """With sound."""
    record = run(local, AVATAR, audio_url=put(local, speech(2.0)))
    assert length_of(local, record) == (pytest.approx(2.0, abs=0.06), True)
    assert record["creditsConsumed"] == 2 * 8


@pytest.mark.parametrize(
    "kind",
    ["video/mp4", "video/quicktime", "audio/mpeg", "audio/x-wav", "audio/aac", "audio/mp4"],
)
def test_videos_and_sounds_are_uploaded_as_pictures_are(local: Any, kind: str) -> None:
    """They come back whole, under their type."""
    answer = local.call(
        "POST",
        "upload",
        "/api/file-stream-upload",
        data={"uploadPath": "media"},
        files={"file": ("any", b"content", kind)},
    ).json()["data"]
    assert answer["mimeType"] == kind
    back = local.call("GET", "", answer["downloadUrl"], key=None)
    assert (back.content, back.headers["content-type"]) == (b"content", kind)
