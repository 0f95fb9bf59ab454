"""One card drawn anew: from the ledger, or with only its player changed."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from kling_nb.display.cards.metadata import CARD_MIME, CardMetadata, read_card
from kling_nb.display.cards.mimebundle import card_bundle
from kling_nb.display.html import Section, find_sections
from kling_nb.jobs.job import Job
from kling_nb.media import clips
from kling_nb.notebook.archive.redraw import redraw_card, whole_clip
from kling_nb.storage.job_record import JobRecord
from tests.support.reels import encoded
from tests.support.service import Open

Card = tuple[Section, CardMetadata, JobRecord, Path]


@pytest.fixture
def job(open_session: Open) -> Job:
    """A job with a saved clip."""
    job: Job = open_session().text_to_video("A red fox & a hare")
    job.result(20)
    return job


@pytest.fixture
def card(job: Job, tmp_path: Path, open_session: Open) -> Card:
    """Its card with the clip inside, its record, its row and its file."""
    bundle = card_bundle(job.record, job.state, "always")
    (section,), (metadata,) = find_sections(bundle["text/html"]), read_card(bundle[CARD_MIME])
    return section, metadata, open_session().ledger.row(job.id), job.result(0).path


def test_what_the_ledger_knows_is_drawn_from_it(card: Card) -> None:
    """HTML, text and record, all of them."""
    section, metadata, row, path = card
    drawn = redraw_card(section, metadata, row, path, whole=False)
    (fresh,) = find_sections(drawn.markup)
    assert (fresh.video, fresh.prompt) == (b"", "A red fox & a hare")
    assert "A red fox & a hare" in drawn.text
    assert read_card(drawn.metadata) == (replace(metadata, embed="poster"),)


def test_a_clip_in_another_codec_goes_in_as_its_preview(card: Card) -> None:
    """The record says so; the note on the codec comes and goes with the player."""
    section, metadata, row, path = card
    path.write_bytes(encoded("libx265"))
    known = redraw_card(section, metadata, row, path, whole=True)
    foreign = redraw_card(section, metadata, None, path, whole=True)
    assert known is not None
    assert foreign is not None
    for each in (known, foreign):
        (drawn,) = find_sections(each.markup)
        assert drawn.video == clips.preview(path)
        assert drawn.markup.count("H.264 preview: the file is H.265") == 1
        assert [each.embed for each in read_card(each.metadata)] == ["preview"]
    path.write_bytes(section.video)
    back = redraw_card(find_sections(foreign.markup)[0], metadata, None, path, whole=True)
    assert back.markup == section.markup


def test_of_a_card_from_elsewhere_only_the_player_changes(card: Card) -> None:
    """There and back it is the same card."""
    section, metadata, _, path = card
    slim = redraw_card(section, metadata, None, path, whole=False)
    (slimmed,) = find_sections(slim.markup)
    assert slim.text == ""
    assert slim.markup == section.with_player(slimmed.player)
    back = redraw_card(slimmed, read_card(slim.metadata)[0], None, path, whole=True)
    assert back.markup == section.markup
    assert read_card(back.metadata) == (metadata,)


def test_a_file_that_does_not_play_changes_nothing(card: Card, tmp_path: Path) -> None:
    """The card stays as it was."""
    section, metadata, row, _ = card
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no clip")
    for known in (row, None):
        assert redraw_card(section, metadata, known, broken, whole=False) is None


def test_a_whole_clip_is_known_by_its_hash(card: Card) -> None:
    """A preview is not whole, whatever the card says."""
    section, metadata, _, path = card
    content = path.read_bytes()
    assert hashlib.sha256(content).hexdigest() == metadata.sha256
    assert whole_clip(section, metadata) == content
    assert whole_clip(section, replace(metadata, sha256="0" * 64)) == b""


def test_without_a_hash_the_size_decides(card: Card) -> None:
    """As for clips that were saved before hashes were kept."""
    section, metadata, _, path = card
    unknown = replace(metadata, sha256="")
    assert whole_clip(section, unknown) == path.read_bytes()
    assert whole_clip(section, replace(unknown, size_bytes=1)) == b""
    poster = replace(section, markup=section.with_player("<p></p>"))
    assert whole_clip(poster, replace(unknown, size_bytes=0)) == b""
