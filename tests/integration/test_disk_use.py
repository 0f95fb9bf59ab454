"""`%kling folder`: what a folder contains, and which files may go."""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kling_nb.core.job_state import Stage
from kling_nb.errors import InvalidInput
from kling_nb.jobs.clip import Clip
from kling_nb.jobs.disk_use import FileKind, measure_folder
from kling_nb.jobs.session import Session
from kling_nb.media import clips
from kling_nb.notebook.commands import Commands
from tests.support.shells import texts

PATIENCE_S = 20.0
NOW = datetime.now(UTC)
HASH = "0a" * 32


@pytest.fixture
def clip(session: Session, photo: bytes) -> Clip:
    """A saved clip with a stored input."""
    return session.image_to_video(photo, "A red fox").result(PATIENCE_S)


@pytest.fixture
def folder(session: Session, clip: Clip) -> Path:
    """The clip folder."""
    return session.ledger.folder


def put(path: Path, age: timedelta = timedelta(days=30)) -> Path:
    """Write a file of 10 bytes that is so old."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"0123456789")
    return make_older(path, age)


def make_older(path: Path, age: timedelta = timedelta(days=30)) -> Path:
    """Change the time of a file."""
    at = (NOW - age).timestamp()
    os.utime(path, (at, at))
    return path


def unneeded(session: Session, now: datetime = NOW) -> set[str]:
    """Return the names of the files that nothing needs."""
    return {file.path.name for file in measure_folder(session, now) if file.is_unneeded}


def test_files_by_kind(session: Session, folder: Path, clip: Clip) -> None:
    """Each file counts once; their sizes are those on the disk."""
    put(folder / "notes.txt")
    put(folder / "holiday.mp4")
    put(folder / ".previews" / "x-0123456789ab.mp4")
    put(folder / "20261129-fox-d57859d5.part")
    files = measure_folder(session, NOW)
    counts = Counter(file.kind for file in files)
    assert counts[FileKind.CLIP] == 2
    assert counts[FileKind.INPUT] == 1
    assert counts[FileKind.PREVIEW] == counts[FileKind.PART] == 1
    assert counts[FileKind.OTHER] == 2
    assert counts[FileKind.LEDGER] >= 2
    assert counts[FileKind.EMULATOR] >= 2
    on_disk = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) == len(on_disk)
    assert sum(file.size_bytes for file in files) == sum(each.stat().st_size for each in on_disk)


def test_what_is_in_use_stays(session: Session, folder: Path, clip: Clip) -> None:
    """However old: clips and posters, their inputs and previews, the ledger, and other files."""
    preview = clips.preview_path(clip.path)
    put(preview)
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        if path != clip.path and "owners" not in path.parts:
            make_older(path)
    put(folder / "notes.txt")
    put(folder / "holiday.mp4")
    put(folder / "other" / "file.part")
    assert unneeded(session) == set()


@pytest.mark.parametrize(
    "name",
    [
        "pictures/fox.png",
        "pictures/fox.1a2b3c4d.part",
        f"pictures/mine/{HASH}.png",
        ".previews/fox.mp4",
        ".previews/mine/fox-0123456789ab.mp4",
    ],
)
def test_files_of_the_user_stay_beside_ours(session: Session, folder: Path, name: str) -> None:
    """Without a name that this package gives, a file in its folders is another file."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    path = put(folder / name)
    [found] = [file for file in measure_folder(session, NOW) if file.path == path]
    assert (found.kind, found.is_unneeded) == (FileKind.OTHER, False)


def test_stale_files_may_go(session: Session, folder: Path) -> None:
    """Unfinished files, previews of clips that are gone or have changed, inputs of no job."""
    names = ("20261129-fox-d57859d5.part", f"pictures/{HASH}.png", f"pictures/{HASH}.1a2b3c4d.part")
    for name in (*names, ".previews/gone-0123456789ab.mp4"):
        put(folder / name)
    expected = {Path(name).name for name in names} | {"gone-0123456789ab.mp4"}
    assert unneeded(session) == expected


@pytest.mark.parametrize(
    ("name", "age"),
    [
        ("20261129-fox-d57859d5.part", timedelta(minutes=59)),
        (".previews/gone-0123456789ab.mp4", timedelta(minutes=59)),
        (f"pictures/{HASH}.png", timedelta(days=13)),
        (f"pictures/{HASH}.png", timedelta(days=-1)),
    ],
)
def test_new_files_stay(session: Session, folder: Path, name: str, age: timedelta) -> None:
    """A kernel may be writing them, and a cell that has not run yet may name an input."""
    put(folder / name, age)
    assert unneeded(session) == set()


def test_the_download_of_a_job_that_is_not_over_stays(session: Session, clip: Clip) -> None:
    """It may be continued."""
    part = put(clip.path.with_suffix(".part"))
    session.ledger.advance(clip.request.id, Stage.SUCCEEDED)
    assert part.name not in unneeded(session)
    session.ledger.advance(clip.request.id, Stage.EXPIRED)
    assert part.name in unneeded(session)


def test_an_input_that_a_cell_names_stays(session: Session, folder: Path) -> None:
    """The panel writes the path of a stored image into the cell."""
    stored = put(folder / "pictures" / f"{HASH}.png")
    assert unneeded(session) == {stored.name}
    session.text_to_video(f"As in pictures/{HASH}.png").result(PATIENCE_S)
    assert unneeded(session) == set()


def test_without_its_ledger_a_folder_keeps_its_inputs(session: Session, folder: Path) -> None:
    """A clip without a record shows that the ledger was lost, with what it knew of inputs."""
    put(folder / "pictures" / f"{HASH}.png")
    put(folder / "20261129-owl-00000001.mp4")
    assert unneeded(session) == set()


def test_copies_of_the_emulator_go_after_their_time(session: Session, clip: Clip) -> None:
    """After 14 days the emulator does not serve a clip any more, as the service would not."""
    folder = session.ledger.folder / "emulator" / "clips"
    [copy] = folder.iterdir()
    assert unneeded(session, NOW + timedelta(days=13)) == set()
    assert unneeded(session, NOW + timedelta(days=15)) == {copy.name}


def test_the_command_shows_kinds_then_files_then_deletes(
    session: Session, folder: Path, clip: Clip, command: Commands, shell: Any
) -> None:
    """Nothing is deleted before `--tidy --yes`, and never a clip."""
    part = put(folder / "20261129-fox-d57859d5.part")
    command.run("folder")
    assert "clips and posters" in texts(shell)[0]
    assert "1 file, 10 bytes not needed" in texts(shell)[1]
    command.run("folder --tidy")
    assert part.name in texts(shell)[2]
    assert "--tidy --yes" in texts(shell)[3]
    assert part.is_file()
    command.run("folder --tidy --yes")
    assert texts(shell)[4].startswith("Deleted: 1 file, 10 bytes")
    assert not part.exists()
    assert clip.path.is_file()
    command.run("folder --tidy")
    assert "Every file is needed" in texts(shell)[5]


def test_yes_alone_deletes_nothing(command: Commands, folder: Path) -> None:
    """It says what to type."""
    part = put(folder / "20261129-fox-d57859d5.part")
    with pytest.raises(InvalidInput, match="--tidy --yes"):
        command.run("folder --yes")
    assert part.is_file()


def test_a_link_is_not_followed(session: Session, folder: Path, tmp_path: Path) -> None:
    """Nor deleted: it is no file of ours."""
    target = put(tmp_path / "mine.part")
    link = folder / "20261129-fox-d57859d5.part"
    link.symlink_to(target)
    os.utime(link, (0, 0), follow_symlinks=False)
    assert unneeded(session) == set()
