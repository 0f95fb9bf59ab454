"""The images of a clip, with Pillow: read an upload, or draw a scene from the prompt."""

from __future__ import annotations

import hashlib
import io
import textwrap
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont, ImageOps, UnidentifiedImageError

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont
    from PIL.ImageFont import ImageFont as BitmapFont

_ACCEPTED = ("JPEG", "PNG", "WEBP")
_BACKGROUND = (226, 226, 222)
_SCENE_SIZES = {"16:9": (1280, 720), "9:16": (720, 1280), "1:1": (960, 960)}
_PALETTES = (
    ("#141e3c", "#46648c", "#f0b48c"),
    ("#0f2d32", "#3c8278", "#ebd7a0"),
    ("#281937", "#7d4678", "#f5aa96"),
    ("#1e2823", "#5f785a", "#e1cdaa"),
)


class UnreadableImage(Exception):
    """The content is no complete image of an accepted format."""


def draw_cover() -> bytes:
    """Return a JPEG, the cover image in a result of several files."""
    content = io.BytesIO()
    Image.new("RGB", (64, 36), _BACKGROUND).save(content, "JPEG")
    return content.getvalue()


def open_image(content: bytes, formats: tuple[str, ...] = _ACCEPTED) -> Image.Image:
    """Return the image as a viewer shows it: upright, RGB, transparent parts in neutral grey.

    Raises:
        UnreadableImage: The content has none of the formats (D), or is damaged.
    """
    try:
        with Image.open(io.BytesIO(content), formats=formats) as image:
            upright = ImageOps.exif_transpose(image)
            if upright.has_transparency_data:
                rgba = upright.convert("RGBA")
                background = Image.new("RGBA", rgba.size, _BACKGROUND)
                return Image.alpha_composite(background, rgba).convert("RGB")
            return upright.convert("RGB")
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError) as error:
        raise UnreadableImage from error
    except SyntaxError as error:  # Pillow raises it for a damaged PNG
        raise UnreadableImage from error


def draw_scene(prompt: str, aspect_ratio: str) -> Image.Image:
    """Draw an abstract landscape with the prompt, for text-to-video."""
    size = _SCENE_SIZES[aspect_ratio]
    digest = hashlib.sha256(prompt.encode()).digest()
    low, middle, high = _PALETTES[digest[0] % len(_PALETTES)]
    sky = ImageOps.colorize(Image.linear_gradient("L"), high, low, mid=middle)
    scene = sky.rotate(180).resize(size, Image.Resampling.BICUBIC)
    glow = Image.new("L", size, 0)
    diameter = min(size)
    light = ImageOps.invert(Image.radial_gradient("L")).resize((diameter, diameter))
    across = int((size[0] - diameter) * (0.25 + digest[1] / 510))
    glow.paste(light.point(_fade_to_rim()), (across, (size[1] - diameter) // 2))
    scene.paste(Image.new("RGB", size, high), mask=glow)
    return _write_text(scene, prompt, share=0.055)


def crop_to(image: Image.Image, aspect_ratio: str) -> Image.Image:
    """Return the middle of an image in this aspect ratio."""
    wide, high = _SCENE_SIZES[aspect_ratio]
    width = min(image.width, image.height * wide / high)
    size = (max(1, round(width)), max(1, round(width * high / wide)))
    return ImageOps.fit(image, size, Image.Resampling.LANCZOS)


def draw_caption(image: Image.Image, text: str) -> Image.Image:
    """Return a copy with the text on a dark band in its lower third."""
    scene = image.copy()
    band = (0, scene.height * 2 // 3, scene.width, scene.height * 5 // 6)
    shade = scene.crop(band).point(lambda value: value // 3)
    scene.paste(_write_text(shade, text, share=0.3), band[:2])
    return scene


def _fade_to_rim() -> list[int]:
    """Return the brightness of a glow for each value of Pillow's inverted radial gradient."""
    # The gradient ends at the corners of its square; the glow ends at the rim of the circle.
    rim = 75
    return [int(150 * (max(0, value - rim) / (255 - rim)) ** 1.5) for value in range(256)]


def draw_notice(url: str) -> Image.Image:
    """Draw a placeholder for an image at another URL."""
    scene = Image.new("RGB", (1280, 720), _BACKGROUND)
    scene.paste(
        Image.new("RGB", (1280, 720), "#50585f"),
        mask=Image.linear_gradient("L").resize((1280, 720)),
    )
    shown = url if len(url) <= 120 else f"{url[:117]}..."
    return _write_text(scene, f"The emulator does not download images:\n{shown}", share=0.05)


def _write_text(scene: Image.Image, text: str, *, share: float) -> Image.Image:
    """Write centred, wrapped text with a soft shadow; `share` is font size per short side."""
    width, height = scene.size
    size = max(10, int(min(width, height) * share))
    letters = max(8, int(width * 0.8 / (size * 0.56)))
    lines = [line for part in text.splitlines() for line in textwrap.wrap(part, letters)]
    wrapped, font = "\n".join(lines[:8]), _load_font(size)
    middle = (width / 2, height / 2)
    draw = ImageDraw.Draw(scene)
    for offset, colour in ((max(1, size // 16), "#1e1e28"), (0, "#fffcf5")):
        place = (middle[0] + offset, middle[1] + offset)
        draw.multiline_text(
            place, wrapped, fill=colour, font=font, anchor="mm", align="center", spacing=size * 0.4
        )
    return scene


def draw_mark(width: int, height: int) -> tuple[Image.Image, tuple[int, int]]:
    """Return the EMULATED badge for frames of this size, and its position at the upper right.

    A player's controls would cover the lower edge. The font size is at least 12 px if it fits.
    """
    size = max(7, min(12, width // 25), min(width, height) // 34)
    font, pad = _load_font(size), max(2, size // 2)
    left, top, right, bottom = font.getbbox("EMULATED")
    box = (int(right - left) + 2 * pad, int(bottom - top) + 2 * pad)
    mark = Image.new("RGBA", box, (0, 0, 0, 0))
    draw = ImageDraw.Draw(mark)
    draw.rounded_rectangle((0, 0, box[0] - 1, box[1] - 1), radius=pad, fill=(16, 18, 22, 150))
    draw.text((pad - left, pad - top), "EMULATED", font=font, fill=(255, 255, 255, 235))
    return mark, (max(0, width - box[0] - size), min(size, max(0, height - box[1])))


def _load_font(size: int) -> FreeTypeFont | BitmapFont:
    """Load DejaVu Sans, which has Greek and Cyrillic, else Pillow's own font."""
    try:
        return ImageFont.truetype("DejaVuSans.ttf", size)
    except OSError:
        return ImageFont.load_default(size)
