"""What `lookup` promises: the standard clip of each model, and what it costs."""

from __future__ import annotations

import pytest

from kling_nb.models.catalog import CATALOGUE
from kling_nb.models.lookup import Offer, format_inputs, offer_of


@pytest.mark.parametrize(
    ("name", "offer"),
    [
        ("kling-2.6/image-to-video", Offer(("5 s", "no sound"), 55)),
        ("kling-3.0/video", Offer(("5 s", "no sound", "std"), 70)),
        ("kling-3.0/motion-control", Offer(("facing as in the image", "720p"), 20, "video")),
        ("kling-3.0-omni/text-to-video", Offer(("5 s", "no sound", "16:9", "720p"), 70)),
        ("kling/v2-1-standard", Offer(("5 s",), 25)),
        ("kling/ai-avatar-pro", Offer((), 16, "audio")),
    ],
)
def test_the_standard_clip(name: str, offer: Offer) -> None:
    """For the clip where it is known, for a second where a reference decides."""
    assert offer_of(CATALOGUE[name]) == offer


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("kling-2.6/text-to-video", "words"),
        ("kling-2.6/motion-control", "image + video"),
        ("kling-3.0/video", "words (image, shots, elements)"),
        ("kling/v2-1-pro", "image (last_image)"),
        ("kling-3.0-omni/transformation", "video (image)"),
        ("kling-3.0-omni/reference-to-video", "image or video (shots, elements)"),
    ],
)
def test_what_a_model_begins_with(name: str, words: str) -> None:
    """What is needed first, what may be added in brackets."""
    assert format_inputs(CATALOGUE[name]) == words
