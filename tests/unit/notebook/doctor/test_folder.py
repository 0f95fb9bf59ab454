"""The doctor looks at the folder's ledger, jobs and clips, and at the notebook; it changes none."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from kling_nb.core.job_state import Stage
from kling_nb.display.html import Finding
from kling_nb.jobs.job import Job
from kling_nb.jobs.session import Session
from kling_nb.notebook.doctor.environment import check_links, check_notebook
from kling_nb.notebook.doctor.folder import check_contents
from kling_nb.storage import inspect
from kling_nb.storage.ledger import Ledger
from tests.support.service import World

PATIENCE_S = 20.0


def named(findings: list[Finding], name: str) -> Finding:
    """The finding of that name."""
    (found,) = (each for each in findings if each.name == name)
    return found


# --- the ledger and its jobs -------------------------------------------------------------------


def test_a_folder_without_a_ledger(tmp_path: Path) -> None:
    """There is none yet, and none is made."""
    (only,) = check_contents(tmp_path / "nowhere")
    assert (only.status, only.message) == ("ok", "none yet; created with the first clip")
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_that_is_sound(ledger: Ledger, tmp_path: Path) -> None:
    """And one that has no job yet."""
    ledger.open()
    found = check_contents(tmp_path)
    assert [each.status for each in found] == ["ok"] * 3


def test_a_file_that_is_no_ledger(tmp_path: Path) -> None:
    """What to do comes first; of the rest it is said once that it is not known."""
    (tmp_path / "ledger.sqlite3").write_bytes(b"no database " * 500)
    ledger, jobs = check_contents(tmp_path)
    assert ledger.status == "bad"
    assert "move this one away" in ledger.message
    assert jobs.status == "warn"


@pytest.mark.parametrize("is_empty", [False, True])
def test_clips_without_their_ledger_are_a_warning(tmp_path: Path, is_empty: bool) -> None:
    """Their cells would be paid for again; there are two ways to prevent that."""
    for name in ("20261123-033628-03bbd84b.mp4", "holiday.mp4"):
        (tmp_path / name).touch()
    if is_empty:
        (tmp_path / "ledger.sqlite3").touch()
    ledger = check_contents(tmp_path)[0]
    assert ledger.status == "warn"
    assert "1 clip" in ledger.message
    assert "%kling recover" in ledger.fix
    assert "Restore `ledger.sqlite3`" in ledger.fix


def test_clips_from_before_a_new_ledger_are_a_warning(session: Session) -> None:
    """One new clip does not hide them; the ledger that knows it must not be replaced."""
    session.text_to_video("one").result(PATIENCE_S)
    folder = session.settings.folder
    assert named(check_contents(folder), "Ledger").message == "intact"
    (folder / "20261123-033628-03bbd84b.mp4").touch()
    ledger = named(check_contents(folder), "Ledger")
    assert (ledger.status, ledger.message) == ("warn", "no job for 1 clip in this folder")
    assert ledger.fix.startswith("`%kling recover")


def test_jobs_under_way_and_unknown_are_counted(world: World) -> None:
    """Each unknown one by its id, with the command that tells more."""
    (running, _), (lost, _) = world.prepare("one"), world.prepare("two")
    world.ledger.advance(running.id, Stage.SENDING)
    jobs = named(check_contents(world.ledger.folder), "Jobs")
    assert (jobs.status, jobs.message) == ("ok", "2 in progress")
    world.ledger.advance(lost.id, Stage.SENDING)
    world.ledger.advance(lost.id, Stage.UNKNOWN)
    jobs = named(check_contents(world.ledger.folder), "Jobs")
    assert jobs.status == "warn"
    assert jobs.message == f"1 in progress, 1 unknown ({lost.id})"
    assert f"%kling show {lost.id}" in jobs.fix


def test_nothing_is_changed_or_locked(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The checks take no lock and leave no owner file."""
    world.prepare("one")
    owners = sorted((world.ledger.folder / "owners").iterdir())
    content = (world.ledger.folder / "ledger.sqlite3").read_bytes()
    monkeypatch.setattr(inspect, "TIMEOUT_S", 0.0)
    check_contents(world.ledger.folder)
    assert sorted((world.ledger.folder / "owners").iterdir()) == owners
    assert (world.ledger.folder / "ledger.sqlite3").read_bytes() == content


