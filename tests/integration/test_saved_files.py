"""Files that users have on disk, saved by two states of the package, open with the present code.

`samples/saved/README.md` says how they were made. They are never changed. Names of attributes in
this file may follow a renaming of the package; names of files, columns and keys may not.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kling_nb.core.charge_evidence import encode_watch
from kling_nb.core.job_state import Stage
from kling_nb.display import html
from kling_nb.display.cards.mimebundle import card_bundle
from kling_nb.jobs import default_session
from kling_nb.jobs.job_from_record import state_of
from kling_nb.jobs.session import Session
from kling_nb.notebook.archive.notebook_file import NotebookFile
from kling_nb.notebook.archive.pack import pack, slim
from kling_nb.notebook.archive.recover import recover
from kling_nb.storage.callback_routes import CallbackRoutes
from kling_nb.storage.callback_store import CallbackStore
from kling_nb.storage.database import Database
from kling_nb.storage.id_slots import IdSlots
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.jobs_table import JobsTable
from kling_nb.storage.ledger import Ledger
from kling_nb.storage.upload_cache import UploadCache
from kling_nb.storage.user_index import UserIndex
from tests.support.service import Open

SAVED = Path(__file__).parents[1] / "samples" / "saved"
RELEASES = ("0c85936", "cd29a24")
"""The commits that made the files."""
OLD_LEDGERS = sorted(f"0c85936/{path.name}" for path in (SAVED / "0c85936").glob("ledger-*"))
LEDGERS = [*OLD_LEDGERS, *(f"{name}/clips/ledger.sqlite3" for name in RELEASES)]
CARD = "application/vnd.kling-nb.card+json"
PATIENCE_S = 20.0
CLIPS_OF_ANN = Path("/home/ann/film/kling_clips")

JOBS = {
    "A letter that was lost": ("unknown", "", ""),
    "The fox looks up": ("saved", "", ""),
    "A lighthouse at night": ("saved", "", ""),
    "A red fox shakes the snow off its coat": ("saved", "saved", "saved"),
    "A wolf howls": ("failed", "failed", "failed"),
    "An owl turns its head": ("refused", "refused", "refused"),
    "A bear wakes": ("forgotten", "unknown", "unknown"),
    "A ghost ship": ("vanished", "vanished", "vanished"),
    "A melting candle": ("expired", "expired", "expired"),
    "A train leaves": ("accepted", "detached", "accepted"),
    "A wolf runs": ("discarded", "discarded", "discarded"),
    "An owl flies off": ("intended", "preparing uploading", "unknown"),
    "Rain on a window": ("succeeded", "outofsight waiting", "accepted"),
    "A river in spring": ("succeeded", "downloading", "accepted"),
    "A kite in the wind": ("sending", "sending", "unknown"),
}
"""By the prompt: the stage in each ledger, the states of the cards in `film.ipynb`, and the stage
that these cards give to a lost ledger."""
STAGES = {prompt: stage for prompt, (stage, _, _) in JOBS.items()}
CARDS = {prompt: set(states.split()) for prompt, (_, states, _) in JOBS.items() if states}
RECOVERED = {prompt: stage for prompt, (_, _, stage) in JOBS.items() if stage}


@pytest.fixture(params=RELEASES)
def release(request: pytest.FixtureRequest) -> Path:
    """The files of one state of the package; only to be read."""
    return SAVED / str(request.param)


@pytest.fixture
def film(release: Path, tmp_path: Path) -> Path:
    """A copy of those files as a person has them: notebooks, and the folder of clips beside."""
    folder = tmp_path / "film"
    shutil.copytree(release, folder)
    (folder / "clips").rename(folder / "kling_clips")
    return folder


@pytest.fixture
def begin(film: Path, open_session: Open, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Session]:
    """Open the default session in that folder."""
    monkeypatch.chdir(film)

    def open_default() -> Session:
        session = open_session(folder=film / "kling_clips")
        monkeypatch.setattr(default_session, "_current", session)
        return session

    return open_default


def table(path: Path, name: str) -> list[dict[str, Any]]:
    """Read a table as it is in the file, without the package."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(f'SELECT * FROM "{name}"')]


