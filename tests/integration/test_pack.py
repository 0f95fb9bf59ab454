"""Packing a notebook and slimming it: what goes in, what comes out, and that nothing is lost."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
import pytest

from kling_nb.core.job_state import Saved, Waiting
from kling_nb.display import html
from kling_nb.display.cards.metadata import CARD_MIME, read_card
from kling_nb.display.cards.mimebundle import card_bundle, join_bundles
from kling_nb.errors import InvalidInput
from kling_nb.jobs import default_session
from kling_nb.jobs.job import Job
from kling_nb.jobs.session import Session
from kling_nb.media import clips
from kling_nb.notebook.archive import pack as packing
from kling_nb.notebook.archive.clip_finder import ClipFinder
from kling_nb.notebook.archive.notebook_file import WIDGET_STATE, NotebookFile
from kling_nb.notebook.archive.pack import describe, pack, slim
from tests.support.records import record_of
from tests.support.reels import encoded
from tests.support.service import Open

PATIENCE_S = 20.0


@pytest.fixture
def job(session: Session) -> Job:
    """A job with a saved clip."""
    return made(session, "A red fox <b>runs</b>")


def made(session: Session, prompt: str, **values: Any) -> Job:
    """A job, once its clip is there."""
    job = session.text_to_video(prompt, **values)
    job.result(PATIENCE_S)
    return job


def clip_of(job: Job) -> Path:
    """The file of a job's clip."""
    return job.result(0).path


def save(*bundles: dict[str, Any]) -> Path:
    """Write a notebook with another display and these below it to the working directory."""
    path = Path.cwd() / "film.ipynb"
    displays = [{"text/plain": "mine", "text/html": "<b>\u2028mine</b>"}, *bundles]
    outputs = [nbformat.v4.new_output("display_data", data=data) for data in displays]
    cell = nbformat.v4.new_code_cell("%%kling\nx", outputs=outputs)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata={"mood": "calm"}), path)
    return path


def shown(job: Job, embed: Any = "auto") -> dict[str, Any]:
    """A job's display as it is saved."""
    return card_bundle(job.record, job.state, embed)


def cards(path: Path) -> list[html.Section]:
    """Every card of a notebook."""
    bundles = NotebookFile.read(path).bundles()
    return [
        section
        for data in bundles
        for section in html.find_sections("".join(data.get("text/html", "")))
    ]


def metadata_of(path: Path) -> list[Any]:
    """What the cards of a notebook record."""
    return [
        each
        for data in NotebookFile.read(path).bundles()
        for each in read_card(data.get(CARD_MIME))
    ]


def test_pack_puts_whole_clips_in(job: Job, tmp_path: Path) -> None:
    """Into a copy beside the notebook, which stays as it is."""
    path = save(shown(job, "never"))
    before = path.read_bytes()
    done = pack(path)
    assert done.path == tmp_path / "film.packed.ipynb"
    assert done.clips == [clip_of(job).name]
    assert (done.missing, done.restored) == ([], [])
    (card,) = cards(done.path)
    assert card.video == clip_of(job).read_bytes()
    (metadata,) = metadata_of(done.path)
    assert metadata.embed == "whole"
    assert path.read_bytes() == before
    assert done.size_before_bytes == len(before)
    assert done.size_after_bytes == done.path.stat().st_size > len(before)


def test_pack_tells_of_clips_that_not_every_browser_plays(session: Session) -> None:
    """A preview goes in, and a line says to send the file."""
    path = session.settings.folder / "20261122-140500-k7f2qd.mp4"
    path.parent.mkdir()
    path.write_bytes(encoded("libx265"))
    at = datetime(2026, 11, 22, tzinfo=UTC)
    facts = record_of("k7f2qd", "kling-2.6/text-to-video", "A fox", at)
    state = Saved("task", clips.probe_clip(path), None, at)
    done = pack(save(card_bundle(facts, state, "never")))
    assert (done.clips, done.previews, done.missing) == ([], [path.name], [])
    (card,) = cards(done.path)
    assert card.video == clips.preview(path)
    assert [each.embed for each in metadata_of(done.path)] == ["preview"]
    assert f"Send these files too: {path.name}" in "\n".join(describe("pack", done))
    assert slim(done.path).previews == []


