"""Warnings appear before anything is paid: dry run, card, plain text."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from typing import Any

import httpx
import pytest
from PIL import Image

from kling_nb.core.job_state import Failed, JobState, Preparing, Saved
from kling_nb.display import html
from kling_nb.display.cards.placeholder import Placeholder
from kling_nb.jobs.prepare import PreparedRequest, prepare
from kling_nb.jobs.session import Session
from kling_nb.kie.http import Downloader
from kling_nb.models.catalog import CATALOGUE, IMAGE_TO_VIDEO
from kling_nb.models.clip_request import ClipRequest
from kling_nb.models.spec import FrameAdvisory, LengthAdvisory, MediaFacts, ModelSpec, warnings_of
from kling_nb.notebook.input_transformers import CellClock
from kling_nb.notebook.magics import KlingMagics
from tests.support.html_states import FACTS, NOW, RUNNING, SAVED, TASK
from tests.support.reels import sound
from tests.support.shells import htmls, open_shell, texts

FRAME = FrameAdvisory("image", 300, (0.4, 2.5), "It may be refused")
LENGTH = LengthAdvisory("audio", 15, "Sources disagree")
WARNED = "image: 8 × 8 px. Kling's own limits for a frame are sides of at least 300 px"
FRAMES = (
    "kling-2.6/image-to-video",
    "kling-3.0/video",
    "kling/v3-turbo-image-to-video",
    "kling/v2-5-turbo-image-to-video-pro",
    "kling/v2-1-master-image-to-video",
    "kling/v2-1-pro",
    "kling/v2-1-standard",
    "kling/ai-avatar-standard",
    "kling/ai-avatar-pro",
)
"""Models with a frame and without a stated limit of its sides."""


def image(width: int, height: int) -> bytes:
    """A plain PNG."""
    content = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(content, "PNG")
    return content.getvalue()


def prepared(spec: ModelSpec, **values: object) -> PreparedRequest:
    """The prepared request; nothing is fetched."""
    closed = Downloader(transport=httpx.MockTransport(lambda _: httpx.Response(500)))
    wish = ClipRequest(spec, {"prompt": "A red fox", **values})
    return asyncio.run(prepare(wish, service="live", downloads=closed))


@pytest.mark.parametrize(
    ("size_px", "advice"),
    [
        ((300, 300), ""),
        ((300, 750), ""),
        ((299, 300), "Use a larger image."),
        ((300, 751), "Crop it, or use another image."),
        ((4000, 1000), "Crop it, or use another image."),
    ],
)
def test_a_frame_outside_of_the_limits(size_px: tuple[int, int], advice: str) -> None:
    """Sides of at least 300 px, width to height 2:5 to 5:2."""
    found = warnings_of([FRAME], MediaFacts(sizes_px={"image": [size_px], "other": [(1, 1)]}))
    words = f"image: {size_px[0]:,} × {size_px[1]:,} px. It may be refused. {advice}"
    assert found == ((words,) if advice else ())


@pytest.mark.parametrize(("duration_s", "warned"), [(15.0, False), (15.09, False), (15.2, True)])
def test_a_sound_that_may_be_too_long(duration_s: float, warned: bool) -> None:
    """A packet more than 15 s is no warning."""
    found = warnings_of([LENGTH], MediaFacts({"audio": duration_s}))
    words = f"audio: {duration_s:.1f} s. Sources disagree. Cut it to 15 s to be safe."
    assert found == ((words,) if warned else ())


def test_what_is_not_known_is_not_warned_of() -> None:
    """There is no warning before the files are read."""
    assert warnings_of([FRAME, LENGTH], MediaFacts()) == ()


@pytest.mark.parametrize("size_px", [(8, 8), (4000, 100), (640, 360)])
@pytest.mark.parametrize("name", FRAMES)
def test_every_frame_without_a_limit_of_its_page_is_looked_at(
    name: str, size_px: tuple[int, int]
) -> None:
    """A warning and no refusal: the pages do not forbid it."""
    media = {"audio": sound("audio/wav", 2.0)} if "avatar" in name else {}
    found = prepared(CATALOGUE[name], image=image(*size_px), **media).warnings
    assert len(found) == (0 if size_px == (640, 360) else 1)
    assert all(warning.startswith("image: ") for warning in found)


@pytest.mark.parametrize("name", ["kling/v2-5-turbo-image-to-video-pro", "kling/v2-1-pro"])
def test_the_last_frame_is_looked_at(name: str) -> None:
    """It is a frame, too."""
    found = prepared(CATALOGUE[name], image=image(640, 360), last_image=image(8, 8)).warnings
    assert [warning.partition(":")[0] for warning in found] == ["last_image"]


@pytest.mark.parametrize("name", ["kling/ai-avatar-standard", "kling/ai-avatar-pro"])
def test_an_avatar_above_fifteen_seconds(name: str) -> None:
    """Price pages say 15 s, the documentation 5 minutes; each second is paid."""
    audio = sound("audio/wav", 16.0)
    (warning,) = prepared(CATALOGUE[name], image=image(640, 360), audio=audio).warnings
    assert warning.startswith("audio: 16.0 s. The price pages allow up to 15 s per clip, the ")


def test_a_dry_run_tells(session: Session) -> None:
    """In the notice of the cell, and in the quote for Python; nothing is sent."""
    del session
    with open_shell() as shell:
        shell.user_ns["tiny"] = image(8, 8)
        KlingMagics(shell, CellClock(shell)).run_cell(
            " --image tiny --dry-run", "A red fox", Placeholder()
        )
        assert f"Warning: {WARNED}" in texts(shell)[0]
        assert html.escape(WARNED) in htmls(shell)[0]


def test_a_quote_tells(session: Session) -> None:
    """Python reads the warnings as data."""
    quote = session.quote(ClipRequest(IMAGE_TO_VIDEO, {"prompt": "go", "image": image(8, 8)}))
    assert [warning.startswith(WARNED) for warning in quote.warnings] == [True]
    usual = session.quote(ClipRequest(IMAGE_TO_VIDEO, {"prompt": "go", "image": image(640, 360)}))
    assert usual.warnings == ()


def test_a_job_knows_before_it_is_sent(session: Session) -> None:
    """Its card is on screen by then; another take of it warns again."""
    with session.submitting(
        ClipRequest(IMAGE_TO_VIDEO, {"prompt": "go", "image": image(8, 8)})
    ) as job:
        assert isinstance(job.state, Preparing)
        assert html.escape(WARNED) in html.render_record(job.record, job.state, now=NOW)
    job.result(20)
    take = job.another_take()
    assert take.record.warnings == job.record.warnings
    take.result(20)


@pytest.mark.parametrize("state", [*RUNNING, Failed(TASK, "422", "unavailable", 0.0), SAVED])
def test_a_card_and_its_text_tell_until_the_clip_is_there(state: JobState) -> None:
    """A warning is escaped; a saved clip has proved it wrong."""
    facts = replace(FACTS, warnings=("image: <8> px. Crop it.",))
    card = html.render_record(facts, state, now=NOW)
    text = html.render_text(facts, state, now=NOW)
    is_told = not isinstance(state, Saved)
    assert ("Warning</span> image: &lt;8&gt; px. Crop it." in card) is is_told
    assert ("\nWarning: image: <8> px. Crop it." in text) is is_told
    assert "Warning" not in html.render_record(FACTS, state, now=NOW)


def test_advisories_name_real_fields() -> None:
    """A warning about a field that is not there would never be told."""
    for spec in CATALOGUE.values():
        names: set[Any] = {parameter.name for parameter in spec.media}
        assert {each.field for each in spec.advisories} <= names