def as_column(row: JobRecord, name: str, folder: Path) -> Any:
    """Give what a row of the present code says, in the form of its column."""
    value = getattr(row, name)
    match name, value:
        case _, datetime():
            return value.isoformat()
        case "values", _:
            return dict(value)
        case "result_urls", _:
            return list(value)
        case "clip", clip if clip is not None:
            return asdict(clip) | {"path": str(Path(clip.path).relative_to(folder))}
        case "watch", watch if watch is not None:
            return encode_watch(watch)
        case "sources", _:
            return {key: [relative(asdict(each), folder) for each in given]
                    for key, given in value.items()}  # fmt: skip
        case (("starred" | "hidden"), _):
            return int(value)
        case _:
            return value


def relative(kept: dict[str, str], folder: Path) -> dict[str, str]:
    """Give a kept input with its path as the ledger writes it."""
    path = kept["path"] and str(Path(kept["path"]).relative_to(folder))
    return kept | {"path": path}


def in_json(name: str, text: Any) -> Any:
    """Read a column that holds JSON."""
    is_json = name in {"values", "clip", "sources", "watch", "result_urls"}
    return json.loads(text) if is_json and text is not None else text


def rows_by_prompt(folder: Path) -> dict[str, JobRecord]:
    """Give the jobs of a copied folder as the present code reads them."""
    database = Database(folder / "ledger.sqlite3")
    database.create()
    with database.reading() as connection:
        rows = JobsTable(connection, folder, lambda: datetime.now(UTC)).in_stages(*Stage)
    return {row.prompt: row for row in rows}


def cards_of(path: Path) -> list[tuple[dict[str, Any], html.Section]]:
    """Give the JSON and the HTML of each card of a notebook."""
    found = []
    for data in NotebookFile.read(path).bundles():
        if CARD in data:
            sections = html.find_sections("".join(data["text/html"]))
            found += list(zip(data[CARD]["cards"], sections, strict=True))
    return found


@pytest.mark.parametrize("name", LEDGERS)
def test_a_ledger_says_the_same_in_every_column(name: str, tmp_path: Path) -> None:
    """Also after it was brought to the present schema, from any version."""
    shutil.copyfile(SAVED / name, tmp_path / "ledger.sqlite3")
    kept = table(SAVED / name, "jobs")
    rows = rows_by_prompt(tmp_path)
    assert {prompt: str(row.stage) for prompt, row in rows.items()} == STAGES
    by_id = {row.id: row for row in rows.values()}
    for columns in kept:
        row = by_id[columns["id"]]
        for column, text in columns.items():
            if column != "number":
                assert as_column(row, column, tmp_path) == in_json(column, text), column


@pytest.mark.parametrize("name", LEDGERS)
def test_the_events_of_each_job_are_told(name: str, tmp_path: Path) -> None:
    """In their order, with stage and text."""
    shutil.copyfile(SAVED / name, tmp_path / "ledger.sqlite3")
    kept = table(SAVED / name, "events")
    with closing(Ledger(tmp_path)) as ledger:
        ledger.open()
        for job_id in {event["job_id"] for event in kept}:
            own = [(e["at"], e["stage"], e["text"]) for e in kept if e["job_id"] == job_id]
            told = [(at.isoformat(), str(s), text) for at, s, text in ledger.events(job_id)]
            assert told[: len(own)] == own
    assert len(kept) > len(STAGES)


def test_budgets_and_uploads_are_found(film: Path) -> None:
    """A budget still counts what was paid before, and no content is uploaded twice."""
    folder = film / "kling_clips"
    (budget,) = table(folder / "ledger.sqlite3", "budgets")
    (live, _) = table(folder / "ledger.sqlite3", "uploads")
    with closing(Ledger(folder)) as ledger:
        ledger.open()
        (standing,) = ledger.spending.budget_statuses("live", "")
        assert standing.budget.limit_credits == budget["limit_credits"] == 2000
        assert standing.spent_credits == 165
    at = datetime.fromisoformat(live["at"])
    found = UploadCache(folder).find(live["service"], live["sha256"], live["mime_type"], at, at)
    assert found == live["url"]


