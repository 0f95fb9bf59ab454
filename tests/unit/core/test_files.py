"""Test `files`: private permissions whatever the umask, and only regular files are read."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
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
    """Set the umask of the account."""
    mask = int(request.param, 8)
    before = os.umask(mask)
    yield mask
    os.umask(before)


def bits(path: Path) -> int:
    """Return the permission bits of a file or folder."""
    return stat.S_IMODE(path.stat().st_mode)


def work(session: Session, photo: bytes) -> None:
    """Make a clip from an image, so that every kind of file is on disk."""
    session.image_to_video(photo, "it runs", duration=5).result(PATIENCE_S)


def check_private(folder: Path, bits_of: dict[str, int]) -> None:
    """Check that all files and folders are for their account alone."""
    for name, found in bits_of.items():
        assert found == (0o700 if (folder / name).is_dir() else 0o600), name


def made_in(folder: Path) -> dict[str, int]:
    """Return the permission bits of everything in a folder."""
    return {str(path.relative_to(folder)): bits(path) for path in folder.rglob("*")}


def test_the_folder_is_private(
    open_session: Callable[..., Session], photo: bytes, umask: int
) -> None:
    """Clips, images, ledger, locks and the emulator's files."""
    session = open_session()
    work(session, photo)
    folder = session.settings.folder
    found = made_in(folder)
    assert {"ledger.sqlite3", "owners", "pictures", "emulator", "emulator/clips"} <= found.keys()
    assert {path.suffix for path in folder.iterdir()} >= {".mp4", ".jpg", ".sqlite3"}
    assert bits(folder) == 0o700
    check_private(folder, found)


def test_the_users_files_are_private(
    open_session: Callable[..., Session],
    tmp_path: Path,
    nothing_paid_before: Path,
    photo: bytes,
    umask: int,
) -> None:
    """The index of paid requests, the callback routes and the rate limits of the account."""
    UserIndex().note("f" * 64, tmp_path, datetime.now(UTC))
    CallbackRoutes().note("nonce", tmp_path, datetime.now(UTC))
    work(open_session(), photo)
    for name in ("user data", "user state"):
        found = made_in(nothing_paid_before / name)
        assert "kling_nb" in found
        check_private(nothing_paid_before / name, found)


@pytest.mark.parametrize(
    ("shared", "locked"), [(0o770, 0o660), (0o775, 0o660), (0o777, 0o666), (0o2770, 0o660)]
)
def test_files_have_the_permissions_of_a_shared_folder(
    open_session: Callable[..., Session],
    tmp_path: Path,
    photo: bytes,
    shared: int,
    locked: int,
    umask: int,
) -> None:
    """Only accounts with write permission can read lock files; they could lock them anyway."""
    folder = tmp_path / "clips"
    folder.mkdir()
    folder.chmod(shared)
    work(open_session(), photo)
    for name, found in made_in(folder).items():
        if (folder / name).is_dir():
            assert found & 0o777 == shared & 0o777, name
        elif name.endswith((".lock", ".sqlite3")) and not name.startswith("emulator"):
            assert found == locked, name
        else:
            assert found == shared & 0o666, name


def other_group() -> int:
    """Return a group that this account may set: another than its own if there is one."""
    if os.geteuid() == 0:
        return 4711
    return next((group for group in os.getgroups() if group != os.getegid()), os.getegid())


def test_files_have_the_group_of_a_shared_folder(ledger: Ledger, tmp_path: Path) -> None:
    """Otherwise the permissions would apply to another group."""
    os.chown(tmp_path, -1, other_group())
    tmp_path.chmod(0o770)
    ledger.open()
    names = ["ledger.sqlite3", "owners", f"owners/{ledger.owner}.lock"]
    assert {(tmp_path / name).stat().st_gid for name in names} == {other_group()}


def test_a_group_that_cannot_be_set_gets_no_permission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The permissions of the folder's group are not granted to another one."""

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
    """SQLite creates it in a transaction; it contains prompts."""
    ledger.open()

    def change(connection: sqlite3.Connection) -> int:
        connection.execute("CREATE TABLE numbers (n)")
        return bits(tmp_path / "ledger.sqlite3-journal")

    assert ledger._database.write(change) == 0o600


@pytest.mark.parametrize(("folder", "after"), [(0o755, 0o600), (0o775, 0o660)])
def test_a_ledger_of_an_earlier_version_gets_its_permissions(
    tmp_path: Path, folder: int, after: int
) -> None:
    """Other accounts could lock it; clips do not change."""
    with closing(Ledger(tmp_path)) as old:
        old.open()
    clip = tmp_path / "clip.mp4"
    for path in (tmp_path / "ledger.sqlite3", clip):
        path.touch()
        path.chmod(0o644)
    tmp_path.chmod(folder)
    with closing(Ledger(tmp_path)) as new:
        new.open()
    assert bits(tmp_path / "ledger.sqlite3") == after
    assert bits(clip) == 0o644
    assert bits(tmp_path) == folder


def test_a_new_file_replaces_a_link(tmp_path: Path) -> None:
    """In a shared folder a link may point to a file of this account."""
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
    with pytest.raises(OSError, match=r"regular file|5 bytes; allowed: 4|directory"):
        open_plain(path, 4)


@pytest.mark.parametrize(("folder", "after"), [(0o755, 0o600), (0o770, 0o660)])
def test_a_preallocated_file_is_as_private_as_the_ledger(
    ledger: Ledger, tmp_path: Path, folder: int, after: int
) -> None:
    """It contains the prompt of a request while that is sent."""
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


def test_permissions_are_set_without_a_loss_of_locks(ledger: Ledger, tmp_path: Path) -> None:
    """Closing a database file drops every lock of its process, so only SQLite opens it."""
    ledger.open()
    begin = "sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
    script = f"import sqlite3, sys; {begin}"
    command = [sys.executable, "-c", script, str(tmp_path / "ledger.sqlite3")]

    def change(_: sqlite3.Connection) -> str:
        ensure_file(tmp_path / "ledger.sqlite3")
        return subprocess.run(command, capture_output=True, text=True, check=False).stderr

    assert "database is locked" in ledger._database.write(change)


def test_a_new_database_is_not_locked_before_it_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second thread waits until the first one has created and closed the file."""
    make, states = files.create_file, []

    def see(path: Path, *, locked: bool = False) -> BufferedWriter:
        states.append(files._ENSURING.locked())
        return make(path, locked=locked)

    monkeypatch.setattr(files, "create_file", see)
    ensure_file(tmp_path / "ledger.sqlite3")
    ensure_file(tmp_path / "ledger.sqlite3")
    assert states == [True, True]
    assert not files._ENSURING.locked()
