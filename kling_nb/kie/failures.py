"""Explain why a task failed or was refused: from the service's code and text to a fix.

A table as data. Must not depend on cards or prices. Never advises to retry: the cost of a retry
depends on what was charged, which is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Cause:
    """A kind of failure: codes and phrases that identify it, its meaning, the fix."""

    name: str
    codes: str
    """Codes of the service, separated by spaces."""
    signs: tuple[str, ...]
    """Parts of the service's message, in lower case."""
    meaning: str
    change: str


CAUSES = (
    _Cause(
        "content",
        "",
        ("policy", "sensitive", "flagged", "prohibited", "content could not be processed"),
        "The content filter blocked the prompt, the image or the result.",
        "Change the prompt or the image; the same request would probably be blocked again.",
    ),
    _Cause(
        "value",
        "400 422",
        ("is required", "allowed options", "task id is blank"),
        "The service rejected a value.",
        "Change the value that the service names; if it names none, `%kling models` lists them.",
    ),
    _Cause(
        "picture",
        "",
        ("media file", "image_url", "image url", "file is unavailable"),
        "The service could not fetch or read the image.",
        "Use another image, or save this one again as a JPEG or PNG file.",
    ),
    _Cause(
        "credits",
        "402",
        ("credits insufficient", "insufficient credits"),
        "The account has fewer credits than the task costs.",
        "Add credits at kie.ai; `%kling balance` shows what is left.",
    ),
    _Cause(
        "key limit",
        "433",
        (),
        "The spending limit of this key is reached.",
        "Raise the limit of the key at kie.ai, or use another key: `%kling login`.",
    ),
    _Cause(
        "key",
        "401",
        ("access permissions", "unauthorized", "authentication failed"),
        "The service does not accept the key.",
        "Set a valid key: `%kling login`, or the environment variable KIE_API_KEY.",
    ),
    _Cause(
        "gateway",
        "403 524",
        ("error code: 1010",),
        "A gateway in front of the service rejected the request or timed out.",
        "The prompt and the image may be fine; a proxy may be the cause.",
    ),
    _Cause(
        "pace",
        "429",
        ("call frequency",),
        "Too many new tasks: the usual limit of an account is 20 in 10 s.",
        "Start fewer tasks at once; tasks of other programs on the account count too.",
    ),
    _Cause(
        "maintenance",
        "455",
        ("maintenance",),
        "The service is under maintenance.",
        "Try again later; you do not need to change the request.",
    ),
    _Cause(
        "task",
        "",
        ("recordinfo is null",),
        "The service does not know the task.",
        "Check the task's id on the logs page of your account at kie.ai.",
    ),
    _Cause(
        "address",
        "404",
        (),
        "The service does not know this URL or this model.",
        "Check KLING_NB_API_URL, and whether a newer kling_nb exists.",
    ),
    _Cause(
        "time",
        "408",
        ("no result for over",),
        "The service got no result for over 10 minutes and gave up.",
        "You do not need to change the request.",
    ),
    _Cause(
        "feature",
        "505",
        (),
        "The service has switched this feature off.",
        "Choose another model: `%kling models` lists them.",
    ),
    _Cause(
        "service",
        "500 501",
        ("internal", "generation failed", "task failed"),
        "The service had an error; the prompt and the image may be fine.",
        "You do not need to change the request.",
    ),
)
"""Phrases are tried in this order: `image_urls is required` is a bad value, not a bad image.
Source of the codes: published documentation (D); of the messages: live traffic (L) and public
clients (C), 2026."""

_DECISIVE = frozenset({"401", "402", "429", "433", "455"})
"""Codes with one meaning, whatever the message. Source: published documentation (D)."""

OTHER_CAUSE = _Cause(
    "other",
    "",
    (),
    "The service gives no known reason.",
    "Its message above may say what to change, e.g. the prompt or the image.",
)


def find_cause(code: str, message: str) -> _Cause:
    """Find the cause of a failure by a decisive code, else the message, else any other code."""
    by_code = next((each for each in CAUSES if code.strip() in each.codes.split()), OTHER_CAUSE)
    if code.strip() in _DECISIVE:
        return by_code
    text = message.lower()
    by_text = (each for each in CAUSES if any(sign in text for sign in each.signs))
    return next(by_text, by_code)
