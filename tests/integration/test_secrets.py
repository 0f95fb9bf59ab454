"""The key: whatever a live session says, writes, logs or sends to file hosts, it is not in it."""

from __future__ import annotations

import io
import logging
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path

import httpx
import pytest
import stamina
from PIL import Image

import kling_nb.kie.client
from kling_nb.core.poll_schedule import learn_schedule
from kling_nb.emulator import KNOWN_FAULTS
from kling_nb.errors import KlingError, Unauthorized
from kling_nb.jobs.job import Job
from kling_nb.jobs.session import Session
from kling_nb.kie.bodies import Limits
from kling_nb.kie.network import Network
from tests.support.service import KEY, Served

PATIENCE_S = 30.0
FAULTY = [name for name in KNOWN_FAULTS if name not in {"vanish", "no-url", "download-slow"}]
"""All but those that only take long."""
KINDS = ("errors", "files", "locals", "logs", "output", "reprs", "warnings")


class Evidence:
    """All that a session has said, by kind."""

    def __init__(self) -> None:
        self.said: dict[str, list[str]] = {kind: [] for kind in KINDS}

    def add(self, kind: str, *texts: object) -> None:
        """Keep these texts."""
        self.said[kind] += [str(text) for text in texts]

    def add_error(self, error: BaseException | None) -> None:
        """Keep what an error and all that led to it can tell, shown or suppressed."""
        while error is not None:
            told = traceback.TracebackException.from_exception(error, capture_locals=True)
            self.add("locals", "".join(told.format(chain=True)))
            self.add("errors", error, repr(error), vars(error))
            self.add("errors", "".join(traceback.format_exception(error, chain=True)))
            error = error.__cause__ or error.__context__

    def add_value(self, *values: object) -> None:
        """Keep how values show themselves."""
        for value in values:
            self.add("reprs", value, repr(value), f"{value}")

    def add_files(self, folder: Path) -> None:
        """Keep names and bytes of all files below."""
        for path in folder.rglob("*"):
            content = path.read_bytes() if path.is_file() else b""
            self.add("files", path.relative_to(folder), content.decode("latin-1"))