def test_slim_removes_dead_widgets_of_headless_runs(session: Session, tmp_path: Path) -> None:
    """Also from a notebook without a card; `pack` leaves them."""
    state = {"version_major": 2, "version_minor": 0, "state": {"dead": {"state": {}}}}
    path = tmp_path / "film.ipynb"
    book = nbformat.v4.new_notebook(metadata={"widgets": {WIDGET_STATE: state}})
    nbformat.write(book, path)
    done = slim(path)
    assert done.widgets == 1
    assert "widgets" not in nbformat.read(done.path, 4).metadata
    assert "Removed the saved state of 1 widget that no output shows" in describe("slim", done)
    with pytest.raises(InvalidInput, match="has no clip"):
        pack(path)


def test_slim_leaves_posters(job: Job, tmp_path: Path) -> None:
    """Less than 100 kB for each clip, with a link to its file."""
    path = save(shown(job, "always"))
    done = slim(path)
    assert done.path == tmp_path / "film.slim.ipynb"
    (card,) = cards(done.path)
    assert card.video == b""
    assert card.poster.startswith(b"\xff\xd8")
    assert f'href="clips/{clip_of(job).name}"' in card.markup
    assert metadata_of(done.path)[0].embed == "poster"
    assert done.size_after_bytes < 100_000


def test_a_poster_of_any_size_does_not_get_in(job: Job) -> None:
    """A large still beside the clip is replaced by a new poster."""
    clip_of(job).with_suffix(".jpg").write_bytes(b"\xff\xd8" + bytes(1_000_000))
    done = slim(save(shown(job, "always")))
    assert done.size_after_bytes < 100_000


