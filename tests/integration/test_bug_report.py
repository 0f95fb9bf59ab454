"""`%kling doctor --report`: what it says, and that nothing private is in any of its files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from vcr.serialize import deserialize
from vcr.serializers import yamlserializer

from kling_nb.core.job_state import Stage
from kling_nb.display.comm import Page
from kling_nb.errors import InvalidInput
from kling_nb.jobs.session import Session
from kling_nb.notebook.commands import Commands
from kling_nb.notebook.doctor import browser, report
from kling_nb.storage.inspect import summarize_ledger
from kling_nb.storage.ledger import Ledger
from tests.support.service import CREATE, KEY, LiveAccount, Open, sent_row
from tests.support.shells import texts

PATIENCE_S = 20.0
PROMPT = "A purple walrus waltzes through the vault of the bank"
TOKEN = "tok-91f2b7c45d38"
HOOK = f"https://ada-tunnel.example/hooks/walrus-studio?token={TOKEN}"
WEBHOOK_KEY = "whsec-qwertzuiopasdfgh"
"""No private text has a part in common with another one, which would hide it too."""


@pytest.fixture(autouse=True)
def unasked_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """No page has answered another test."""
    monkeypatch.setattr(report, "_answers", [])


def written(command: Commands, line: str = "doctor --report r.md") -> str:
    """Write a report and return it."""
    assert command.run(line) is None
    return Path("r.md").read_text(encoding="utf-8")


# --- nothing private ---------------------------------------------------------------------------


@pytest.fixture
def ada(
    live: LiveAccount, tmp_path: Path, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> Session:
    """A live session in a home folder, with a failed job whose message quotes the request."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KIE_API_KEY", KEY)
    monkeypatch.setenv("KIE_WEBHOOK_KEY", WEBHOOK_KEY)
    session = live.session("clips")
    live.account.inject("fail-policy")
    job = session.image_to_video(photo, PROMPT, callback_url=HOOK)
    assert job.exception(PATIENCE_S)
    reason = f"{session.ledger.row(job.id).reason} {PROMPT} {HOOK} {KEY} {tmp_path}/x {WEBHOOK_KEY}"
    session.ledger.note(job.id, reason=reason)
    return session


@pytest.mark.parametrize("live", [0.1], indirect=True)
def test_nothing_private_is_in_any_file(ada: Session, tmp_path: Path) -> None:
    """No key, token, prompt, URL of an input, host of the user, or path of the home folder."""
    folder = tmp_path / "reports"
    folder.mkdir()
    paths = report.write_report(
        lambda: ada, "notebook", str(folder / "r.md"), http=True, replace=False
    )
    assert sorted(map(str, folder.iterdir())) == sorted(paths)
    files = {Path(path).suffix: Path(path).read_text(encoding="utf-8") for path in paths}
    private = (
        KEY, WEBHOOK_KEY, TOKEN, "Bearer", "uthorization", "walrus", "ada-tunnel", "hooks",
        "kieai/", str(tmp_path),
    )  # fmt: skip
    for name, text in files.items():
        assert [each for each in private if each in text] == [], name
    assert "CONTENT_POLICY_BLOCKED" in files[".md"]
    requests, _ = deserialize(files[".yaml"], yamlserializer)
    assert {each.path for each in requests} >= {CREATE, "/api/v1/jobs/recordInfo"}
    assert "CONTENT_POLICY_BLOCKED" in files[".yaml"]


@pytest.mark.parametrize("live", [0.1], indirect=True)
def test_a_later_kernel_does_not_quote_the_request(
    ada: Session, live: LiveAccount, tmp_path: Path
) -> None:
    """The ledger has the failure, and the session has sent no request that says what is private."""
    ada.close()
    later = live.session("clips")
    report.write_report(
        lambda: later, "notebook", str(tmp_path / "r.md"), http=False, replace=False
    )
    text = (tmp_path / "r.md").read_text(encoding="utf-8")
    assert "CONTENT_POLICY_BLOCKED" in text
    assert [each for each in (PROMPT, "walrus", TOKEN, KEY, WEBHOOK_KEY) if each in text] == []


# --- what it says ------------------------------------------------------------------------------


def test_the_report(command: Commands, session: Session, shell: Any) -> None:
    """Versions, settings, findings, the ledger and the last failure."""
    session.text_to_video("A red fox").result(PATIENCE_S)
    session.emulator.account.inject("fail-media")
    job = session.text_to_video("A lost cat")
    assert job.exception(PATIENCE_S)
    text = written(command)
    for title in ("Versions", "Settings", "Checks", "Ledger"):
        assert f"\n## {title}\n" in text
    for said in (
        "- kling_nb 0", "- Python 3", "httpx ", "Mode: emulator", "Environment variables: none",
        "Service: ok. emulated, balance", "Jobs: 1 failed, 1 saved",
        f"Last failure: job {job.id}, failed at ", "Your media file is unavailable",
    ):  # fmt: skip
        assert said in text
    assert texts(shell)[-1].startswith("Bug report: r.md")


