"""The names that are data: users have them on disk, in notebooks and in scripts.

Each is written out here and compared with what the code that writes it gives. A change of the
package that needs a change of a literal here breaks what users have.

Other tests hold more of these names, and are not repeated:

* The rows, JSON columns and cards of real files: `test_saved_files`.
* Fingerprints, with services and parameters: the golden ones of `test_fingerprint`. The first
  four migrations, by hash: `test_migrations`.
* The folder `kling_clips/` and, except for two variables, the environment: `test_settings`
  (`KLING_NB_SERVER_CALLBACKS`: `test_jupyter_extension`). The keyring entry: `test_settings`.
* `ledger.sqlite3`, `owners/`, `pictures/`, `emulator/`, `sending/ID.json`: `test_files`.
  `.previews/`: `test_previews`. `books.sqlite3`: `emulator/account`. Names of clips:
  `test_several_files`.
* `kling_nb/paid.sqlite3` and `kling_nb/doors.sqlite3` in the user's data: `test_user_index`,
  `test_callback_routes`.
* The prefix `recovered:` of a fingerprint: `test_card_to_record`. The value `kling_nb` in a
  callback's URL: `test_webhooks`. The route `kling/callback`: `test_listen_jupyter`.
* The logger `kling_nb`: `test_user_index`. The server extension `kling_nb` and its class
  `KlingCallbacks`: `test_jupyter_extension`.
* The words of a click that the kernel acts on: `test_cards`, `test_gallery`, `panel/`.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anywidget
import pytest

import kling_nb
from kling_nb.core.budgets import Scope
from kling_nb.core.charge_evidence import encode_watch
from kling_nb.core.job_state import Encoding, JobState, Stage
from kling_nb.core.stored_input import StoredInput
from kling_nb.display import html
from kling_nb.display.cards.mimebundle import card_bundle
from kling_nb.display.comm import Hub
from kling_nb.display.gallery import Gallery
from kling_nb.display.panel.widgets import Actions, Picker, Recents, Rows
from kling_nb.emulator import EmulatedAccount
from kling_nb.kie.rate_limit import RateLimiter
from kling_nb.kie.slots import Account
from kling_nb.models.catalog import IMAGE_TO_VIDEO
from kling_nb.models.option_parser import options_of
from kling_nb.notebook.commands import Commands
from kling_nb.storage.callback_routes import CallbackRoutes
from kling_nb.storage.id_slots import IdSlots
from kling_nb.storage.job_record import adopted_fingerprint, encode_facts, encode_sources
from kling_nb.storage.ledger import Ledger
from kling_nb.storage.user_index import UserIndex
from tests.support.html_states import CLIP, EMULATED, EVERY, FACTS, NOW, TINY_JPEG, WATCH
from tests.support.service import sent_row, take_turn

CARD_MIME = "application/vnd.kling-nb.card+json"

STATES = """
    preparing uploading sending waiting outofsight downloading saved failed refused unknown
    vanished expired detached discarded deleted
"""
STAGES = """
    intended sending accepted refused unknown succeeded failed vanished saved expired discarded
    forgotten
