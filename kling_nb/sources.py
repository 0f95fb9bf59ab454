"""What a picture may be given as: a path, bytes, an image, an array, a figure, a clip, a negative.

Owns the kinds of sources, their names for people and their hashes, which requests are recognised
by. Must not know what the service takes or how anything is encoded: that is `media`.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from difflib import get_close_matches
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .errors import MediaError
from .negatives import Negative, develop

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["ALLOWED", "Source", "describe", "find_file", "find_source", "size_words"]

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")
"""What is read. Not everything Pillow knows: for EPS it would start a program."""
ALLOWED: Final = (
    "allowed: JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF as a path or bytes, a PIL image, a numpy "
    "array, a matplotlib figure, an earlier clip"
)
HEIC: Final = (b"ftypheic", b"ftypheix", b"ftypheim", b"ftypheis", b"ftyphevc")
"""How photos of many phones begin, after four bytes; Pillow has no reader for them."""
SOURCE_LIMIT_BYTES: Final = 200_000_000


@dataclass(frozen=True, slots=True)
class Source:
    """What was given, before any conversion."""

    name: str
    sha256: str
    content: bytes = b""
    image: Image | None = None
    """Given as pixels; None when there is `content`."""

    def open(self) -> Image:
        """The picture, wholly decoded: a file that is cut short does not pass."""
        from PIL import Image

        if self.content[4:12] in HEIC:
            raise MediaError(f"{self.name}: HEIC photos cannot be read; give it as a JPEG or PNG")
        image = self.image or Image.open(BytesIO(self.content), formats=FORMATS)
        limit = Image.MAX_IMAGE_PIXELS
        if limit and image.width * image.height > limit:
            raise MediaError(
                f"{size_words(self.name, image.size)}; allowed are at most "
                f"{limit // 1_000_000} million in all; make it smaller"
            )
        image.load()
        return image

    def mime_type(self, image: Image) -> str:
        """What the given bytes are, by content and not by name; empty for pixels."""
        return (image.get_format_mimetype() or "") if self.content else ""  # type: ignore[attr-defined]


def find_source(source: object) -> Source:
    """What was given, named and hashed.

    Raises:
        MediaError: It is nothing that a picture may be given as.
    """
    if isinstance(source, Negative):
        return Source(source.name, source.source_sha256, develop(source))
    if isinstance(source, str | os.PathLike):
        content, name = read_file(os.fsdecode(source)), describe(source)
    elif isinstance(source, bytes | bytearray | memoryview):
        content = bytes(source)
        name = f"{len(content):,} bytes"
    else:
        name, image = find_image(source)
        return Source(name, hash_pixels(image), image=image)
    if not content:
        raise MediaError(f"{name}: empty; {ALLOWED}")
    return Source(name, hashlib.sha256(content).hexdigest(), content)


def describe(source: object) -> str:
    """A name for error messages, for whatever was given."""
    if isinstance(source, Negative):
        return source.name
    if isinstance(source, str | os.PathLike):
        return os.path.basename(os.path.normpath(os.fsdecode(source)))[:80]
    return type(source).__name__


def size_words(name: str, size_px: tuple[int, int]) -> str:
    """How large something is: `fox.png: 240×160 pixels`; what is in memory is named by its size."""
    width, height = size_px
    if name.endswith((f" {width}×{height}", f" {height}×{width}")):  # an array: rows, columns
        return f"{name} pixels"
    return f"{name}: {width:,}×{height:,} pixels"


def read_file(given: str) -> bytes:
    path = find_file(given)
    if path.stat().st_size > SOURCE_LIMIT_BYTES:
        limit = f"{SOURCE_LIMIT_BYTES // 1_000_000} MB"
        raise MediaError(f"{given!r} is not a plain file of at most {limit}; {ALLOWED}")
    return path.read_bytes()


def find_file(given: str, noun: str = "picture") -> Path:
    """The plain file of that name.

    Raises:
        MediaError: There is none; says what there is instead, or what may be meant.
    """
    if given.startswith(("http://", "https://", "data:")):
        raise MediaError(f"{given[:80]!r} is a URL, not a file; fetch it first and give its bytes")
    path = Path(os.path.expanduser(given))
    if path.is_dir():
        raise MediaError(f"{given!r} is a folder; give a {noun} in it")
    if not path.exists():
        raise MediaError(f"there is no file {given[:300]!r}; {suggest_file(path)}")
    if not path.is_file():
        raise MediaError(f"{given!r} is not a plain file; give a {noun}")
    return path


def suggest_file(path: Path) -> str:
    try:
        near = get_close_matches(path.name, os.listdir(path.parent), n=1)
    except (OSError, ValueError):
        return f"there is no folder {str(path.parent)[:300]!r} either"
    if near:
        return f"did you mean {near[0]!r}?"
    return f"look into {str(path.parent.absolute())!r}"


def find_image(source: Any) -> tuple[str, Image]:
    """A name and the pixels of something that holds them."""
    from PIL import Image

    if isinstance(source, Image.Image):
        return f"image {source.width}×{source.height}", source
    if callable(getattr(source, "savefig", None)):
        drawn = BytesIO()
        source.savefig(drawn, format="png")
        image: Image.Image = Image.open(drawn, formats=("PNG",)).convert("RGBA")
        return f"figure {image.width}×{image.height}", image
    if callable(getattr(source, "frame", None)):
        origin = describe(getattr(source, "path", source))
        return f"last frame of {origin}", find_image(source.frame(-1))[1]
    if hasattr(source, "__array__"):
        array = source.__array__()
        return f"array {'×'.join(map(str, array.shape[:2]))}", read_array(array)
    raise MediaError(f"{type(source).__name__} is not a picture; {ALLOWED}")


def read_array(array: Any) -> Image:
    from PIL import Image

    shape, mode = array.shape, {(): "L", (3,): "RGB", (4,): "RGBA"}.get(array.shape[2:])
    if len(shape) < 2 or mode is None or 0 in shape:
        given = "×".join(map(str, shape)) or "no shape"
        raise MediaError(f"array {given}: allowed are H×W, H×W×3 (RGB) and H×W×4 (RGBA)")
    if array.dtype.kind == "f" and array.min() >= 0 and array.max() <= 1:
        array = (array.astype("float64") * 255).round().astype("uint8")
    if array.dtype.name != "uint8":
        raise MediaError(
            f"array of {array.dtype.name}, {array.min()} to {array.max()}: allowed are uint8 "
            "0 to 255 and floats 0 to 1; scale it"
        )
    return Image.frombytes(mode, (shape[1], shape[0]), array.tobytes())


def hash_pixels(image: Image) -> str:
    """SHA-256 of mode, size and pixels; a palette is resolved, as its indices say nothing."""
    plain = image.convert("RGBA") if image.mode in {"P", "PA"} else image
    digest = hashlib.sha256(f"{plain.mode} {plain.width}x{plain.height}\n".encode())
    digest.update(plain.tobytes())
    return digest.hexdigest()
