"""Test `metadata`: an upload has no metadata and the same pixels."""

from __future__ import annotations

import asyncio
import hashlib
import random
import sqlite3
import struct
import zlib
from contextlib import closing
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from kling_nb.jobs.prepare import MediaReader
from kling_nb.jobs.session import Session
from kling_nb.kie.http import Downloader
from kling_nb.media.images import read_image
from kling_nb.media.input_store import store_input
from kling_nb.media.metadata import strip_metadata
from kling_nb.models.parameters import Media

SECRET = b"46.94809N"
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
PATIENCE_S = 30.0
URL = "https://pictures.example/fox.jpg"
FORMATS = ("JPEG", "PNG", "WEBP")


def draw(mode: str = "RGB") -> Image.Image:
    """Return an image in which each pixel differs."""
    values = random.Random(1).randbytes(64 * 48 * len(mode))
    return Image.frombytes(mode, (64, 48), values)


def camera_exif() -> Image.Exif:
    """Return EXIF with the place and the camera."""
    exif = Image.Exif()
    exif[0x0110] = SECRET.decode()
    place = exif.get_ifd(0x8825)
    place[1], place[2] = "N", (46.0, 56.0, 53.0)
    return exif


def encoded(kind: str, image: Image.Image | None = None, **options: Any) -> bytes:
    """Return an image as the bytes of a file."""
    content = BytesIO()
    usual = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95}}.get(kind, {})
    (image or draw()).save(content, kind, **usual, **options)
    return content.getvalue()


def jpeg_with(*segments: bytes, after: bytes = b"") -> bytes:
    """Return a JPEG with these segments after its first marker, and bytes after its end."""
    content = encoded("JPEG")
    return content[:2] + b"".join(segments) + content[2:] + after


def segment(marker: int, payload: bytes) -> bytes:
    """Return a JPEG segment."""
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def png_with(*chunks: tuple[bytes, bytes], after: bytes = b"") -> bytes:
    """Return a PNG with these chunks after its header, and bytes after its end."""
    content = encoded("PNG")
    added = b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
    return content[:33] + added + content[33:] + after


def webp_with(*chunks: tuple[bytes, bytes]) -> bytes:
    """Return an extended WebP with these chunks after the image."""
    content = encoded("WEBP", icc_profile=PROFILE)
    added = b"".join(
        name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
        for name, body in chunks
    )
    return content[:4] + struct.pack("<I", len(content) + len(added) - 8) + content[8:] + added


XMP = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>" + SECRET
FILES: dict[str, bytes] = {
    "JPEG EXIF": encoded("JPEG", exif=camera_exif(), comment=SECRET),
    "JPEG progressive": encoded("JPEG", exif=camera_exif(), progressive=True),
    "JPEG profile": encoded("JPEG", exif=camera_exif(), icc_profile=PROFILE),
    "JPEG CMYK marker": jpeg_with(segment(0xE1, XMP), segment(0xEE, b"Adobe\0\x64\0\0\0\0\x01")),
    "JPEG XMP": jpeg_with(segment(0xE1, XMP), segment(0xE1, b"http://ns.adobe.com/xmp/" + SECRET)),
    "JPEG IPTC": jpeg_with(segment(0xED, b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + SECRET)),
    "JPEG comment": jpeg_with(segment(0xFE, SECRET)),
    "JPEG thumbnail": jpeg_with(segment(0xE0, b"JFXX\0\x10" + SECRET)),
    "JPEG other": jpeg_with(*(segment(n, SECRET) for n in (0xE2, 0xE3, 0xE8, 0xEB, 0xEF))),
    "JPEG fill bytes": jpeg_with(b"\xff\xff" + segment(0xFE, SECRET) + b"\xff"),
    "JPEG with a video behind it": jpeg_with(after=b"\0\0\0\x18ftypmp42" + SECRET),
    "PNG EXIF": encoded("PNG", exif=camera_exif()),
    "PNG profile": encoded("PNG", exif=camera_exif(), icc_profile=PROFILE),
    "PNG tEXt": png_with((b"tEXt", b"prompt\0" + SECRET), (b"tIME", b"\x07\xea\1\1\1\1\1")),
    "PNG zTXt": png_with((b"zTXt", b"workflow\0\0" + zlib.compress(SECRET))),
    "PNG XMP": png_with((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + SECRET)),
    "PNG private": png_with((b"caBX", SECRET), (b"prVt", SECRET)),
    "PNG with a tail": png_with(after=SECRET),
    "WEBP EXIF": encoded("WEBP", exif=camera_exif()),
    "WEBP profile": encoded("WEBP", exif=camera_exif(), icc_profile=PROFILE),
    "WEBP XMP": webp_with((b"XMP ", SECRET + b"!"), (b"ABCD", SECRET)),
}


