"""The name of a request never changes: another name would be a second payment for the same clip."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kling_nb.models.catalog import CATALOGUE, IMAGE_TO_VIDEO, TEXT_TO_VIDEO
from kling_nb.models.clip_request import fingerprint, media_of
from kling_nb.models.parameters import Choice
from kling_nb.models.spec import ModelSpec, Parameter, validate
from tests.support.sample_files import document
from tests.support.sample_requests import FIRST_EXAMPLES, given_of

PROMPT = "A red fox shakes the snow off its coat, slow push-in"
PICTURE = "ab" * 32
OTHER_PICTURE = "cd" * 32

# Clips that people have paid for are found by these. A change here is a change in `specs` that
# must be taken back, whatever else is right about it.
GOLDEN_IMAGE = "d67ff1400aaa687b3a275b29637cf8daa1b6a29e09dd7aa51e971667d2316099"
GOLDEN_IMAGE_LOUD = "e35633f2d7a4ecbe6e6cdac767725364cff41e0639d4f4de0fe18b41b839096d"
GOLDEN_TEXT = "bc11efda7aec1d2cc56c6b4b88c691728f1f91d8da984dc50ce580731258e24f"
GOLDEN_TEXT_TAKE_2 = "ab07065a579ed7eb19851648fd124f4746c97c436f7dd1e6bd008c60844e592c"
GOLDEN_UNICODE = "355f8e1900726bb8b622fb3d9932a195530794347091f2e0a72d39d959c845a6"

GOLDEN_SAMPLES = """
kling-2.6/image-to-video 50ce89f62e255a5f09863291e5db76edf206041d1acbac5947ba9e0b6dc7f29b
kling-2.6/text-to-video bc11efda7aec1d2cc56c6b4b88c691728f1f91d8da984dc50ce580731258e24f
kling-2.6/motion-control 2c5542c4897188ca49e342891e37ab6354541800d1e9f3d6fb20c4d9a5d8c261
kling-3.0/video f5cb3392de829d6ccf3c54539e10bf4cfe4d583c7a4313161429b8ccfdeade01
kling-3.0/motion-control 91027bc99b27186e2c2f4295434839678484411896d96b8ee7a3c88062c18d96
kling/v3-turbo-image-to-video c23164c355a55eb6fa58ce8646c6c5c54d59b61c013bd129f9e6de4828f1c6b0
kling/v3-turbo-text-to-video a69109f71bfa668b61c7d26f4806e9f78c7d016c9a8965fbe3478270f490a5ef
kling-3.0-omni/image-to-video b144f0b7cc9886b1d9b428e57fd17180d0ec5dcfc177655eb8397455749ee032
kling-3.0-omni/text-to-video ab63e4d991d5203a738a6a9f474c8057f449dea81236f40591968b2cde77623e
kling-3.0-omni/reference-to-video 9832b0102196abd476a3fb87592c43fd31dc48fc8e40777dedc0c426b78beeef
kling-3.0-omni/transformation 85b364edbd22051de9d7e427dd1a9a90c0d7060f6597c25d162e3ea5394ed59c
kling/v2-5-turbo-image-to-video-pro bc6980789f4ca4a15b0f49f4a82487d2f082babc66ceaee2c65764696779f939
kling/v2-5-turbo-text-to-video-pro 741b958e465d0db8746304d4bbedc7fe0de057edc44fccd91d39dc2ebd847fd7
kling/v2-1-master-image-to-video 19d977df53a9aa7d394c6ebde20cb478a625de5d6096ec603c29f9042946c677
kling/v2-1-master-text-to-video 88a5d33d96fbe6ffdb89053aa01f284441b267ddf0d5b87d9255d9450088b0b2
kling/v2-1-pro 60b25f3432c86f7cfbb3953531e3b661daea744975252c703cf8b87ea3e9fe7a
kling/v2-1-standard 3fbeec5961d3e0cb876018d7fa9ef1250ed1d861d2f974ebc4cdb9f4062b6b85
kling/ai-avatar-standard 94f71d23dd5cc690262f87a8b4ae503637253055ba31ed498adaf31761806954
kling/ai-avatar-pro b4505dca499821e33aecda8b391c05dd708bfd1c75bd6e4e581725dcbc5ae7e8
"""


def name_of(
    spec: ModelSpec,
    given: dict[str, object],
    *,
    picture: str = PICTURE,
    service: str = "live",
    take: int = 1,
) -> str:
    """The fingerprint of given values, validated as every surface does it."""
    media = {parameter.name: [picture] for parameter in spec.media}
    return fingerprint(spec, validate(spec, given), media, service=service, take=take)


def of_image(**given: object) -> str:
    """The fingerprint of an image-to-video request."""
    return name_of(IMAGE_TO_VIDEO, {"prompt": PROMPT, "image": "fox.png", **given})


def of_text(**given: object) -> str:
    """The fingerprint of a text-to-video request."""
    return name_of(TEXT_TO_VIDEO, {"prompt": PROMPT, **given})


IMAGE: dict[str, object] = {"prompt": PROMPT, "image": "fox.png"}
TEXT: dict[str, object] = {"prompt": PROMPT}
LINES = '雪の中の狐 🦊\n"slow" push-in'


@pytest.mark.parametrize(
    ("spec", "given", "more", "golden"),
    [
        (IMAGE_TO_VIDEO, IMAGE, {}, GOLDEN_IMAGE),
        (IMAGE_TO_VIDEO, IMAGE | {"duration": "10", "sound": True}, {"service": "emulator"},
         GOLDEN_IMAGE_LOUD),
        (TEXT_TO_VIDEO, TEXT, {}, GOLDEN_TEXT),
        (TEXT_TO_VIDEO, TEXT, {"take": 2}, GOLDEN_TEXT_TAKE_2),
        (TEXT_TO_VIDEO, {"prompt": LINES}, {}, GOLDEN_UNICODE),
        (TEXT_TO_VIDEO, {"prompt": LINES.replace("\n", "\r\n")}, {}, GOLDEN_UNICODE),
        (TEXT_TO_VIDEO, {"prompt": LINES.replace("\n", "\r")}, {}, GOLDEN_UNICODE),
    ],
    ids=["image", "every value", "text", "take 2", "Unicode", "Windows line ends", "CR"],
)  # fmt: skip
def test_golden(
    spec: ModelSpec, given: dict[str, object], more: dict[str, Any], golden: str
) -> None:
    """Default requests, other values, another take; characters in one spelling everywhere."""
    assert name_of(spec, given, **more) == golden


@pytest.mark.parametrize("name", CATALOGUE)
def test_golden_samples(name: str) -> None:
    """The sample request of each model, each of its files with the same content.

    Rules that came later refuse some of them; what was paid for before is still found.
    """
    spec = replace(CATALOGUE[name], rules=())
    values = validate(spec, given_of(spec, document(FIRST_EXAMPLES[name])))
    media = {path: [PICTURE] * len(m.given) for path, m in media_of(spec, values).items()}
    golden = dict(line.split() for line in GOLDEN_SAMPLES.strip().splitlines())
    assert fingerprint(spec, values, media, service="live", take=1) == golden[name]


@pytest.mark.parametrize(
    "given",
    [
        {"image": "another name.png"},
        {"image": b"bytes"},
        {"duration": 5},
        {"duration": 5.0},
        {"duration": "5", "sound": False},
        {"duration": None},
        {"prompt": f"  {PROMPT}\r\n"},
    ],
    ids=str,
)
def test_the_same_request_has_the_same_name(given: dict[str, object]) -> None:
    """The picture's name, a default that was written out, and blank ends make no other request."""
    assert of_image(**given) == GOLDEN_IMAGE


