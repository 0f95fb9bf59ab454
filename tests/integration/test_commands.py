"""`%kling …`: what each command shows and does, and the status line of `%load_ext`."""

from __future__ import annotations

import getpass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest

from kling_nb.core.job_state import Stage
from kling_nb.display.cards.mimebundle import card_bundle
from kling_nb.errors import ConfigurationError, KlingError, LedgerError
from kling_nb.jobs import default_session
from kling_nb.jobs.job import Job
from kling_nb.jobs.session import Session
from kling_nb.models.catalog import CATALOGUE
from kling_nb.notebook import commands, greeting, status
from kling_nb.notebook.commands import Commands
from kling_nb.notebook.greeting import greet
from tests.support.service import CREATE, KEY, Open
from tests.support.shells import htmls, open_shell, texts, updates_of, wait_for_update

PATIENCE_S = 20.0


@pytest.fixture
def job(session: Session) -> Job:
    """Return a job with a saved clip."""
    job = session.text_to_video("A red fox")
    job.result(PATIENCE_S)
    return job


def lose(session: Session, prompt: str = "lost") -> Job:
    """Return a job with a lost answer after the task was made."""
    session.emulator.account.inject("lose-answer")
    return session.text_to_video(prompt)


def last_task(session: Session) -> str:
    """Return the id of the newest task at the service."""
    return session.emulator.account.tasks()[-1].task_id


def greetings(shell: Any) -> list[str]:
    """Return the status line as shown first and after its update."""
    wait_for_update(shell)
    return [texts(shell)[0], *(update["text/plain"] for update in updates_of(shell, 0))]


@pytest.mark.parametrize("line", ["", "balance", "jobs", "models", "resume"])
def test_output_has_html_and_text(command: Commands, shell: Any, job: Job, line: str) -> None:
    """A command that only reports shows one output and returns None."""
    assert command.run(line) is None
    assert len(texts(shell)) == 1
    assert texts(shell)[0]
    assert htmls(shell)[0].startswith("<")


def test_an_empty_line_shows_the_status(command: Commands, shell: Any, session: Session) -> None:
    """Mode with its reason, balance, and running jobs."""
    command.run("")
    assert "emulator (as configured)" in texts(shell)[0]
    assert "balance 5,916 credits ($29.58)" in texts(shell)[0]
    assert "0 running" in texts(shell)[0]


def test_jobs_are_listed(command: Commands, shell: Any, session: Session, job: Job) -> None:
    """Newest first, with stage and credits."""
    lost = lose(session)
    command.run("jobs")
    head, first, second = texts(shell)[0].splitlines()
    assert head.split() == ["job", "made", "stage", "service", "model", "prompt", "credits"]
    assert first.split()[0] == lost.id
    assert "unknown" in first
    assert second.split()[0] == job.id
    assert second.split()[-1] == "55"


def test_a_job_is_shown(command: Commands, job: Job) -> None:
    """Its id or the start of one is enough; the caller displays the job."""
    for digits in (3, 4):
        shown = command.run(f"show {job.id[:digits]}")
        assert shown.result(0).path == job.result(0).path


def test_one_job_is_resumed(command: Commands, session: Session) -> None:
    """A detached job continues."""
    job = session.text_to_video("detached")
    job.detach()
    again = command.run(f"resume {job.id}")
    assert again.result(PATIENCE_S).path.is_file()


def test_a_lost_job_is_adopted(command: Commands, session: Session) -> None:
    """The task id of the service identifies it."""
    lost = lose(session)
    found = command.run(f"adopt {last_task(session)}")
    assert found.id == lost.id
    assert found.result(PATIENCE_S).path.is_file()


def test_of_several_lost_jobs_one_is_named(command: Commands, session: Session) -> None:
    """With several unknown jobs, the job id is required."""
    first, _second = lose(session, "one"), lose(session, "two")
    task_id = last_task(session)
    with pytest.raises(LedgerError, match="several jobs are unknown"):
        command.run(f"adopt {task_id}")
    found = command.run(f"adopt {task_id} {first.id}")
    assert found.id == first.id


