"""Small videos and audio files of every kind, made at first use."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np

__all__ = ["SOUNDS", "encoded", "index_first", "sound", "video"]

ROOT = Path(__file__).parents[2]
ENCODE = """
import sys
from tests.support.reels import encode
sys.stdout.buffer.write(encode(*sys.argv[1:]))
"""
RATE = 48_000
SOUNDS = {
    "audio/mpeg": ("mp3", "libmp3lame"),
    "audio/wav": ("wav", "pcm_s16le"),
    "audio/aac": ("adts", "aac"),
    "audio/mp4": ("ipod", "aac"),
    "audio/ogg": ("ogg", "libopus"),
    "audio/flac": ("flac", "flac"),
}
"""By MIME type: FFmpeg's names of the container and of the codec."""


@cache
def sound(mime_type: str = "audio/wav", seconds: float = 4.0) -> bytes:
    """A hum."""
    form, codec = SOUNDS[mime_type]
    content = BytesIO()
    with av.open(content, "w", format=form) as output:
        stream: Any = output.add_stream(codec, rate=RATE)
        stream.layout = "mono"
        resampler = av.AudioResampler(stream.format.name, "mono", RATE)
        for start in range(0, round(seconds * RATE), RATE // 10):
            wave = np.sin(np.arange(RATE // 10) / 20, dtype=np.float32)[None, :]
            frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
            for part in resampler.resample(frame):
                output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return content.getvalue()


@cache
def video(
    seconds: float = 4.0,
    size_px: tuple[int, int] = (352, 320),
    form: str = "mp4",
    shade: int = 90,
    rate: int = 5,
) -> bytes:
    """A plain one; `form` is `mp4`, `mov` or `webm`, `rate` its frames a second."""
    content = BytesIO()
    with av.open(content, "w", format=form) as output:
        stream: Any = output.add_stream("libvpx" if form == "webm" else "libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size_px, "yuv420p"
        for _ in range(round(seconds * rate)):
            shown = np.full((size_px[1], size_px[0], 3), shade, np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(shown)))
        output.mux(stream.encode(None))
    return content.getvalue()


@cache
def encoded(
    codec: str, pixel_format: str = "yuv420p", form: str = "mp4", audio_codec: str = ""
) -> bytes:
    """A video of one second, encoded by FFmpeg's names of the encoder and the pixel format.

    In a process of its own: as root, SVT-AV1 puts the thread that calls it under real-time
    scheduling, and each process that this thread starts later, a browser say, inherits that.
    """
    words = [sys.executable, "-c", ENCODE, codec, pixel_format, form, audio_codec]
    return subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout


def encode(codec: str, pixel_format: str, form: str, audio_codec: str) -> bytes:
    """Encode the video of `encoded`, in this process."""
    content = BytesIO()
    with av.open(content, "w", format=form) as output:
        stream: Any = output.add_stream(codec, rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixel_format
        if codec == "libx265":
            stream.options = {"x265-params": "log-level=none"}
        hum: Any = output.add_stream(audio_codec, rate=RATE) if audio_codec else None
        for shade in range(5):
            shown = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 40 * shade, np.uint8))
            output.mux(stream.encode(shown.reformat(format=pixel_format)))
        output.mux(stream.encode(None))
        if hum is not None:
            for start in range(0, RATE, RATE // 10):
                wave = np.sin(np.arange(RATE // 10) / 20, dtype=np.float32)[None, :]
                frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
                frame.sample_rate, frame.pts = RATE, start
                output.mux(hum.encode(frame))
            output.mux(hum.encode(None))
    return content.getvalue()


def index_first(content: bytes) -> bytes:
    """An MP4 as it is made for the web: cut short, it still has its index."""
    # A file and not memory: to put the index first, the muxer opens what it wrote a second time.
    with TemporaryDirectory() as folder, av.open(BytesIO(content)) as source:
        target = Path(folder, "first.mp4")
        with av.open(str(target), "w", options={"movflags": "+faststart"}) as output:
            stream = output.add_stream_from_template(source.streams[0])
            for packet in source.demux(source.streams[0]):
                if packet.dts is not None:
                    packet.stream = stream
                    output.mux(packet)
        return target.read_bytes()
