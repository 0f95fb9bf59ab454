"""Test `writer` and `connections`: group commits, and what happens to the file meanwhile."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kling_nb.errors import LedgerError
from kling_nb.storage import database, writer
from kling_nb.storage.connections import Connector
from kling_nb.storage.database import Database
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger

PATIENCE_S = 30.0


class Log:
    """A ledger's file with a table of texts, and the statements of its connections."""

    def __init__(self, folder: Path) -> None:
        self.database = Database(folder / "ledger.sqlite3")
        self.database.create()
        self.database.write(lambda each: each.execute("CREATE TABLE texts (text)").close())
        self.database.close()
        self.statements: list[str] = []

    @property
    def path(self) -> Path:
        """The file."""
        return self.database.path

    def add(self, *texts: str) -> Callable[[sqlite3.Connection], str]:
        """Return a change that adds texts; `fail` raises."""

        def change(connection: sqlite3.Connection) -> str:
            for text in texts:
                if text == "fail":
                    raise KeyError(text)
                connection.execute("INSERT INTO texts VALUES (?)", (text,))
            return ",".join(texts)

        return change

    def write(self, *texts: str) -> str:
        """Add texts and wait."""
        return self.database.write(self.add(*texts))

    def hold(self) -> Hold:
        """Keep the writer busy, so that changes queue."""
        return Hold(self.database)

    def texts(self) -> list[str]:
        """Return the texts in the file, by another connection."""
        with closing(sqlite3.connect(self.path, timeout=0)) as connection:
            return [text for (text,) in connection.execute("SELECT text FROM texts")]


