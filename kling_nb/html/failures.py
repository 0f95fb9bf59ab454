"""Why a task failed: from the service's code and words to what they mean and what to change.

A table as data. Knows neither cards nor prices.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CAUSES", "OTHER_CAUSE", "Cause", "cause_of"]


@dataclass(frozen=True, slots=True)
class Cause:
    """A kind of failure: how it is recognised, what it means, what to change."""

    codes: frozenset[str]
    signs: tuple[str, ...]
    meaning: str
    change: str


CAUSES = (
    Cause(
        frozenset(),
        ("policy", "sensitive", "flagged", "prohibited", "content could not be processed"),
        "The content filter stopped it: the prompt, the picture or the result was not let through.",
        "Change the prompt or the picture; the same request would most likely be stopped again.",
    ),
    Cause(
        frozenset(),
        ("media file", "image_url", "image url", "file is unavailable"),
        "The service could not fetch or read the picture.",
        "Use another picture, or save it again as a JPEG or PNG file and name that file.",
    ),
    Cause(
        frozenset({"400", "422"}),
        ("parameter", "is required", "allowed options", "invalid"),
        "The service did not accept a value.",
        "Change the value that the service names.",
    ),
    Cause(
        frozenset({"500", "501", "505"}),
        ("internal", "generation failed"),
        "The service broke on its own side; prompt and picture may be fine.",
        "Nothing needs changing on your side.",
    ),
)
"""Tried in this order. Source of the messages: public clients (C), 2026."""

OTHER_CAUSE = Cause(
    frozenset(),
    (),
    "The service gives no reason that we know.",
    "Read its words above; the prompt and the picture are what can be changed.",
)


def cause_of(code: str, message: str) -> Cause:
    """Find the kind of a failure: by its words first, which say more than its code."""
    words = message.lower()
    for cause in CAUSES:
        if any(sign in words for sign in cause.signs):
            return cause
    return next((cause for cause in CAUSES if code.strip() in cause.codes), OTHER_CAUSE)
