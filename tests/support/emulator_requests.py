"""A good request for each hosted model, written from the service's pages, and files for them."""

from __future__ import annotations

import io
import wave
from pathlib import Path
from typing import Any

from PIL import Image

from kling_nb.emulator.render.encode import render_clip

__all__ = ["GOOD", "film", "photo_of", "speech"]

PICTURE = "https://example.com/a.png"
OTHER = "https://example.com/b.png"
FILM = "https://example.com/a.mp4"
SPEECH = "https://example.com/a.mp3"
SHOTS = [{"prompt": "A fox", "duration": 2}, {"prompt": "It runs", "duration": 3}]
ELEMENT = {"name": "fox", "description": "red", "element_input_urls": [PICTURE, OTHER]}
STEERED = {"duration": "10", "negative_prompt": "rain", "cfg_scale": 0.5}

GOOD: dict[str, dict[str, Any]] = {
    "kling-2.6/image-to-video": {
        "prompt": "p",
        "image_urls": [PICTURE],
        "sound": True,
        "duration": "5",
    },
    "kling-2.6/text-to-video": {
        "prompt": "p",
        "sound": False,
        "duration": "10",
        "aspect_ratio": "1:1",
    },
    "kling-2.6/motion-control": {
        "prompt": "p",
        "input_urls": [PICTURE],
        "video_urls": [FILM],
        "character_orientation": "video",
        "mode": "720p",
    },
    "kling-3.0/video": {
        "multi_prompt": SHOTS,
        "sound": True,
        "duration": "5",
        "aspect_ratio": "9:16",
        "mode": "pro",
        "multi_shots": True,
        "image_urls": [PICTURE],
        "kling_elements": [ELEMENT],
    },
    "kling-3.0/motion-control": {
        "input_urls": [PICTURE],
        "video_urls": [FILM],
        "mode": "1080p",
        "character_orientation": "image",
        "background_source": "input_video",
        "prompt": "p",
    },
    "kling/v3-turbo-text-to-video": {
        "prompt": "p",
        "duration": "3",
        "aspect_ratio": "16:9",
        "resolution": "1080p",
    },
    "kling/v3-turbo-image-to-video": {
        "prompt": "p",
        "image_urls": [PICTURE],
        "duration": "15",
        "resolution": "720p",
    },
    "kling-3.0-omni/text-to-video": {
        "prompt": "p",
        "duration": 3,
        "resolution": "1080p",
        "aspect_ratio": "16:9",
        "audio": True,
        "customize_multi_shots": False,
        "prefer_multi_shots": True,
    },
    "kling-3.0-omni/image-to-video": {
        "prompt": "p",
        "image_urls": [PICTURE],
        "aspect_ratio": "auto",
        "multi_prompt": SHOTS,
        "resolution": "4k",
    },
    "kling-3.0-omni/reference-to-video": {
        "prompt": "p",
        "image_urls": [PICTURE] * 4,
        "video_urls": [FILM],
        "duration": 5,
    },
    "kling-3.0-omni/transformation": {
        "prompt": "p",
        "video_urls": [FILM],
        "image_urls": [PICTURE] * 4,
        "resolution": "720p",
    },
    "kling/v2-5-turbo-image-to-video-pro": {
        "prompt": "p",
        "image_url": PICTURE,
        "tail_image_url": OTHER,
        **STEERED,
    },
    "kling/v2-5-turbo-text-to-video-pro": {"prompt": "p", "aspect_ratio": "9:16", **STEERED},
    "kling/v2-1-master-image-to-video": {"prompt": "p", "image_url": PICTURE, **STEERED},
    "kling/v2-1-master-text-to-video": {"prompt": "p", "aspect_ratio": "16:9", **STEERED},
    "kling/v2-1-pro": {"prompt": "p", "image_url": PICTURE, "tail_image_url": OTHER, **STEERED},
    "kling/v2-1-standard": {"prompt": "p", "image_url": PICTURE},
    "kling/ai-avatar-standard": {"prompt": "p", "image_url": PICTURE, "audio_url": SPEECH},
    "kling/ai-avatar-pro": {"prompt": "p", "image_url": PICTURE, "audio_url": SPEECH},
}


def photo_of(width: int, height: int, kind: str = "PNG", colour: str = "#3060a0") -> bytes:
    """A plain image file."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, kind)
    return buffer.getvalue()


def film(folder: Path, seconds: float, colour: str = "#a03030") -> bytes:
    """A tiny silent MP4."""
    target = folder / f"film-{seconds}.mp4"
    picture = Image.new("RGB", (64, 36), colour)
    render_clip(picture, target, size=(64, 36), length_s=seconds, sound=False)
    return target.read_bytes()


def speech(seconds: float) -> bytes:
    """A WAV file of silence."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(8000)
        sound.writeframes(b"\x80" * int(seconds * 8000))
    return buffer.getvalue()