def test_the_index_knows_what_was_paid(release: Path, tmp_path: Path) -> None:
    """Folder, time, job and task of each live request; the first version had two of them."""
    shutil.copyfile(release / "paid.sqlite3", tmp_path / "paid.sqlite3")
    kept = table(release / "paid.sqlite3", "paid")
    jobs = {row["fingerprint"]: row for row in table(release / "clips" / "ledger.sqlite3", "jobs")}
    assert len(kept) == 3
    for entry in kept:
        paid = UserIndex(tmp_path / "paid.sqlite3").find(entry["fingerprint"])
        assert (paid.folder, paid.at.isoformat()) == (CLIPS_OF_ANN, entry["at"])
        job = jobs[entry["fingerprint"]]
        expected = (job["id"], job["task_id"], True) if "job_id" in entry else ("", "", False)
        assert (paid.job_id, paid.task_id, paid.is_sent) == expected


def test_a_letter_in_the_mailbox_is_read_and_thrown_away(film: Path) -> None:
    """It was left there for a job of a killed kernel."""
    folder = film / "kling_clips"
    (kept,) = table(folder / "ledger.sqlite3", "notifications")
    box = CallbackStore(folder)
    assert box.callback_tokens() == {kept["nonce"]}
    letter = box.oldest(kept["nonce"])
    assert (letter.body, letter.at.isoformat()) == (kept["body"], kept["at"])
    box.discard(letter)
    assert box.callback_tokens() == set()


def test_the_folder_of_a_callback_is_found(release: Path, tmp_path: Path) -> None:
    """By the value in its address, which only the ledger has."""
    shutil.copyfile(release / "doors.sqlite3", tmp_path / "doors.sqlite3")
    jobs = table(release / "clips" / "ledger.sqlite3", "jobs")
    nonces = [row["nonce"] for row in jobs if row["nonce"]]
    assert len(nonces) == len(table(release / "doors.sqlite3", "doors")) == 3
    doors = CallbackRoutes(tmp_path / "doors.sqlite3")
    assert {doors.find(nonce) for nonce in nonces} == {CLIPS_OF_ANN}


def test_the_file_of_a_request_that_was_being_sent(tmp_path: Path) -> None:
    """It gives the row back, should the ledger have lost it."""
    folder = tmp_path / "kling_clips"
    shutil.copytree(SAVED / "cd29a24" / "clips", folder)
    (row,) = IdSlots(folder / "sending", folder).rows()
    known = rows_by_prompt(folder)["A kite in the wind"]
    for name in ("id", "fingerprint", "values", "price_credits", "nonce", "sent_at", "stage"):
        assert getattr(row, name) == getattr(known, name)


def test_every_card_is_found_in_its_notebook(film: Path) -> None:
    """Each state, in JSON and in HTML, with the words that were written then."""
    rows = rows_by_prompt(film / "kling_clips")
    states: dict[str, set[str]] = {}
    for receipt, section in cards_of(film / "film.ipynb"):
        row = rows[section.prompt]
        states.setdefault(section.prompt, set()).add(receipt["state"])
        assert section.state == receipt["state"]
        assert section.job_id == receipt["id"] == row.id
        assert receipt["fingerprint"] == row.fingerprint
    assert states == CARDS


def test_clips_and_stills_are_taken_out_of_cards(release: Path) -> None:
    """A whole clip, and the poster of one that was not embedded."""
    found = cards_of(release / "film.ipynb") + cards_of(release / "paid.ipynb")
    saved = [(receipt, section) for receipt, section in found if receipt["state"] == "saved"]
    assert [receipt["embed"] for receipt, _ in saved] == ["whole", "poster", "whole"]
    for receipt, section in saved:
        whole = hashlib.sha256(section.video).hexdigest() == receipt["sha256"]
        assert whole == (receipt["embed"] == "whole")
        assert section.poster.startswith(b"\xff\xd8")


