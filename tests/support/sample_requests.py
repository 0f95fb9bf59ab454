"""One request body for each model, and the values a person gives for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kling_nb.models.parameters import Media, Text
from kling_nb.models.records import Records
from kling_nb.models.spec import ModelSpec
from tests.support.sample_files import document

__all__ = [
    "BROKEN",
    "BROKEN_FORMS",
    "ELEMENT",
    "EXAMPLES",
    "FIRST_EXAMPLES",
    "FORMS",
    "SHOTS",
    "body_of",
    "broken_form",
    "given_of",
    "least",
]

EXAMPLES = {
    "kling-2.6/image-to-video": "create.request.image-to-video.json",
    "kling-2.6/text-to-video": "create.request.text-to-video.json",
    "kling-2.6/motion-control": "create.request.2.6-motion-control.json",
    "kling-3.0/video": "create.request.3.0-video-shots.json",
    "kling-3.0/motion-control": "create.request.3.0-motion-control.json",
    "kling/v3-turbo-image-to-video": "create.request.v3-turbo-image-to-video.json",
    "kling/v3-turbo-text-to-video": "create.request.v3-turbo-text-to-video.json",
    "kling-3.0-omni/image-to-video": "create.request.3.0-omni-image-to-video-shots.json",
    "kling-3.0-omni/text-to-video": "create.request.3.0-omni-text-to-video.json",
    "kling-3.0-omni/reference-to-video": "create.request.3.0-omni-reference-to-video-both.json",
    "kling-3.0-omni/transformation": "create.request.3.0-omni-transformation.json",
    "kling/v2-5-turbo-image-to-video-pro": "create.request.v2-5-turbo-image-to-video-pro.json",
    "kling/v2-5-turbo-text-to-video-pro": "create.request.v2-5-turbo-text-to-video-pro.json",
    "kling/v2-1-master-image-to-video": "create.request.v2-1-master-image-to-video.json",
    "kling/v2-1-master-text-to-video": "create.request.v2-1-master-text-to-video.json",
    "kling/v2-1-pro": "create.request.v2-1-pro.json",
    "kling/v2-1-standard": "create.request.v2-1-standard.json",
    "kling/ai-avatar-standard": "create.request.ai-avatar-standard.json",
    "kling/ai-avatar-pro": "create.request.ai-avatar-pro.json",
}

ALTERNATIVE = {"kling-3.0-omni/reference-to-video": "image"}
"""One of two fields of which either is enough."""

FIRST_EXAMPLES = EXAMPLES | {
    "kling-3.0/video": "create.request.3.0-video.json",
    "kling-3.0-omni/image-to-video": "create.request.3.0-omni-image-to-video.json",
    "kling-3.0-omni/reference-to-video": "create.request.3.0-omni-reference-to-video.json",
}
"""The samples that fingerprints are pinned with: three of them are not accepted any more."""
FORMS = (
    "create.request.3.0-omni-image-to-video-two-frames.json",
    "create.request.3.0-omni-text-to-video-shots.json",
    "create.request.3.0-omni-reference-to-video-images.json",
    "create.request.3.0-omni-reference-to-video-video.json",
    "create.request.3.0-omni-transformation-video.json",
    "create.request.3.0-omni-transformation-images.json",
)
"""Further forms of requests."""
SHOTS = [{"prompt": "wakes", "duration": 3}, {"prompt": "runs", "duration": 4}]
ELEMENT = {"name": "fox", "description": "red", "images": ["a.png", "b.png"]}

BROKEN: tuple[tuple[str, dict[str, object], str, str], ...] = (
    ("kling-2.6/image-to-video", {"image": ["a", "b"]}, "image", "2 were given"),
    ("kling-2.6/text-to-video", {"prompt": "x" * 1001}, "prompt", "1,001 characters"),
    ("kling-2.6/text-to-video", {"aspect_ratio": "4:3"}, "aspect_ratio", "1:1, 16:9, 9:16"),
    ("kling-2.6/motion-control", {"video": ""}, "video", "3 to 30 s"),
    ("kling-2.6/motion-control", {"prompt": "x" * 2501}, "prompt", "2,501 characters"),
    ("kling-2.6/motion-control", {"mode": "std"}, "mode", "720p, 1080p"),
    ("kling-3.0/motion-control", {"background_source": "none"}, "background_source",
     "input_video, input_image"),
    ("kling-3.0/motion-control", {"character_orientation": "left"}, "character_orientation",
     "image, video"),
    ("kling-3.0/video", {"prompt": ""}, "prompt", "give it, or shots"),
    ("kling-3.0/video", {"image": ["a", "b", "c"]}, "image", "3 were given"),
    ("kling-3.0/video", {"duration": 2}, "duration", "3 to 15"),
    ("kling-3.0/video", {"duration": 16}, "duration", "3 to 15"),
    ("kling-3.0/video", {"mode": "4k"}, "mode", "std, pro, 4K; write 4K"),
    ("kling-3.0/video", {"shots": SHOTS * 3}, "shots", "6 were given"),
    ("kling-3.0/video", {"shots": [{"prompt": "a", "duration": 13}]}, "shots", "shot 1"),
    ("kling-3.0/video", {"shots": [{"prompt": "x" * 501, "duration": 5}]}, "shots",
     "501 characters"),
    ("kling-3.0/video", {"elements": [ELEMENT] * 4}, "elements", "4 were given"),
    ("kling-3.0/video", {"elements": [{**ELEMENT, "images": ["a.png"]}]}, "elements",
     "element 1: images: 1 was given"),
    ("kling/v3-turbo-text-to-video", {"resolution": "4k"}, "resolution", "720p, 1080p"),
    ("kling-3.0-omni/text-to-video", {"prompt": ""}, "prompt", "is missing"),
    ("kling-3.0-omni/image-to-video", {"prompt": "", "shots": SHOTS}, "prompt", "is missing"),
    ("kling-3.0-omni/text-to-video", {"prompt": "x" * 3073}, "prompt", "3,073 characters"),
    ("kling-3.0-omni/text-to-video", {"duration": 3.5}, "duration", "3 to 15"),
    ("kling-3.0-omni/text-to-video", {"aspect_ratio": "auto"}, "aspect_ratio", "'auto'"),
    ("kling-3.0-omni/image-to-video", {"image": ["a", "b", "c"]}, "image", "50 MB"),
    ("kling-3.0-omni/reference-to-video", {"image": ["a"] * 8}, "image", "8 were given"),
    ("kling-3.0-omni/transformation", {"image": ["a"] * 5}, "image", "5 were given"),
    ("kling-3.0-omni/transformation", {"video": ""}, "video", "is missing"),
    ("kling/v2-5-turbo-image-to-video-pro", {"cfg_scale": 0.55}, "cfg_scale", "steps of 0.1"),
    ("kling/v2-5-turbo-text-to-video-pro", {"cfg_scale": 1.1}, "cfg_scale", "0 to 1"),
    ("kling/v2-1-pro", {"negative_prompt": "x" * 501}, "negative_prompt", "501 characters"),
    ("kling/v2-1-standard", {"last_image": "a.png"}, "last_image", "no such parameter"),
    ("kling/v2-1-master-text-to-video", {"prompt": "x" * 5001}, "prompt", "5,001 characters"),
    ("kling/v2-1-master-image-to-video", {"duration": 7}, "duration", "5, 10"),
    ("kling/ai-avatar-standard", {"audio": ""}, "audio", "at most 300 s"),
    ("kling/ai-avatar-pro", {"prompt": ""}, "prompt", "is missing"),
)  # fmt: skip
"""Each rule of the pages, broken once: model, values beside the least (empty: left out), the field
where it can be mended, and words of what is said there."""


_R = "create.request.3.0-omni-reference-to-video"
_T = "create.request.3.0-omni-transformation"
_I = "create.request.3.0-omni-image-to-video"
_FOX, _FILM = "https://example.com/fox.png", "https://example.com/dance.mp4"
_SHOT = {"prompt": "runs", "duration": 5}
_PART = {"name": "fox", "description": "red", "element_input_urls": [_FOX, _FOX]}
BROKEN_FORMS: tuple[tuple[str, dict[str, object], str, str], ...] = (
    ("create.request.3.0-video-shots.json", {"image_urls": [_FOX] * 2}, "image",
     "2 were given; allowed: at most 1 with shots"),
    ("create.request.3.0-video-shots.json", {"kling_elements": [{**_PART, "start_time": 9,
     "end_time": 9}]}, "elements", "element 1: end: 9 must be greater than start 9"),
    ("create.request.3.0-motion-control.json", {"mode": "std"}, "mode", "720p, 1080p"),
    ("create.request.3.0-motion-control.json", {"mode": "pro"}, "mode", "720p, 1080p"),
    (f"{_I}-shots.json", {"image_urls": [_FOX] * 2}, "image",
     "2 were given; allowed: at most 1 with shots"),
    (f"{_I}-shots.json", {"prefer_multi_shots": True}, "prefer_multi_shots",
     "is not allowed with shots"),
    (f"{_I}-shots.json", {"multi_prompt": [{**_SHOT, "duration": 2}] * 7, "duration": 14},
     "shots", "7 were given"),
    (f"{_I}-shots.json", {"multi_prompt": [{**_SHOT, "prompt": "x" * 513}], "duration": 5},
     "shots", "513 characters"),
    (f"{_I}-shots.json", {"multi_prompt": [{**_SHOT, "duration": 16}]}, "shots", "1 to 15"),
    (f"{_I}-two-frames.json", {"image_urls": [_FOX], "aspect_ratio": "16:9"}, "aspect_ratio",
     "is 16:9 with 1 image and without shots; set auto, or leave aspect_ratio out"),
    (f"{_R}-images.json", {"image_urls": [_FOX] * 8}, "image", "8 were given"),
    (f"{_R}-images.json", {"image_urls": None}, "image", "is missing; give it, or video"),
    (f"{_R}-images.json", {"aspect_ratio": "auto"}, "aspect_ratio", "is auto with image"),
    (f"{_R}-both.json", {"image_urls": [_FOX] * 5}, "image", "at most 4 with video"),
    (f"{_R}-both.json", {"aspect_ratio": "auto"}, "aspect_ratio", "is auto with image"),
    (f"{_R}-both.json", {"audio": True}, "sound", "is on with video; set off"),
    (f"{_R}-both.json", {"prefer_multi_shots": True}, "prefer_multi_shots",
     "is not allowed with video"),
    (f"{_R}-both.json", {"multi_prompt": [_SHOT]}, "shots", "is not allowed with video"),
    (f"{_R}-video.json", {"aspect_ratio": "16:9"}, "aspect_ratio",
     "is 16:9 with video and without image; set auto"),
    (f"{_R}-video.json", {"audio": True}, "sound", "is on with video; set off"),
    (f"{_R}-video.json", {"duration": 7}, "duration", "not allowed with video and without image"),
    (f"{_R}-video.json", {"video_urls": [_FILM] * 2}, "video", "2 were given"),
    (f"{_T}-video.json", {"aspect_ratio": "16:9"}, "aspect_ratio", "is 16:9 without image"),
    (f"{_T}-images.json", {"aspect_ratio": "auto"}, "aspect_ratio", "is auto with image"),
    (f"{_T}-images.json", {"image_urls": [_FOX] * 5}, "image", "5 were given"),
)  # fmt: skip
"""Forms of requests, each broken once: a sample, what is changed in it by the service's names
(None: left out), the field where it can be mended, and words of what is said there."""


def broken_form(sample: str, changes: Mapping[str, object]) -> dict[str, Any]:
    """The body of a sample with these changes."""
    body: dict[str, Any] = document(sample)
    changed = body["input"] | changes
    body["input"] = {name: value for name, value in changed.items() if value is not None}
    return body


def body_of(spec: ModelSpec) -> dict[str, Any]:
    """The sample body of a model."""
    body: dict[str, Any] = document(EXAMPLES[spec.name])
    return body


def given_of(spec: ModelSpec, body: Mapping[str, Any] | None = None) -> dict[str, object]:
    """The sample's values by the names a person writes; what follows from others is left out."""
    sent: Mapping[str, Any] = (body or body_of(spec))["input"]
    given: dict[str, object] = {}
    for parameter in spec.parameters:
        if parameter.field not in sent:
            continue
        given[parameter.name] = sent[parameter.field]
        if isinstance(parameter.kind, Records):
            given[parameter.name] = [
                _record_of(parameter.kind, record) for record in sent[parameter.field]
            ]
    return given


def _record_of(kind: Records, record: Mapping[str, Any]) -> dict[str, object]:
    """Return a record by column names; the number of files decides between two columns."""
    given: dict[str, object] = {}
    for column in kind.columns:
        value = record.get(column.field)
        is_media = isinstance(column.kind, Media) and isinstance(value, list)
        if value is not None and not (is_media and not _fits(column.kind, value)):
            given[column.name] = value
    return given


def _fits(kind: object, urls: list[str]) -> bool:
    return isinstance(kind, Media) and kind.min_count <= len(urls) <= kind.max_count


def least(spec: ModelSpec) -> dict[str, object]:
    """The least that a model takes: what has no default, and a prompt."""
    fill: dict[type, object] = {Text: "A red fox", Media: "fox.png"}
    return {
        parameter.name: fill[type(parameter.kind)]
        for parameter in spec.parameters
        if parameter.name == "prompt"
        or (parameter.required and parameter.default is None)
        or parameter.name == ALTERNATIVE.get(spec.name)
    }