# --- the clips ---------------------------------------------------------------------------------


@pytest.fixture
def jobs(session: Session) -> list[Job]:
    """Two jobs whose clips are saved."""
    jobs = [session.text_to_video(prompt) for prompt in ("one", "two")]
    for job in jobs:
        job.result(PATIENCE_S)
    return jobs


def test_clips_that_are_all_there(session: Session, jobs: list[Job]) -> None:
    """How many, and how large."""
    clips = named(check_contents(session.settings.folder), "Clips")
    assert clips.status == "ok"
    assert clips.message.startswith("2 clips, ")
    assert clips.message.endswith(", all intact")


def test_the_fix_downloads_missing_and_damaged_clips(session: Session, jobs: list[Job]) -> None:
    """The command that the fix names does it, and costs nothing."""
    paths = [job.result(0).path for job in jobs]
    paths[0].unlink()
    paths[1].write_bytes(paths[1].read_bytes()[:500])
    clips = named(check_contents(session.settings.folder), "Clips")
    assert clips.status == "warn"
    assert f"1 missing ({jobs[0].id}), 1 damaged ({jobs[1].id})" in clips.message
    assert "%kling show" in clips.fix
    assert "0 credits" in clips.fix
    balance = session.balance()
    for job in jobs:
        session.job(job.id).result(PATIENCE_S)
    assert named(check_contents(session.settings.folder), "Clips").status == "ok"
    assert session.balance() == balance


# --- the notebook ------------------------------------------------------------------------------


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    """A saved notebook with a card."""
    path = tmp_path / "film.ipynb"
    output = nbformat.v4.new_output("display_data", data={"text/html": "<section>"})
    cell = nbformat.v4.new_code_cell("%%kling\nx", outputs=[output])
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    return path


def test_a_notebook_that_is_trusted(notebook: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is to be done, nor for a new notebook without outputs, which has no signature."""
    notary = "kling_nb.notebook.archive.notebook_file._with_notary"
    with monkeypatch.context() as patch:
        patch.setattr(notary, lambda _act: True)
        found = check_notebook([str(notebook)], notebook.parent)
    assert (found.status, found.message, found.fix) == ("ok", "film.ipynb", "")
    nbformat.write(nbformat.v4.new_notebook(), notebook)
    assert check_notebook([str(notebook)], notebook.parent).status == "ok"


def test_a_notebook_that_is_not_trusted_has_a_fix(notebook: Path) -> None:
    """Two ways, and the first one is free."""
    found = check_notebook([str(notebook)], notebook.parent)
    assert found.status == "warn"
    assert "not trusted" in found.message
    assert "`jupyter trust film.ipynb`" in found.fix
    assert "0 credits" in found.fix


def test_a_kernel_that_went_elsewhere_is_a_warning(notebook: Path, tmp_path: Path) -> None:
    """Links are paths from where it works."""
    found = check_notebook([str(notebook)], tmp_path / "elsewhere")
    assert found.status == "warn"
    assert f"os.chdir({str(tmp_path)!r})" in found.fix


def test_a_notebook_that_is_not_reported(notebook: Path, tmp_path: Path) -> None:
    """Few commands need its name; a missing one was renamed; a broken one is a warning."""
    assert check_notebook([], tmp_path).status == "ok"
    gone = check_notebook([str(tmp_path / "old.ipynb")], tmp_path)
    assert gone.status == "warn"
    assert "renamed" in gone.message
    notebook.write_text("{", encoding="utf-8")
    assert check_notebook([str(notebook)], notebook.parent).status == "warn"


@pytest.mark.parametrize(
    ("folder", "said"),
    [("work/clips", ""), ("elsewhere", "is not in"), ("work/.clips", "hidden files: .clips")],
)
def test_links_lead_only_where_jupyter_shows_files(tmp_path: Path, folder: str, said: str) -> None:
    """Not above its folder and not in hidden ones; without a server (VS Code) nothing is said."""
    found = check_links(tmp_path / folder, tmp_path / "work")
    assert [each.status for each in found] == (["warn"] if said else [])
    assert all(said in each.message and "KLING_NB_FOLDER" in each.fix for each in found)
    assert check_links(tmp_path / folder, None) == []
