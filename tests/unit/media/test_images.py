"""Test `images`: any input becomes a valid image, or raises a clear MediaError."""

from __future__ import annotations

import hashlib
import re
import struct
import subprocess
import sys
import zlib
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from kling_nb.errors import MediaError
from kling_nb.media.images import ImageInput, placeholder_image, read_image

JPEG_AND_PNG = ("image/jpeg", "image/png")


def draw(mode: str = "RGB", size: tuple[int, int] = (60, 40)) -> Image.Image:
    """Return a small image with a different colour in each corner."""
    image = Image.new("RGB", size, "red")
    width, height = size
    image.paste("green", (width // 2, 0, width, height // 2))
    image.paste("blue", (0, height // 2, width // 2, height))
    return image.convert(mode)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """Return an image as the bytes of a file."""
    content = BytesIO()
    image.save(content, format=kind, **options)
    return content.getvalue()


def noise(width: int, height: int) -> Image.Image:
    """Return an image that no encoder compresses well."""
    values = np.random.default_rng(1).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def reopen(picture: ImageInput) -> Image.Image:
    """Decode an image's content and check its type and size."""
    image = Image.open(BytesIO(picture.content))
    image.load()
    assert image.get_format_mimetype() == picture.mime_type
    assert image.size == (picture.width_px, picture.height_px)
    return image


def is_near(image: Image.Image, point: tuple[int, int], colour: tuple[int, int, int]) -> bool:
    """Return whether a pixel has a colour, within the loss of JPEG."""
    pixel: Any = image.convert("RGB").getpixel(point)
    return all(abs(one - other) < 40 for one, other in zip(pixel, colour, strict=True))


RED, GREEN, BLUE = (255, 0, 0), (0, 128, 0), (0, 0, 255)


# --- what passes through -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        *(("JPEG", "RGB"), ("JPEG", "L")),
        *((kind, mode) for kind in ("PNG", "WEBP") for mode in ("RGB", "L", "RGBA")),
    ],
)
def test_files_that_the_service_accepts_are_unchanged(kind: str, mode: str) -> None:
    """They are sent byte for byte."""
    content = encoded(draw(mode), kind)
    picture = read_image(content)
    assert picture.content == content
    assert picture.mime_type == f"image/{kind.lower()}"
    assert (picture.width_px, picture.height_px) == (60, 40)
    assert picture.source_sha256 == hashlib.sha256(content).hexdigest()


def test_paths_and_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All give the same; the content decides the type, and `~` is the home directory."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    content = encoded(draw())
    path = tmp_path / "fox.jpg"
    path.write_bytes(content)
    for source in (path, str(path), "~/fox.jpg"):
        picture = read_image(source)
        assert (picture.content, picture.name, picture.mime_type) == (
            content,
            "fox.jpg",
            "image/png",
        )
    for kind in (bytes, bytearray, memoryview):
        assert read_image(kind(content)).content == content


def test_name() -> None:
    """A given name takes precedence over that of the source."""
    assert read_image(draw(), name="my fox").name == "my fox"
    assert read_image(draw()).name == "image 60×40"


# --- what is converted -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["BMP", "GIF", "TIFF", "PPM"])
def test_other_formats_become_png(kind: str) -> None:
    """A format that the service does not accept is converted without loss."""
    picture = read_image(encoded(draw(), kind))
    assert picture.mime_type == "image/png"
    image = reopen(picture).convert("RGB")
    assert image.getpixel((1, 1)) == RED
    assert image.getpixel((58, 1)) == GREEN


def test_lossy_formats_become_jpeg() -> None:
    """A WebP for a model that accepts none does not become a larger PNG."""
    picture = read_image(encoded(draw(), "WEBP"), mime_types=JPEG_AND_PNG)
    assert picture.mime_type == "image/jpeg"
    assert is_near(reopen(picture), (5, 5), RED)


def test_transparency_is_kept_where_it_can_be() -> None:
    """A transparent WebP becomes a PNG; as a JPEG it has a white ground."""
    clear = Image.new("RGBA", (20, 20), (255, 0, 0, 0))
    content = encoded(clear, "WEBP", lossless=True)
    assert reopen(read_image(content, mime_types=JPEG_AND_PNG)).mode == "RGBA"
    flat = reopen(read_image(content, mime_types=("image/jpeg",)))
    assert is_near(flat, (10, 10), (255, 255, 255))


@pytest.mark.parametrize(
    ("image", "kind", "mode"),
    [
        (draw("P"), "PNG", "RGB"),
        (draw("1"), "PNG", "L"),
        (draw("LA"), "PNG", "RGBA"),
        (draw("CMYK"), "JPEG", "RGB"),
        (draw("CMYK"), "TIFF", "RGB"),
        (Image.new("I;16", (9, 9), 51200), "PNG", "L"),
        (Image.new("I;16", (9, 9), 51200), "TIFF", "L"),
    ],
)
def test_unusual_pixels_become_plain(image: Image.Image, kind: str, mode: str) -> None:
    """Palette, bitmap, CMYK and 16 bits are converted: all readers show the result alike."""
    assert reopen(read_image(encoded(image, kind))).mode == mode


PROFILE = b"not really a colour profile, but carried like one"


def test_a_colour_profile_stays_with_its_colours() -> None:
    """A converted RGB image keeps its profile; a CMYK image loses it with its colours."""
    kept = read_image(encoded(draw(), "TIFF", icc_profile=PROFILE))
    assert reopen(kept).info["icc_profile"] == PROFILE
    dropped = read_image(encoded(draw("CMYK"), "JPEG", icc_profile=PROFILE))
    assert "icc_profile" not in reopen(dropped).info


def test_sixteen_bits_are_scaled() -> None:
    """Grey is not clipped to white; Pillow reports 8 bits for RGB, so the header is read."""
    grey = read_image(encoded(Image.new("I;16", (9, 9), 51200)))
    assert reopen(grey).getpixel((4, 4)) == 200

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)
    rows = (b"\0" + b"\xff\xff\0\0\0\0" * 2) * 2
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows))
    picture = read_image(content + chunk(b"IEND", b""))
    assert picture.content[24] == 8
    assert reopen(picture).getpixel((0, 0)) == RED


