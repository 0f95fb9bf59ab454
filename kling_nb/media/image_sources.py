"""Sources of an image input: a path, a URI, bytes, an open file, an image, an array, a clip.

Defines the kinds of sources, their display names and the hashes that identify them in a request.
Must not depend on the types that the service accepts, or on encoding, which is in `images`.
"""

from __future__ import annotations

import hashlib
import os
import struct
from dataclasses import dataclass, replace
from difflib import get_close_matches
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kling_nb.core.errors import MediaError
from kling_nb.core.formatting import with_article
from kling_nb.core.stored_input import StoredInput
from kling_nb.models.parameters import describe_size

from .input_store import content_hash, read_stored
from .metadata import strip_metadata
from .probe import HEAD_BYTES, HEIF, RAW, SVG, detect_type
from .unwrapping import SOURCE_LIMIT_BYTES, describe, file_name, unwrap

if TYPE_CHECKING:
    from PIL.Image import Image

_FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")
"""The formats to read. Not all that Pillow has: for EPS it would start a program."""
ALLOWED: Final = (
    "allowed: JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF as a path, bytes or an open file, a PIL "
    "image, an array or a tensor, a matplotlib figure, an earlier clip or its job"
)
_NO_HEIF: Final = (
    "HEIC photos cannot be read; give a JPEG or PNG, or install the reader: "
    "`pip install 'kling_nb[heif]'`"
)
_OTHER_FILES: Final = {
    "application/pdf": "export its page as PNG",
    "application/zip": "extract the image from it",
    "image/svg+xml": "export it as PNG",
    "video/mp4": "give the job or the clip to use its last frame, or save one frame as PNG",
}
"""Advice on how to get an image from another file, by the MIME type of `probe`."""
_SUB_IFDS: Final = 330
_DNG_VERSION: Final = 0xC612
_NEW_SUBFILE_TYPE: Final = 254
_PHOTOMETRIC: Final = 262
_SENSOR_VALUES: Final = frozenset({32803, 34892})
"""Values of PHOTOMETRIC: a colour filter array, and linear raw."""
_FRAME_MARK: Final = "kling_nb frame"
"""Key in `Image.info` of a clip's frame: its identity, and the hash of its pixels."""


@dataclass(frozen=True, slots=True)
class _ImageSource:
    """An image source before any conversion: a file's content, or pixels."""

    name: str
    sha256: str
    content: bytes = b""
    image: Image | None = None
    """The pixels; None if there is `content`."""
    earlier_sha256: str = ""
    """The hash that earlier versions computed; empty if it is the same."""

    @property
    def hashes(self) -> tuple[str, ...]:
        """The hashes that identify the input in a request, the current one first."""
        return tuple(filter(None, (self.sha256, self.earlier_sha256)))

    def open(self) -> Image:
        """Return the image, completely decoded, so that a truncated file raises an error."""
        from PIL import Image

        image = self.image or self._open_content()
        limit = Image.MAX_IMAGE_PIXELS
        if limit and image.width * image.height > limit:
            raise MediaError(
                f"{describe_size(self.name, image.size)}; allowed: at most "
                f"{limit // 1_000_000} million pixels; make it smaller"
            )
        image.load()
        return image

    def mime_type(self, image: Image) -> str:
        """Return the MIME type by content; empty for pixels."""
        known = getattr(image, "get_format_mimetype", None)
        return (known() or "") if self.content and known else ""

    def _open_content(self) -> Image:
        from PIL import Image, UnidentifiedImageError

        file_type = detect_type(self.content[:HEAD_BYTES])
        if file_type is RAW or _is_raw_tiff(self.content):
            raise MediaError(f"{self.name}: raw photos cannot be read; give a JPEG")
        if file_type is HEIF:
            return _open_heif(self.name, self.content)
        try:
            return Image.open(BytesIO(self.content), formats=_FORMATS)
        except UnidentifiedImageError:
            is_image = file_type and file_type.mime_type.startswith("image/")
            if not file_type or (is_image and file_type is not SVG):
                raise
            advice = file_type.advice or _OTHER_FILES.get(file_type.mime_type, "give an image")
            raise MediaError(
                f"{self.name}: this is {file_type.description}, not an image; {ALLOWED}; {advice}"
            ) from None


def find_source(source: object) -> _ImageSource:
    """Return the name, the hashes and the content of an image source.

    Raises:
        MediaError: It is not an image source, or cannot be read.
    """
    if isinstance(source, StoredInput):
        found = _content_source(source.name, read_stored(source))
        earlier = found.earlier_sha256 if found.sha256 == source.source_sha256 else ""
        return replace(found, sha256=source.source_sha256, earlier_sha256=earlier)
    given, source = source, unwrap(source)
    if isinstance(source, str | os.PathLike):
        content, name = _read_file(os.fsdecode(source)), describe(source)
    elif isinstance(source, bytes):
        content, name = source, describe(given if file_name(given) else source)
    else:
        name, image = _find_image(source)
        pixels = _hash_pixels(image)
        sha256 = _frame_identity(image, pixels) or _file_frame_identity(source) or pixels
        return _ImageSource(
            name, sha256, image=image, earlier_sha256=pixels if sha256 != pixels else ""
        )
    if not content:
        raise MediaError(f"{name}: is empty; {ALLOWED}")
    return _content_source(name, content)


