"""Test `failures`: every known code and message of the service has its cause."""

from __future__ import annotations

import pytest

from kling_nb.kie.failures import CAUSES, OTHER_CAUSE, find_cause

MESSAGES = [
    # Of failed tasks. Source: public clients (C), published documentation (D).
    ("422", "Your media file is unavailable, please replace it.", "picture"),
    ("422", "CONTENT_POLICY_BLOCKED: The input or output was flagged as sensitive…", "content"),
    ("400", "The current content could not be processed", "content"),
    ("500", "Internal Error, Please try again later.", "service"),
    ("501", "Generation failed", "service"),
    ("500", "Internal server error", "service"),
    ("501", "Playground task failed.", "service"),
    # Of createTask. Source: live traffic (L), public clients (C), published documentation (D).
    ("401", "You do not have access permissions", "key"),
    ("402", "Credits insufficient", "credits"),
    ("500", "Credits insufficient", "credits"),
    ("422", "This field is required", "value"),
    ("400", "This field is required", "value"),
    ("500", "This field is required", "value"),
    ("422", "duration is not within the range of allowed options", "value"),
    ("500", "duration is not within the range of allowed options", "value"),
    ("500", "aspect_ratio is required for text-to-video", "value"),
    ("422", "generate playground failed, task id is blank", "value"),
    ("429", "Your call frequency is too high. Please try again later.", "pace"),
    # Of recordInfo, uploads, links and the gateway. Source: L, C, D.
    ("422", "recordInfo is null", "task"),
    ("404", "recordInfo is null", "task"),
    ("408", "upstream gave no result for over 10 minutes", "time"),
    ("401", "Unauthorized - Authentication failed.", "key"),
    ("422", "url is wrong", "value"),
    ("403", "error code: 1010", "gateway"),
    # A word alone must not decide these; invented.
    ("401", "Invalid API key", "key"),
    ("401", "An API key is required", "key"),
    ("402", "Internal account: the media file is too dear", "credits"),
    ("429", "Invalid call frequency: a parameter", "pace"),
    ("433", "A higher limit is required", "key limit"),
    ("455", "Internal maintenance, Generation failed", "maintenance"),
    ("500", "parameter store unavailable", "service"),
    ("500", "invalid state", "service"),
    ("404", "invalid path", "address"),
    ("422", "image_urls is required", "value"),
    ("422", "invalid parameter", "value"),
    ("400", "invalid image_url", "picture"),
    (" 401 ", "Internal", "key"),
    ("999", "something new", "other"),
    ("", "An invalid parameter", "other"),
    ("", "", "other"),
]

CODES = {
    "400": "value",
    "401": "key",
    "402": "credits",
    "403": "gateway",
    "404": "address",
    "408": "time",
    "422": "value",
    "429": "pace",
    "433": "key limit",
    "455": "maintenance",
    "500": "service",
    "501": "service",
    "505": "feature",
    "524": "gateway",
}
"""Every code of createTask and recordInfo, and of failed tasks. Source: D, C."""


@pytest.mark.parametrize(
    ("code", "message", "name"), [*MESSAGES, *((code, "", name) for code, name in CODES.items())]
)
def test_code_and_message_give_the_cause(code: str, message: str, name: str) -> None:
    """Each real message has its cause; without a message the code decides."""
    assert find_cause(code, message).name == name


@pytest.mark.parametrize("code", ["401", "402", "429", "433", "455"])
def test_no_words_outweigh_a_code_of_one_meaning(code: str) -> None:
    """The code decides, with any of the messages above."""
    assert {find_cause(code, message).name for _, message, _ in MESSAGES} == {CODES[code]}


@pytest.mark.parametrize("cause", [*CAUSES, OTHER_CAUSE], ids=lambda each: each.name)
def test_no_advice_to_try_again(cause: object) -> None:
    """The cost of a retry is not known here; each cause has a meaning and a fix."""
    text = f"{cause.meaning} {cause.change}"  # type: ignore[attr-defined]
    assert "try" not in text.replace("retry", "")
    assert cause.meaning.endswith(".")  # type: ignore[attr-defined]
    assert cause.change.endswith(".")  # type: ignore[attr-defined]


def test_no_two_kinds_have_the_same_code_or_name() -> None:
    """The order of the table matters for messages only; each known code has one cause."""
    codes = [code for cause in CAUSES for code in cause.codes.split()]
    assert sorted(codes) == sorted(CODES)
    assert len({cause.name for cause in CAUSES}) == len(CAUSES)
