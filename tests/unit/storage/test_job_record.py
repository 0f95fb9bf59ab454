"""Test `job_record`: values are written to columns and read back."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from kling_nb.core.charge_evidence import BalanceHistory, TimedBalance
from kling_nb.core.job_state import ClipFacts, Stage
from kling_nb.core.stored_input import StoredInput
from kling_nb.storage.job_record import (
    COLUMNS,
    JobRecord,
    encode_facts,
    encode_record,
    encode_sources,
    encode_time,
    parse_clip,
    parse_record,
    parse_sources,
)

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def clip_at(path: Path) -> ClipFacts:
    """Return the facts of a clip."""
    return ClipFacts(str(path), 1280, 720, 5.04, 24.0, "h264", "aac", 12345, "ab" * 32)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"colour": "red"}, "'colour' is not a fact of a job; allowed: task_id"),
        ({"stage": "saved"}, "'stage' is not a fact"),
        ({"owner": "me"}, "'owner' is not a fact"),
        ({"credits": "55"}, "credits: '55' is a str, not int or float or NoneType"),
        ({"reason": None}, "reason: None is a NoneType, not str"),
        ({"clip": "fox.mp4"}, "clip: 'fox.mp4' is a str, not ClipFacts or NoneType"),
    ],
)
def test_facts_that_no_row_has(facts: dict[str, object], message: str) -> None:
    """An unknown fact and a wrong type raise a TypeError that names it and what is allowed."""
    with pytest.raises(TypeError, match=message):
        encode_facts(facts, Path("/clips"))


def test_a_time_without_a_zone_is_refused() -> None:
    """A naive time would be shifted by this machine's time zone."""
    with pytest.raises(ValueError, match=r"2026-11-20T00:00:00 has no time zone; give an aware"):
        encode_facts({"finished_at": datetime(2026, 11, 20)}, Path("/clips"))


def test_times_are_saved_in_utc() -> None:
    """Columns sort as times do, since SQL compares texts, whole seconds with fractions, too."""
    elsewhere = NOON.astimezone(timezone(timedelta(hours=-7)))
    back = datetime.fromisoformat(encode_time(elsewhere))
    assert back == NOON
    assert back.tzinfo is UTC
    times = [NOON, NOON + timedelta(microseconds=1), NOON + timedelta(seconds=1)]
    assert sorted(map(encode_time, times)) == list(map(encode_time, times))


def test_facts_that_sqlite_would_refuse() -> None:
    """A broken surrogate in a server's message is replaced; credits may be unknown."""
    assert encode_facts({"reason": "flagged \ud83d", "credits": None}, Path("/clips")) == {
        "reason": "flagged ?",
        "credits": None,
    }


def test_a_prompt_with_half_a_character_is_kept() -> None:
    """JSON escapes it, so that the user's own text comes back unchanged."""
    prompt = {"prompt": "fox \ud83d"}
    values = encode_record(JobRecord("f", "live", "m", prompt, 1, None), Path("/clips"))["values"]
    assert isinstance(values, str)
    assert values.isascii()


@pytest.mark.parametrize("value", [b"png", Path("fox.png"), float("nan")])
def test_values_are_jsons(value: object) -> None:
    """Values that JSON does not have are refused, such as images."""
    with pytest.raises((TypeError, ValueError)):
        encode_record(JobRecord("f", "live", "m", {"image": value}, 1, None), Path("/clips"))


@pytest.mark.parametrize(
    ("path", "stored", "moved"),
    [
        ("/clips/day/fox.mp4", "day/fox.mp4", "/elsewhere/day/fox.mp4"),
        ("/out.mp4", "/out.mp4", "/out.mp4"),
    ],
)
def test_a_clip_below_the_folder_has_a_relative_path(path: str, stored: str, moved: str) -> None:
    """The folder may be moved; a path outside of it is absolute."""
    column = encode_facts({"clip": clip_at(Path(path))}, Path("/clips"))["clip"]
    assert f'"path": "{stored}"' in str(column)
    assert parse_clip(str(column), Path("/elsewhere")) == clip_at(Path(moved))


def test_a_folder_behind_a_link(tmp_path: Path) -> None:
    """A clip whose path was resolved is still inside a folder that is a symbolic link."""
    (tmp_path / "real").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real", target_is_directory=True)
    column = encode_facts({"clip": clip_at(tmp_path / "real" / "fox.mp4")}, link)["clip"]
    assert parse_clip(str(column), link) == clip_at(link / "fox.mp4")


