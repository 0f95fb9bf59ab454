"""Test `user_index`: payments are found from any folder, and errors stop no job."""

from __future__ import annotations

import json
import logging
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import platformdirs
import pytest

from kling_nb.errors import AlreadyPaid
from kling_nb.storage import user_index
from kling_nb.storage.user_index import Payment, UserIndex

AT = datetime(2026, 11, 3, 9, 30, tzinfo=UTC)

RACE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from kling_nb.errors import AlreadyPaid
from kling_nb.storage.user_index import UserIndex

index, folder, at = UserIndex(Path(sys.argv[1])), Path(sys.argv[2]), datetime.now(UTC)
print("ready", flush=True)
sys.stdin.readline()
mine = []
for number in range(60):
    try:
        index.claim(str(number), folder, at, take=1)
        mine.append(number)
    except AlreadyPaid:
        pass
print(*mine, flush=True)
"""
"""A program that claims sixty requests at a signal, and prints those that it got."""


@pytest.fixture
def paid(tmp_path: Path) -> UserIndex:
    """Return an index with a file that does not exist yet."""
    return UserIndex(tmp_path / "paid.sqlite3")


def test_found_again(tmp_path: Path) -> None:
    """Another session finds an entry."""
    path = tmp_path / "data" / "paid.sqlite3"
    UserIndex(path).note("f", tmp_path / "clips", AT)
    assert UserIndex(path).find("f") == Payment(tmp_path / "clips", AT)
    assert UserIndex(path).find("g") is None


@pytest.mark.parametrize(
    ("later", "folder"),
    [(timedelta(days=1), "b"), (timedelta(), "b"), (timedelta(microseconds=-1), "a")],
    ids=["paid again", "moved", "older"],
)
def test_the_latest_payment_counts(
    paid: UserIndex, tmp_path: Path, later: timedelta, folder: str
) -> None:
    """The same payment in another folder moves the entry; opening a folder again adds none."""
    paid.note("f", tmp_path / "a", AT)
    paid.note("f", tmp_path / "b", AT + later)
    assert paid.find("f") == Payment(tmp_path / folder, max(AT, AT + later))


def test_only_its_own_folder_drops_a_request(
    paid: UserIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A payment of another folder stays."""
    monkeypatch.chdir(tmp_path)
    paid.drop("f", tmp_path)
    paid.note("f", tmp_path / "a", AT)
    paid.drop("f", tmp_path / "b")
    assert paid.find("f") is not None
    paid.drop("f", Path("a"))
    assert paid.find("f") is None


