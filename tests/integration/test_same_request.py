"""Different spellings and versions of a request have matching fingerprints."""

from __future__ import annotations

import json
import sqlite3
import unicodedata
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kling_nb.core.job_state import Stage
from kling_nb.errors import AlreadyPaid
from kling_nb.jobs.other_folders import OtherFolders
from kling_nb.jobs.session import Session
from kling_nb.models.catalog import CATALOGUE, TEXT_TO_VIDEO
from kling_nb.models.clip_request import ClipRequest, fingerprint, fingerprints, media_of
from kling_nb.models.spec import validate
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger
from kling_nb.storage.user_index import UserIndex
from tests.support.sample_requests import SHOTS, given_of
from tests.support.service import Open, World

PATIENCE_S = 30.0
PROMPT = "A fox in a café"
FAMILY = f"{PROMPT} \U0001f468\u200d\U0001f469\u200d\U0001f467"
SAME = {
    "NFD": unicodedata.normalize("NFD", PROMPT),
    "no-break spaces": PROMPT.replace(" ", "\u00a0"),
    "a zero-width space": PROMPT.replace("fox", "f\u200box"),
    "a joiner": PROMPT.replace("fox", "f\u200dox"),
    "a byte order mark": "\ufeff" + PROMPT,
    "NUL": PROMPT + "\0",
    "a tab": PROMPT.replace(" in", "\tin"),
}
GOLDEN = "02a6f321e25194561f38384fbdf5f5b3fc2fa7c178cd171e88fdeb55afe6b386"
EARLIER: tuple[tuple[str, Any, str, str], ...] = (
    (SAME["NFD"], 1, SAME["NFD"],
     "e0fa5fd27d2d2aed7473dcb0586bfb4cf6237d5f5864aa288fc3ed7ba92370cf"),
    (PROMPT, 1, SAME["NFD"], "e0fa5fd27d2d2aed7473dcb0586bfb4cf6237d5f5864aa288fc3ed7ba92370cf"),
    (
        SAME["no-break spaces"], 1, SAME["no-break spaces"],
        "31755812dc13ab1a4120471e4dcb90670b0d53858841d9a71005e9ded94fa254",
    ),
    (
        SAME["a zero-width space"], 1, SAME["a zero-width space"],
        "ab0ebdff7c62de5f4b15a95b43024e304f80cd2046fcdffe405402986af0d852",
    ),
    (SAME["NUL"], 1, SAME["NUL"],
     "184e9b8bd91e1c185a1947ab85aec82c9c5d6eef46f2508d1b720a1cc87c7b0b"),
    (FAMILY, 1, FAMILY, "b90104d8db95f205df42c6621f3b9365538ab1f834a699f95724e5518b8cf343"),
    (PROMPT, True, PROMPT, "aec3764d2f61c40d8e62db697f015b268f34acef69f3a252086428a50dfd6c1d"),
    (PROMPT, 1, PROMPT, "aec3764d2f61c40d8e62db697f015b268f34acef69f3a252086428a50dfd6c1d"),
)  # fmt: skip
"""Prompt and take as given now; prompt and fingerprint as commit 0c85936 noted them on the
emulator, of the same request and of another spelling that people are likely to have used."""


def names_of(prompt: str, take: int = 1) -> tuple[str, ...]:
    """Every fingerprint of a text-to-video request on the emulator."""
    given = {"prompt": prompt}
    values = validate(TEXT_TO_VIDEO, given)
    take = ClipRequest(TEXT_TO_VIDEO, given, take).take
    return fingerprints(TEXT_TO_VIDEO, values, {}, service="emulator", take=take, given=given)


@pytest.mark.parametrize("prompt", SAME.values(), ids=SAME.keys())
def test_what_looks_the_same_is_not_paid_twice(session: Session, prompt: str) -> None:
    """The current fingerprint is that of the plain text, which is the one it always had."""
    assert names_of(prompt)[0] == names_of(PROMPT)[0] == GOLDEN
    first = session.text_to_video(PROMPT)
    assert session.text_to_video(prompt).id == first.id
    assert session.emulator.account.count_tasks() == 1


@pytest.mark.parametrize("take", [True, np.int64(1), np.uint8(1)], ids=str)
def test_a_take_is_the_number_it_equals(session: Session, take: Any) -> None:
    """`take=True` is take 1."""
    first = session.text_to_video(PROMPT)
    assert session.text_to_video(PROMPT, take=take).id == first.id
    assert first.record.take == 1


@pytest.mark.parametrize(("prompt", "take", "noted", "earlier"), EARLIER)
def test_earlier_fingerprints_are_known(prompt: str, take: Any, noted: str, earlier: str) -> None:
    """The current one comes first; each earlier one is among the others."""
    current, *others = names_of(prompt, take)
    assert current != earlier
    assert earlier in others


def test_a_plain_request_has_few_fingerprints() -> None:
    """What earlier versions would have named alike is looked up once."""
    assert len(names_of("A red fox")) == 2
    assert len(names_of("A red fox", 2)) == 1


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_current_fingerprint_is_the_first(name: str) -> None:
    """Of every model, texts inside records among them."""
    spec = CATALOGUE[name]
    given = given_of(spec)
    values = validate(spec, given)
    hashes = {path: ["ab" * 32] * len(m.given) for path, m in media_of(spec, values).items()}
    tuples = {path: [(each,) for each in found] for path, found in hashes.items()}
    for take in (1, 2):
        found = fingerprints(spec, values, tuples, service="live", take=take, given=given)
        assert found[0] == fingerprint(spec, values, hashes, service="live", take=take)


