"""The catalogue: one `ModelSpec` literal for each hosted model, with prices and their date.

Data only. Adding a model is adding a literal here and a sample request in `tests/samples/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from .kinds import Choice, Flag, Media, Text
from .specs import ModelSpec, Parameter, Price, PriceList

__all__ = ["CATALOGUE", "DOLLARS_PER_CREDIT", "IMAGE_TO_VIDEO", "TEXT_TO_VIDEO"]

DOLLARS_PER_CREDIT = 0.005
"""Source: published price pages, 2026-03 to 2026-10."""

_PROMPT = Parameter(
    name="prompt",
    kind=Text(max_chars=1000),
    help="what happens in the clip",
)
_SOUND = Parameter(
    name="sound",
    kind=Flag(on="sound", off="no sound"),
    help="a clip with sound; costs twice as much",
    default=False,
)
_DURATION = Parameter(
    name="duration",
    kind=Choice(("5", "10"), unit="s"),
    help="length of the clip in seconds",
    default="5",
    flag="d",
)

_PRICES_2_6 = PriceList(
    lines=(
        Price(55, {"duration": "5", "sound": False}),
        Price(110, {"duration": "10", "sound": False}),
        Price(110, {"duration": "5", "sound": True}),
        Price(220, {"duration": "10", "sound": True}),
    ),
    as_of=date(2026, 10, 31),
    source="three independent captures of the price page, 2026-03 to 2026-10",
)

IMAGE_TO_VIDEO = ModelSpec(
    name="kling-2.6/image-to-video",
    title="Kling 2.6, image to video",
    parameters=(
        _PROMPT,
        Parameter(
            name="image",
            sent_as="image_urls",
            kind=Media(
                mime_types=("image/jpeg", "image/png", "image/webp"),
                max_bytes=10_000_000,
            ),
            help="the first frame: path, URL, or the name of a variable",
            flag="i",
        ),
        _DURATION,
        _SOUND,
    ),
    prices=_PRICES_2_6,
    # No recording of kling-2.6 exists; other products assume this for an image-to-video clip.
    usual_s=164.0,
    source="the specification this project was asked to implement (prompt of at most 1000 "
    "characters; a newer copy of the page says 2500)",
)

TEXT_TO_VIDEO = ModelSpec(
    name="kling-2.6/text-to-video",
    title="Kling 2.6, text to video",
    parameters=(
        _PROMPT,
        _DURATION,
        _SOUND,
        Parameter(
            name="aspect_ratio",
            kind=Choice(("1:1", "16:9", "9:16")),
            help="shape of the picture",
            default="16:9",
        ),
    ),
    prices=_PRICES_2_6,
    usual_s=164.0,
    source="published documentation, crawl of 2026-08",
)

CATALOGUE: Mapping[str, ModelSpec] = {spec.name: spec for spec in (IMAGE_TO_VIDEO, TEXT_TO_VIDEO)}