def test_palette_transparency_is_kept() -> None:
    """A transparent palette entry stays transparent."""
    image = Image.new("P", (9, 9), 0)
    image.putpalette([255, 0, 0])
    picture = read_image(encoded(image, "GIF", transparency=0))
    assert reopen(picture).getpixel((4, 4)) == (255, 0, 0, 0)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_photo_is_turned_upright(kind: str) -> None:
    """The EXIF orientation is applied and removed."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90° clockwise to see it right
    picture = read_image(encoded(draw(), kind, exif=exif))
    image = reopen(picture)
    assert image.size == (40, 60)
    assert is_near(image, (35, 5), RED)
    assert image.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_of_an_animation_the_first_frame(kind: str) -> None:
    """The other frames are not sent."""
    second = Image.new("RGB", (60, 40), "white")
    content = encoded(draw(), kind, save_all=True, append_images=[second], duration=100)
    image = reopen(read_image(content))
    assert getattr(image, "n_frames", 1) == 1
    assert is_near(image, (5, 5), RED)


def test_a_jpeg_of_several_images() -> None:
    """Some phones write a JPEG that contains several; the first is sent."""
    content = encoded(draw(), "MPO", save_all=True, append_images=[draw()])
    picture = read_image(content)
    assert picture.mime_type == "image/jpeg"
    assert len(picture.content) < len(content)


def test_too_many_bytes_become_a_jpeg() -> None:
    """First the quality is lowered, then the size, until it fits."""
    content = encoded(noise(400, 300))
    picture = read_image(content, max_bytes=100_000)
    assert (picture.mime_type, picture.width_px) == ("image/jpeg", 400)
    smaller = read_image(content, max_bytes=20_000)
    assert smaller.width_px < 400
    for each in (picture, smaller):
        reopen(each)
    assert len(smaller.content) <= 20_000 < len(picture.content) <= 100_000
    assert smaller.width_px / smaller.height_px == pytest.approx(4 / 3, abs=0.02)


@pytest.mark.parametrize("mime_type", ["image/jpeg", "image/png", "image/webp"])
def test_any_one_type_will_do(mime_type: str) -> None:
    """Any image is converted to the only type of a model."""
    picture = read_image(noise(80, 60), mime_types=(mime_type,), max_bytes=8_000)
    assert picture.mime_type == mime_type
    assert len(picture.content) <= 8_000
    reopen(picture)


def test_what_cannot_be_made_to_fit() -> None:
    """The message has the size, the limit and what to do."""
    with pytest.raises(MediaError, match=r"60×40 pixels cannot .* 10 bytes .* give a smaller one"):
        read_image(draw(), max_bytes=10)


# --- pixels ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 3), (4, 6, 4)])
def test_arrays(shape: tuple[int, ...], dtype: str) -> None:
    """Grey, RGB and RGBA, as bytes and as fractions, give the same image."""
    values = np.full(shape, 255 if dtype == "uint8" else 1.0, dtype=dtype)
    picture = read_image(values)
    assert (picture.width_px, picture.height_px, picture.name) == (6, 4, "array 4×6")
    assert set(reopen(picture).convert("RGB").tobytes()) == {255}


def test_arrays_need_not_be_contiguous() -> None:
    """A mirrored view is read as it looks; any object with `__array__` is an array."""
    values = np.asarray(draw())[:, ::-1]
    assert reopen(read_image(values)).getpixel((1, 1)) == GREEN
    assert read_image(SimpleNamespace(__array__=lambda *_, **__: values)).width_px == 60


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((4, 6, 2), "uint8"), "array 4×6×2; allowed: H×W"),
        (np.zeros((2, 4, 6, 3), "uint8"), "array 2×4×6×3; allowed:"),
        (np.zeros(6, "uint8"), "array 6; allowed:"),
        (np.zeros((0, 6), "uint8"), "array 0×6; allowed:"),
        (np.float64(1), "array no shape; allowed:"),
        (np.full((4, 6), 7), "array of int64, 7 to 7; allowed: uint8 0 to 255"),
        (np.full((4, 6), 255.0), "array of float64, 255.0 to 255.0; allowed"),
        (np.full((4, 6), -0.1), "floats 0 to 1; scale it"),
        (np.full((4, 6), np.nan), "array of float64, nan to nan"),
        (np.full((4, 6), "a"), "cannot be read as an image"),
    ],
)
def test_arrays_that_are_no_images(values: Any, words: str) -> None:
    """The message has the shape or the values, and what is allowed."""
    with pytest.raises(MediaError, match=re.escape(words)):
        read_image(values)


class Figure:
    """A stand-in for a matplotlib figure."""

    def savefig(self, target: Any, *, format: str) -> None:
        """Write the drawing, with a date that changes from run to run."""
        text = PngInfo()
        text.add_text("Creation Time", str(id(target)))
        draw("RGBA").save(target, format=format, pnginfo=text)


def test_a_figure() -> None:
    """It is drawn, and its pixels identify it."""
    first, second = read_image(Figure()), read_image(Figure())
    assert first.name == "figure 60×40"
    assert first.source_sha256 == second.source_sha256


def test_an_earlier_clip() -> None:
    """Its last frame is the image."""
    frames = {-1: draw(), 0: draw("L")}
    picture = read_image(SimpleNamespace(path="/somewhere/fox.mp4", frame=frames.__getitem__))
    assert picture.name == "last frame of fox.mp4"
    assert reopen(picture).getpixel((1, 1)) == RED


# --- the source's hash -------------------------------------------------------------------------


def test_hash_of_pixels_is_defined() -> None:
    """SHA-256 of mode, size, newline and raw pixels: paid requests depend on it."""
    image = draw()
    expected = hashlib.sha256(b"RGB 60x40\n" + image.tobytes()).hexdigest()
    values = np.asarray(image)
    for source in (image, values, values / 255):
        assert read_image(source).source_sha256 == expected


def test_hash_is_of_the_source() -> None:
    """Limits, names and conversions do not change it."""
    content = encoded(noise(80, 60), "BMP")
    expected = hashlib.sha256(content).hexdigest()
    for options in ({}, {"name": "x"}, {"max_bytes": 5_000}, {"mime_types": ("image/webp",)}):
        assert read_image(content, **options).source_sha256 == expected


def test_hash_resolves_palettes_and_shapes() -> None:
    """The same bytes with other colours or in another shape are another image."""
    sources: list[Any] = [np.zeros(shape, "uint8") for shape in [(4, 6), (6, 4), (2, 4, 3)]]
    for colour in ([255, 0, 0], [0, 0, 255]):
        image = Image.new("P", (9, 9), 0)
        image.putpalette(colour)
        sources.append(image)
    assert len({read_image(source).source_sha256 for source in sources}) == 5


# --- thumbnail and placeholder -----------------------------------------------------------------


@pytest.mark.parametrize("size", [(1920, 1080), (300, 3000), (20, 10)])
def test_thumbnail(size: tuple[int, int]) -> None:
    """Small in pixels and bytes, also for noise, never enlarged; a smooth one is below 12 kB."""
    thumbnail = read_image(noise(*size)).thumbnail
    image = Image.open(BytesIO(thumbnail))
    assert image.format == "JPEG"
    assert image.width <= min(240, size[0])
    assert image.height <= min(160, size[1])
    assert len(thumbnail) <= 20_000
    assert len(read_image(Image.radial_gradient("L").resize(size)).thumbnail) <= 12_000


def test_thumbnail_has_a_white_ground_and_no_profile() -> None:
    """Dropping the alpha channel would give black; a profile may exceed the thumbnail."""
    thumbnail = read_image(Image.new("RGBA", (50, 50), (0, 0, 0, 0))).thumbnail
    assert is_near(Image.open(BytesIO(thumbnail)), (25, 25), (255, 255, 255))
    assert PROFILE not in read_image(encoded(draw("L"), "JPEG", icc_profile=PROFILE)).thumbnail


@pytest.mark.parametrize("text", ["", "https://host/fox.png", "x" * 5000, "日本 \0 \n\n fox"])
def test_placeholder(text: str) -> None:
    """A valid image that shows the text."""
    picture = read_image(placeholder_image(text))
    assert (picture.mime_type, picture.width_px, picture.height_px) == ("image/jpeg", 1280, 720)
    assert picture.content != placeholder_image("another text")


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"not a picture", b"%!PS-Adobe-3.0 EPSF-3.0", b"<svg/>"])
def test_bytes_that_are_no_image(content: bytes) -> None:
    """The message says what is allowed."""
    with pytest.raises(MediaError, match="allowed: JPEG, PNG, WebP"):
        read_image(content)


@pytest.mark.parametrize("brand", ["heic", "heix", "hevc", "hevx", "mif1", "msf1", "miaf"])
def test_a_phones_photo_says_what_to_do(brand: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its reader the message names HEIC, for any brand, and the command to install it."""
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    photo = b"\0\0\0\x18ftyp" + brand.encode() + b"\0\0\0\0mif1heic" + bytes(100)
    words = r"^fox: HEIC photos cannot be read; give a JPEG.*pip install 'kling_nb\[heif\]'"
    with pytest.raises(MediaError, match=words):
        read_image(photo, name="fox")
    monkeypatch.undo()
    words = r"^fox: this HEIC photo cannot be read \(.+\); give a JPEG"
    with pytest.raises(MediaError, match=words):
        read_image(photo, name="fox")


