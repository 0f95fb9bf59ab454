"""Convert any image source to an image that the service accepts.

Must not depend on models, networks or jobs: limits are arguments, and the caller handles URLs.
Pillow is imported inside the functions, so that importing this module is cheap. `image_sources`
defines the accepted sources; clips are in `clips`.
"""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING, Final

from kling_nb.core.errors import MediaError
from kling_nb.core.formatting import format_bytes

from .image_sources import ALLOWED, find_source
from .metadata import strip_metadata
from .probe import reading
from .unwrapping import describe

if TYPE_CHECKING:
    from PIL.Image import Image

_LOSSY: Final = frozenset({"JPEG", "MPO", "WEBP", "JPEG2000", "AVIF", "HEIF"})
_THUMBNAIL_PX: Final = (240, 160)
_THUMBNAIL_BYTES: Final = 12_000


@dataclass(frozen=True)
class ImageInput:
    """An image as it is uploaded."""

    content: bytes = field(repr=False)
    mime_type: str
    width_px: int
    height_px: int
    source_sha256: str
    """The hash of the given bytes, of the pixels, or of a frame's clip and position: not of the
    name, nor of anything encoded here, which another version of Pillow would change."""
    name: str
    """The name for messages: the file's name, or a description."""
    thumbnail: bytes = field(repr=False)
    """A JPEG of `content`, at most 240×160 px and about 12 kB."""
    earlier_sha256: str = ""
    """The `source_sha256` by the rule of earlier versions; empty if it is the same."""
    is_converted: bool = True
    """False if only metadata was removed from the given file."""

    @property
    def source_hashes(self) -> tuple[str, ...]:
        """The hashes that identify the input in a request, the current one first."""
        return tuple(filter(None, (self.source_sha256, self.earlier_sha256)))

    @property
    def size_bytes(self) -> int:
        """Return the size of the upload."""
        return len(self.content)

    @cached_property
    def sha256(self) -> str:
        """Return the hash of the upload."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def facts(self) -> str:
        """Return `1,280 × 720 px · PNG · 0.9 MB`."""
        kind = self.mime_type.partition("/")[2].upper()
        size = f"{self.width_px:,} × {self.height_px:,} px"
        return f"{size} · {kind} · {format_bytes(self.size_bytes)}"


def read_image(
    source: object,
    *,
    name: str = "",
    mime_types: Sequence[str] = ("image/jpeg", "image/png", "image/webp"),
    max_bytes: int = 10_000_000,
) -> ImageInput:
    """Read a path, bytes, a PIL image, an array, a figure, a clip or a job as an image to upload.

    A file that the service accepts keeps its pixels and its colour profile and loses its metadata.
    Anything else is converted: upright, first frame only, 8 bits, and scaled down until it fits.

    Args:
        source: Arrays are H×W, H×W×3 or H×W×4, of uint8 or of floats 0…1, also with channels
            first or as a batch of one. A clip is any object with `frame(-1)`; its last frame is
            used. See `unwrapping.unwrap` for jobs, URIs and open files.
        name: The name for messages, in place of the source's own.
        mime_types: The accepted types. Source: specification, `image_urls`.
        max_bytes: The largest accepted file. Source: the same.

    Raises:
        MediaError: It is not a readable image, or cannot be made to fit.
    """
    with reading(name or describe(source), "an image", ALLOWED):
        found = find_source(source)
        found = replace(found, name=name or found.name)
        image = found.open()
        mime_type, content = found.mime_type(image), b""
        if mime_type in mime_types and _is_plain(image, found.content):
            content = strip_metadata(found.content) or b""
        is_converted = not 0 < len(content) <= max_bytes
        if is_converted:
            mime_type, content, image = encode(image, mime_types, max_bytes)
        return ImageInput(
            content=content,
            mime_type=mime_type,
            width_px=image.width,
            height_px=image.height,
            source_sha256=found.sha256,
            name=found.name,
            thumbnail=make_thumbnail(image),
            earlier_sha256=found.earlier_sha256,
            is_converted=is_converted,
        )


def placeholder_image(text: str) -> bytes:
    """Return a JPEG of 1280×720 px that shows a text, in place of a missing image."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (1280, 720), "#2b2f36")
    paragraphs = text.replace("\0", "").splitlines()
    lines = [line for each in paragraphs for line in textwrap.wrap(each, 56)]
    ImageDraw.Draw(image).multiline_text(
        (640, 360),
        "\n".join(lines if len(lines) <= 11 else [*lines[:10], "…"]),
        font=ImageFont.load_default(40),
        fill="#f2f2f2",
        anchor="mm",
        align="center",
        spacing=14,
    )
    return save(image, "image/jpeg", 85)


