"""Staging: the pictures of a script, read or drawn, as the scenes that the camera will see.

Must not know tasks, the books or how clips are written.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from kling_nb.emulator.render.media_probe import UnreadableFootage, first_frame

from .encode import Scene
from .images import UnreadablePicture, crop_to, draw_caption, draw_notice, draw_scene, open_picture
from .input_files import MediaUnavailable
from .shot_list import Script, Shot

__all__ = ["stage"]

USUAL_SHAPE = "16:9"


def stage(script: Script, *, captions: bool = True) -> list[Scene]:
    """A scene for each shot; the last one ends on the tail picture where there is one.

    Raises:
        MediaUnavailable: a file cannot be read.
    """
    ground = find_ground(script)
    last = shaped(read_picture(script.last), script) if script.last else None
    captions = captions and len(script.shots) > 1
    return [
        Scene(
            picture=picture_of(shot, ground, script, captions=captions),
            length_s=shot.length_s,
            last=last if shot is script.shots[-1] else None,
        )
        for shot in script.shots
    ]


def find_ground(script: Script) -> Image.Image | None:
    """What every shot shows; None where words are drawn."""
    if script.first is not None:
        return shaped(read_picture(script.first), script)
    if script.film is not None:
        try:
            return shaped(first_frame(script.film), script)
        except UnreadableFootage as error:
            raise MediaUnavailable from error
    return shaped(draw_notice(script.foreign), script) if script.foreign else None


def picture_of(
    shot: Shot, ground: Image.Image | None, script: Script, *, captions: bool
) -> Image.Image:
    """What the camera sees of a shot."""
    if ground is None:
        return draw_scene(shot.words, script.aspect_ratio or USUAL_SHAPE)
    return draw_caption(ground, shot.words) if captions else ground


def shaped(picture: Image.Image, script: Script) -> Image.Image:
    """The picture, in the shape that was asked for."""
    return crop_to(picture, script.aspect_ratio) if script.aspect_ratio else picture


def read_picture(file: Path) -> Image.Image:
    """The picture in a file that was inspected."""
    try:
        return open_picture(file.read_bytes())
    except UnreadablePicture as error:
        raise MediaUnavailable from error
