"""How much of a clip goes into a record, and what a record holds: a tiny clip on disk."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import pytest

from kling_nb.core.job_state import Saved
from kling_nb.display.cards.metadata import CARD_MIME, read_card
from kling_nb.display.cards.mimebundle import (
    Embed,
    card_bundle,
    join_bundles,
    lacks_preview,
    make_preview,
)
from kling_nb.display.html import video_attributes
from kling_nb.errors import MediaError
from kling_nb.media import clips
from kling_nb.media.clips import probe_clip
from tests.support import html_states
from tests.support.html_states import EVERY, FACTS, WAITING
from tests.support.reels import encoded

EMBEDS: tuple[Embed, ...] = ("auto", "always")

STATES = {html_states.name_of(state): state for state in EVERY}


@pytest.mark.parametrize("name", STATES)
def test_every_state_has_html_and_text(name: str) -> None:
    """Both name the job; beside them is the JSON for programs, and nothing else."""
    state = STATES[name]
    if isinstance(state, Saved):
        state = replace(state, clip=replace(state.clip, path="/nowhere/gone.mp4"))
    bundle = card_bundle(FACTS, state)
    assert set(bundle) == {"text/html", "text/plain", CARD_MIME}
    assert all(FACTS.id in bundle[kind] for kind in ("text/html", "text/plain"))
    assert [receipt.id for receipt in read_card(bundle[CARD_MIME])] == [FACTS.id]


def test_a_clip_that_is_gone_is_still_a_card(
    saved: Saved, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a video, and with a warning in the log that says why."""
    gone = replace(saved, clip=replace(saved.clip, path=str(tmp_path / "gone.mp4")))
    bundle = card_bundle(FACTS, gone)
    assert "<video" not in bundle["text/html"]
    assert "gone.mp4" in caplog.text


def test_a_small_clip_is_embedded_whole(saved: Saved, clip_path: Path) -> None:
    """On the element itself, byte by byte, without a link to the file."""
    html = card_bundle(FACTS, saved)["text/html"]
    content = base64.b64encode(clip_path.read_bytes()).decode()
    assert f'<video src="data:video/mp4;base64,{content}"' in html
    assert "<source" not in html
    assert "href=" not in html
    assert video_attributes(FACTS)[:20] in html
    assert "some browsers" not in html


def test_never_embedding_shows_a_still(
    saved: Saved, clip_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And links the file relative to the working folder."""
    monkeypatch.chdir(clip_path.parent.parent)
    html = card_bundle(FACTS, saved, "never")["text/html"]
    assert "<video" not in html
    assert "<img" in html
    assert f'href="{clip_path.parent.name}/{clip_path.name}"' in html


def test_a_large_clip_becomes_a_preview(
    saved: Saved, clip_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above 2 MB, of at most 1.5 MB; `always` still embeds the file."""
    large = clip_path.with_name("large.mp4")
    large.write_bytes(clip_path.read_bytes() + bytes(2_000_000))
    asked: list[int] = []

    def preview(_path: Path, *, max_bytes: int) -> bytes:
        asked.append(max_bytes)
        return b"preview"

    monkeypatch.setattr(clips, "make_preview", preview)
    state = replace(
        saved, clip=replace(saved.clip, path=str(large), size_bytes=large.stat().st_size)
    )
    html = card_bundle(FACTS, state)["text/html"]
    assert base64.b64encode(b"preview").decode() in html
    assert asked == [1_500_000]
    assert len(card_bundle(FACTS, state, "always")["text/html"]) > 2_600_000
    assert asked == [1_500_000]


def test_a_clip_in_another_codec_becomes_a_preview(saved: Saved, tmp_path: Path) -> None:
    """Of any size, also for `always`; the card says what the file is."""
    path = tmp_path / "hevc.mp4"
    path.write_bytes(encoded("libx265"))
    state = replace(saved, clip=probe_clip(path))
    made = base64.b64encode(clips.preview(path)).decode()
    for embed in EMBEDS:
        bundle = card_bundle(FACTS, state, embed)
        assert f'<video src="data:video/mp4;base64,{made}"' in bundle["text/html"]
        assert "H.264 preview: the file is H.265 (Main, yuv420p)" in bundle["text/html"]
        assert read_card(bundle[CARD_MIME])[0].embed == "preview"


def test_a_poster_says_that_the_file_may_not_play(saved: Saved, tmp_path: Path) -> None:
    """While the preview is being made, and where none is wanted."""
    path = tmp_path / "mpeg4.mp4"
    path.write_bytes(encoded("mpeg4"))
    state = replace(saved, clip=probe_clip(path))
    assert lacks_preview(state, "auto")
    assert lacks_preview(state, "always")
    assert not lacks_preview(state, "never")
    for html in (
        card_bundle(FACTS, state, "auto", makes_preview=False)["text/html"],
        card_bundle(FACTS, state, "never")["text/html"],
    ):
        assert "<video" not in html
        assert "The file is MPEG-4 Part 2 (Simple Profile, yuv420p)" in html
    assert make_preview(state, "always")
    assert "<video" in card_bundle(FACTS, state, "always", makes_preview=False)["text/html"]


def test_without_a_preview_poster_and_link_stay(
    saved: Saved, clip_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A clip that is too long for a small copy is not hidden; the log says why."""

    def fail(*_: object, **__: object) -> bytes:
        raise MediaError("a preview has too many bytes")

    monkeypatch.setattr(clips, "WHOLE_BYTES", 10)
    monkeypatch.setattr(clips, "make_preview", fail)
    html = card_bundle(FACTS, saved)["text/html"]
    assert "<img" in html
    assert clip_path.name in html
    assert "too many bytes" in caplog.text
    assert not make_preview(saved, "auto")


def test_a_kept_poster_is_used(saved: Saved, clip_path: Path, tmp_path: Path) -> None:
    """The file beside the clip, so that it is not decoded for each display."""
    copy = tmp_path / clip_path.name
    copy.write_bytes(clip_path.read_bytes())
    copy.with_suffix(".jpg").write_bytes(html_states.TINY_JPEG)
    state = replace(saved, clip=replace(saved.clip, path=str(copy)))
    kept = base64.b64encode(html_states.TINY_JPEG).decode()
    assert f'poster="data:image/jpeg;base64,{kept}"' in card_bundle(FACTS, state)["text/html"]


def test_how_much_is_embedded_is_recorded(saved: Saved) -> None:
    """So that a notebook can be packed and slimmed without reading HTML."""
    found = [
        read_card(card_bundle(FACTS, saved, embed)[CARD_MIME])[0].embed
        for embed in ("auto", "always", "never")
    ]
    assert found == ["whole", "whole", "poster"]


def test_several_records_are_one_output(saved: Saved) -> None:
    """In their order, in HTML, in text and in JSON."""
    second = replace(FACTS, id="second", take=2)
    bundle = join_bundles([card_bundle(FACTS, saved), card_bundle(second, WAITING)])
    assert bundle["text/html"].count("<section") == 2
    assert bundle["text/plain"].index(FACTS.id) < bundle["text/plain"].index("second")
    assert [receipt.id for receipt in read_card(bundle[CARD_MIME])] == [FACTS.id, "second"]