class Ear(logging.Handler):
    """Hears every record of every logger, with its arguments and extras."""

    def __init__(self, evidence: Evidence) -> None:
        super().__init__(logging.NOTSET)
        self.evidence = evidence

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record as it would be written, and as it is."""
        self.evidence.add("logs", self.format(record), vars(record))


def run_into(session: Session, evidence: Evidence, photo: bytes, fault: str) -> Job | None:
    """A request that meets a fault at its submission, or later."""
    # Nobody listens there; faults of callbacks wait for a request that asks for one.
    hook = "http://127.0.0.1:9/hook" if fault.startswith("callback-") else ""
    try:
        return session.image_to_video(photo, f"A fox meets {fault}", callback_url=hook)
    except Exception as error:
        evidence.add_error(error)
        return None


def tell_all(session: Session, served: Served, evidence: Evidence, photo: bytes) -> None:
    """A success and every fault, then the end of each job."""
    jobs = [run_into(session, evidence, photo, "nothing")]
    for fault in FAULTY:
        served.account.inject(fault)
        jobs.append(run_into(session, evidence, photo, fault))
    for job in filter(None, jobs):
        evidence.add_error(job.exception(PATIENCE_S))
        evidence.add_value(job, job.state, job.record, vars(job), session.ledger.row(job.id))
        if not job.exception(0):
            evidence.add_value(job.result(0))
    for fault in ("unreachable", "poll-drop", "poll-stall"):
        served.account.inject(fault, argument="recordInfo" if fault == "unreachable" else "")
        with pytest.raises(KlingError) as caught:
            session.loop.call(session._context.client.task("any"))
        evidence.add_error(caught.value)
    evidence.add_value(session, session.settings, session._context, session._context.client)
    evidence.add_value(vars(session), vars(session._context.client))
    assert served.account.faults() == []


@contextmanager
def overheard(evidence: Evidence) -> Iterator[None]:
    """Hear all that is logged, printed and warned of in the block."""
    said, root, ear = io.StringIO(), logging.getLogger(), Ear(evidence)
    level = root.level
    with (
        warnings.catch_warnings(record=True) as warned,
        redirect_stdout(said),
        redirect_stderr(said),
    ):
        warnings.simplefilter("always")
        root.addHandler(ear)
        root.setLevel(logging.DEBUG)
        try:
            yield
        finally:
            root.removeHandler(ear)
            root.setLevel(level)
    evidence.add("warnings", *warned, "none but these")
    evidence.add("output", said.getvalue(), "nothing but this")


@pytest.fixture(scope="module")
def evidence(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """What a live session leaves behind that meets everything that can go wrong."""
    evidence, folder, picture = Evidence(), tmp_path_factory.mktemp("live"), io.BytesIO()
    Image.new("RGB", (96, 64), "#884422").save(picture, "PNG")
    with (
        pytest.MonkeyPatch.context() as patch,
        stamina.set_testing(True, attempts=8, cap=True),
        overheard(evidence),
    ):
        patch.setattr(kling_nb.kie.client, "_CREATE_TIMEOUT", httpx.Timeout(1.0))
        patch.setattr(kling_nb.kie.client, "_TIMEOUT", httpx.Timeout(1.0))
        short = Limits(call_s=3.0, create_s=3.0, stalled_s=1.0, spare_s=1.0)
        patch.setattr("kling_nb.jobs.connect.Network", partial(Network, limits=short))
        schedule = learn_schedule((), 0.3)
        patch.setattr("kling_nb.core.poll_schedule.learn_schedule", lambda *given: schedule)
        # By the environment, so that the key is in no frame of the test's own.
        patch.setenv("KIE_API_KEY", KEY)
        patch.setenv("XDG_DATA_HOME", str(folder / "data"))
        session = Session(**served.settings(folder / "clips") | {"mode": "live"})
        tell_all(session, served, evidence, picture.getvalue())
        session.close()
    evidence.add_files(folder)
    evidence.add_files(served.account.folder)
    return evidence


@pytest.mark.parametrize("kind", KINDS)
def test_the_key_is_nowhere(evidence: Evidence, kind: str) -> None:
    """Neither whole nor in part."""
    assert evidence.said[kind]
    assert [text[:300] for text in evidence.said[kind] if KEY[-12:] in text] == []


def test_everything_was_heard(evidence: Evidence) -> None:
    """The tests above look at what really happened."""
    texts = {kind: "\n".join(evidence.said[kind]) for kind in KINDS}
    assert "httpcore" in texts["logs"]
    assert "stamina" in texts["logs"]
    assert "HTTP Request: POST" in texts["logs"]
    assert "SQLite format 3" in texts["files"]
    assert "paid.sqlite3" in texts["files"]
    assert "request = <Request('POST'" in texts["locals"]
    for name in ("TaskUnknown", "TaskFailed", "BadRequest", "Maintenance", "ReadTimeout"):
        assert name in texts["errors"], name


def test_the_key_is_where_it_belongs(evidence: Evidence, served: Served) -> None:
    """With the API and with uploads; file hosts never saw an Authorization header."""
    assert served.account.requests("/k/") > 0
    assert served.account.leaks() == []


def test_a_key_that_is_refused(served: Served, tmp_path: Path) -> None:
    """The message says how to set one, and not which it was."""
    session = Session(**served.settings(tmp_path) | {"mode": "live", "api_key": "bad-key"})
    with pytest.raises(Unauthorized, match="KIE_API_KEY") as caught:
        session.text_to_video("A red fox")
    session.close()
    assert "bad-key" not in "".join(traceback.format_exception(caught.value))
    assert b"bad-key" not in (tmp_path / "ledger.sqlite3").read_bytes()