def _content_source(name: str, content: bytes) -> _ImageSource:
    """Return a file's source; a file of `frame_png` has the identity of the clip's frame."""
    identity = _png_frame_identity(content)
    if not identity:
        return _ImageSource(name, content_hash(content), content)
    plain = strip_metadata(content) or content  # as earlier versions wrote it
    return _ImageSource(name, identity, content, earlier_sha256=content_hash(plain))


# --- the identity of a clip's frame ----------------------------------------------------------


def mark_frame(image: Image, fingerprint: str, position: int) -> Image:
    """Mark an image as a frame of a clip; a changed image is no longer that frame.

    Args:
        image: The decoded frame.
        fingerprint: The fingerprint of the clip's job, or `file SHA-256`.
        position: From 0; -1 is the last frame.
    """
    identity = hashlib.sha256(f"frame {position} of {fingerprint}".encode()).hexdigest()
    image.info[_FRAME_MARK] = (identity, _hash_pixels(image))
    return image


def _frame_identity(image: Image, pixels_sha256: str) -> str:
    """Return the identity of a clip's frame; empty for any other image.

    Pillow copies `info`: an image that was cropped or drawn on has other pixels.
    """
    mark = image.info.get(_FRAME_MARK)
    return mark[0] if isinstance(mark, tuple) and mark[1:] == (pixels_sha256,) else ""


def frame_png(image: Image) -> bytes:
    """Return a clip's frame as a PNG that keeps its identity."""
    from PIL.PngImagePlugin import PngInfo

    info, content = PngInfo(), BytesIO()
    info.add_text(_FRAME_MARK, " ".join(image.info.get(_FRAME_MARK, ())))
    image.save(content, "PNG", pnginfo=info)
    return content.getvalue()


def _png_frame_identity(content: bytes) -> str:
    """Return the identity that `frame_png` wrote; empty if there is none or pixels differ."""
    from PIL import Image

    if not content.startswith(b"\x89PNG") or _FRAME_MARK.encode() not in content[:1_000]:
        return ""
    try:
        image = Image.open(BytesIO(content), formats=("PNG",))
        image.load()
    except Exception:  # any type, for broken files: the decoder reports it
        return ""
    identity, _, pixels = str(image.info.get(_FRAME_MARK, "")).partition(" ")
    return identity if len(identity) == 64 and pixels == _hash_pixels(image) else ""


def _file_frame_identity(source: Any) -> str:
    """Return the identity of the last frame of a clip file; empty for any other source."""
    path = getattr(source, "path", None)
    if not callable(getattr(source, "frame", None)) or not isinstance(path, str | os.PathLike):
        return ""
    if not os.path.isfile(path):
        return ""
    file_sha256 = content_hash(Path(os.fsdecode(path)))
    return hashlib.sha256(f"frame -1 of file {file_sha256}".encode()).hexdigest()


# --- files -----------------------------------------------------------------------------------


def _open_heif(name: str, content: bytes) -> Image:
    """Open a HEIC photo, upright, with the reader of the extra `heif`.

    Raises:
        MediaError: The extra is not installed, or the file is broken.
    """
    try:
        import pillow_heif
    except ImportError:
        raise MediaError(f"{name}: {_NO_HEIF}") from None
    try:
        image: Image = pillow_heif.open_heif(content).to_pillow()
    except Exception as problem:  # any type, for broken files
        raise MediaError(
            f"{name}: this HEIC photo cannot be read ({problem}); give a JPEG or PNG"
        ) from None
    # libheif has turned it upright; Pillow would turn it again by its EXIF.
    image.info = {key: image.info[key] for key in ("icc_profile",) if image.info.get(key)}
    image.format = "HEIF"
    return image


def _is_raw_tiff(content: bytes) -> bool:
    """Return whether a TIFF is a camera's raw photo: it starts with a thumbnail or sensor data."""
    if content[:4] not in {b"II*\0", b"MM\0*"}:
        return False
    if content[8:10] == b"CR":
        return True
    tags = _first_tags(content)
    is_reduced = bool(tags.get(_NEW_SUBFILE_TYPE, 0) & 1)
    has_sensor_values = tags.get(_PHOTOMETRIC) in _SENSOR_VALUES
    return is_reduced or has_sensor_values or not tags.keys().isdisjoint({_SUB_IFDS, _DNG_VERSION})


def _first_tags(content: bytes) -> dict[int, int]:
    """Return the tags of a TIFF's first directory; the value if it is one number, else 0."""
    order = "<" if content.startswith(b"II") else ">"
    tags: dict[int, int] = {}
    try:
        at = struct.unpack_from(f"{order}I", content, 4)[0]
        count = struct.unpack_from(f"{order}H", content, at)[0]
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            tag, kind, number = struct.unpack_from(f"{order}HHI", content, entry)
            form = {3: "H", 4: "I"}.get(kind) if number == 1 else None
            tags[tag] = struct.unpack_from(order + form, content, entry + 8)[0] if form else 0
    except struct.error:  # truncated: the decoder reports it
        pass
    return tags