@pytest.mark.parametrize("name", FILES)
def test_an_upload_has_no_metadata(name: str) -> None:
    """Pixels and colour profile are the same; the fingerprint is that of the file.

    A stripped file does not change again, so that a stored copy is sent like the original.
    """
    content = FILES[name]
    picture = read_image(content)
    before, after = Image.open(BytesIO(content)), Image.open(BytesIO(picture.content))
    assert before.convert("RGB").tobytes() == after.convert("RGB").tobytes()
    assert after.info.get("icc_profile") == before.info.get("icc_profile")
    assert not after.getexif()
    assert not after.info.keys() & {"exif", "xmp", "comment", "photoshop", "XML:com.adobe.xmp"}
    assert SECRET not in picture.content
    assert zlib.compress(SECRET) not in picture.content
    assert picture.source_sha256 == hashlib.sha256(content).hexdigest()
    assert not picture.is_converted
    assert picture.size_bytes <= len(content)
    assert strip_metadata(picture.content) == read_image(picture.content).content == picture.content


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("options", [{}, {"icc_profile": PROFILE}], ids=["plain", "profile"])
def test_a_file_without_metadata_stays_as_it_is(kind: str, options: dict[str, Any]) -> None:
    """Byte for byte."""
    content = encoded(kind, **options)
    assert strip_metadata(content) == content


@pytest.mark.parametrize(("kind", "options"), [("JPEG", {"comment": SECRET}), ("PNG", {})])
def test_a_converted_image_has_no_metadata(kind: str, options: dict[str, bytes]) -> None:
    """Pillow copies the comment of a JPEG."""
    exif = camera_exif()
    exif[0x0112] = 6
    picture = read_image(encoded(kind, exif=exif, **options))
    assert picture.is_converted
    assert SECRET not in picture.content
    assert (picture.width_px, picture.height_px) == (48, 64)


def test_transparency_and_sizes_stay() -> None:
    """The chunks of a PNG and a WebP that a reader needs are kept."""
    for kind in ("PNG", "WEBP"):
        image = draw("RGBA")
        content = encoded(kind, image, exif=camera_exif(), exact=True)
        stripped = strip_metadata(content)
        assert stripped is not None
        assert Image.open(BytesIO(stripped)).tobytes() == image.tobytes()


def test_what_is_not_understood_is_converted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that the parser cannot read is never sent with its metadata."""
    content = FILES["JPEG EXIF"]
    real = strip_metadata
    monkeypatch.setattr(
        "kling_nb.media.images.strip_metadata",
        lambda given: None if given == content else real(given),
    )
    picture = read_image(content)
    assert picture.is_converted
    assert SECRET not in picture.content


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"GIF89a", b"\xff\xd8", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"),
        *(b"RIFF\0\0\0\0WEBP", b"RI"),
    ],
)
def test_other_files_are_not_stripped(content: bytes) -> None:
    """No error is raised."""
    assert strip_metadata(content) in {None, b"RIFF\4\0\0\0WEBP"}


# --- on the way to the service -----------------------------------------------------------------


def files_that_tell(folder: Path) -> list[Path]:
    """Return every file below a folder that contains the place of the photo."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if SECRET in path.read_bytes()]


def test_nothing_of_it_is_uploaded_or_kept(session: Session, tmp_path: Path) -> None:
    """Neither the uploads nor the stored copy contain it, and another take uses both."""
    content = FILES["JPEG EXIF"]
    job = session.image_to_video(content, "A red fox")
    job.result(PATIENCE_S)
    assert files_that_tell(tmp_path) == []
    take = job.another_take()
    take.result(PATIENCE_S)
    kept = [session.ledger.row(each.id).sources["image"][0] for each in (job, take)]
    assert kept[0] == kept[1]
    assert kept[0].source_sha256 == hashlib.sha256(content).hexdigest()
    assert Path(kept[0].path).read_bytes() == strip_metadata(content)
    assert uploads_of(tmp_path) == 1


def test_a_copy_that_an_earlier_version_kept_is_stripped(session: Session, tmp_path: Path) -> None:
    """It was stored unchanged; the next take sends and stores it without its metadata."""
    content = FILES["JPEG EXIF"]
    job = session.image_to_video(content, "A red fox")
    job.result(PATIENCE_S)
    path = store_input(tmp_path / "clips", content, "image/jpeg")
    old = replace(session.ledger.row(job.id).sources["image"][0], path=path)
    session.ledger.save_sources(job.id, {"image": (old,)})
    take = job.another_take()
    take.result(PATIENCE_S)
    kept = session.ledger.row(take.id).sources["image"][0]
    assert Path(kept.path).read_bytes() == strip_metadata(content)
    assert kept.source_sha256 == old.source_sha256
    assert files_that_tell(tmp_path) == [Path(path)]
    assert uploads_of(tmp_path) == 1


def uploads_of(folder: Path) -> int:
    """Return the number of saved uploads."""
    with closing(sqlite3.connect(folder / "clips" / "ledger.sqlite3")) as db:
        return int(db.execute("SELECT count(*) FROM uploads").fetchone()[0])


def test_a_public_image_is_sent_as_its_url() -> None:
    """The service fetches it; an image that needs conversion is uploaded."""
    kind = Media(("image/jpeg", "image/png"), 10_000_000)
    for content, expected in ((FILES["JPEG EXIF"], URL), (encoded("GIF"), "")):
        answer = httpx.Response(200, content=content)
        fetcher = Downloader(transport=httpx.MockTransport(lambda _, answer=answer: answer))
        source = asyncio.run(MediaReader(kind, "live", fetcher).read(URL))
        assert (source.url, source.origin) == (expected, URL)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(name=st.sampled_from(sorted(FILES)), data=st.data())
def test_damaged_files(name: str, data: st.DataObject) -> None:
    """Cut or changed anywhere, a file gives bytes or None, and the parser ends."""
    content = bytearray(FILES[name])
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(place, len(content))) :]
    stripped = strip_metadata(bytes(content))
    assert stripped is None or len(stripped) <= len(content) + 12