def test_a_lost_job_is_forgotten(command: Commands, shell: Any, session: Session) -> None:
    """Then, and only then, the same request makes a new task."""
    lost = lose(session)
    session.text_to_video("lost")
    assert session.emulator.account.requests(CREATE) == 1
    with pytest.raises(LedgerError, match=f"`%kling forget {lost.id} --yes`"):
        command.run(f"forget {lost.id}")
    command.run(f"forget {lost.id} --yes")
    assert f"Job {lost.id} is forgotten" in texts(shell)[0]
    session.text_to_video("lost").result(PATIENCE_S)
    assert session.emulator.account.requests(CREATE) == 2


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("jbos", "did you mean jobs?"),
        ("xyzzy", "allowed: balance, jobs, show"),
        ("show 'it", "close the quotes"),
        ("show zzzz", "zzzz"),
        ("resume zzzz", "zzzz"),
        ("forget zzzz", "zzzz"),
        ("adopt 0000", "the service does not know a task '0000'"),
    ],
)
def test_mistakes_say_what_is_allowed(command: Commands, shell: Any, line: str, said: str) -> None:
    """The error is the only output."""
    with pytest.raises(KlingError) as error:
        command.run(line)
    assert said in str(error.value)
    assert not texts(shell)


def test_faults_are_raised(
    command: Commands, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of the package is not reported as a wrong argument."""

    def broken() -> float:
        raise TypeError("unsupported operand")

    monkeypatch.setattr(session, "balance", broken)
    with pytest.raises(TypeError, match="unsupported operand"):
        command.run("balance")


def test_an_unknown_balance_is_no_error(command: Commands, shell: Any, session: Session) -> None:
    """The output contains the reason."""
    session.emulator.account.inject("unreachable", times=20, argument="other")
    command.run("balance")
    assert "balance unknown: " in texts(shell)[0]


def test_the_emulator_is_switched_on(command: Commands, shell: Any, session: Session) -> None:
    """A new default session in the same folder replaces the old one."""
    command.run("emulate on")
    assert "emulator (as configured)" in texts(shell)[0]
    assert default_session.default_session() is not session
    assert default_session.default_session().settings.folder == session.settings.folder
    default_session.default_session().close()


def test_live_mode_needs_a_key(command: Commands, session: Session) -> None:
    """The default session stays."""
    with pytest.raises(ConfigurationError, match="'live' needs a key"):
        command.run("emulate off")
    assert default_session.default_session() is session


@pytest.mark.parametrize("keyring", [True, False])
def test_a_key_is_asked_for_and_never_shown(
    command: Commands, shell: Any, monkeypatch: pytest.MonkeyPatch, keyring: bool
) -> None:
    """The output says where it is kept; without a keyring, until the kernel ends."""

    def save(_key: str) -> None:
        if not keyring:
            raise ConfigurationError("there is no keyring")

    monkeypatch.setattr(getpass, "getpass", lambda _prompt: KEY)
    monkeypatch.setattr(commands, "save_key", save)
    command.run("login")
    kept = "saved in the system's keyring" if keyring else "used until this kernel ends"
    assert kept in texts(shell)[0]
    assert default_session.default_session().settings.mode == "live"
    assert KEY not in str(shell.display_pub.outputs)
    default_session.default_session().close()


def test_the_greeting_is_one_line_that_is_filled_in(command: Commands, shell: Any) -> None:
    """It shows mode and folder first, then the balance."""
    greet(shell)
    first, filled = greetings(shell)
    assert first == "kling_nb · emulator (as configured) · clips in clips"
    assert filled == f"{first} · balance 5,916 credits ($29.58)"


def test_greetings_count_jobs(command: Commands, shell: Any, session: Session, job: Job) -> None:
    """It counts clips saved in between, and jobs that need a decision."""
    lose(session)
    session.text_to_video("detached").detach()
    greet(shell)
    *_, filled = greetings(shell)
    assert "1 clip finished while you were away: saved" in filled
    assert "1 job unknown: `%kling jobs`" in filled
    assert not session.ledger.rows(Stage.ACCEPTED, Stage.SUCCEEDED)


def test_a_session_that_was_replaced_at_once_is_no_error(
    shell: Any, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `configure` in the next cell, the line describes the new session."""
    current = default_session.configure(mode="emulator")
    following = iter([session])
    monkeypatch.setattr(status, "default_session", lambda: next(following, current))
    greet(shell)
    assert "closed" not in greetings(shell)[-1]
    assert "balance unknown" not in greetings(shell)[-1]
    current.close()


def test_a_job_that_takes_longer_is_resumed(
    command: Commands, shell: Any, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The greeting does not wait for it."""
    monkeypatch.setattr(status, "_DOWNLOAD_WAIT_S", 0.0)
    session.text_to_video("detached").detach()
    greet(shell)
    assert "1 job running" in greetings(shell)[-1]


def test_without_good_settings_the_greeting_says_so(
    command: Commands, shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading works, so that the next cell can correct the settings."""
    monkeypatch.setattr(default_session, "_current", None)
    monkeypatch.setattr(default_session, "_given", {})
    monkeypatch.setenv("KLING_NB_MODE", "life")
    greet(shell)
    assert "not ready" in texts(shell)[0]
    assert "'life' is not allowed; give live or emulator" in texts(shell)[0]


def test_the_keyring_is_read_after_the_line_is_shown(
    session: Session, shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may ask for a password. The mode that it decides is added."""
    monkeypatch.setattr(default_session, "_current", None)
    monkeypatch.delenv("KLING_NB_MODE", raising=False)
    greet(shell)
    first, filled = greetings(shell)
    assert first == "kling_nb · clips in clips"
    assert filled.startswith("kling_nb · emulator (no key: set KIE_API_KEY")
    default_session.default_session().close()


def test_a_key_that_is_missing_is_reported_in_the_line(
    session: Session, shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Live mode needs one, and only the keyring may have it."""
    monkeypatch.setattr(default_session, "_current", None)
    monkeypatch.setenv("KLING_NB_MODE", "live")
    monkeypatch.delenv("KIE_API_KEY", raising=False)
    greet(shell)
    first, filled = greetings(shell)
    assert first == "kling_nb · clips in clips"
    assert "not ready" in filled
    assert "'live' needs a key" in filled


def test_a_session_that_cannot_be_opened_is_reported_in_the_line(
    session: Session, shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No other place shows the error of a thread."""

    def fail() -> Session:
        raise OSError("too many open files")

    monkeypatch.setattr(greeting, "default_session", fail)
    greet(shell)
    assert "the session could not be opened: too many open files" in greetings(shell)[-1]


def test_a_headless_greeting_is_complete(session: Session) -> None:
    """A later update would not be saved. A session set to the emulator does not warn."""
    with open_shell("headless") as shell:
        greet(shell)
        assert "balance" in updates_of(shell, 0)[-1]["text/plain"]


def test_headless_greetings_are_quick(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow service does not fail the run."""
    monkeypatch.setattr(greeting, "_HEADLESS_WAIT_S", 0.0)
    with open_shell("headless") as shell:
        greet(shell)
        assert texts(shell)[0].startswith("kling_nb · ")
        greetings(shell)


def test_headless_without_a_key_warns(open_session: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Emulated clips could be taken for real ones."""
    monkeypatch.setattr(default_session, "_current", open_session(mode=None))
    with (
        open_shell("headless") as shell,
        pytest.warns(UserWarning, match=r"without a key: clips are emulated"),
    ):
        greet(shell)


def test_commands_and_ids_are_completed(command: Commands, job: Job) -> None:
    """Job ids follow a command that takes one, models another; an unknown one takes nothing."""

    def complete(line: str) -> list[str]:
        symbol = "" if line.endswith(" ") else line.rsplit(maxsplit=1)[-1]
        return command.complete(SimpleNamespace(line=line, symbol=symbol))

    assert "adopt" in complete("%kling ")
    assert "adopt" in complete("%kling ad")
    assert complete("%kling show ") == [job.id]
    assert complete("%kling show 12") == [job.id]
    assert complete("%kling models ") == list(CATALOGUE)
    assert complete("%kling budget 500 --per ") == ["notebook", "day", "folder"]
    assert complete("%kling xyzzy ") == []


def test_every_command_has_its_line_of_help(command: Commands) -> None:
    """The line has the arguments of the parser."""
    lines = command.help_text().splitlines()[1:]
    assert all(line.startswith("    `") and "`: " in line for line in lines)
    assert any(line.startswith("    `adopt TASK_ID [ID]`: Download the clip") for line in lines)


def test_commands_for_notebooks(command: Commands, shell: Any, job: Job, tmp_path: Path) -> None:
    """Each notice has file names and numbers: of clips, or of recovered, known and failed jobs."""
    output = nbformat.v4.new_output("display_data", data=card_bundle(job.record, job.state))
    cell = nbformat.v4.new_code_cell("x", outputs=[output])
    path = tmp_path / "my film.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    command.run(f"recover '{tmp_path}/*.ipynb'")
    assert command.run(f"pack '{path}'") is None
    assert command.run(f"slim '{path}' --to '{tmp_path / 'small.ipynb'}'") is None
    recovered, packed, slimmed = texts(shell)
    assert recovered.splitlines() == [
        "0 jobs recovered from 1 notebook",
        "my film.ipynb: 0 jobs recovered, 1 known, 0 failed",
    ]
    assert packed.startswith("my film.packed.ipynb: 1 clip embedded\n")
    assert slimmed.startswith("small.ipynb: posters instead of 1 clip\n")
