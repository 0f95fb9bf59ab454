"""Our files have private permissions whatever the umask, and only regular files are read."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import BufferedWriter
from pathlib import Path

import pytest

from kling_nb.core import files
from kling_nb.core.files import ensure_file, make_folder, new_file, open_plain
from kling_nb.jobs.session import Session
from kling_nb.storage.callback_routes import CallbackRoutes
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger
from kling_nb.storage.user_index import UserIndex

PATIENCE_S = 20.0


@pytest.fixture(params=["0o000", "0o022", "0o077"])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """The permission bits that the account grants to no one."""
    mask = int(request.param, 8)
    before = os.umask(mask)
    yield mask
    os.umask(before)


def bits(path: Path) -> int:
    """The permission bits of a file or folder."""
    return stat.S_IMODE(path.stat().st_mode)


def work(session: Session, photo: bytes) -> None:
    """Make a clip from a picture, so that everything that is kept on disk is there."""
    session.image_to_video(photo, "it runs", duration=5).result(PATIENCE_S)


def made_in(folder: Path) -> dict[str, int]:
    """The bits of all that is in a folder."""
    return {str(path.relative_to(folder)): bits(path) for path in folder.rglob("*")}


def is_locked(name: str) -> bool:
    """Whether programs lock the file of that name."""
    return name.endswith((".lock", ".sqlite3")) and not name.startswith("emulator")


def test_what_is_made_is_private(
    open_session: Callable[..., Session], tmp_path: Path, photo: bytes, umask: int
) -> None:
    """Clips, pictures, ledger, locks and the emulator's files are for their account alone."""
    session = open_session()
    work(session, photo)
    folder = session.settings.folder
    found = made_in(folder)
    assert {"ledger.sqlite3", "owners", "pictures", "emulator", "emulator/clips"} <= found.keys()
    assert {path.suffix for path in folder.iterdir()} >= {".mp4", ".jpg", ".sqlite3"}
    assert bits(folder) == 0o700
    for name, seen in found.items():
        assert seen == (0o700 if (folder / name).is_dir() else 0o600), name


def test_what_the_user_has_once_is_private(
    open_session: Callable[..., Session], tmp_path: Path, photo: bytes, umask: int
) -> None:
    """The index of what was paid, the callback folders and the rate limits of the account."""
    UserIndex().note("f" * 64, tmp_path, datetime.now(UTC))
    CallbackRoutes().note("nonce", tmp_path, datetime.now(UTC))
    work(open_session(), photo)
    for name in ("user data", "user state"):
        found = made_in(tmp_path / name)
        assert "kling_nb" in found
        for each, seen in found.items():
            path = tmp_path / name / each
            assert seen == (0o700 if path.is_dir() else 0o600), each


@pytest.mark.parametrize("shared", [0o770, 0o775, 0o777, 0o2770])
def test_a_shared_folder_gives_its_bits(
    open_session: Callable[..., Session], tmp_path: Path, photo: bytes, shared: int, umask: int
) -> None:
    """Only accounts with write permission can read lock files; they could lock them anyway."""
    folder = tmp_path / "clips"
    folder.mkdir()
    folder.chmod(shared)
    work(open_session(), photo)
    writers = {0o770: 0o660, 0o775: 0o660, 0o777: 0o666, 0o2770: 0o660}[shared]
    for name, seen in made_in(folder).items():
        if (folder / name).is_dir():
            assert seen & 0o777 == shared & 0o777, name
        elif is_locked(name):
            assert seen == writers, name
        else:
            assert seen == shared & 0o666, name


def other_group() -> int:
    """A group that this account may give, another than its own where there is one."""
    if os.geteuid() == 0:
        return 4711
    return next((group for group in os.getgroups() if group != os.getegid()), os.getegid())


def test_a_shared_folder_gives_its_group(ledger: Ledger, tmp_path: Path) -> None:
    """Without it the bits would be for another group of the account."""
    os.chown(tmp_path, -1, other_group())
    tmp_path.chmod(0o770)
    ledger.open()
    names = ["ledger.sqlite3", "owners", f"owners/{ledger.owner}.lock"]
    assert {(tmp_path / name).stat().st_gid for name in names} == {other_group()}


def test_a_group_that_cannot_be_given_gets_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bits of the folder's group are not given to another one."""

    def refuse(*_: object) -> None:
        raise PermissionError

    folder = tmp_path / "clips"
    make_folder(folder)
    os.chown(folder, -1, other_group())
    folder.chmod(0o777)
    monkeypatch.setattr(os, "chown", refuse)
    ensure_file(folder / "ledger.sqlite3")
    is_other = other_group() != os.getegid()
    assert bits(folder / "ledger.sqlite3") == (0o606 if is_other else 0o666)