"""

LEDGER = {
    "jobs": "number id fingerprint service model values take price_credits thumbnail callback_url "
    "cell stage owner task_id created_at updated_at sent_at accepted_at finished_at balance_before "
    "balance_after credits reason code result_url clip sources starred hidden notebook "
    "budget_before nonce answer watch balance_at result_urls title "
    "deleted_at panel",
    "events": "number job_id at stage text",
    "budgets": "service scope notebook limit_credits set_at",
    "uploads": "service sha256 mime_type url at",
    "notifications": "number nonce body at",
    "thumbnails": "number content",
}
LEDGER_INDICES = {
    "one_job_a_request",
    "jobs_by_fingerprint",
    "jobs_by_task",
    "events_by_job",
    "jobs_by_cost",
    "one_job_a_nonce",
    "jobs_with_results",
    "further_takes",
    "jobs_by_stage",
    "clips",
    "jobs_of_panels",
}
PAID = {"paid": "fingerprint folder at job_id task_id"}
DOORS = {"doors": "digest folder at"}
RATES = {"salt": "one salt", "slots": "account rate at", "holds": "account rate until"}
BOOKS = {
    "account": "id paid_in",
    "faults": "id name endpoint times_left argument",
    "leaks": "id path",
    "letters": "id task_id url kind due_at after_s tries claimed_until settled",
    "posts": "id letter task_id kind attempt started_at answered_at status words",
    "questions": "asker asked_at",
    "requests": "path number",
    "tasks": "task_id model input callback_url credits fate created_at ready_at ended_at clip "
    "fail_code fail_msg unseen_s",
    "uploads": "path sha256 mime_type size_bytes uploaded_at",
}

CLIP_KEYS = "path width_px height_px duration_s fps video_codec audio_codec size_bytes sha256"
SOURCE_KEYS = "source_sha256 name mime_type path url"
WATCH_KEYS = "began_at looks others_moved"
SLOT_KEYS = """
    fingerprint service model values take price_credits callback_url cell sources notebook task_id
    sent_at reason code result_url result_urls nonce answer starred hidden title id stage
    owner created_at updated_at budget_before panel
"""
CARD_KEYS = (
    "id fingerprint model service task_id state take file sha256 size_bytes embed cell "
    "price_credits credits created_at finished_at title"
)

RECORD_CLASSES = """
    kling-about kling-away kling-bad kling-body kling-calm kling-card kling-cell kling-code
    kling-copy kling-emulated kling-facts kling-fold kling-foot kling-good kling-head
    kling-headline kling-label kling-line kling-link kling-picture kling-place kling-playback
    kling-price kling-prompt kling-quote kling-record kling-room kling-root kling-rows kling-run
    kling-saved-only kling-say kling-screen kling-side kling-source kling-summary kling-task
    kling-title kling-value kling-warn kling-warning kling-whole
"""
RECORD_ATTRIBUTES = """
    data-kling-hub data-kling-job data-kling-place data-kling-state data-kling-version
"""
FOOT_ATTRIBUTES = """
    data-kling-at data-kling-do data-kling-job data-kling-late data-kling-text data-kling-turn
    data-kling-usual
"""

WORDS: list[tuple[type[anywidget.AnyWidget], str]] = [
    (Hub, "earlier hello seen show"),
    (Gallery, "check delete film hide leave list"),
    (Actions, "copy generate hear"),
    (Picker, "move piece refuse remove"),
    (Rows, "add move remove"),
    (Recents, ""),
]
"""The words that each script sends by itself; those of buttons are attributes."""

ENVIRONMENT = """
    KIE_API_KEY KIE_WEBHOOK_KEY KLING_NB_API_URL KLING_NB_EMULATOR_SECONDS
    KLING_NB_EMULATOR_WEBHOOK_KEY KLING_NB_FOLDER KLING_NB_MODE KLING_NB_RATE_LIMITS
    KLING_NB_SERVER_CALLBACKS KLING_NB_UPLOAD_URL
"""
COMMANDS = """
    balance jobs show resume adopt forget models emulate login budget spend panel doctor gallery
    folder pack slim quote recover listen help
"""
OPTIONS = """
    --callback --dry-run --duration --embed --image --model --no-sound --output --sound --take
    --wait -d -i -m -n -o -w
"""
PUBLIC = """
    CATALOGUE Clip Job Quote Session adopt balance budget clips configure default_session errors
    forget gallery generate image_to_video job listen load_ipython_extension pack panel quote
    recover resume run slim text_to_video unload_ipython_extension
"""
ERRORS = """
    AlreadyPaid AnswerLost BadRequest BudgetExceeded ClipDeleted ClipExpired ConfigurationError
    ContradictoryAnswer EndpointNotFound ForkedSession InsufficientCredits InvalidInput JobDetached
    JobFailed KeyLimitReached KlingError LedgerError Maintenance MediaError NoTrash NotSent Problem
    RateLimited ServerFault ServiceError TaskFailed TaskUnknown TaskVanished Unauthorized
    Unreachable UnreadableAnswer WaitInterrupted WaitTimeout WrongLength