def test_there_and_back_gives_the_same_bytes(job: Job, tmp_path: Path) -> None:
    """Pack, slim, pack: the clip is the file, bit by bit, and the file was not touched."""
    path = save(shown(job))
    digest = hashlib.sha256(clip_of(job).read_bytes()).hexdigest()
    packed = pack(path).path
    slimmed = slim(packed).path
    again = pack(slimmed, to=tmp_path / "again.ipynb").path
    for each in (packed, again):
        (card,) = cards(each)
        assert hashlib.sha256(card.video).hexdigest() == digest
    assert again.read_bytes() == packed.read_bytes()
    assert hashlib.sha256(clip_of(job).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("act", [pack, slim])
def test_all_else_stays_byte_by_byte(job: Job, act: Callable[..., Any]) -> None:
    """Metadata, ids, other outputs, and the order of lines."""
    path = save(shown(job, "always"), {"image/png": "AAAA"})
    done = act(path)
    old, new = (json.loads(each.read_bytes()) for each in (path, done.path))
    ours = [each["cells"][0]["outputs"].pop(1) for each in (old, new)]
    assert new == old
    assert [set(each["data"]) for each in ours] == [set(ours[0]["data"])] * 2
    assert ours[0]["metadata"] == ours[1]["metadata"]


def test_slim_first_makes_a_file_of_what_is_only_in_the_notebook(job: Job) -> None:
    """The very clip, in the folder of clips, and packing finds it there."""
    path = save(shown(job, "always"))
    content, name = clip_of(job).read_bytes(), clip_of(job).name
    clip_of(job).unlink()
    done = slim(path)
    assert done.restored == done.clips == [name]
    assert clip_of(job).read_bytes() == content
    assert cards(pack(done.path).path)[0].video == content


def test_a_file_that_was_edited_is_not_touched(job: Job) -> None:
    """The clip as it was made gets another name, by which it is found again."""
    path = save(shown(job, "always"))
    content = clip_of(job).read_bytes()
    edited = content[:-1] + bytes([content[-1] ^ 1])
    clip_of(job).write_bytes(edited)
    done = slim(path)
    digest = hashlib.sha256(content).hexdigest()
    assert done.restored == [f"{clip_of(job).stem}-{digest[:8]}.mp4"]
    assert clip_of(job).read_bytes() == edited
    assert cards(pack(done.path).path)[0].video == content


def test_a_clip_that_was_fetched_again_is_another_one(job: Job) -> None:
    """What the notebook holds is kept beside it; a card without its own clip gets the new one."""
    content = clip_of(job).read_bytes()
    bundle = json.loads(
        json.dumps(shown(job, "always")).replace(
            base64.b64encode(content).decode("ascii"),
            base64.b64encode(content + b"x").decode("ascii"),
        )
    )
    bundle[CARD_MIME]["cards"][0] |= {
        "sha256": hashlib.sha256(content + b"x").hexdigest(),
        "size_bytes": len(content) + 1,
    }
    path = save(bundle)
    done = slim(path)
    assert [(clip_of(job).parent / name).read_bytes() for name in done.restored] == [content + b"x"]
    assert clip_of(job).read_bytes() == content
    assert cards(pack(done.path).path)[0].video == content + b"x"
    (clip_of(job).parent / done.restored[0]).unlink()
    assert cards(pack(done.path, replace=True).path)[0].video == content
    assert cards(pack(path).path)[0].video == content + b"x", "it is inside already"


def test_a_preview_of_a_clip_that_is_gone_stays(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is all that is left, and the clip is named."""
    monkeypatch.setattr(clips, "WHOLE_BYTES", 0)
    monkeypatch.setattr(clips, "make_preview", lambda path, max_bytes: path.read_bytes()[:-1])
    path = save(shown(job))
    name = clip_of(job).name
    clip_of(job).unlink()
    for act in (slim, pack):
        done = act(path)
        assert (done.clips, done.missing, done.restored) == ([], [name], [])
        assert cards(done.path) == cards(path)
        assert name in "\n".join(describe("slim", done))


def test_a_packed_card_needs_no_file(job: Job) -> None:
    """What is whole inside is not missing."""
    path = save(shown(job, "always"))
    clip_of(job).unlink()
    done = pack(path)
    assert (done.clips, done.missing) == ([clip_of(job).name], [])


def test_a_card_saved_while_its_job_ran_becomes_the_clip(job: Job) -> None:
    """The ledger knows how it went on; HTML, text and record tell the same."""
    waiting = Waiting("t" * 32, "generating", job.record.created_at, 8.0, 11.0)
    path = save(card_bundle(job.record, waiting))
    done = pack(path)
    (card,) = cards(done.path)
    assert card.state == metadata_of(done.path)[0].state == "saved"
    assert card.video == clip_of(job).read_bytes()
    (data,) = [data for data in NotebookFile.read(done.path).bundles() if CARD_MIME in data]
    assert "H.264" in "".join(data["text/plain"])


def test_takes_in_one_output_are_packed_in_their_order(session: Session, job: Job) -> None:
    """Each with its own clip."""
    second = made(session, "Another one", duration=10)
    bundle = join_bundles([shown(job, "never"), shown(second, "never")])
    done = pack(save(bundle))
    assert [card.video for card in cards(done.path)] == [
        clip_of(each).read_bytes() for each in (job, second)
    ]
    assert [each.id for each in metadata_of(done.path)] == [job.id, second.id]
    assert clip_of(job).read_bytes() != clip_of(second).read_bytes()


def test_a_card_of_another_folder_gets_its_clip_by_its_hash(
    job: Job, tmp_path: Path, open_session: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger does not know it; a file with that hash is there under another name."""
    path = save(shown(job, "never"))
    elsewhere = open_session(folder=tmp_path / "elsewhere")
    monkeypatch.setattr(default_session, "_current", elsewhere)
    assert pack(path, to="gone.ipynb").missing == [clip_of(job).name]
    (tmp_path / "elsewhere" / "renamed.mp4").write_bytes(clip_of(job).read_bytes())
    done = pack(path)
    (card,), (old,) = cards(done.path), cards(path)
    assert card.video == clip_of(job).read_bytes()
    assert card.markup == old.with_player(card.player), "only the player changes"
    assert 'aria-label="Clip: A red fox &lt;b&gt;runs&lt;/b&gt;"' in card.player
    back = slim(done.path)
    assert cards(back.path)[0].video == b""
    assert metadata_of(back.path)[0].sha256 == metadata_of(path)[0].sha256


def test_the_same_id_of_another_folder_is_another_job(session: Session, job: Job) -> None:
    """The fingerprint decides; the clip of another job is not embedded."""
    stranger = card_bundle(replace(job.record, fingerprint="f" * 64), job.state, "never")
    bundle = json.loads(json.dumps(stranger))
    bundle[CARD_MIME]["cards"][0]["sha256"] = "1" * 64
    done = pack(save(bundle))
    assert done.clips == []
    assert cards(done.path)[0].video == b""


def test_cards_without_a_record_are_known_by_their_id(job: Job) -> None:
    """As the first version saved them, and inside another output that keeps its text."""
    bundle = shown(job, "never") | {"text/plain": "a panel"}
    del bundle[CARD_MIME]
    done = pack(save(bundle))
    assert cards(done.path)[0].video == clip_of(job).read_bytes()
    *_, data = NotebookFile.read(done.path).bundles()
    assert "".join(data["text/plain"]) == "a panel"


def test_a_strangers_card_is_not_filled_with_my_clip(job: Job) -> None:
    """It has the id of a job of mine and nothing else: it stays as it is, and is named."""
    bundle = shown(job, "never")
    del bundle[CARD_MIME]
    bundle["text/html"] = bundle["text/html"].replace("A red fox", "A grey fox")
    path = save(bundle)
    for act in (pack, slim):
        done = act(path)
        assert (done.clips, done.missing, done.unproven) == ([], [], [job.id])
        assert cards(done.path) == cards(path)
        assert f"may be of other jobs: {job.id}" in "\n".join(describe("pack", done))


def test_slim_in_place_keeps_what_was_saved_meanwhile(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page saves an hour of work while the cards are being drawn: it is not written over."""
    path = save(shown(job, "always"))
    real = packing.redraw_card

    def draw(*args: Any, **options: Any) -> Any:
        book = json.loads(path.read_bytes())
        book["cells"][0]["source"] = "an hour of work"
        path.write_text(json.dumps(book))
        return real(*args, **options)

    monkeypatch.setattr(packing, "redraw_card", draw)
    with pytest.raises(InvalidInput, match=r"film\.ipynb was saved by another program"):
        slim(path, in_place=True)
    assert "an hour of work" in path.read_text()
    assert sorted(each.name for each in tmp_path.glob("*ipynb*")) == ["film.ipynb"]
    assert slim(path).path.exists(), "a copy is not concerned"


def test_slim_in_place_changes_the_notebook_itself(job: Job) -> None:
    """Only with `in_place`; the summary warns about an open page."""
    bundle = shown(job, "always")
    bundle["text/html"] = html.render_container(
        bundle["text/html"], hub_id="hub-1", place_id="p", version=2
    )
    path = save(bundle)
    copy = slim(path)
    assert "hub-1" not in copy.path.read_text(encoding="utf-8"), "a copy is no kernel's place"
    done = slim(path, in_place=True)
    assert done.path == path
    assert cards(path)[0].video == b""
    assert "hub-1" in path.read_text(encoding="utf-8")
    assert "reload it from disk" in describe("slim", done)[-1]


def test_nothing_is_overwritten_unasked(job: Job, tmp_path: Path) -> None:
    """Neither the last copy nor the notebook itself; `to` and `in_place` exclude each other."""
    with pytest.raises(InvalidInput, match="either --to or --in-place"):
        slim("film.ipynb", to="x.ipynb", in_place=True)
    path = save(shown(job))
    pack(path)
    with pytest.raises(InvalidInput, match=r"packed\.ipynb' exists"):
        pack(path)
    with pytest.raises(InvalidInput, match="is the notebook itself"):
        pack(path, to=path, replace=True)
    pack(path, replace=True)
    (tmp_path / "film.slim.ipynb").touch()
    clip_of(job).unlink()
    with pytest.raises(InvalidInput, match=r"slim\.ipynb' exists"):
        slim(path)
    assert not clip_of(job).exists(), "refused before anything was done"


def test_a_notebook_without_cards_is_refused(session: Session, tmp_path: Path) -> None:
    """Perhaps it was not saved since."""
    path = save()
    with pytest.raises(InvalidInput, match=r"film\.ipynb as saved has no clip"):
        pack(path)
    assert not (tmp_path / "film.packed.ipynb").exists()


def test_the_current_notebook_is_taken_where_none_is_named(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the front end tells it; a folder as the place keeps the usual name."""
    path = save(shown(job))
    monkeypatch.setenv("JPY_SESSION_NAME", str(path))
    (tmp_path / "out").mkdir()
    done = pack(to=tmp_path / "out")
    assert done.path == tmp_path / "out" / "film.packed.ipynb"


def test_links_lead_from_the_new_notebook(job: Job, tmp_path: Path) -> None:
    """Wherever the kernel works."""
    path = save(shown(job, "always"))
    (tmp_path / "out").mkdir()
    done = slim(path, to=tmp_path / "out")
    assert f'href="../clips/{clip_of(job).name}"' in cards(done.path)[0].markup


def test_links_are_quoted(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder may be called what an address would read in another way."""
    odd = tmp_path / "take #1, 100%"
    odd.mkdir()
    path = save(shown(job, "always"))
    monkeypatch.chdir(odd)  # the kernel's own links are quoted as well, and found nevertheless
    down = slim(path, to=odd / "down.ipynb")
    assert f'href="../clips/{clip_of(job).name}"' in cards(down.path)[0].markup
    moved = odd / clip_of(job).name
    clip_of(job).rename(moved)
    monkeypatch.setattr(ClipFinder, "find", lambda *_: moved)
    up = slim(path, to=tmp_path / "up.ipynb")
    href = f"take%20%231%2C%20100%25/{moved.name}"
    assert f'href="{href}"' in cards(up.path)[0].markup


def test_a_notebook_too_large(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do; nothing is written. Slimming such a notebook is how to get out of it."""
    path = save(*[shown(job, "always")] * 3)
    monkeypatch.setattr(packing, "_LARGEST_BYTES", 2 * clip_of(job).stat().st_size)
    with pytest.raises(InvalidInput, match="no browser can open it"):
        pack(path)
    assert list(tmp_path.glob("*.ipynb")) == [path]
    assert slim(path).clips == [clip_of(job).name]


@pytest.mark.parametrize(
    ("to", "said"),
    [("copy", "ends in .ipynb"), ("copy.txt", "ends in .ipynb"), ("a/b.ipynb", "no folder")],
)
def test_a_place_for_no_notebook_is_refused(job: Job, tmp_path: Path, to: str, said: str) -> None:
    """Before anything is done: Jupyter would not open it, or it cannot be made."""
    path = save(shown(job))
    for act in (pack, slim):
        with pytest.raises(InvalidInput, match=said):
            act(path, to=tmp_path / to)


def test_the_summary(job: Job) -> None:
    """How many, how large, and as of when."""
    path = save(shown(job))
    os.utime(path, (0, 86_400 * 20))
    title, sizes, when = describe("pack", pack(path))
    assert title == "film.packed.ipynb: 1 clip embedded"
    assert sizes.count("kB") == 2
    assert "21 January at" in when