@pytest.mark.parametrize("brand", [b"avif", b"mif1"])
def test_avif_is_read_by_any_of_its_brands(brand: bytes) -> None:
    """A general brand is AVIF if the compatible brands name it."""
    content = encoded(draw(), "AVIF")
    assert content[8:12] == b"avif"
    size = int.from_bytes(content[:4], "big")
    assert b"avif" in content[16:size]
    picture = read_image(content[:8] + brand + content[12:])
    assert is_near(reopen(picture), (1, 1), RED)


@pytest.mark.parametrize("brand", [b"heic", b"mif1", b"msf1"])
def test_heic_is_read_with_its_extra(brand: bytes) -> None:
    """As an upright JPEG without metadata; the fingerprint is that of the given bytes."""
    exif = Image.Exif()
    exif[0x0110], exif[0x0112] = "camera", 6
    file = BytesIO()
    pillow_heif.from_pillow(draw(size=(64, 48))).save(file, exif=exif.tobytes(), quality=90)
    content = file.getvalue()[:8] + brand + file.getvalue()[12:]
    picture = read_image(content, name="fox.heic")
    assert (picture.mime_type, picture.source_sha256) == (
        "image/jpeg",
        hashlib.sha256(content).hexdigest(),
    )
    image = reopen(picture)
    assert not image.getexif()
    assert image.size == (48, 64)
    assert is_near(image, (1, 1), BLUE)