def test_a_lost_folder_is_recovered(film: Path, begin: Callable[[], Session]) -> None:
    """Each card gives its job back, and the clip inside becomes its file again.

    Two requests are not proven: their images are not beside the notebook.
    """
    before = rows_by_prompt(film / "kling_clips")
    shutil.rmtree(film / "kling_clips")
    session = begin()
    (done,) = recover(film / "film.ipynb")
    assert done.failed == []
    assert {row.prompt: str(row.stage) for row in done.recovered} == RECOVERED
    for row in done.recovered:
        old = before[row.prompt]
        for name in ("id", "model", "values", "take", "price_credits", "cell"):
            assert getattr(row, name) == getattr(old, name), name
        is_proven = row.prompt not in {"A wolf runs", "An owl flies off"}
        assert row.fingerprint == ("" if is_proven else "recovered:") + old.fingerprint
    row = session.ledger.row(before["A red fox shakes the snow off its coat"].id)
    assert hashlib.sha256(Path(row.clip.path).read_bytes()).hexdigest() == row.clip.sha256


def test_the_same_request_is_not_paid_again(film: Path, begin: Callable[[], Session]) -> None:
    """The old job answers it with the old clip."""
    known = rows_by_prompt(film / "kling_clips")["A red fox shakes the snow off its coat"]
    session = begin()
    job = session.image_to_video("fox.png", "A red fox shakes the snow off its coat")
    assert job.id == known.id
    assert job.result(PATIENCE_S).path == Path(known.clip.path)
    assert session.emulator.account.tasks() == []


def test_an_old_notebook_is_packed_and_slimmed(film: Path, begin: Callable[[], Session]) -> None:
    """Whole clips go in, posters stay."""
    begin()
    packed = pack(film / "paid.ipynb")
    assert (len(packed.clips), packed.missing, packed.unproven) == (2, [], [])
    receipts = [receipt for receipt, _ in cards_of(packed.path)]
    assert [each["embed"] for each in receipts] == ["whole", "whole"]
    slimmed = slim(film / "film.ipynb")
    assert (len(slimmed.clips), slimmed.missing, slimmed.unproven) == (1, [], [])
    assert cards_of(slimmed.path)[0][0]["embed"] == "poster"


def test_a_card_is_drawn_again_from_the_old_ledger(film: Path) -> None:
    """It says what the saved one says, as far as the job is in the same state."""
    rows, same = rows_by_prompt(film / "kling_clips"), set()
    for receipt, section in cards_of(film / "film.ipynb"):
        row = rows[section.prompt]
        bundle = card_bundle(row, state_of(row))
        (drawn,) = bundle[CARD]["cards"]
        (again,) = html.find_sections(bundle["text/html"])
        assert (again.job_id, again.prompt) == (section.job_id, section.prompt)
        receipt |= {"title": ""}  # older cards have none
        assert drawn.keys() == receipt.keys()
        if receipt["state"] == drawn["state"]:
            assert drawn == receipt
            same.add(drawn["state"])
        else:
            fixed = ("id", "fingerprint", "model", "service", "take", "cell", "created_at")
            assert [drawn[key] for key in fixed] == [receipt[key] for key in fixed]
    ended = {"saved", "failed", "refused", "vanished", "expired", "discarded"}
    assert same == ended | {"preparing", "sending", "waiting"}


def test_nothing_of_the_machine_is_in_the_files() -> None:
    """No path but that of an invented person, no key, no host but the loopback address."""
    for path in SAVED.rglob("*"):
        if path.is_file() and path.suffix not in {".py", ".md", ".mp4"}:
            text = path.read_bytes()
            assert re.search(rb"/(root|tmp|Users|work)/|/home/(?!ann/)|sk-", text) is None, path
            hosts = set(re.findall(rb"https?://([a-z0-9.-]+)", text))
            assert hosts <= {b"127.0.0.1"}, path
