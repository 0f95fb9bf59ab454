"""The wrappers by which a page finds what belongs to a living kernel."""

from __future__ import annotations

from kling_nb.display import html
from tests.support.html_outline import Outline


def test_a_place_names_its_hub_and_its_version() -> None:
    """A page that lost an update sees so by the version; ids are escaped."""
    hub_id = '"><script>'
    wrapped = html.render_container("<p>record</p>", hub_id=hub_id, place_id="p1", version=7)
    place = Outline(wrapped).only("kling-place")
    assert place["data-kling-hub"] == hub_id
    assert place["data-kling-place"] == "p1"
    assert place["data-kling-version"] == "7"
    assert "<p>record</p>" in wrapped
    assert "<script>" not in wrapped
