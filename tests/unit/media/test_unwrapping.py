"""Test `unwrapping`: an input can be a job, a URI, an open file, IPython media or a tensor."""

from __future__ import annotations

import base64
import hashlib
import io
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock
from urllib.parse import quote

import numpy as np
import pytest
from IPython.display import Audio, Video
from IPython.display import Image as Shown
from PIL import Image, TiffImagePlugin

from kling_nb.errors import InvalidInput, MediaError
from kling_nb.jobs.session import Session
from kling_nb.media.audio_video import read_audio_video
from kling_nb.media.images import read_image
from kling_nb.media.inputs import identify_input
from kling_nb.media.unwrapping import describe, is_data_url, is_uri, unwrap, url_of
from kling_nb.models.catalog import CATALOGUE
from kling_nb.models.cell import read_cell
from kling_nb.models.cell_variables import resolve
from kling_nb.models.clip_request import ClipRequest
from kling_nb.models.parameters import Media
from tests.support.reels import sound, video

PATIENCE_S = 30.0
SLOW_S = 600.0
VIDEO = Media(("video/mp4", "video/quicktime"), 100_000_000)
SOUND = Media(("audio/wav",), 100_000_000)


@pytest.fixture
def fox(tmp_path: Path, photo: bytes) -> Path:
    """Return an image with characters in its path that a URI escapes."""
    path = tmp_path / "my füchs #1%.png"
    path.write_bytes(photo)
    return path


def data_url(content: bytes, mime_type: str = "image/png") -> str:
    """Return the content as a `data:` URL."""
    return f"data:{mime_type};base64,{base64.b64encode(content).decode()}"


WAYS: dict[str, Callable[[Path], Any]] = {
    "file URI": lambda path: path.as_uri(),
    "file URI of this machine": lambda path: path.as_uri().replace("file://", "file://localhost"),
    "FILE in capitals": lambda path: f" {path.as_uri().replace('file:', 'FILE:')} ",
    "bytes in memory": lambda path: io.BytesIO(path.read_bytes()),
    "open file": lambda path: path.open("rb"),
    "unbuffered file": lambda path: path.open("rb", buffering=0),
    "file opened as text": lambda path: path.open(),
    "data URL": lambda path: data_url(path.read_bytes()),
    "data URL, escaped": lambda path: "data:image/png," + quote(path.read_bytes()),
    "IPython image": lambda path: Shown(str(path)),
    "IPython image of bytes": lambda path: Shown(path.read_bytes()),
    "IPython image, not embedded": lambda path: Shown(filename=str(path), embed=False),
}


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("way", WAYS)
def test_each_way_is_the_same_image(way: str, fox: Path, photo: bytes) -> None:
    """It is the same request, too: its hash is that of the file."""
    given, sha256 = WAYS[way](fox), hashlib.sha256(photo).hexdigest()
    for _ in range(2):
        assert read_image(given).source_sha256 == sha256
        assert identify_input(given, Media(("image/png",), 10_000_000))[0] == (sha256,)
    if callable(getattr(given, "close", None)):
        given.close()


@pytest.mark.parametrize("way", ["file URI", "bytes in memory", "open file", "data URL"])
def test_videos_and_sounds_too(way: str, tmp_path: Path) -> None:
    """Other media."""
    for content, kind in ((video(), VIDEO), (sound(), SOUND)):
        path = tmp_path / "it"
        path.write_bytes(content)
        given = WAYS[way](path)
        assert read_audio_video(given, kind).sha256 == hashlib.sha256(content).hexdigest()
        if way == "open file":
            given.close()


def test_videos_and_audio_of_ipython(tmp_path: Path) -> None:
    """By name or content, embedded or not."""
    path = tmp_path / "walk.mp4"
    path.write_bytes(video())
    for shown in (
        Video(str(path)),
        Video(str(path), embed=True),
        Video(filename=str(path), embed=True),
    ):
        assert read_audio_video(shown, VIDEO).sha256 == hashlib.sha256(video()).hexdigest()
    hum = read_audio_video(Audio(sound(), embed=True), SOUND)
    assert hum.duration_s == pytest.approx(4.0, abs=0.1)


def test_an_open_file_is_not_changed(fox: Path, photo: bytes) -> None:
    """It is read from its beginning, and keeps its position; a closed file is an error."""
    with fox.open("rb") as file:
        file.seek(10)
        assert unwrap(file) == photo
        assert file.tell() == 10
        assert read_image(file).name == fox.name
    with pytest.raises(MediaError, match=r"cannot be read from its beginning .*closed file"):
        read_image(file)
    with tempfile.TemporaryFile() as unnamed:
        unnamed.write(photo)
        assert read_image(unnamed).name == f"{len(photo)} bytes"