def shrink(content: bytes, box_px: tuple[int, int], *, max_bytes: int) -> bytes:
    """Return an image file as a JPEG that fits into a box, of about `max_bytes`.

    Raises:
        MediaError: It is not a readable image.
    """
    from PIL import Image

    with reading("image", "an image", ALLOWED), Image.open(BytesIO(content)) as image:
        image.draft("RGB", box_px)  # decodes a JPEG at a fraction of its size: three times as fast
        return make_thumbnail(image, box_px, max_bytes)


def _is_plain(image: Image, content: bytes) -> bool:
    """Return whether all readers show the same: one upright frame, 8 bits, no palette, no CMYK."""
    from PIL.ExifTags import Base

    # Pillow reads a PNG of 16 bits per channel as 8 bits; only the header shows it.
    deep = content.startswith(b"\x89PNG") and content[24:25] == b"\x10"
    upright = image.getexif().get(Base.Orientation, 1) == 1
    single = getattr(image, "n_frames", 1) == 1
    return image.mode in {"RGB", "RGBA", "L"} and upright and single and not deep


def _simplify(image: Image) -> Image:
    """Return the image upright, in RGB, RGBA or L of 8 bits."""
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        upright = upright.convert("I").point(lambda value: value / 256).convert("L")
    elif image.mode == "F":
        raise MediaError(
            "an image of floating-point values; allowed: integers; convert it to uint8"
        )
    elif image.has_transparency_data:
        upright = upright.convert("RGBA")
    elif image.mode not in {"RGB", "L"}:
        upright = upright.convert("L" if image.mode == "1" else "RGB")
    if upright.mode != image.mode:
        upright.info.pop("icc_profile", None)  # it describes the colours of the other mode
    return upright


def encode(image: Image, mime_types: Sequence[str], max_bytes: int) -> tuple[str, bytes, Image]:
    """Return the type, bytes and image of the best encoding that fits."""
    plain = _simplify(image)
    lossless = image.format not in _LOSSY or plain.mode == "RGBA"
    for mime_type, quality, scale in _list_encodings(mime_types, lossless):
        size = max(1, round(plain.width * scale)), max(1, round(plain.height * scale))
        smaller = plain if scale == 1 else plain.resize(size)
        content = save(smaller, mime_type, quality)
        if len(content) <= max_bytes:
            return mime_type, content, smaller
    raise MediaError(
        f"an image of {image.width}×{image.height} pixels cannot be compressed to "
        f"{max_bytes:,} bytes of {', '.join(mime_types)}; give a smaller one"
    )


def _list_encodings(mime_types: Sequence[str], lossless: bool) -> Iterator[tuple[str, int, float]]:
    """Yield types, qualities and scales to try, best first."""
    if lossless and "image/png" in mime_types:
        yield "image/png", 0, 1.0
    for mime_type in ("image/jpeg", "image/webp", "image/png"):
        if mime_type in mime_types:
            yield from ((mime_type, quality, 1.0) for quality in (92, 85, 75))
            yield from ((mime_type, 85, 0.75**step) for step in range(1, 10))
            return


def save(image: Image, mime_type: str, quality: int) -> bytes:
    """Encode an image."""
    content = BytesIO()
    if mime_type == "image/jpeg":
        image = _flatten(image)
    options = {} if mime_type == "image/png" else {"quality": quality}
    image.save(
        content,
        format=mime_type.removeprefix("image/"),
        icc_profile=image.info.get("icc_profile"),
        **options,
    )
    # Pillow copies the comments of a JPEG.
    return strip_metadata(content.getvalue()) or content.getvalue()


def _flatten(image: Image) -> Image:
    """Return the image on a white background."""
    from PIL import Image

    if image.mode in {"RGB", "L"} and not image.has_transparency_data:
        return image
    clear = image.convert("RGBA")
    ground = Image.new("RGBA", clear.size, "white")
    return Image.alpha_composite(ground, clear).convert("RGB")


def make_thumbnail(
    image: Image, box_px: tuple[int, int] = _THUMBNAIL_PX, max_bytes: int = _THUMBNAIL_BYTES
) -> bytes:
    """Return a small JPEG of an image, of about `max_bytes`."""
    small = image.convert("RGBA") if image.has_transparency_data else image.convert("RGB")
    small.thumbnail(box_px)
    small.info.clear()
    for quality in (82, 65, 45):
        content = save(small, "image/jpeg", quality)
        if len(content) <= max_bytes:
            break
    return content