def test_a_clip_without_a_hash() -> None:
    """A version that did not hash clips wrote it."""
    column = (
        '{"path": "fox.mp4", "width_px": 1280, "height_px": 720, "duration_s": 5.04, "fps": 24.0, '
        '"video_codec": "h264", "audio_codec": "aac", "size_bytes": 12345}'
    )
    assert parse_clip(column, Path("/clips")) == replace(clip_at(Path("/clips/fox.mp4")), sha256="")


def test_stored_inputs_move_with_the_folder(tmp_path: Path) -> None:
    """A stored file has a relative path, an input that was not stored none."""
    kept = StoredInput("ab" * 32, "fox.png", "image/png", str(tmp_path / "pictures" / "cd.png"))
    lost = StoredInput(
        "ef" * 32, "https://x.example/a.png", "image/png", url="https://x.example/a.png"
    )
    column = encode_sources({"image": [kept, lost]}, tmp_path)
    assert '"path": "pictures/cd.png"' in column
    moved = replace(kept, path="/elsewhere/pictures/cd.png")
    assert parse_sources(column, Path("/elsewhere")) == {"image": (moved, lost)}


SHORT = JobRecord(
    fingerprint="f" * 64,
    service="live",
    model="kling-2.6/text-to-video",
    values={"prompt": "A red fox"},
    take=1,
    price_credits=None,
    id="c0ffee12",
    stage=Stage.INTENDED,
    owner="",
    created_at=NOON,
    updated_at=NOON,
)
FULL = JobRecord(
    fingerprint="f" * 64,
    service="live",
    model="kling-2.6/image-to-video",
    values={"prompt": "A red fox", "duration": 5},
    take=2,
    price_credits=55.0,
    thumbnail=b"jpeg",
    callback_url="https://x.example/y",
    cell="%%kling",
    sources={"image": (StoredInput("ab" * 32, "a.png", "image/png", "/clips/pictures/a.png"),)},
    notebook="a.ipynb",
    id="c0ffee12",
    stage=Stage.SAVED,
    owner="session",
    task_id="t1",
    created_at=NOON,
    updated_at=NOON + timedelta(seconds=5),
    sent_at=NOON + timedelta(seconds=1),
    accepted_at=NOON + timedelta(seconds=2),
    finished_at=NOON + timedelta(seconds=3),
    balance_before=5916.0,
    balance_after=5861.5,
    credits=54.5,
    reason="saved",
    code="200",
    result_url="https://x.example/a.mp4",
    clip=clip_at(Path("/clips/fox.mp4")),
    starred=True,
    hidden=True,
    budget_before=100.0,
    nonce="n1",
    answer="{}",
    watch=BalanceHistory(NOON, (TimedBalance(0.0, 5916.0), TimedBalance(15.0, 5861.5)), True),
    balance_at=NOON - timedelta(seconds=1),
    result_urls=("https://x.example/a.mp4", "https://x.example/b.mp4"),
    title="Fox, take 2",
    panel="cell 1",
    deleted_at=NOON + timedelta(days=1),
)


@pytest.mark.parametrize("row", [SHORT, FULL, replace(FULL, watch=BalanceHistory(NOON))])
def test_a_whole_record_is_read_as_it_was_written(row: JobRecord) -> None:
    """Every field comes back from plain values, which SQLite and JSON can hold."""
    columns = encode_record(row, Path("/clips"))
    assert all(type(value) in {str, bytes, int, float, type(None)} for value in columns.values())
    assert parse_record(columns, Path("/clips")) == row


def test_every_field_is_in_the_full_record() -> None:
    """A new field has to be added above: none of its values is the default."""
    optional = [part for part in fields(JobRecord) if part.name in COLUMNS and has_default(part)]
    assert [part.name for part in optional if getattr(FULL, part.name) == part.default] == []


def has_default(part: Field[object]) -> bool:
    """Return whether a record may be created without the field."""
    return part.default is not MISSING or part.default_factory is not MISSING


def test_a_record_of_an_older_version_has_fewer_columns() -> None:
    """Missing fields have their defaults."""
    columns = encode_record(SHORT, Path("/clips"))
    older = {name: value for name, value in columns.items() if name not in {"watch", "result_urls"}}
    assert parse_record(older, Path("/clips")) == SHORT


@pytest.mark.parametrize(("name", "value"), [("take", "2"), ("owner", None), ("stage", "sent")])
def test_a_field_of_the_wrong_type_is_no_column(name: str, value: object) -> None:
    """Such a record is not written."""
    with pytest.raises(TypeError, match=name):
        encode_record(replace(FULL, **{name: value}), Path("/clips"))  # type: ignore[arg-type]
