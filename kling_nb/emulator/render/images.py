"""Pictures that a clip is made from: an upload read with care, or a scene drawn from words.

Owns what Pillow draws before anything moves. Must not know video, tasks or HTTP.
"""

from __future__ import annotations

import hashlib
import io
import textwrap
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont, ImageOps, UnidentifiedImageError

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont
    from PIL.ImageFont import ImageFont as BitmapFont

__all__ = [
    "UnreadablePicture",
    "crop_to",
    "draw_caption",
    "draw_cover",
    "draw_mark",
    "draw_notice",
    "draw_scene",
    "open_picture",
]

ACCEPTED = ("JPEG", "PNG", "WEBP")
BACKGROUND = (226, 226, 222)
SCENE_SIZES = {"16:9": (1280, 720), "9:16": (720, 1280), "1:1": (960, 960)}
PALETTES = (
    ("#141e3c", "#46648c", "#f0b48c"),
    ("#0f2d32", "#3c8278", "#ebd7a0"),
    ("#281937", "#7d4678", "#f5aa96"),
    ("#1e2823", "#5f785a", "#e1cdaa"),
)


class UnreadablePicture(Exception):
    """The bytes are no picture of the asked formats that can be read to its end."""


def draw_cover() -> bytes:
    """A JPEG, as it stands before the clip in a result of several files."""
    content = io.BytesIO()
    Image.new("RGB", (64, 36), BACKGROUND).save(content, "JPEG")
    return content.getvalue()


def open_picture(content: bytes, formats: tuple[str, ...] = ACCEPTED) -> Image.Image:
    """The picture as a viewer shows it: upright, RGB, on a neutral ground where transparent.

    Raises:
        UnreadablePicture: it has none of the formats (D), or is damaged.
    """
    try:
        with Image.open(io.BytesIO(content), formats=formats) as picture:
            upright = ImageOps.exif_transpose(picture)
            if upright.has_transparency_data:
                rgba = upright.convert("RGBA")
                ground = Image.new("RGBA", rgba.size, BACKGROUND)
                return Image.alpha_composite(ground, rgba).convert("RGB")
            return upright.convert("RGB")
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError) as error:
        raise UnreadablePicture from error
    except SyntaxError as error:  # Pillow's word for a damaged PNG
        raise UnreadablePicture from error


def draw_scene(words: str, aspect_ratio: str) -> Image.Image:
    """A quiet landscape of light with the words set in it, for text-to-video."""
    size = SCENE_SIZES[aspect_ratio]
    digest = hashlib.sha256(words.encode()).digest()
    low, middle, high = PALETTES[digest[0] % len(PALETTES)]
    sky = ImageOps.colorize(Image.linear_gradient("L"), high, low, mid=middle)
    scene = sky.rotate(180).resize(size, Image.Resampling.BICUBIC)
    glow = Image.new("L", size, 0)
    diameter = min(size)
    light = ImageOps.invert(Image.radial_gradient("L")).resize((diameter, diameter))
    across = int((size[0] - diameter) * (0.25 + digest[1] / 510))
    glow.paste(light.point(fade_to_rim()), (across, (size[1] - diameter) // 2))
    scene.paste(Image.new("RGB", size, high), mask=glow)
    return write_words(scene, words, share=0.055)


def crop_to(picture: Image.Image, aspect_ratio: str) -> Image.Image:
    """The middle of a picture in that shape."""
    wide, high = SCENE_SIZES[aspect_ratio]
    width = min(picture.width, picture.height * wide / high)
    size = (max(1, round(width)), max(1, round(width * high / wide)))
    return ImageOps.fit(picture, size, Image.Resampling.LANCZOS)


def draw_caption(picture: Image.Image, words: str) -> Image.Image:
    """A copy with the words of a shot on a dark band along its lower third."""
    scene = picture.copy()
    band = (0, scene.height * 2 // 3, scene.width, scene.height * 5 // 6)
    shade = scene.crop(band).point(lambda value: value // 3)
    scene.paste(write_words(shade, words, share=0.3), band[:2])
    return scene


def fade_to_rim() -> list[int]:
    """Brightness of a glow for each value of Pillow's inverted radial gradient."""
    # The gradient ends at the corners of its square; ours has to end at the rim of the circle.
    rim = 75
    return [int(150 * (max(0, value - rim) / (255 - rim)) ** 1.5) for value in range(256)]


def draw_notice(url: str) -> Image.Image:
    """A placeholder that says the picture's URL was not fetched."""
    scene = Image.new("RGB", (1280, 720), BACKGROUND)
    scene.paste(
        Image.new("RGB", (1280, 720), "#50585f"),
        mask=Image.linear_gradient("L").resize((1280, 720)),
    )
    shown = url if len(url) <= 120 else f"{url[:117]}..."
    return write_words(scene, f"The emulator did not fetch this picture:\n{shown}", share=0.05)


def write_words(scene: Image.Image, words: str, *, share: float) -> Image.Image:
    """Set the words in the middle, wrapped, with a soft shadow; `share` is letter per height."""
    width, height = scene.size
    size = max(10, int(min(width, height) * share))
    letters = max(8, int(width * 0.8 / (size * 0.56)))
    lines = [line for part in words.splitlines() for line in textwrap.wrap(part, letters)]
    text, font = "\n".join(lines[:8]), load_font(size)
    middle = (width / 2, height / 2)
    draw = ImageDraw.Draw(scene)
    for offset, colour in ((max(1, size // 16), "#1e1e28"), (0, "#fffcf5")):
        spot = (middle[0] + offset, middle[1] + offset)
        draw.multiline_text(
            spot, text, fill=colour, font=font, anchor="mm", align="center", spacing=size * 0.4
        )
    return scene


def draw_mark(width: int, height: int) -> tuple[Image.Image, tuple[int, int]]:
    """The EMULATED badge for frames of that size, and where it goes: the upper right corner.

    A player's controls cover the lower edge.
    """
    size = max(7, min(width, height) // 34)
    font, pad = load_font(size), max(2, size // 2)
    left, top, right, bottom = font.getbbox("EMULATED")
    box = (int(right - left) + 2 * pad, int(bottom - top) + 2 * pad)
    mark = Image.new("RGBA", box, (0, 0, 0, 0))
    draw = ImageDraw.Draw(mark)
    draw.rounded_rectangle((0, 0, box[0] - 1, box[1] - 1), radius=pad, fill=(16, 18, 22, 150))
    draw.text((pad - left, pad - top), "EMULATED", font=font, fill=(255, 255, 255, 235))
    return mark, (max(0, width - box[0] - size), min(size, max(0, height - box[1])))


def load_font(size: int) -> FreeTypeFont | BitmapFont:
    """A sans serif: DejaVu, which has Greek and Cyrillic, else the font that Pillow carries."""
    try:
        return ImageFont.truetype("DejaVuSans.ttf", size)
    except OSError:
        return ImageFont.load_default(size)
