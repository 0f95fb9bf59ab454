"""Measure downloads and uploads, compared with curl.

The stand-in measures from the head of a request to its end. The downloads are clips of jobs; a
session hashes and writes them. A `free` box at the end pads a clip to the required size.
"""

from __future__ import annotations

import hashlib
import shutil
import statistics
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import numpy as np
from PIL import Image

from tests.support.stand_in import serve_stand_in

from .figures import Figure, at_least, at_most
from .processes import run_fresh
from .samples import open_live, pad_clip, spread, write_clip

PAST_S = (0.3, 0.6)
"""Durations of tasks and past tasks (min, max); short, so that the end is detected soon."""
PATIENCE_S = 120.0
LOOP = "httpx loop that hashes and writes"
CURL_PATH, LOOP_PATH = "/clips/curl.mp4", "/clips/loop.mp4"


def measure_download(small: bool) -> list[Figure]:
    """Measure a 200 MB download, complete and interrupted."""
    size_bytes, repeats = (2_000_000, 1) if small else (200_000_000, 3)
    with TemporaryDirectory() as place:
        clip = pad_clip(write_clip(Path(place, "clip.mp4"), 300_000), size_bytes)
        with serve_stand_in("--ends", *PAST_S, "--clip", clip) as service:
            saved_at = []
            for _ in range(repeats):  # alternating, because the speed of the disk varies
                saved_at.append(run_fresh(fetch_clip, service.url))
                run_curl("--output", f"{place}/curl.mp4", service.url + CURL_PATH)
                run_fresh(fetch_bare, service.url + LOOP_PATH)
            transfers = service.report()["transfers"]
        with serve_stand_in(
            "--ends", *PAST_S, "--clip", clip, "--cut", round(0.6 * size_bytes)
        ) as service:
            run_fresh(fetch_clip, service.url)
            sent_mb = sum(each["size_bytes"] for each in service.report()["transfers"]) / 1e6
    theirs, bare = (
        [each for each in transfers if each["path"] == path] for path in (CURL_PATH, LOOP_PATH)
    )
    ours = [each for each in transfers if each["path"] not in (CURL_PATH, LOOP_PATH)]
    saved_s = [at - each["began_at"] for at, each in zip(saved_at, ours, strict=True)]
    name, size_mb = f"{size_bytes / 1e6:.0f} MB download", size_bytes / 1e6
    half, resumed = at_least(0.5, "ratio"), at_most(1.05, "ratio")
    return [
        Figure(f"{name} with SHA-256", speed(ours), "MB/s", *curl(theirs), half),
        Figure(f"{name} with SHA-256, of a loop's", speed(ours), "MB/s", LOOP, speed(bare)),
        Figure(f"{name}: until the clip is saved", statistics.median(saved_s), "s"),
        Figure(f"{name}, cut at 60 %: sent", sent_mb, "MB", "file", size_mb, resumed),
    ]


def measure_upload(small: bool) -> list[Figure]:
    """Measure uploads of different 9 MB images on an open connection."""
    side_px, repeats = (200, 2) if small else (1_730, 6)
    with TemporaryDirectory() as place, serve_stand_in("--ends", 600, 600) as service:
        images = [str(write_noise(Path(place, f"{n}.png"), side_px, n)) for n in range(repeats)]
        run_fresh(upload_images, service.url, images)
        ours = service.report()["transfers"]
        for image in images:
            form = ("--form", "uploadPath=images", "--form", f"file=@{image}")
            run_curl("--header", "Expect:", *form, f"{service.url}/api/file-stream-upload")
        theirs = service.report()["transfers"][len(ours) :]
    size_mb = ours[0]["size_bytes"] / 1e6
    # Warm: the first upload is not counted.
    return [
        Figure(
            f"{size_mb:.2g} MB upload, warm",
            speed(ours[1:]),
            "MB/s",
            *curl(theirs[1:]),
            at_least(0.6, "ratio"),
        ),
    ]


def speed(transfers: list[Mapping[str, Any]]) -> float:
    """Return the median speed of transfers in MB/s."""
    return statistics.median(
        each["size_bytes"] / 1e6 / (each["ended_at"] - each["began_at"]) for each in transfers
    )


def curl(transfers: list[Mapping[str, Any]]) -> tuple[str, float | None]:
    """Return label and value of curl's speed, or why there is none."""
    return ("curl", speed(transfers)) if transfers else ("curl is not installed", None)


def run_curl(*arguments: str) -> None:
    """Run curl, if it is installed."""
    if shutil.which("curl"):
        command = ["curl", "--silent", "--fail", *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def write_noise(path: Path, side_px: int, seed: int) -> Path:
    """Write a square PNG of noise: 3 bytes for each pixel."""
    noise = np.random.default_rng(seed).integers(0, 256, (side_px, side_px, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path, compress_level=1)
    return path


def fetch_clip(url: str) -> float:
    """Submit a job and return the time when its clip was saved, in epoch seconds."""
    open_live(url, spread(*PAST_S)).text_to_video("A red fox").result(PATIENCE_S)
    return time.time()


def fetch_bare(url: str) -> None:
    """Download a file with httpx alone; hash and write each piece when it arrives."""
    digest = hashlib.sha256()
    with httpx.stream("GET", url) as response, open("bare.mp4", "wb") as file:
        for piece in response.iter_bytes():
            digest.update(piece)
            file.write(piece)


def upload_images(url: str, images: list[str]) -> None:
    """Submit a job for each image; each call returns after the upload."""
    session = open_live(url)
    for image in images:
        session.image_to_video(image, "It moves")
