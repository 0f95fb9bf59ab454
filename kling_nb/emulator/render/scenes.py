"""Build the scenes of a clip from its shot list: read or draw their images."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from .encode import Scene
from .images import UnreadableImage, crop_to, draw_caption, draw_notice, draw_scene, open_image
from .input_files import MediaUnavailable
from .media_probe import UnreadableMedia, first_frame
from .shot_list import Shot, ShotList

_DEFAULT_RATIO = "16:9"


def build_scenes(content: ShotList, *, captions: bool = True) -> list[Scene]:
    """Return a scene for each shot; the last one ends on the tail image if there is one.

    Raises:
        MediaUnavailable: A file cannot be read.
    """
    background = _read_background(content)
    last = _crop(_read_image(content.last), content) if content.last else None
    captions = captions and len(content.shots) > 1
    return [
        Scene(
            image=_image_of(shot, background, content, captions=captions),
            duration_s=shot.duration_s,
            last=last if shot is content.shots[-1] else None,
        )
        for shot in content.shots
    ]


def _read_background(content: ShotList) -> Image.Image | None:
    """Return the image of every shot; None if scenes are drawn from their prompts."""
    if content.first is not None:
        return _crop(_read_image(content.first), content)
    if content.video is not None:
        try:
            return _crop(first_frame(content.video), content)
        except UnreadableMedia as error:
            raise MediaUnavailable from error
    return _crop(draw_notice(content.foreign), content) if content.foreign else None


def _image_of(
    shot: Shot, background: Image.Image | None, content: ShotList, *, captions: bool
) -> Image.Image:
    """Return the image of a shot."""
    if background is None:
        return draw_scene(shot.prompt, content.aspect_ratio or _DEFAULT_RATIO)
    return draw_caption(background, shot.prompt) if captions else background


def _crop(image: Image.Image, content: ShotList) -> Image.Image:
    """Return the image in the requested aspect ratio."""
    return crop_to(image, content.aspect_ratio) if content.aspect_ratio else image


def _read_image(file: Path) -> Image.Image:
    """Return the image in a file."""
    try:
        return open_image(file.read_bytes())
    except UnreadableImage as error:
        raise MediaUnavailable from error
