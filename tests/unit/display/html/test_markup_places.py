"""The wrappers by which a page finds what belongs to a living kernel."""

from __future__ import annotations

from kling_nb.display import html
from tests.support.html_outline import Outline


def test_a_place_names_its_hub_and_its_version() -> None:
    """A page that lost an update sees so by the version."""
    wrapped = html.render_container("<p>record</p>", hub_id="h1", place_id="p1", version=7)
    place = Outline(wrapped).only("kling-place")
    assert place["data-kling-hub"] == "h1"
    assert place["data-kling-place"] == "p1"
    assert place["data-kling-version"] == "7"
    assert "<p>record</p>" in wrapped


def test_a_mount_holds_its_saved_form() -> None:
    """What is read where no kernel lives."""
    wrapped = html.render_mount("<p>saved</p>", hub_id="h1", model_id="m1")
    assert Outline(wrapped).only("kling-mount")["data-kling-mount"] == "m1"
    assert Outline(wrapped).text == "saved"


def test_ids_cannot_leave_their_attributes() -> None:
    """They are escaped like anything else."""
    wrapped = html.render_container("", hub_id='"><script>', place_id="p", version=1)
    assert "<script>" not in wrapped
