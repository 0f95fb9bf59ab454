"""A clip that cannot be compressed, for what is said about sizes."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

__all__ = ["write_noise"]

RATE = 24
SECONDS = 5
SIZE_PX = (640, 360)


def write_noise(path: Path) -> Path:
    """Write 5 s of noise as an MP4 of about 12 MB."""
    dice = np.random.default_rng(1)
    width, height = SIZE_PX
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "crf": "25"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for _ in range(RATE * SECONDS):
            picture = dice.integers(0, 256, (height, width, 3), dtype=np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode(None))
    assert 11_500_000 < path.stat().st_size < 13_500_000
    return path
