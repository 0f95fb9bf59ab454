"""Measure the peak memory to download and verify 1080p clips, compared with decoding in PyAV."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.stand_in import serve_stand_in

from .figures import Figure, at_most
from .processes import peak_mb, run_fresh
from .samples import SIZE_1080P, open_live, spread, write_clip

CLIP_BYTES = 9_000_000
SMALL_PX = (320, 180)
PATIENCE_S = 120.0


def measure_memory(small: bool) -> list[Figure]:
    """Measure one clip, and twelve clips of tasks that end at the same time."""
    size_px, size_bytes = (SMALL_PX, 300_000) if small else (SIZE_1080P, CLIP_BYTES)
    with TemporaryDirectory() as place:
        clip = write_clip(Path(place, "clip.mp4"), size_bytes, size_px)
        with serve_stand_in("--ends", 1, 1, "--clip", clip) as service:
            one_mb, twelve_mb = (run_fresh(verify_clips, service.url, count) for count in (1, 12))
        bare_mb = run_fresh(decode_bare, str(clip))
    beside, clips = ("PyAV decodes one", bare_mb), f"{size_px[1]}p clip"
    return [
        Figure(f"verifying one {clips}: peak", one_mb, "MB", *beside, at_most(90)),
        Figure(f"verifying twelve {clips}s: peak", twelve_mb, "MB", *beside, at_most(250)),
    ]


def verify_clips(url: str, jobs: int) -> float:
    """Return the peak memory of jobs in MB, without that of an open session and its libraries."""
    import av  # noqa: F401 - otherwise the first clip would load it
    from PIL import Image  # noqa: F401

    session = open_live(url, spread(0.9, 1.1))
    before_mb = peak_mb()
    with ThreadPoolExecutor(jobs) as threads:
        made = list(threads.map(lambda n: session.text_to_video(f"Scene {n}"), range(jobs)))
    for job in made:
        job.result(PATIENCE_S)
    return peak_mb() - before_mb


def decode_bare(path: str) -> float:
    """Return the peak memory in MB to decode a clip frame by frame in one thread."""
    import av

    before_mb = peak_mb()
    with av.open(path) as container:
        container.streams.video[0].thread_count = 1
        for _ in container.decode(video=0):
            pass
    return peak_mb() - before_mb