def _read_file(given: str) -> bytes:
    path = find_file(given)
    if path.stat().st_size > SOURCE_LIMIT_BYTES:
        limit = f"{SOURCE_LIMIT_BYTES // 1_000_000} MB"
        raise MediaError(f"{given!r} is not a plain file of at most {limit}; {ALLOWED}")
    return path.read_bytes()


def find_file(given: str, noun: str = "image") -> Path:
    """Return the path of a plain file.

    Raises:
        MediaError: There is none; the message says what is there, or suggests a file.
    """
    if given.startswith(("http://", "https://")):
        raise MediaError(f"{given[:80]!r} is a URL, not a file; fetch it first and give its bytes")
    path = Path(os.path.expanduser(given))
    if path.is_dir():
        raise MediaError(f"{given!r} is a folder; give {with_article(noun)} in it")
    if not path.exists():
        raise MediaError(f"there is no file {given[:300]!r}; {_suggest_file(path)}")
    if not path.is_file():
        raise MediaError(f"{given!r} is not a plain file; give {with_article(noun)}")
    return path


def _suggest_file(path: Path) -> str:
    try:
        near = get_close_matches(path.name, os.listdir(path.parent), n=1)
    except (OSError, ValueError):
        return f"there is no folder {str(path.parent)[:300]!r} either"
    if near:
        return f"did you mean {near[0]!r}?"
    return f"check the folder {str(path.parent.absolute())!r}"


# --- pixels ----------------------------------------------------------------------------------


def _find_image(source: Any) -> tuple[str, Image]:
    """Return a name and the image of an object that contains pixels."""
    from PIL import Image

    if isinstance(source, Image.Image):
        return f"image {source.width}×{source.height}", source
    if callable(getattr(source, "savefig", None)):
        png = BytesIO()
        source.savefig(png, format="png")
        image: Image.Image = Image.open(png, formats=("PNG",)).convert("RGBA")
        return f"figure {image.width}×{image.height}", image
    if callable(getattr(source, "frame", None)):
        origin = describe(getattr(source, "path", source))
        return f"last frame of {origin}", _find_image(source.frame(-1))[1]
    if callable(getattr(source, "detach", None)):  # a tensor: on the CPU, without gradients
        source = source.detach().cpu()
        source = source.float() if "bfloat16" in str(source.dtype) else source
    if hasattr(source, "__array__"):
        array = source.__array__()
        image = _read_array(array)
        return f"array {image.height}×{image.width}", image
    raise MediaError(f"{type(source).__name__} is not an image; {ALLOWED}")


def _read_array(array: Any) -> Image:
    """Convert an array to an image: rows first, or channels first as in torchvision.

    Also accepts a batch of one image, as in ComfyUI.
    """
    from PIL import Image

    sides = "×".join(map(str, array.shape)) or "no shape"
    if len(array.shape) == 4 and array.shape[0] == 1:
        array = array[0]
    if _is_channels_first(array.shape):
        array = array.transpose(1, 2, 0)
    if len(array.shape) == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    shape, mode = array.shape, {(): "L", (3,): "RGB", (4,): "RGBA"}.get(array.shape[2:])
    if len(shape) < 2 or mode is None or 0 in shape:
        one = "; give one image of the batch, e.g. `batch[0]`" if len(shape) == 4 else ""
        raise MediaError(
            f"array {sides}; allowed: H×W, H×W×3 (RGB) and H×W×4 (RGBA), also with channels "
            f"first or as a batch of one{one}"
        )
    if array.dtype.kind == "f" and array.min() >= 0 and array.max() <= 1:
        array = (array.astype("float64") * 255).round().astype("uint8")
    if array.dtype.name != "uint8":
        raise MediaError(
            f"array of {array.dtype.name}, {array.min()} to {array.max()}; allowed: uint8 "
            "0 to 255 and floats 0 to 1; scale it"
        )
    return Image.frombytes(mode, (shape[1], shape[0]), array.tobytes())


def _is_channels_first(shape: tuple[int, ...]) -> bool:
    """Return whether an array is C×H×W; 1, 3 or 4 columns count as channels."""
    return (
        len(shape) == 3
        and shape[2] not in {1, 3, 4}
        and shape[0] in {1, 3, 4}
        and (shape[0] < min(shape[1:]))
    )


def _hash_pixels(image: Image) -> str:
    """Return the SHA-256 of mode, size and pixels; a palette is resolved."""
    plain = image.convert("RGBA") if image.mode in {"P", "PA"} else image
    digest = hashlib.sha256(f"{plain.mode} {plain.width}x{plain.height}\n".encode())
    digest.update(plain.tobytes())
    return digest.hexdigest()
