"""Convert any image source to an image that the service accepts.

Must not depend on models, networks or jobs: limits are arguments, and the caller handles URLs.
Pillow is imported inside the functions, so that importing this module is cheap. `image_sources`
defines the accepted sources; clips are in `clips`.
"""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import TYPE_CHECKING, Final

from kling_nb.core.errors import MediaError
from kling_nb.core.formatting import byte_words

from .image_sources import ALLOWED, find_source, size_words
from .metadata import strip_metadata
from .unwrapping import describe

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = [
    "ImageInput",
    "check_shape",
    "make_thumbnail",
    "placeholder",
    "read_picture",
    "shrink",
    "with_source",
]

LOSSY: Final = frozenset({"JPEG", "MPO", "WEBP", "JPEG2000", "AVIF", "HEIF"})
THUMBNAIL_PX: Final = (240, 160)
THUMBNAIL_BYTES: Final = 12_000


@dataclass(frozen=True, slots=True)
class ImageInput:
    """A picture as the service gets it."""

    content: bytes = field(repr=False)
    mime_type: str
    width_px: int
    height_px: int
    source_sha256: str
    """Of the bytes as given, or of the pixels, or of a frame's clip and position: never of anything
    encoded here, so that another version of Pillow does not change it, and not of the name."""
    name: str
    """For people: the file's name, or what it was."""
    thumbnail: bytes = field(repr=False)
    """A JPEG of `content`, at most 240×160 px and about 12 kB."""
    earlier_sha256: str = ""
    """The `source_sha256` by the rule of earlier versions; empty where it is the same."""
    is_converted: bool = True
    """False where the file is the one that was given, but for its metadata."""

    @property
    def source_hashes(self) -> tuple[str, ...]:
        """The hashes that identify the input in a request, the current one first."""
        return tuple(filter(None, (self.source_sha256, self.earlier_sha256)))

    @property
    def size_bytes(self) -> int:
        """How much is uploaded."""
        return len(self.content)

    @property
    def sha256(self) -> str:
        """Of what is uploaded."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def facts(self) -> str:
        """For people: `1,280 × 720 px · PNG · 0.9 MB`."""
        kind = self.mime_type.partition("/")[2].upper()
        size = f"{self.width_px:,} × {self.height_px:,} px"
        return f"{size} · {kind} · {byte_words(self.size_bytes)}"


def read_picture(
    source: object,
    *,
    name: str = "",
    mime_types: Sequence[str] = ("image/jpeg", "image/png", "image/webp"),
    max_bytes: int = 10_000_000,
    over_px: int = 0,
    ratio: tuple[float, float] | None = None,
) -> ImageInput:
    """A valid picture out of a path, bytes, a PIL image, an array, a figure, a clip or a job.

    What the service takes as it is keeps its pixels and its colour profile and loses its metadata;
    anything else is converted: turned upright, first frame only, 8 bits, and made smaller until it
    fits.

    Args:
        source: Arrays are H×W, H×W×3 or H×W×4, of uint8 or of floats 0…1, also with channels
            first or as a batch of one. A clip is anything with `frame(-1)`, and gives its last
            frame. See `unwrapping.unwrap` for what stands for one of these.
        name: For people, in place of the one that the source suggests.
        mime_types: What the service takes. Source: specification, `image_urls`.
        max_bytes: How much of it the service takes. Source: the same.
        over_px: Each side has more pixels than that. Nothing is enlarged: that shows.
        ratio: Lowest and highest width divided by height. Nothing is cropped.

    Raises:
        MediaError: It is not a readable picture, cannot be made to fit, or has another shape.
    """
    with reading(name or describe(source)):
        found = find_source(source)
        found = replace(found, name=name or found.name)
        image = found.open()
        mime_type, content = found.mime_type(image), strip_plain(image, found.content)
        is_converted = mime_type not in mime_types or not 0 < len(content) <= max_bytes
        if is_converted:
            mime_type, content, image = encode(image, mime_types, max_bytes)
        check_shape(found.name, image.size, over_px, ratio)
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


def check_shape(
    name: str, size_px: tuple[int, int], over_px: int, ratio: tuple[float, float] | None
) -> None:
    """See that a picture or a video is large enough, and neither too long nor too wide.

    Raises:
        MediaError: Says how large it is, what is allowed and what to do.
    """
    width, height = size_px
    is_so = size_words(name, size_px)
    if min(width, height) <= over_px:
        raise MediaError(
            f"{is_so}; each side must have more than {over_px}: give a larger one, nothing is "
            "enlarged here"
        )
    if ratio is not None and not ratio[0] <= width / height <= ratio[1]:
        raise MediaError(
            f"{is_so}, width to height {width / height:.2f}; allowed are {ratio[0]:g} to "
            f"{ratio[1]:g}: crop it"
        )


def with_source(picture: ImageInput, sha256: str) -> ImageInput:
    """The same picture standing for another source, as a placeholder stands for a URL."""
    return replace(picture, source_sha256=sha256, earlier_sha256="")


def placeholder(text: str) -> bytes:
    """A JPEG of 1280×720 px that says `text`, for a picture that cannot be had."""
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
    """A picture's bytes as a JPEG that fits into a box, of about so many bytes.

    Raises:
        MediaError: It is not a readable picture.
    """
    from PIL import Image

    with reading("picture"), Image.open(BytesIO(content)) as image:
        image.draft("RGB", box_px)  # a JPEG is read at a fraction of its size: three times as fast
        return make_thumbnail(image, box_px, max_bytes)


def strip_plain(image: Image, content: bytes) -> bytes:
    """Return the file without its metadata; empty if it has to be converted."""
    return (strip_metadata(content) or b"") if is_plain(image, content) else b""


def is_plain(image: Image, content: bytes) -> bool:
    """Whether any reader shows the same: one upright frame, 8 bits, no palette, no CMYK."""
    from PIL.ExifTags import Base

    # Pillow reads a PNG of 16 bits a channel as 8 and does not tell; its header does.
    deep = content.startswith(b"\x89PNG") and content[24:25] == b"\x10"
    upright = image.getexif().get(Base.Orientation, 1) == 1
    single = getattr(image, "n_frames", 1) == 1
    return image.mode in {"RGB", "RGBA", "L"} and upright and single and not deep


def simplify(image: Image) -> Image:
    """The same picture upright, in RGB, RGBA or L of 8 bits."""
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        upright = upright.convert("I").point(lambda value: value / 256).convert("L")
    elif image.mode == "F":
        raise MediaError("a picture of floating-point values; give it as uint8")
    elif image.has_transparency_data:
        upright = upright.convert("RGBA")
    elif image.mode not in {"RGB", "L"}:
        upright = upright.convert("L" if image.mode == "1" else "RGB")
    if upright.mode != image.mode:
        upright.info.pop("icc_profile", None)  # it describes the colours of the other mode
    return upright


def encode(image: Image, mime_types: Sequence[str], max_bytes: int) -> tuple[str, bytes, Image]:
    """The first of ever smaller encodings that fits: its type, its bytes, its picture."""
    plain = simplify(image)
    lossless = image.format not in LOSSY or plain.mode == "RGBA"
    for mime_type, quality, scale in list_encodings(mime_types, lossless):
        size = max(1, round(plain.width * scale)), max(1, round(plain.height * scale))
        smaller = plain if scale == 1 else plain.resize(size)
        content = save(smaller, mime_type, quality)
        if len(content) <= max_bytes:
            return mime_type, content, smaller
    raise MediaError(
        f"a picture of {image.width}×{image.height} pixels cannot be made to fit into "
        f"{max_bytes:,} bytes of {', '.join(mime_types)}; give a smaller one"
    )


def list_encodings(mime_types: Sequence[str], lossless: bool) -> Iterator[tuple[str, int, float]]:
    """Types, qualities and scales to try, best first."""
    if lossless and "image/png" in mime_types:
        yield "image/png", 0, 1.0
    for mime_type in ("image/jpeg", "image/webp", "image/png"):
        if mime_type in mime_types:
            yield from ((mime_type, quality, 1.0) for quality in (92, 85, 75))
            yield from ((mime_type, 85, 0.75**step) for step in range(1, 10))
            return


def save(image: Image, mime_type: str, quality: int) -> bytes:
    content = BytesIO()
    if mime_type == "image/jpeg":
        image = flatten(image)
    options = {} if mime_type == "image/png" else {"quality": quality}
    image.save(
        content,
        format=mime_type.removeprefix("image/"),
        icc_profile=image.info.get("icc_profile"),
        **options,
    )
    # Pillow hands comments on from one JPEG to the next.
    return strip_metadata(content.getvalue()) or content.getvalue()


def flatten(image: Image) -> Image:
    """The picture on white where it is transparent."""
    from PIL import Image

    if image.mode in {"RGB", "L"} and not image.has_transparency_data:
        return image
    clear = image.convert("RGBA")
    ground = Image.new("RGBA", clear.size, "white")
    return Image.alpha_composite(ground, clear).convert("RGB")


def make_thumbnail(
    image: Image, box_px: tuple[int, int] = THUMBNAIL_PX, max_bytes: int = THUMBNAIL_BYTES
) -> bytes:
    """A small JPEG of a picture, of about so many bytes."""
    small = image.convert("RGBA") if image.has_transparency_data else image.convert("RGB")
    small.thumbnail(box_px)
    small.info.clear()
    for quality in (82, 65, 45):
        content = save(small, "image/jpeg", quality)
        if len(content) <= max_bytes:
            break
    return content


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Tell every failure as a MediaError."""
    try:
        yield
    except MediaError:
        raise
    except Exception as problem:
        # Readers of broken files raise whatever their parsers run into: no list is complete. Pillow
        # names a file that it does not know by the object that holds its bytes.
        why = "" if type(problem).__name__ == "UnidentifiedImageError" else f" ({problem})"
        raise MediaError(f"{name}: cannot be read as a picture{why}; {ALLOWED}") from None
