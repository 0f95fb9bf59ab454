"""One request body for each model, and the values a person gives for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kling_nb.kinds import Media, Text
from kling_nb.records import Records
from kling_nb.specs import ModelSpec
from tests.sample_files import document

__all__ = ["BROKEN", "ELEMENT", "EXAMPLES", "SHOTS", "body_of", "given_of", "least"]

EXAMPLES = {
    "kling-2.6/image-to-video": "create.request.image-to-video.json",
    "kling-2.6/text-to-video": "create.request.text-to-video.json",
    "kling-2.6/motion-control": "create.request.2.6-motion-control.json",
    "kling-3.0/video": "create.request.3.0-video.json",
    "kling-3.0/motion-control": "create.request.3.0-motion-control.json",
    "kling/v3-turbo-image-to-video": "create.request.v3-turbo-image-to-video.json",
    "kling/v3-turbo-text-to-video": "create.request.v3-turbo-text-to-video.json",
    "kling-3.0-omni/image-to-video": "create.request.3.0-omni-image-to-video.json",
    "kling-3.0-omni/text-to-video": "create.request.3.0-omni-text-to-video.json",
    "kling-3.0-omni/reference-to-video": "create.request.3.0-omni-reference-to-video.json",
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


def body_of(spec: ModelSpec) -> dict[str, Any]:
    """The sample body of a model."""
    body: dict[str, Any] = document(EXAMPLES[spec.name])
    return body


def given_of(spec: ModelSpec) -> dict[str, object]:
    """The sample's values by the names a person writes; what follows from others is left out."""
    sent: Mapping[str, Any] = body_of(spec)["input"]
    given: dict[str, object] = {}
    for parameter in spec.parameters:
        if parameter.field not in sent:
            continue
        given[parameter.name] = sent[parameter.field]
        if isinstance(parameter.kind, Records):
            names = {column.field: column.name for column in parameter.kind.columns}
            given[parameter.name] = [
                {names[field]: value for field, value in record.items()}
                for record in sent[parameter.field]
            ]
    return given


def least(spec: ModelSpec) -> dict[str, object]:
    """The least that a model takes: what has no default, and a prompt."""
    fill: dict[type, object] = {Text: "A red fox", Media: "fox.png"}
    return {
        parameter.name: fill[type(parameter.kind)]
        for parameter in spec.parameters
        if parameter.name == "prompt" or (parameter.required and parameter.default is None)
    }