class Pipe(io.BytesIO):
    """A file that can be read only once."""

    def tell(self) -> int:
        """Fail: there is no position."""
        raise io.UnsupportedOperation("not seekable")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Pipe(), "Pipe: cannot be read from its beginning (not seekable); give its path or bytes"),
        (io.StringIO("text"), "StringIO: is open in text mode; open it in mode 'rb'"),
        (io.BytesIO(), "0 bytes: is empty"),
        ("file://nas/fox.png", "'file://nas/fox.png' is a file on another machine; give a path"),
        ("file:///no/such/fox.png", "there is no file '/no/such/fox.png'"),
        ("data:image/png;base64,????", "a data URL of 26 characters cannot be decoded"),
        ("data:image/png;base64", "0 bytes: is empty"),
        ("data:,hello", "data URL: cannot be read as an image"),
    ],
)
def test_what_cannot_be_read(given: Any, words: str) -> None:
    """The message says what it is and what to give."""
    with pytest.raises(MediaError) as caught:
        read_image(given)
    assert words in str(caught.value)


def test_urls() -> None:
    """An image of IPython may have a URL; a URI is no URL."""
    assert url_of(" HTTPS://host/fox.png ") == "HTTPS://host/fox.png"
    assert url_of(Shown(url="https://host/fox.png")) == "https://host/fox.png"
    assert url_of(Video("https://host/walk.mp4")) == "https://host/walk.mp4"
    assert [url_of(each) for each in ("fox.png", b"https://", None, "file:///fox.png")] == [""] * 4
    assert [is_uri(each) for each in ("FILE:///a", " data:,a", "fox.png", "https://a", 5)] == [
        True, True, False, False, False,
    ]  # fmt: skip
    assert (is_data_url("Data:,a"), is_data_url("file:///a")) == (True, False)
    assert describe("data:image/png;base64,AAAA") == "data URL"


def test_a_data_url_is_not_written_into_the_cell(session: Session, photo: bytes) -> None:
    """The cell has a variable in the place of millions of characters."""
    job = session.image_to_video(data_url(photo), "A red fox")
    assert job.record.cell.splitlines()[0] == "%%kling --image picture"
    assert session.image_to_video(photo, "A red fox").id == job.id


# --- tensors -----------------------------------------------------------------------------------


class Tensor:
    """A tensor as torch has it: on a device, with gradients and its own names of types."""

    def __init__(self, values: Any, dtype: str = "", *, is_plain: bool = False) -> None:
        self.values = values
        self.dtype = dtype or f"torch.{values.dtype}"
        self.is_plain = is_plain

    def detach(self) -> Tensor:
        """Return the tensor without gradients."""
        return self

    def cpu(self) -> Tensor:
        """Return the tensor on the CPU."""
        return Tensor(self.values, self.dtype, is_plain=True)

    def float(self) -> Tensor:
        """Return the tensor as float32."""
        return Tensor(self.values.astype("float32"), is_plain=self.is_plain)

    def __array__(self) -> Any:
        """Return the values; not every tensor can."""
        if not self.is_plain or "bfloat16" in self.dtype:
            raise TypeError("can't convert")
        return self.values


HEIGHT, WIDTH = 40, 60
PIXELS = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "given",
    [
        PIXELS.transpose(2, 0, 1),
        PIXELS[None],
        PIXELS.transpose(2, 0, 1)[None],
        Tensor(PIXELS.transpose(2, 0, 1)),
        Tensor((PIXELS / 255).astype("float32").transpose(2, 0, 1)),
        Tensor((PIXELS / 255).astype("float32")[None]),
        Tensor((PIXELS / 255).astype("float64"), "torch.bfloat16"),
    ],
    ids=["CHW", "BHWC", "BCHW", "tensor", "float CHW", "ComfyUI", "bfloat16"],
)
def test_arrays_as_other_libraries_hold_them(given: Any) -> None:
    """The same pixels are the same request as an array of rows."""
    found = read_image(given)
    assert found.source_sha256 == read_image(PIXELS).source_sha256
    assert found.name == f"array {HEIGHT}×{WIDTH}"


@pytest.mark.parametrize("shape", [(1, HEIGHT, WIDTH), (HEIGHT, WIDTH, 1), (1, HEIGHT, WIDTH, 1)])
def test_one_channel(shape: tuple[int, ...]) -> None:
    """A mask or a grey image; of a batch of several the user gives one."""
    grey = PIXELS[:, :, 0]
    assert read_image(grey.reshape(shape)).source_sha256 == read_image(grey).source_sha256
    with pytest.raises(MediaError, match=r"give one image of the batch, e\.g\. `batch\[0\]`"):
        read_image(np.stack([PIXELS, PIXELS]))


# --- jobs --------------------------------------------------------------------------------------


def test_a_saved_job_stands_for_its_clip(session: Session) -> None:
    """Its clip, or as an image the last frame; the request is the same as with the clip."""
    fox = session.text_to_video("A red fox")
    clip = fox.result(PATIENCE_S)
    stops = session.image_to_video(fox, "It stops")
    assert session.image_to_video(clip, "It stops").id == stops.id
    assert read_audio_video(fox, VIDEO).path == str(clip.path)
    assert read_image(fox).name == f"last frame of {clip.path.name}"