"""


HEVC = Encoding("video/mp4", "hevc", "Main", "yuv420p", "")


def tables(path: Path) -> dict[str, str]:
    """Read the tables of a file with their columns, in their order."""
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        names = [name for (name,) in connection.execute(query)]
        return {
            name: " ".join(column[1] for column in connection.execute(f"PRAGMA table_info({name})"))
            for name in names
        }


def records() -> Iterator[str]:
    """Draw the saved card of every state, in every form, without its style sheet."""
    note = html.playback_note(HEVC, is_preview=True)
    player = html.poster_image(FACTS, TINY_JPEG) + note
    more = replace(
        FACTS,
        take=2,
        values=FACTS.values | {"prompt": "x" * 400},
        warnings=("an image is small",),
        title="Fox, take 2",
    )
    for facts in (FACTS, EMULATED, more):
        for state in EVERY:
            card = html.render_record(facts, state, now=NOW, player=player, file_href="a/b.mp4")
            place = html.render_container(card, hub_id="h", place_id="p", version=1)
            yield re.sub(r"<style>.*?</style>", "", place, flags=re.DOTALL)


def attributes(markup: str) -> set[str]:
    """Find the data attributes of HTML."""
    return set(re.findall(r"\b(data-[a-z-]+)=", markup))


@pytest.mark.parametrize(("state", "word"), list(zip(EVERY, STATES.split(), strict=True)))
def test_the_words_of_states(state: JobState, word: str) -> None:
    """A card writes them in its JSON and in its HTML."""
    bundle = card_bundle(FACTS, state)
    assert bundle[CARD_MIME]["cards"][0]["state"] == word
    assert f'data-kling-state="{word}"' in bundle["text/html"]


def test_the_stages_of_a_ledger() -> None:
    """They stand in the rows, in the events and in an index of the ledger."""
    assert [str(stage) for stage in Stage] == STAGES.split()


def test_the_scopes_of_a_budget() -> None:
    """They stand in the table of budgets, and are typed behind `--per`."""
    assert [str(scope) for scope in Scope] == ["notebook", "day", "folder"]


def test_the_tables_of_a_ledger(ledger: Ledger) -> None:
    """With every column and index."""
    ledger.open()
    path = ledger.folder / "ledger.sqlite3"
    assert tables(path) == LEDGER
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        assert {name for (name,) in connection.execute(query)} == LEDGER_INDICES


def test_the_tables_of_the_users_files(tmp_path: Path) -> None:
    """The index of paid requests, and the callback routes."""
    UserIndex(tmp_path / "paid.sqlite3").note("f", tmp_path, NOW)
    assert tables(tmp_path / "paid.sqlite3") == PAID
    CallbackRoutes(tmp_path / "doors.sqlite3").note("n", tmp_path, NOW)
    assert tables(tmp_path / "doors.sqlite3") == DOORS


def test_the_file_of_rate_limits(nothing_paid_before: Path) -> None:
    """Kernels of other versions share it."""
    budget = RateLimiter(Account("https://api.kie.ai"))
    asyncio.run(take_turn(budget.new_tasks))
    asyncio.run(take_turn(budget.status_requests))
    path = nothing_paid_before / "user state" / "kling_nb" / "rates.sqlite3"
    assert tables(path) == RATES
    with closing(sqlite3.connect(path)) as connection:
        rates = {rate for (rate,) in connection.execute("SELECT rate FROM slots")}
    assert rates == {"new tasks", "questions"}


def test_the_tables_of_the_emulator(tmp_path: Path) -> None:
    """Emulated tasks are resumed like real ones."""
    EmulatedAccount(tmp_path).balance()
    assert tables(tmp_path / "books.sqlite3") == BOOKS


def test_the_keys_inside_columns(tmp_path: Path) -> None:
    """A clip, a kept input and a balance watch are JSON."""
    clip = json.loads(str(encode_facts({"clip": CLIP}, tmp_path)["clip"]))
    assert list(clip) == CLIP_KEYS.split()
    sources = json.loads(
        encode_sources({"image": [StoredInput("ab", "a.png", "image/png")]}, tmp_path)
    )
    assert list(sources["image"][0]) == SOURCE_KEYS.split()
    assert list(encode_watch(WATCH)) == WATCH_KEYS.split()
    assert adopted_fingerprint("t1") == "adopted t1"


def test_the_file_of_a_request_that_is_sent(ledger: Ledger) -> None:
    """Blanks for the task id, then the columns of the row."""
    row = sent_row(ledger)
    slots = IdSlots(ledger.folder / "sending", ledger.folder)
    slots.allocate(row)
    (file,) = (ledger.folder / "sending").iterdir()
    slots.close()
    assert file.name == f"{row.id}.json"
    blanks, columns = file.read_text(encoding="utf-8").splitlines()
    assert blanks == '""'.ljust(511)
    assert set(json.loads(columns)) == set(SLOT_KEYS.split())


def test_the_bundle_of_a_card() -> None:
    """Its MIME types, and the keys of its JSON."""
    bundle = card_bundle(FACTS, EVERY[0])
    assert list(bundle) == ["text/html", "text/plain", CARD_MIME]
    assert list(bundle[CARD_MIME]) == ["version", "cards"]
    assert bundle[CARD_MIME]["version"] == 1
    assert list(bundle[CARD_MIME]["cards"][0]) == CARD_KEYS.split()


def test_the_marks_of_a_saved_card() -> None:
    """Later versions find its parts by class and attribute."""
    markup = "".join(records())
    classes = {name for given in re.findall(r'class="([^"]*)"', markup) for name in given.split()}
    assert classes == set(RECORD_CLASSES.split())
    assert attributes(markup) == set(RECORD_ATTRIBUTES.split())


def test_the_marks_of_what_is_drawn_below_a_card() -> None:
    """A page of an open notebook may have an older script."""
    feet = (html.render_actions(FACTS, state, now=NOW, status=html.CardStatus()) for state in EVERY)
    markup = "".join(feet)
    assert attributes(markup) == set(FOOT_ATTRIBUTES.split())
    words = set(re.findall(r'data-kling-do="(\w+)"', markup))
    assert words == {"copy", "detach", "file", "resume", "take"}


def test_the_marks_of_a_panel_and_a_gallery() -> None:
    """A living widget takes the place of what is saved."""
    mount = html.render_mount("", hub_id="h", model_id="m")
    assert mount == '<div class="kling-mount" data-kling-hub="h" data-kling-mount="m"></div>'


@pytest.mark.parametrize(("widget", "words"), WORDS)
def test_the_words_of_messages(widget: Any, words: str) -> None:
    """What the page sends to the kernel."""
    assert sorted(set(re.findall(r'\bdo: "(\w+)"', str(widget._esm)))) == words.split()


def test_the_variables_of_the_environment() -> None:
    """No other name of this kind stands in the package."""
    files = Path(kling_nb.__path__[0]).rglob("*.py")
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    assert set(re.findall(r"\bK(?:IE|LING_NB)_[A-Z_]+\b", text)) == set(ENVIRONMENT.split())


def test_the_words_of_the_magics(command: Commands) -> None:
    """`%kling WORD`, and the options of a `%%kling` cell, which notebooks are full of."""
    event = SimpleNamespace(line="%kling ", symbol="")
    assert command.complete(event) == COMMANDS.split()
    assert sorted(options_of(IMAGE_TO_VIDEO)) == OPTIONS.split()


@pytest.mark.usefixtures("session")
def test_the_public_names() -> None:
    """Scripts import them."""
    assert kling_nb.__all__ == PUBLIC.split()
    assert all(hasattr(kling_nb, name) for name in PUBLIC.split())
    errors = importlib.import_module("kling_nb.errors")
    assert errors.__all__ == ERRORS.split()
    assert kling_nb.errors is errors


def test_the_hooks_that_jupyter_calls() -> None:
    """A server's configuration names the package; Jupyter knows these names."""
    assert kling_nb._jupyter_server_extension_points() == [{"module": "kling_nb"}]
    for name in ("_load_jupyter_server_extension", "load_ipython_extension"):
        assert callable(getattr(kling_nb, name))