def test_the_answer_of_a_page_is_in_it(
    command: Commands, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page cannot answer while the cell runs: what it last said counts."""
    assert "- Widgets: not checked; run `%kling doctor`" in written(command)
    plays = {"plays": True, "said": "decoded and played"}
    answer = {"pictures": plays, "sound": plays, "scripts": True}
    monkeypatch.setattr(report, "_answers", [answer])
    monkeypatch.setattr(report.hub(), "page", Page("JupyterLab", "4.6", agent="Chromium 140"))
    text = written(command, "doctor --report r.md --replace")
    for said in (
        "Front end: ok. JupyterLab 4.6", "Widgets: ok", "H.264 video: ok. decoded and played",
        "Scripts: ok", "Comm: ok", "Browser: ok. Chromium 140",
    ):  # fmt: skip
        assert said in text


def test_the_last_answer_of_a_page_is_kept(shell: Any, open_session: Open) -> None:
    """For the report in a later cell."""
    shown = report._Report(report._Examination(open_session, "notebook"))
    shown._handle = shell.display_pub  # nothing is shown
    shown._draw = lambda: None
    shown._receive({"scripts": True})
    assert report._answers == [{"scripts": True}]


def test_scripts_are_named_only_where_one_was_tried() -> None:
    """No cell of ours needs them."""
    for answer, count in (({}, 4), ({"scripts": False}, 4), ({"scripts": True}, 5)):
        assert len(browser.judge_page("notebook", None, answer, waited_s=None)) == count


def test_wrong_settings_are_in_it(
    command: Commands, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report must not need the session that it is about."""
    monkeypatch.setattr("kling_nb.jobs.default_session._current", None)
    monkeypatch.setenv("KLING_NB_MODE", "both")
    text = written(command)
    assert "Settings: bad. KLING_NB_MODE: 'both' is not allowed" in text
    assert "Environment variables: KLING_NB_MODE" in text


def test_a_ledger_that_cannot_be_read(command: Commands, session: Session, tmp_path: Path) -> None:
    """The report has the reason."""
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "ledger.sqlite3").write_bytes(b"no database " * 500)
    assert "move this one away" in written(command).partition("## Ledger")[2]


# --- the command -------------------------------------------------------------------------------


def test_a_report_is_not_overwritten(command: Commands, session: Session) -> None:
    """Neither of its files; nothing is written then."""
    Path("r.http.yaml").write_text("mine")
    with pytest.raises(InvalidInput, match=r"r\.http\.yaml.*exists"):
        command.run("doctor --report r.md --http")
    assert not Path("r.md").exists()
    written(command)
    with pytest.raises(InvalidInput, match=r"r\.md.*exists.*--replace"):
        command.run("doctor --report r.md")
    assert "# kling_nb" in written(command, "doctor --report r.md --http --replace")
    assert "interactions:" in Path("r.http.yaml").read_text(encoding="utf-8")


def test_the_default_name(command: Commands, session: Session) -> None:
    """It is said where the report is."""
    command.run("doctor --report")
    assert Path("kling-report.md").exists()


@pytest.mark.parametrize("line", ["doctor --http", "doctor --replace"])
def test_options_need_a_report(command: Commands, session: Session, line: str) -> None:
    """The error names what is missing."""
    with pytest.raises(InvalidInput, match="--report"):
        command.run(line)


# --- the ledger --------------------------------------------------------------------------------


def test_the_last_failure_is_the_latest_change(ledger: Ledger, tmp_path: Path) -> None:
    """Not the newest job; a saved job is no failure."""
    ledger.open()
    assert summarize_ledger(tmp_path).last_failure is None
    first = sent_row(ledger, nonce="first")
    second = sent_row(ledger, Stage.REFUSED, nonce="second")
    sent_row(ledger, Stage.ACCEPTED, Stage.SUCCEEDED, Stage.SAVED, nonce="third")
    assert summarize_ledger(tmp_path).last_failure.id == second.id
    ledger.advance(first.id, Stage.UNKNOWN, reason="lost")
    summary = summarize_ledger(tmp_path)
    assert (summary.last_failure.id, summary.last_failure.reason) == (first.id, "lost")
    assert summary.jobs_by_stage == {Stage.UNKNOWN: 1, Stage.REFUSED: 1, Stage.SAVED: 1}


def test_a_clip_that_the_user_deleted_is_no_failure(ledger: Ledger, tmp_path: Path) -> None:
    """One that the service has deleted is."""
    ledger.open()
    saved = sent_row(ledger, Stage.ACCEPTED, Stage.SUCCEEDED, Stage.SAVED)
    ledger.advance(saved.id, Stage.EXPIRED, deleted_at=datetime.now(UTC))
    assert summarize_ledger(tmp_path).last_failure is None
    ledger.advance(saved.id, Stage.SUCCEEDED, deleted_at=None)
    ledger.advance(saved.id, Stage.EXPIRED, reason="gone")
    assert summarize_ledger(tmp_path).last_failure.id == saved.id