def test_a_cell_names_the_job_of_an_earlier_one(session: Session) -> None:
    """`%%kling -o fox`, then `%%kling --image fox`."""
    fox = session.text_to_video("A red fox")
    fox.result(PATIENCE_S)
    cell = read_cell("--image fox", "It stops", {})
    found = resolve(cell.spec, cell.values, {"fox": fox})
    job = session.reserve(ClipRequest(cell.spec, found.values, written=found.written))
    assert job.record.cell == "%%kling --image fox\nIt stops"


def test_a_job_that_runs_is_waited_for(open_session: Callable[..., Session]) -> None:
    """The message names the variable, if there is one, and the call that waits."""
    session = open_session(emulator_seconds=SLOW_S)
    fox = session.text_to_video("A red fox")
    spec = CATALOGUE["kling-2.6/image-to-video"]
    wish = ClipRequest(spec, {"image": fox, "prompt": "It stops"}, written={"image": "fox"})
    with pytest.raises(InvalidInput, match=r"fox is not done yet: run fox\.result\(\) to wait"):
        session.reserve(wish)
    words = rf"job {fox.id} is not done yet: run job\.result\(\) to wait"
    with pytest.raises(InvalidInput, match=words):
        session.image_to_video(fox, "It stops")
    assert len(session.jobs(limit=-1)) == 1


def test_a_job_without_a_clip() -> None:
    """The error says why there is no clip."""
    error = ValueError("flagged as sensitive")
    result = Mock(side_effect=error)
    failed = SimpleNamespace(done=lambda: True, exception=lambda: error, result=result)
    with pytest.raises(MediaError, match=r" has no clip \(flagged as sensitive\); give"):
        read_image(failed)


# --- what is no picture ------------------------------------------------------------------------


def tiff_with(tags: dict[int, object]) -> bytes:
    """Return a TIFF with these tags in its first directory."""
    ifd = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        ifd[tag] = value
    content = io.BytesIO()
    Image.new("RGB", (160, 120), "teal").save(content, "TIFF", tiffinfo=ifd)
    return content.getvalue()


RAW = {
    "DNG": tiff_with({0xC612: b"\1\4\0\0"}),
    "NEF": tiff_with({254: 1}),
    "ARW": tiff_with({330: 8}),
    "CR2": b"II*\0\x10\0\0\0CR\2\0" + bytes(600),
    "CR3": struct.pack(">I", 24) + b"ftypcrx \0\0\0\1crx isom" + bytes(600),
    "RAF": b"FUJIFILMCCD-RAW 0201" + bytes(600),
    "ORF": b"IIRO\x08\0\0\0" + bytes(600),
    "RW2": b"IIU\0\x18\0\0\0" + bytes(600),
}


@pytest.mark.parametrize("name", RAW)
def test_raw_photos_are_refused(name: str) -> None:
    """Pillow reads only the thumbnail, which would be paid for."""
    with pytest.raises(MediaError, match=r"^fox: raw photos cannot be read; give a JPEG$"):
        read_image(RAW[name], name="fox")


@pytest.mark.parametrize("tags", [{}, {254: 0}, {254: 2}, {305: "an editor"}])
def test_other_tiffs_are_read(tags: dict[int, object]) -> None:
    """Also the pages of a scan."""
    assert read_image(tiff_with(tags)).width_px == 160


PAGE = b"<!DOCTYPE html><html><head><title>Viewer</title></head></html>"
OTHERS = {
    "page": (PAGE, "a web page", "use the link that downloads the file"),
    "page after a comment": (b"\n <!-- saved -->\n<HTML lang=en>", "a web page", "use the link"),
    "page in UTF-16": (PAGE.decode().encode("utf-16"), "a web page", "use the link"),
    "page with a drawing": (b"<html><body><svg/></body></html>", "a web page", "use the link"),
    "XHTML": (b"<?xml version='1.0'?><html xmlns=''>", "a web page", "use the link"),
    "saved page": (b"From: <Saved by Blink>\r\nSnapshot", "a web page", "use the link"),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing", "export it as PNG"),
    "SVG with a prologue": (
        b"<?xml version='1.0'?><!-- Inkscape --><svg/>", "an SVG drawing", "export it",
    ),
    "PDF": (b"%PDF-1.7\n" + bytes(100), "a PDF", "export its page as PNG"),
    "LFS": (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer", "git lfs pull"),
    "ZIP": (b"PK\3\4" + bytes(100), "a ZIP archive", "extract the image from it"),
    "video": (video(), "an MP4 video", "give the job or the clip to use its last frame"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_the_message_names_what_is_no_image(name: str) -> None:
    """A share link gives a web page: the message says what to do, also for other media."""
    content, words, advice = OTHERS[name]
    with pytest.raises(
        MediaError, match=f"^fox: this is {words}, not an image; allowed: .*; .*{advice}"
    ):
        read_image(content, name="fox")
    with pytest.raises(MediaError, match=r"is a web page, not a video; allowed: .*; use the link"):
        read_audio_video(PAGE, VIDEO)
    with pytest.raises(
        MediaError, match=r"is a web page, not an audio file; allowed: .*; use the link"
    ):
        read_audio_video(PAGE, SOUND)