@pytest.mark.parametrize("kind", ["PCX", "EPS", "ICO"])
def test_formats_that_are_not_read(kind: str) -> None:
    """Pillow reads more formats; for EPS it would start a program."""
    with pytest.raises(MediaError, match="cannot be read as an image; allowed"):
        read_image(encoded(draw(), kind))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_file_that_is_cut_short(kind: str) -> None:
    """Half a file is refused, although its header can be read."""
    content = encoded(noise(80, 60), kind)
    with pytest.raises(MediaError):
        read_image(content[: len(content) // 2])


def test_a_missing_file(tmp_path: Path) -> None:
    """The message has the nearest name."""
    (tmp_path / "fox.png").touch()
    with pytest.raises(MediaError, match=r"there is no file .*fx\.png'; did you mean 'fox\.png'\?"):
        read_image(tmp_path / "fx.png")
    with pytest.raises(MediaError, match=r"there is no folder .* either"):
        read_image(tmp_path / "nowhere" / "fox.png")
    with pytest.raises(MediaError, match="check the folder"):
        read_image(tmp_path / "zzzz")


NO_IMAGES: tuple[object, ...] = (None, 7, object(), ["fox.png"], read_image)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        *((each, rf"{type(each).__name__} is not an image; allowed") for each in NO_IMAGES),
        (Path(__file__).parent, "is a folder; give an image in it"),
        ("/dev/zero" if Path("/dev/zero").exists() else "NUL", "is not a plain file"),
        ("http://host/a.png", "is a URL, not a file; fetch it first"),
        ("https://host/a.png", "is a URL, not a file; fetch it first"),
        (
            Image.new("F", (9, 9), 0.5),
            "floating-point values; allowed: integers; convert it to uint8",
        ),
    ],
)
def test_sources_that_are_refused(source: object, words: str) -> None:
    """The message says what is allowed. Some devices never end; floats have no known range."""
    with pytest.raises(MediaError, match=words):
        read_image(source)