class Hold:
    """A change that lasts until the end of the block."""

    def __init__(self, database: Database) -> None:
        self.began, self.over = threading.Event(), threading.Event()

        def wait(_: sqlite3.Connection) -> None:
            self.began.set()
            assert self.over.wait(PATIENCE_S)

        self.future: Future[None] = database.submit(wait)

    def __enter__(self) -> None:
        assert self.began.wait(PATIENCE_S)

    def __exit__(self, *_: object) -> None:
        self.over.set()


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    """Yield a file whose statements are traced."""
    log = Log(tmp_path)
    connect = sqlite3.connect

    def trace(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection = connect(*args, **kwargs)
        if "factory" in kwargs:
            connection.set_trace_callback(log.statements.append)
        return connection

    monkeypatch.setattr(sqlite3, "connect", trace)
    yield log
    log.database.close()


def wait_for(*futures: Future[Any]) -> list[Any]:
    """Return the results of changes, or the types of their errors."""
    errors = [future.exception(PATIENCE_S) for future in futures]
    pairs = zip(futures, errors, strict=True)
    return [type(error) if error else future.result() for future, error in pairs]


# --- groups ------------------------------------------------------------------------------------


def test_queued_changes_share_a_commit(log: Log) -> None:
    """In their order; each caller gets its own result."""
    with log.hold():
        futures = [log.database.submit(log.add(str(number))) for number in range(50)]
    assert wait_for(*futures) == [str(number) for number in range(50)]
    assert log.texts() == [str(number) for number in range(50)]
    assert log.statements.count("COMMIT") == 2


def test_one_change_is_committed_at_once(log: Log) -> None:
    """It waits for no company: its caller gets an answer with nothing else in the queue."""
    assert log.write("one") == "one"
    assert log.statements.count("COMMIT") == 1


def test_an_error_undoes_its_own_change_only(log: Log) -> None:
    """The others of the group are committed."""
    changes = [log.add("a"), log.add("half", "fail"), log.add("b")]
    with log.hold():
        futures = [log.database.submit(change) for change in changes]
    assert wait_for(*futures) == ["a", KeyError, "b"]
    assert log.texts() == ["a", "b"]
    assert log.statements.count("COMMIT") == 3  # of `hold`, of the undone change, of the others


def test_no_change_runs_more_than_twice(log: Log) -> None:
    """However many others of the group raise."""
    runs = [0] * 20

    def add(number: int) -> Callable[[sqlite3.Connection], None]:
        def change(_: sqlite3.Connection) -> None:
            runs[number] += 1
            if number % 2:
                raise KeyError(number)

        return change

    with log.hold():
        futures = [log.database.submit(add(number)) for number in range(len(runs))]
    assert wait_for(*futures) == [None, KeyError] * 10
    assert max(runs) == 2


def test_a_change_that_fills_the_disk_stops_no_other(log: Log) -> None:
    """SQLite undoes the whole transaction; the other changes run again, each once in the file."""

    def fill(connection: sqlite3.Connection) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        connection.execute("INSERT INTO texts VALUES (zeroblob(1000000))")

    with log.hold():
        changes = [log.add("a"), log.add("b"), fill, log.add("c")]
        futures = [log.database.submit(change) for change in changes]
    assert wait_for(*futures) == ["a", "b", LedgerError, "c"]
    assert sorted(log.texts()) == ["a", "b", "c"]


def test_a_commit_that_fails_is_tried_for_each_change(log: Log) -> None:
    """A constraint that is checked at the commit stops only the change that breaks it."""
    log.database.write(lambda each: each.execute("CREATE TABLE parents (id PRIMARY KEY)").close())
    column = "parent REFERENCES parents DEFERRABLE INITIALLY DEFERRED"
    log.database.write(lambda each: each.execute(f"CREATE TABLE children ({column})").close())

    def add_orphan(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO children VALUES ('nobody')")

    with log.hold():
        changes = [log.add("a"), add_orphan, log.add("b")]
        futures = [log.database.submit(change) for change in changes]
    assert wait_for(*futures) == ["a", LedgerError, "b"]
    assert log.texts() == ["a", "b"]


def test_a_change_fails_with_its_part(log: Log) -> None:
    """Even if it catches the error: what the part wrote is never committed."""

    def change(_: sqlite3.Connection) -> None:
        log.write("a")
        with pytest.raises(KeyError):
            log.write("b", "fail")

    with pytest.raises(KeyError):
        log.database.write(change)
    log.write("c")
    assert log.texts() == ["c"]


def test_a_change_reads_what_it_wrote(log: Log) -> None:
    """Also what its parts wrote."""

    def change(_: sqlite3.Connection) -> int:
        log.write("a")
        with log.database.reading() as connection:
            found: int = connection.execute("SELECT count(*) FROM texts").fetchone()[0]
            return found

    assert log.database.write(change) == 1
    assert log.texts() == ["a"]


def test_a_cancelled_change_is_not_run(log: Log) -> None:
    """Unless it has begun."""
    with log.hold():
        future = log.database.submit(log.add("a"))
        assert future.cancel()
    log.write("b")
    assert log.texts() == ["b"]


def test_an_interrupted_caller_leaves_the_writer_alone(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change that was not begun is withdrawn."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    hold = log.hold()
    with hold, monkeypatch.context() as patch:
        patch.setattr(Future, "result", interrupt)
        with pytest.raises(KeyboardInterrupt):
            log.write("a")
    log.write("b")
    assert log.texts() == ["b"]


DURABLE = """
import os, signal, sys
from pathlib import Path
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger

ledger = Ledger(Path(sys.argv[1]))
requests = [JobRecord(str(n), "live", "m", {}, 1, 55.0) for n in range(30)]
futures = [ledger.submit(ledger.intend, each) for each in requests]
futures[-1].result()
os.kill(os.getpid(), signal.SIGKILL)
"""
"""Queues requests and is killed as soon as the last one is answered."""


def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    """The rows of the group are in the file."""
    subprocess.run([sys.executable, "-c", DURABLE, tmp_path], check=False)
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite3")) as connection:
        query = "SELECT fingerprint FROM jobs ORDER BY number"
        assert [int(name) for (name,) in connection.execute(query)] == list(range(30))


# --- the connection ----------------------------------------------------------------------------


def test_a_connection_is_set_up_once(log: Log) -> None:
    """The later transactions and reads only check the version and the journal mode."""
    for number in range(5):
        log.write(str(number))
        with log.database.reading() as connection:
            connection.execute("SELECT 1").fetchone()
    set_up = [each for each in log.statements if "=" in each and "PRAGMA" in each]
    assert set_up == [
        "PRAGMA synchronous = EXTRA", "PRAGMA foreign_keys = ON", "PRAGMA journal_mode = DELETE"
    ] * 2  # fmt: skip


@pytest.mark.parametrize("use", ["write", "read"])
def test_a_file_that_was_replaced_is_opened_again(log: Log, tmp_path: Path, use: str) -> None:
    """Nothing is read from the old one, or written into it."""
    log.write("old")
    with log.database.reading() as connection:
        connection.execute("SELECT * FROM texts").fetchall()
    moved = log.path.rename(tmp_path / "moved")
    other = Log(tmp_path / "other")
    other.write("other")
    other.path.rename(log.path)
    if use == "write":
        log.write("new")
        assert log.texts() == ["other", "new"]
    with log.database.reading() as connection:
        assert connection.execute("SELECT text FROM texts").fetchone()[0] == "other"
    with closing(sqlite3.connect(moved)) as connection:
        assert connection.execute("SELECT text FROM texts").fetchall() == [("old",)]


def test_a_file_that_is_replaced_amid_a_change(log: Log, tmp_path: Path) -> None:
    """The change is undone and runs again in the new file."""
    other = Log(tmp_path / "other")
    other.database.close()

    def replace(connection: sqlite3.Connection) -> None:
        log.add("new")(connection)
        if other.path.exists():
            log.path.rename(tmp_path / "moved")
            other.path.rename(log.path)

    log.database.write(replace)
    assert log.texts() == ["new"]
    with closing(sqlite3.connect(tmp_path / "moved")) as connection:
        assert connection.execute("SELECT text FROM texts").fetchall() == []


def test_a_file_that_never_stays_the_same_is_an_error(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some network file systems number their files anew: a change does not run for ever."""
    monkeypatch.setattr(Connector, "has_file", lambda *_: False)
    with pytest.raises(LedgerError, match="the file was replaced twice"):
        log.write("a")
    assert log.texts() == []


@pytest.mark.parametrize("is_amid", [False, True])
def test_a_deleted_file_is_not_written(log: Log, is_amid: bool) -> None:
    """The caller gets an error: what is in an unlinked file is lost. The file put back is used."""
    log.write("a")
    copy = log.path.read_bytes()

    def delete(connection: sqlite3.Connection) -> None:
        log.add("b")(connection)
        log.path.unlink(missing_ok=True)

    if not is_amid:
        log.path.unlink()
    with pytest.raises(LedgerError, match="Restore the file"):
        log.database.write(delete)
    assert not log.path.exists()
    log.path.write_bytes(copy)
    log.write("c")
    assert log.texts() == ["a", "c"]


def test_an_idle_connection_holds_no_lock(log: Log) -> None:
    """Another program may lock, copy and move the file."""
    log.write("a")
    with pytest.raises(KeyError):
        log.write("b", "fail")
    with closing(sqlite3.connect(log.path, timeout=0, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")


def test_an_error_in_a_read_leaves_no_lock(ledger: Ledger) -> None:
    """Its traceback is kept; the rows that were not parsed are not left in a statement."""
    for name in "ab":
        ledger.intend(JobRecord(name, "live", "m", {}, 1, 55.0))
    path = ledger.folder / "ledger.sqlite3"
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
        other.execute("UPDATE jobs SET \"values\" = '{', fingerprint = fingerprint || 'c'")
        other.execute("UPDATE jobs SET stage = 'failed', fingerprint = 'a'")
        with pytest.raises(ValueError, match="Expecting") as caught:
            ledger.with_fingerprint("a")
        other.execute("BEGIN EXCLUSIVE")
    assert caught.tb is not None


def test_a_reader_blocks_no_commit(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that has read a page, and is kept, has no lock."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.0)
    log.write("a")
    with log.database.reading() as connection:
        assert connection.execute("SELECT text FROM texts").fetchone()[0] == "a"
        assert log.database.submit(log.add("b")).result(PATIENCE_S) == "b"


def test_a_locked_file_is_an_error_for_those_that_waited(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two changes, one that may wait longer is written when the lock is free."""
    with closing(sqlite3.connect(log.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.0)
        hasty = log.database.submit(log.add("hasty"))
        monkeypatch.setattr(database, "BUSY_TIMEOUT_S", PATIENCE_S)
        patient = log.database.submit(log.add("patient"))
        assert wait_for(hasty) == [LedgerError]
    assert wait_for(patient) == ["patient"]
    assert log.texts() == ["patient"]


def test_a_commit_that_a_reader_blocks_is_not_tried_for_each_change(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The changes have waited for the lock together; nothing of them is in the file."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.0)
    with closing(sqlite3.connect(log.path, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM texts").fetchall()
        with log.hold():
            futures = [log.database.submit(log.add(text)) for text in "ab"]
        assert wait_for(*futures) == [LedgerError, LedgerError]
    assert log.statements.count("COMMIT") == 2
    assert log.texts() == []
    log.write("c")
    assert log.texts() == ["c"]


def test_the_file_of_a_newer_version_is_not_written(log: Log) -> None:
    """It became one while the connection was open."""
    log.write("a")
    with closing(sqlite3.connect(log.path)) as other:
        other.execute("PRAGMA user_version = 999")
    before = log.path.read_bytes()
    with pytest.raises(LedgerError, match="newer kling_nb"):
        log.write("b")
    with pytest.raises(LedgerError, match="newer kling_nb"), log.database.reading():
        pass
    assert log.path.read_bytes() == before


def test_an_idle_writer_ends(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """It closes the file; the next change starts another one."""
    monkeypatch.setattr(writer, "IDLE_S", 0.0)
    before = set(threading.enumerate())
    for text in ("a", "b"):
        log.write(text)
        for thread in set(threading.enumerate()) - before:
            thread.join(PATIENCE_S)
    assert log.texts() == ["a", "b"]
    assert log.statements.count("PRAGMA synchronous = EXTRA") == 2


def test_a_closed_file_is_not_open(log: Log) -> None:
    """After the queued changes; the next use opens it again."""
    with log.hold():
        futures = [log.database.submit(log.add(text)) for text in "ab"]
        closing_thread = threading.Thread(target=log.database.close)
        closing_thread.start()
    closing_thread.join(PATIENCE_S)
    assert wait_for(*futures) == ["a", "b"]
    names = [os.readlink(each.path) for each in os.scandir("/proc/self/fd") if each.is_symlink()]
    assert str(log.path) not in names
    log.write("c")
    assert log.texts() == ["a", "b", "c"]


def test_changes_are_written_while_the_interpreter_ends(tmp_path: Path) -> None:
    """Python starts no thread then: the caller's thread writes."""
    script = f"""
import atexit, threading
from pathlib import Path
from kling_nb.storage.database import Database
made = Database(Path({str(tmp_path / "ledger.sqlite3")!r}))
made.create()
made.close()

def refuse(self):
    raise RuntimeError("can't create new thread at interpreter shutdown")

threading.Thread.start = refuse
atexit.register(made.write, lambda each: each.execute("CREATE TABLE last (n)").close())
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite3")) as connection:
        connection.execute("SELECT * FROM last")
