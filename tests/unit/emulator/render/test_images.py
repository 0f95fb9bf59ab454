"""Uploads are read as a viewer shows them; scenes are drawn from words."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from kling_nb.emulator.render.images import (
    UnreadableImage,
    draw_mark,
    draw_notice,
    draw_scene,
    open_image,
)


def encode(picture: Image.Image, kind: str, **options: object) -> bytes:
    """The picture as a file."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_three_kinds_are_read(kind: str) -> None:
    """As RGB."""
    picture = open_image(encode(Image.new("RGB", (20, 10), "red"), kind))
    assert (picture.mode, picture.size) == ("RGB", (20, 10))
    assert picture.getpixel((10, 5)) == pytest.approx((255, 0, 0), abs=4)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("JPEG", "CMYK"), ("JPEG", "L"), ("PNG", "P"), ("PNG", "1"), ("PNG", "LA"), ("PNG", "I;16")],
)
def test_every_mode_becomes_rgb(kind: str, mode: str) -> None:
    """Print colours, palettes, greys, bits."""
    assert open_image(encode(Image.new(mode, (20, 10)), kind)).mode == "RGB"


@pytest.mark.parametrize(
    ("image", "options"),
    [
        (Image.new("RGBA", (20, 10), (255, 0, 0, 0)), {}),
        (Image.new("LA", (20, 10), (76, 0)), {}),
        (Image.new("P", (20, 10), 0), {"transparency": 0}),
    ],
    ids=["RGBA", "LA", "palette"],
)
def test_transparency_lies_on_a_neutral_ground(image: Image.Image, options: Any) -> None:
    """Neither black nor garish."""
    content = encode(image, "PNG", **options)
    assert open_image(content).getpixel((5, 5)) == (226, 226, 222)


def test_a_photo_is_put_upright() -> None:
    """The orientation of its EXIF data is respected."""
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encode(Image.new("RGB", (20, 10)), "JPEG", exif=exif)
    assert open_image(content).size == (10, 20)


@pytest.mark.parametrize(
    ("kind", "share"),
    [("GIF", 1), ("BMP", 1), ("TIFF", 1), ("JPEG", 0.5), ("PNG", 0.5), ("WEBP", 0.5)],
)
def test_other_kinds_and_damaged_images_are_refused(kind: str, share: float) -> None:
    """The service takes whole JPEG, PNG and WebP files."""
    content = encode(Image.effect_noise((100, 100), 90).convert("RGB"), kind)
    with pytest.raises(UnreadableImage):
        open_image(content[: int(len(content) * share)])


@pytest.mark.parametrize(
    ("aspect_ratio", "size"), [("16:9", (1280, 720)), ("9:16", (720, 1280)), ("1:1", (960, 960))]
)
def test_a_scene_has_its_shape_and_its_words(aspect_ratio: str, size: tuple[int, int]) -> None:
    """The same words give the same scene; others another one."""
    scene = draw_scene("a red fox", aspect_ratio)
    assert scene.size == size
    assert scene.tobytes() == draw_scene("a red fox", aspect_ratio).tobytes()
    assert scene.tobytes() != draw_scene("a red box", aspect_ratio).tobytes()


@pytest.mark.parametrize("words", ["", "\n", "x" * 1000, "w " * 500, "狐", "\0"])
def test_any_words_can_be_drawn(words: str) -> None:
    """Long ones are cut, strange ones do not break."""
    assert draw_scene(words, "1:1").size == (960, 960)
    assert draw_notice(words).size == (1280, 720)


@pytest.mark.parametrize("size", [(1280, 720), (360, 640), (640, 160), (64, 36)])
def test_the_mark_fits_the_frame(size: tuple[int, int]) -> None:
    """Even on a tiny one, and never more than a modest part of a large one."""
    mark, (left, top) = draw_mark(*size)
    assert left + mark.width <= size[0]
    assert top + mark.height <= size[1]
    if size[0] > 100:
        assert mark.width < size[0] / 4
        assert mark.height > 18
