"""Measure cells in a folder with many jobs, compared with a folder of 100 jobs."""

from __future__ import annotations

import sqlite3
import statistics
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from kling_nb.media.images import make_thumbnail
from kling_nb.storage.user_index import UserIndex
from tests.support.records import copy_jobs
from tests.support.stand_in import serve_stand_in

from .figures import Figure, at_most
from .processes import run_fresh
from .samples import live_settings, write_clip, write_history
from .start_up import measure_ms

FEW = 100
CELLS = 5
PATIENCE_S = 60.0
FILES = 24
"""Number of clips that exist as files: the newest, which a gallery shows first."""


def measure_ledger(small: bool) -> list[Figure]:
    """Measure a new `%%kling` cell, the same cell again, and `%kling gallery`."""
    few, some, many = (2, 5, 10) if small else (FEW, 5_000, 50_000)
    with TemporaryDirectory() as place:
        clip = write_clip(Path(place, "clip.mp4"), 300_000)
        with serve_stand_in("--ends", 2, 2, "--clip", clip) as service:
            times_ms = [run_fresh(time_cells, service.url, rows) for rows in (few, some, many)]
    new, again, gallery = zip(*times_ms, strict=True)
    cell, beside = f"`%%kling` with {many:,} rows", f"with {few:,} rows"
    view, shown = "`%kling gallery`", (beside, gallery[0])
    return [
        Figure(f"{cell}: new", new[2], "ms", beside, new[0], at_most(1.5, "ratio")),
        Figure(f"{cell}: again", again[2], "ms", beside, again[0], at_most(1.5, "ratio")),
        Figure(f"{view}, {some:,} rows", gallery[1], "ms", *shown, at_most(150)),
        Figure(f"{view}, {many:,} rows", gallery[2], "ms", *shown, at_most(300)),
    ]


def time_cells(url: str, rows: int) -> tuple[float, float, float]:
    """Return the times of the three cells in milliseconds, in a folder with this many saved clips.

    The second run of the cells is in another session, after their clips are saved.
    """
    import kling_nb
    from tests.support.shells import open_shell

    folder = Path("clips").absolute()
    fill_folder(folder, rows)
    kling_nb.configure(**live_settings(url, folder))
    with open_shell("notebook") as shell:

        def time_all(cells: Iterable[str]) -> float:
            times = []
            for cell in cells:
                with measure_ms() as cell_ms:
                    shell.run_cell(cell).raise_error()
                times += cell_ms
            return statistics.median(times)

        shell.run_line_magic("load_ext", "kling_nb")
        time_all(["%%kling\nThe first one loads modules"])
        wait_for_index(rows)
        new = [f"%%kling\nScene {number}" for number in range(CELLS)]
        new_ms = time_all(new)
        session = kling_nb.default_session()
        for record in session.jobs(CELLS + 1):
            session.job(record.id).result(PATIENCE_S)
        kling_nb.configure(**live_settings(url, folder))
        return new_ms, time_all(new), time_all(["%kling gallery"] * 3)


def wait_for_index(rows: int) -> None:
    """Wait until the session has added the payments of its ledger to the user's new index.

    It does so beside the first cells, once: the index usually has them.
    """
    deadline = time.monotonic() + PATIENCE_S
    with closing(sqlite3.connect(UserIndex().path)) as index:
        while index.execute("SELECT count(*) FROM paid").fetchone()[0] < rows:
            assert time.monotonic() < deadline, "the session does not fill the index"
            time.sleep(0.05)


def fill_folder(folder: Path, rows: int) -> None:
    """Create a folder with this many saved jobs: one from the ledger, the others as its copies."""
    folder.mkdir()
    clip, poster = write_clip(folder / "past-0.mp4", 300_000), folder / "past-0.jpg"
    image = Image.effect_noise((640, 360), 40)
    image.save(poster, quality=40)
    for number in range(1, FILES):
        for source in (clip, poster):
            source.with_stem(f"past-{number}").write_bytes(source.read_bytes())
    write_history(folder, [150.0], make_thumbnail(image))
    with closing(sqlite3.connect(folder / "ledger.sqlite3")) as connection, connection:
        copies = f"replace(clip, 'past-0', 'past-' || (copy % {FILES}))"
        copy_jobs(connection, rows - 1, clip=copies)