def test_the_order_of_values_is_no_part_of_it() -> None:
    """Options may be written in any order."""
    given = {"duration": "5", "sound": False, "image": "fox.png", "prompt": PROMPT}
    assert name_of(IMAGE_TO_VIDEO, given) == GOLDEN_IMAGE
    assert name_of(IMAGE_TO_VIDEO, dict(reversed(given.items()))) == GOLDEN_IMAGE


def test_what_makes_another_request() -> None:
    """Prompt, value, picture, take, service and model each make another name."""
    names = {
        of_image(),
        of_image(prompt=PROMPT + "."),
        of_image(duration="10"),
        of_image(sound=True),
        name_of(IMAGE_TO_VIDEO, IMAGE, picture=OTHER_PICTURE),
        name_of(IMAGE_TO_VIDEO, IMAGE, take=2),
        name_of(IMAGE_TO_VIDEO, IMAGE, service="emulator"),
        name_of(replace(IMAGE_TO_VIDEO, name="kling-9/image-to-video"), IMAGE),
        of_text(),
        of_text(aspect_ratio="1:1"),
    }
    assert len(names) == 10


def test_a_parameter_that_is_added_later_changes_nothing_at_its_default() -> None:
    """A new option must not make people pay again for clips they have."""
    later = Parameter("style", Choice(("plain", "ink")), "look", default="plain", added_later=True)
    newer = replace(IMAGE_TO_VIDEO, parameters=(*IMAGE_TO_VIDEO.parameters, later))
    assert name_of(newer, IMAGE) == GOLDEN_IMAGE
    assert name_of(newer, {**IMAGE, "style": "plain"}) == GOLDEN_IMAGE
    assert name_of(newer, {**IMAGE, "style": "ink"}) != GOLDEN_IMAGE