def test_more_pixels_than_pillow_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A decompression bomb is not decoded."""
    content = encoded(draw())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(MediaError):
        read_image(content)
    with pytest.raises(MediaError, match="allowed: at most"):
        read_image(draw())


def test_a_broken_pil_image(tmp_path: Path) -> None:
    """A PIL image with a damaged file raises the same error."""
    path = tmp_path / "cut.png"
    path.write_bytes(encoded(noise(80, 60))[:2000])
    with Image.open(path) as image, pytest.raises(MediaError, match="cannot be read as an image"):
        read_image(image)


SAMPLES = [encoded(draw(), kind) for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")]


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes(content: bytes) -> None:
    """The result is an image or a MediaError."""
    try_to_read(content)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SAMPLES), st.data())
def test_damaged_files(content: bytes, data: st.DataObject) -> None:
    """Files with changed bytes and missing ends give an image or a MediaError."""
    damaged = bytearray(content[: data.draw(st.integers(1, len(content)))])
    for _ in range(data.draw(st.integers(0, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try_to_read(bytes(damaged))


def try_to_read(content: bytes) -> None:
    """Read any bytes; an accepted image has to be valid."""
    try:
        picture = read_image(content)
    except MediaError:
        return
    reopen(picture)


def test_importing_is_cheap() -> None:
    """Images and clips load neither codecs nor numpy before the first file is read."""
    check = "sys.exit(any(m in sys.modules for m in ('av', 'PIL', 'numpy')))"
    code = f"import sys, kling_nb.media.images, kling_nb.media.clips; {check}"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