def test_a_journal_is_as_private_as_its_database(ledger: Ledger, tmp_path: Path) -> None:
    """SQLite makes it amid a transaction, with prompts in it."""
    ledger.open()
    with ledger._database.writing() as connection:
        connection.execute("DELETE FROM jobs")
        connection.execute("PRAGMA user_version = 1000")
        assert bits(tmp_path / "ledger.sqlite3-journal") == 0o600
        connection.execute("ROLLBACK")
        connection.execute("BEGIN")


@pytest.mark.parametrize(("folder", "after"), [(0o755, 0o600), (0o775, 0o660)])
def test_a_ledger_of_an_earlier_version_gets_the_right_bits(
    tmp_path: Path, folder: int, after: int
) -> None:
    """Other accounts could lock it; clips stay as they are."""
    old = Ledger(tmp_path)
    old.open()
    old.close()
    clip = tmp_path / "clip.mp4"
    for path in (tmp_path / "ledger.sqlite3", clip):
        path.touch()
        path.chmod(0o644)
    tmp_path.chmod(folder)
    new = Ledger(tmp_path)
    new.open()
    new.close()
    assert bits(tmp_path / "ledger.sqlite3") == after
    assert bits(clip) == 0o644
    assert bits(tmp_path) == folder


def test_what_has_the_name_of_a_new_file_is_not_written_to(tmp_path: Path) -> None:
    """In a shared folder a link may lead to a file of this account."""
    precious, link = tmp_path / "precious", tmp_path / "clip.part"
    precious.write_bytes(b"mine")
    link.symlink_to(precious)
    with new_file(link) as file:
        file.write(b"clip")
    assert precious.read_bytes() == b"mine"
    assert link.read_bytes() == b"clip"
    assert not link.is_symlink()


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "large"])
def test_only_plain_files_are_opened(tmp_path: Path, kind: str) -> None:
    """The open does not wait, and the error gives the reason."""
    path = Path(os.devnull) if kind == "device" else tmp_path / "file"
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "large":
            path.write_bytes(b"12345")
    with pytest.raises(OSError, match=r"regular file|5 bytes; 4 are allowed|directory"):
        open_plain(path, 4)


@pytest.mark.parametrize(("folder", "after"), [(0o755, 0o600), (0o770, 0o660)])
def test_a_preallocated_file_is_as_private_as_the_ledger(
    ledger: Ledger, tmp_path: Path, folder: int, after: int
) -> None:
    """It holds the prompt of a request while that is being sent."""
    tmp_path.chmod(folder)
    row, _ = ledger.intend(JobRecord("f", "live", "kling-2.6/text-to-video", {}, 1, 55.0))
    ledger.id_slots.allocate(row)
    assert bits(tmp_path / "sending" / f"{row.id}.json") == after
    assert bits(tmp_path / "sending") == (0o700 if folder == 0o755 else folder)


@pytest.mark.parametrize("kind", ["link", "second name", "link to a folder"])
def test_a_private_file_is_not_shared_through_another_name(tmp_path: Path, kind: str) -> None:
    """Another account with write permission in a shared folder could link to a private file."""
    shared, secret = tmp_path / "clips", tmp_path / "secret"
    shared.mkdir()
    shared.chmod(0o777)
    if kind == "link to a folder":
        secret.mkdir(0o700)
        (shared / "owners").symlink_to(secret)
        make_folder(shared / "owners", within=shared)
        assert bits(secret) == 0o700
        return
    secret.touch(0o600)
    path = shared / "ledger.sqlite3"
    path.symlink_to(secret) if kind == "link" else path.hardlink_to(secret)
    ensure_file(path)
    assert bits(secret) == 0o600


def test_bits_are_given_without_a_loss_of_locks(ledger: Ledger, tmp_path: Path) -> None:
    """Closing a database gives up every lock of its process: no session opens it beside SQLite."""
    ledger.open()
    with ledger._database.writing():
        ensure_file(tmp_path / "ledger.sqlite3")
        begin = "sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
        script = f"import sqlite3, sys; {begin}"
        command = [sys.executable, "-c", script, str(tmp_path / "ledger.sqlite3")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "database is locked" in done.stderr


def test_a_new_database_is_not_locked_before_it_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that finds it there waits until the one that makes it has closed it."""
    make, states = files.create_file, []

    def see(path: Path, *, locked: bool = False) -> BufferedWriter:
        states.append(files._ENSURING.locked())
        return make(path, locked=locked)

    monkeypatch.setattr(files, "create_file", see)
    ensure_file(tmp_path / "ledger.sqlite3")
    ensure_file(tmp_path / "ledger.sqlite3")
    assert states == [True, True]
    assert not files._ENSURING.locked()