@pytest.mark.parametrize("change", SAME)
def test_texts_in_records_are_compared_alike(change: str) -> None:
    """A shot's prompt is a prompt; its earlier spelling is looked up, also given as JSON."""
    spec = CATALOGUE["kling-3.0/video"]
    plain = [{**SHOTS[0], "prompt": PROMPT}, SHOTS[1]]
    odd = [{**SHOTS[0], "prompt": SAME[change]}, SHOTS[1]]

    def names(shots: object) -> tuple[str, ...]:
        given: dict[str, object] = {"shots": shots}
        values = validate(spec, given)
        return fingerprints(spec, values, {}, service="live", take=1, given=given)

    assert names(odd)[0] == names(json.dumps(odd))[0] == names(plain)[0]
    assert names(odd) == names(json.dumps(odd))
    assert set(names(odd)) - set(names(plain)) or change == "NFD"


def make_earlier(session: Session, job_id: str, name: str, prompt: str = PROMPT) -> None:
    """Let the ledger have a request as an earlier version noted it."""
    with closing(sqlite3.connect(session.ledger.folder / "ledger.sqlite3")) as db, db:
        change = """UPDATE jobs SET fingerprint = ?, "values" = json_set("values", '$.prompt', ?)"""
        db.execute(f"{change} WHERE id = ?", (name, prompt, job_id))


@pytest.mark.parametrize(("prompt", "take", "noted", "earlier"), EARLIER)
def test_a_request_of_an_earlier_version_is_answered(
    open_session: Open, prompt: str, take: Any, noted: str, earlier: str
) -> None:
    """The cell costs nothing, a quote says so, and another take is the next one."""
    session = open_session()
    first = session.text_to_video(prompt)
    first.result(PATIENCE_S)
    make_earlier(session, first.id, earlier, noted)
    session = open_session()
    assert session.quote(ClipRequest(TEXT_TO_VIDEO, {"prompt": prompt}, take)).existing is not None
    again = session.text_to_video(prompt, take=take)
    assert again.id == first.id
    again.result(PATIENCE_S)
    assert again.another_take().record.take == 2
    assert session.another_take(first.id).record.take == 3


def test_the_next_take_counts_those_of_an_earlier_version(open_session: Open) -> None:
    """A second take that is known by its earlier fingerprint is not made again."""
    session = open_session()
    jobs = [session.text_to_video(PROMPT, take=take) for take in (1, 2)]
    for job in jobs:
        job.result(PATIENCE_S)
    make_earlier(session, jobs[1].id, names_of(PROMPT, 2)[1])
    assert session.another_take(jobs[0].id).record.take == 3


def test_the_ledger_asks_for_all_fingerprints(ledger: Ledger) -> None:
    """In the transaction that would note a new request; the row keeps the name it has."""
    old = JobRecord("a" * 64, "live", TEXT_TO_VIDEO.name, {}, 1, 55.0)
    row, _ = ledger.intend(old)
    new = replace(old, fingerprint="b" * 64, earlier_fingerprints=("c" * 64, "a" * 64))
    assert ledger.intend(new) == (row, False)
    assert ledger.blocking(*new.fingerprints) == row
    assert ledger.blocking("b" * 64, "c" * 64) is None
    ledger.advance(row.id, Stage.DISCARDED)
    noted, is_new = ledger.intend(new)
    assert (noted.fingerprint, is_new) == ("b" * 64, True)


def test_other_folders_are_asked_for_all_fingerprints(world: World, tmp_path: Path) -> None:
    """What an earlier version paid for elsewhere is not paid for here."""
    index = UserIndex(tmp_path / "paid.sqlite3")
    index.note("a" * 64, tmp_path / "elsewhere", world.clock())
    intent = JobRecord("b" * 64, "live", TEXT_TO_VIDEO.name, {}, 1, 55.0)
    here = OtherFolders(index, world.ledger, "live")
    here.refuse_paid(intent)
    with pytest.raises(AlreadyPaid, match="elsewhere"):
        here.refuse_paid(replace(intent, earlier_fingerprints=("a" * 64,)))


def test_a_claim_asks_for_all_fingerprints(world: World, tmp_path: Path) -> None:
    """Before it is sent, too; a take that an earlier version paid for is not offered as free."""
    index = UserIndex(tmp_path / "paid.sqlite3")
    earlier = {1: "a" * 64, 2: "c" * 64, 3: "d" * 64}
    for take in (1, 2):
        index.note(earlier[take], tmp_path / "elsewhere", world.clock())
    row, _ = world.ledger.intend(JobRecord("1" * 64, "live", TEXT_TO_VIDEO.name, {}, 1, 55.0))
    here = OtherFolders(index, world.ledger, "live")
    with pytest.raises(AlreadyPaid, match=r"elsewhere(.|\n)*--take 3"):
        here.claim(row, world.clock(), lambda take: [f"{take}" * 64, earlier[take]])
