"""Create clips, settings, and a ledger with past jobs, for the measured jobs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from kling_nb.core.job_state import ClipFacts, Stage
from kling_nb.models.catalog import TEXT_TO_VIDEO
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger
from tests.support.service import KEY, Clock

if TYPE_CHECKING:
    from kling_nb.jobs.session import Session

__all__ = [
    "DEFAULT_LIMITS",
    "NO_LIMITS",
    "SIZE_1080P",
    "live_settings",
    "open_live",
    "pad_clip",
    "spread",
    "write_clip",
    "write_history",
]

RATE = 24
DURATION_S = 5.0
"""The default duration of a request; a clip must have the same."""
SIZE_1080P = (1920, 1080)
NO_LIMITS = "create=999999/1,status=999999/1"
DEFAULT_LIMITS = "create=20/10,status=10/1"


def write_clip(path: Path, size_bytes: int, size_px: tuple[int, int] = (640, 360)) -> Path:
    """Write a 5 s clip of about this size; its content is noise, which fills the bit rate."""
    dice = np.random.default_rng(1)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=RATE, options={"preset": "ultrafast"})
        stream.width, stream.height = size_px
        stream.pix_fmt, stream.bit_rate = "yuv420p", int(8 * size_bytes / DURATION_S)
        small = (size_px[1] // 20, size_px[0] // 20, 3)
        for _ in range(round(RATE * DURATION_S)):
            tiles = dice.integers(0, 256, small, dtype=np.uint8)
            shown = tiles.repeat(20, axis=0).repeat(20, axis=1)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
        file.mux(stream.encode(None))
    return path


def pad_clip(path: Path, size_bytes: int) -> Path:
    """Pad an MP4 to this size with a `free` box at its end, which players skip."""
    left = size_bytes - path.stat().st_size
    block = np.random.default_rng(1).bytes(1_000_000)
    with path.open("ab") as file:
        file.write(left.to_bytes(4, "big") + b"free")
        written = 8
        while written < left:
            written += file.write(block[: left - written])
    return path


def live_settings(url: str, folder: Path, rate_limits: str = NO_LIMITS) -> dict[str, Any]:
    """Return the settings of a live session that uses the stand-in."""
    return {
        "mode": "live",
        "api_key": KEY,
        "folder": folder,
        "api_url": url,
        "upload_url": url,
        "rate_limits": rate_limits,
    }


def open_live(
    url: str, past_s: Sequence[float] = (), folder: str = "clips", rate_limits: str = NO_LIMITS
) -> Session:
    """Open a live session with the stand-in, in a new folder with past jobs of these durations."""
    from kling_nb import Session

    place = Path(folder).absolute()
    write_history(place, past_s)
    session = Session(**live_settings(url, place, rate_limits))
    session.balance()
    return session


def spread(least: float, most: float, count: int = 20) -> list[float]:
    """Return evenly spaced values between two bounds, in a fixed, unsorted order."""
    values = [least + (most - least) * (each + 0.5) / count for each in range(count)]
    return values[::2] + values[1::2]


def write_history(folder: Path, durations_s: Sequence[float], thumbnail: bytes = b"") -> None:
    """Write a ledger with a saved live text-to-video job for each duration."""
    clock = Clock()
    ledger = Ledger(folder, clock=clock)
    for number, duration_s in enumerate(durations_s):
        request = JobRecord(f"past {number}", "live", TEXT_TO_VIDEO.name, {}, 1, 55.0, thumbnail)
        row, _ = ledger.intend(request)
        ledger.advance(row.id, Stage.SENDING)
        ledger.advance(row.id, Stage.ACCEPTED, task_id=f"past {number}")
        clock.move(duration_s)
        ledger.advance(row.id, Stage.SUCCEEDED, finished_at=clock.now)
        path = str(folder / f"past-{number}.mp4")
        clip = ClipFacts(path, 640, 360, DURATION_S, float(RATE), "h264", "", 300_000)
        ledger.advance(row.id, Stage.SAVED, clip=clip)
    ledger.close()