def test_folders_are_absolute_and_times_utc(
    paid: UserIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next session may have another working directory and another time zone."""
    monkeypatch.chdir(tmp_path)
    paid.note("f", Path("clips"), AT.astimezone(timezone(timedelta(hours=9))))
    found = paid.find("f")
    assert found == Payment(tmp_path / "clips", AT)
    assert found.at.tzinfo is UTC


def test_asking_makes_no_file(tmp_path: Path) -> None:
    """A lookup without a file returns None, without a warning."""
    assert UserIndex(tmp_path / "data" / "paid.sqlite3").find("f") is None
    assert list(tmp_path.iterdir()) == []


def test_it_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a path the file is in the user's data directory."""
    monkeypatch.setattr(platformdirs, "user_data_path", lambda name: tmp_path / name)
    assert UserIndex().path == tmp_path / "kling_nb" / "paid.sqlite3"


def test_a_broken_file_is_a_warning(
    paid: UserIndex, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The index is only a second source: nothing is written or found, and the log has the file."""
    paid.path.write_bytes(b"my shopping list" * 100)
    with caplog.at_level(logging.WARNING, logger="kling_nb"):
        paid.note("f", tmp_path, AT)
        assert paid.find("f") is None
        paid.claim("f", tmp_path, AT, take=1)
    assert {record.name for record in caplog.records} == {"kling_nb"}
    for message, action in zip(caplog.messages, ["written", "read"] * 2, strict=True):
        assert f"{paid.path} could not be {action}" in message


def test_a_folder_that_cannot_be_made_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file in the directory's place stops no job."""
    (tmp_path / "data").write_text("")
    UserIndex(tmp_path / "data" / "paid.sqlite3").note("f", tmp_path, AT)
    assert "could not be written" in caplog.text


def test_a_locked_file_is_a_warning(
    paid: UserIndex,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The lock of another program stops no job."""
    monkeypatch.setattr(user_index, "BUSY_TIMEOUT_S", 0.0)
    paid.note("f", tmp_path, AT)
    with closing(sqlite3.connect(paid.path)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        assert paid.find("f") is None
    assert "database is locked" in caplog.text
    assert paid.find("f") == Payment(tmp_path, AT)


def test_many_threads_at_once(
    paid: UserIndex, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Several jobs may be paid for at the same time."""
    with ThreadPoolExecutor(8) as threads:
        for number in range(24):
            threads.submit(paid.note, str(number), tmp_path, AT)
    assert all(paid.find(str(number)) for number in range(24))
    assert caplog.messages == []


# --- claims ------------------------------------------------------------------------------------


def test_the_first_folder_to_claim_has_it(paid: UserIndex, tmp_path: Path) -> None:
    """The error in the other one says where, and what to do; nothing is saved for it."""
    paid.claim("f", tmp_path / "a", AT, take=1)
    words = f"is being, or was just now, paid for in {tmp_path / 'a'}. Copy .*--take 2"
    with pytest.raises(AlreadyPaid, match=words):
        paid.claim("f", tmp_path / "b", AT + timedelta(minutes=9), take=1)
    assert paid.find("f") == Payment(tmp_path / "a", AT)


def test_an_old_payment_is_reported_with_its_day(paid: UserIndex, tmp_path: Path) -> None:
    """It is not reported as in progress."""
    paid.note("f", tmp_path / "a", AT)
    with pytest.raises(AlreadyPaid, match=r"been, paid for on 3 November 2026 in .*take 3"):
        paid.claim("f", tmp_path / "b", AT + timedelta(days=1), take=2)


def test_a_folder_claims_again_what_is_its_own(
    paid: UserIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its ledger has admitted the request; the newer payment is saved."""
    monkeypatch.chdir(tmp_path)
    paid.claim("f", tmp_path / "a", AT, take=1)
    paid.claim("f", Path("a"), AT + timedelta(days=1), take=1)
    paid.claim("f", tmp_path / "a", AT, take=1)
    assert paid.find("f") == Payment(tmp_path / "a", AT + timedelta(days=1))


def test_a_claim_that_is_dropped_is_free(paid: UserIndex, tmp_path: Path) -> None:
    """Nothing was sent, so that the next folder may claim it."""
    paid.claim("f", tmp_path / "a", AT, take=1)
    paid.drop("f", tmp_path / "a")
    paid.claim("f", tmp_path / "b", AT, take=1)
    assert paid.find("f") == Payment(tmp_path / "b", AT)


def test_of_two_processes_one_gets_each_claim(tmp_path: Path) -> None:
    """Each request is claimed exactly once."""
    command = [sys.executable, "-c", RACE, str(tmp_path / "paid.sqlite3")]
    runners = [
        subprocess.Popen(
            [*command, str(tmp_path / name)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("a", "b")
    ]
    for runner in runners:
        assert runner.stdout is not None
        assert runner.stdout.readline() == "ready\n"
    for runner in runners:
        assert runner.stdin is not None
        runner.stdin.write("go\n")
        runner.stdin.flush()
    got = [runner.communicate()[0].split() for runner in runners]
    assert sorted(map(int, got[0] + got[1])) == list(range(60))


def test_an_index_that_cannot_be_written_still_stops_what_it_knows(
    paid: UserIndex,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """New requests are admitted, and the log says what is not recognised any more."""
    monkeypatch.setattr(user_index, "BUSY_TIMEOUT_S", 0.0)
    paid.note("f", tmp_path / "a", AT)
    with closing(sqlite3.connect(paid.path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(AlreadyPaid):
            paid.claim("f", tmp_path / "b", AT, take=1)
        paid.claim("g", tmp_path / "b", AT, take=1)
    assert caplog.text.count("could not be written (database is locked)") == 2
    assert "paid for in other folders are not recognised" in caplog.text


# --- jobs and tasks ----------------------------------------------------------------------------

OLDER_TABLE = (
    "CREATE TABLE paid (fingerprint TEXT PRIMARY KEY, folder TEXT NOT NULL, at TEXT NOT NULL)"
)


def test_a_file_of_an_older_version(tmp_path: Path) -> None:
    """It can be read, gets its columns at the first write, and older versions still work."""
    path = tmp_path / "paid.sqlite3"
    values = ("f", str(tmp_path), AT.isoformat())
    with closing(sqlite3.connect(path)) as older, older:
        older.execute(OLDER_TABLE)
        older.execute("INSERT INTO paid VALUES (?, ?, ?)", values)
    assert UserIndex(path).find("f") == Payment(tmp_path, AT)
    UserIndex(path).claim("g", tmp_path, AT, take=1, job_id="1a2b3c4d")
    with closing(sqlite3.connect(path)) as older, older:
        older.execute(user_index.TABLE)
        older.execute(
            "INSERT INTO paid (fingerprint, folder, at) VALUES (?, ?, ?)", ("h", *values[1:])
        )
    found = [UserIndex(path).find(name) for name in "fgh"]
    assert found == [
        Payment(tmp_path, AT),
        Payment(tmp_path, AT, "1a2b3c4d"),
        Payment(tmp_path, AT),
    ]


def test_a_broken_entry_hides_no_other(
    paid: UserIndex, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A request is looked up by several fingerprints at once."""
    paid.note("f", tmp_path, AT)
    with closing(sqlite3.connect(paid.path)) as other, other:
        other.execute("INSERT INTO paid (fingerprint, folder, at) VALUES ('e', '/', 'never')")
    assert paid.payments("e", "f", "g") == {"f": Payment(tmp_path, AT)}
    assert "could not be read" in caplog.text


def test_from_the_claim_to_the_task(paid: UserIndex, tmp_path: Path) -> None:
    """Claimed, sent and accepted are distinguished; a note without an id keeps the id."""
    paid.claim("f", tmp_path, AT, take=1, job_id="j")
    assert paid.find("f") == Payment(tmp_path, AT, "j", "", is_sent=False)
    paid.preallocate("f", tmp_path, "j")
    assert paid.find("f") == Payment(tmp_path, AT, "j", "", is_sent=True)
    size = paid.path.stat().st_size
    assert paid.write_task_id("f", tmp_path, "j", "täsk 1")
    assert paid.path.stat().st_size == size
    paid.note("f", tmp_path, AT, job_id="j")
    assert paid.find("f") == Payment(tmp_path, AT, "j", "täsk 1", is_sent=True)
    paid.note("f", tmp_path, AT, job_id="k")
    assert paid.find("f") == Payment(tmp_path, AT, "k", "", is_sent=True)


@pytest.mark.parametrize(
    ("job_id", "task_id", "is_new"),
    [
        ("j", "t", False), ("j", "", False), ("j", "u", True), ("k", "t", True), ("", "", True)
    ],
)  # fmt: skip
def test_what_is_known_is_not_written_again(
    paid: UserIndex, tmp_path: Path, job_id: str, task_id: str, is_new: bool
) -> None:
    """A job is noted several times; each write would be synced."""
    paid.claim("f", tmp_path, AT, take=1, job_id="j")
    paid.note("f", tmp_path, AT, job_id="j")
    assert paid.find("f") == Payment(tmp_path, AT, "j", "", is_sent=True)
    paid.write_task_id("f", tmp_path, "j", "t")
    before = paid.path.read_bytes()
    paid.note("f", tmp_path, AT, job_id=job_id, task_id=task_id)
    assert (paid.path.read_bytes() != before) is is_new
    expected = Payment(tmp_path, AT, job_id, task_id if is_new else "t", bool(job_id))
    assert paid.find("f") == expected


@pytest.mark.parametrize("later_s", [-1, 0, 1])
@pytest.mark.parametrize("folder", ["a", "b"])
@pytest.mark.parametrize(("job_id", "task_id"), [("j", "t"), ("j", ""), ("k", "t")])
def test_a_page_is_saved_like_single_payments(
    tmp_path: Path, later_s: int, folder: str, job_id: str, task_id: str
) -> None:
    """The result is the same for every earlier entry of the index."""
    one, many = UserIndex(tmp_path / "one.sqlite3"), UserIndex(tmp_path / "many.sqlite3")
    rows = [(name, AT + timedelta(seconds=later_s), job_id, task_id) for name in "fg"]
    for index in (one, many):
        index.claim("f", tmp_path / "a", AT, take=1, job_id="j")
        index.preallocate("f", tmp_path / "a", "j")
        index.write_task_id("f", tmp_path / "a", "j", "t")
    for name, at, job, task in rows:
        one.note(name, tmp_path / folder, at, job_id=job, task_id=task)
    many.note_all(tmp_path / folder, pages_of(rows))
    assert [many.find(name) for name in "fg"] == [one.find(name) for name in "fg"]


def pages_of(rows: Iterable[tuple[str, datetime, str, str]]) -> list[str]:
    """Return a page for each payment: fingerprint, time, job id and task id."""
    return [json.dumps([(name, at.isoformat(), *ids)]) for name, at, *ids in rows]


def test_known_pages_need_no_lock(
    paid: UserIndex,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each session compares the payments of its folder; meanwhile others claim requests."""
    monkeypatch.setattr(user_index, "BUSY_TIMEOUT_S", 0.0)
    pages = pages_of((str(number), AT, "j", "t") for number in range(3))
    paid.note_all(tmp_path, pages[:2])
    with closing(sqlite3.connect(paid.path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        paid.note_all(tmp_path, pages[:2])
        assert caplog.text == ""
        paid.note_all(tmp_path, pages)
        assert "could not be written" in caplog.text
    paid.note_all(tmp_path, pages)
    assert paid.find("2") == Payment(tmp_path, AT, "j", "t", is_sent=True)


def test_each_new_page_is_committed_alone(paid: UserIndex, tmp_path: Path) -> None:
    """A claim waits for one page, not for all."""

    def pages() -> Iterator[str]:
        for name in "abc":
            yield from pages_of([(name, AT, "j", "t")])
            assert paid.find(name) is not None

    paid.note_all(tmp_path, pages())


def test_pages_for_a_file_of_an_older_version(paid: UserIndex, tmp_path: Path) -> None:
    """Its missing columns are added."""
    with closing(sqlite3.connect(paid.path)) as connection:
        connection.execute(user_index.TABLE)
    paid.note_all(tmp_path, pages_of([("f", AT, "j", "t")]))
    assert paid.find("f") == Payment(tmp_path, AT, "j", "t", is_sent=True)


def test_a_file_that_was_deleted_is_created_again(paid: UserIndex, tmp_path: Path) -> None:
    """The user was told to delete a broken one; what was noted before is gone."""
    paid.note("f", tmp_path, AT)
    paid.path.unlink()
    assert paid.find("f") is None
    paid.note("g", tmp_path, AT)
    assert (paid.find("f"), paid.find("g")) == (None, Payment(tmp_path, AT))


def test_a_task_id_of_another_job_is_not_written(paid: UserIndex, tmp_path: Path) -> None:
    """The space belongs to the job that claimed last; without an entry there is none."""
    assert not paid.write_task_id("f", tmp_path, "j", "t")
    paid.claim("f", tmp_path, AT, take=1, job_id="k")
    assert not paid.write_task_id("f", tmp_path, "j", "t")
    assert paid.find("f") == Payment(tmp_path, AT, "k")
