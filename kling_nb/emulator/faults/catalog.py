"""The named faults: what can go wrong on purpose, at which endpoint, and how it shows.

Owns the table of faults. Must not know how an effect is carried out: `http/inject_faults` does that
for requests, `account/account` and `render/worker` for the fate of a task, `http/callback_sender`
for callbacks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .effects import (
    Answer,
    Break,
    Contradict,
    Cut,
    Effect,
    Endless,
    Endpoint,
    Errand,
    Fate,
    Slow,
    Stall,
)

__all__ = ["KNOWN_FAULTS", "TOO_OFTEN", "Fault"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: its name, where it strikes, what it does, and the same for people."""

    name: str
    endpoint: Endpoint
    effect: Effect
    what: str
    choices: Mapping[str, Effect] = field(default_factory=dict)
    """The alternative effects, by the argument of the fault."""


def envelope_bytes(code: int, msg: str, data: object = None) -> bytes:
    """An error as the service writes it, to be sent with HTTP 200."""
    document = {"code": code, "msg": msg, "data": data}
    return json.dumps(document, separators=(",", ":")).encode()


def page(title: str) -> bytes:
    """An HTML page as gateways write it."""
    return f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>".encode()


HTML = "text/html; charset=utf-8"
TOO_OFTEN = "Your call frequency is too high. Please try again later."
BAD_GATEWAY = Answer(502, page("502 Bad Gateway"), HTML)
GARBLED = envelope_bytes(200, "success", {"taskId": "0" * 32})[:-8]
INTERNAL = "Internal Error, Please try again later."
TRICKLE = Endless(b" ", pause_s=0.05)
FLOOD = Endless(b" " * 65_536, pause_s=0.0)

CREATE_TEXTS = {
    "400": "Bad request",
    "401": "You do not have access permissions",
    "402": "Credits insufficient",
    "404": "Not Found",
    "408": "Timeout",
    "422": "generate playground failed, task id is blank",
    "429": TOO_OFTEN,
    "433": "The credit limit of this API key is reached.",
    "455": "The service is under maintenance.",
    "500": INTERNAL,
    "500-credits": "Credits insufficient",
    "500-options": "duration is not within the range of allowed options",
    "500-required": "This field is required",
    "501": "Generation failed",
    "505": "Feature disabled",
    "524": "Timeout",
}
"""Each code of createTask (D) with a text, its own where one is known (C) and ours elsewhere."""
RECORD_TEXTS = {
    "401": "You do not have access permissions",
    "404": "Not Found",
    "408": "No result for over 10 minutes",
    "422": "recordInfo is null",
    "429": TOO_OFTEN,
    "455": "The service is under maintenance.",
    "500": INTERNAL,
}
"""Each code of recordInfo (D), in the same way."""


def coded(texts: Mapping[str, str]) -> dict[str, Effect]:
    """An answer for each code; what follows a hyphen tells texts of one code apart."""
    return {name: Answer(200, envelope_bytes(int(name[:3]), text)) for name, text in texts.items()}


CREATE_CODES, RECORD_CODES = coded(CREATE_TEXTS), coded(RECORD_TEXTS)

FAULTS = (
    Fault(
        "create-code",
        "createTask",
        CREATE_CODES["501"],
        "This code answers, 501 or the argument: " + ", ".join(CREATE_CODES) + ".",
        CREATE_CODES,
    ),
    Fault(
        "poll-code",
        "recordInfo",
        RECORD_CODES["500"],
        "This code answers, 500 or the argument: " + ", ".join(RECORD_CODES) + ".",
        RECORD_CODES,
    ),
    Fault(
        "refuse",
        "createTask",
        Answer(200, envelope_bytes(422, "generate playground failed, task id is blank")),
        "The input is refused with code 422; no task is made.",
    ),
    Fault(
        "lose-answer",
        "createTask",
        Break("close", carried_out=True),
        "The task is made and charged; the connection closes without an answer.",
    ),
    Fault(
        "drop",
        "createTask",
        Break("reset"),
        "The connection is reset before anything is made.",
    ),
    Fault(
        "unreachable",
        "createTask",
        Break("refuse"),
        "No connection at all. The argument may name another endpoint: recordInfo, upload,"
        " download, other. A served emulator is already connected when it sees the request:"
        " there the connection is reset.",
    ),
    Fault(
        "create-stall",
        "createTask",
        Stall(carried_out=True),
        "The task is made and charged; the answer never comes.",
    ),
    Fault(
        "create-502",
        "createTask",
        Answer(502, page("502 Bad Gateway"), HTML, carried_out=True),
        "The task is made and charged; a gateway answers HTTP 502 with a page.",
    ),
    Fault(
        "create-html",
        "createTask",
        Answer(200, page("Just a moment..."), HTML, carried_out=True),
        "The task is made and charged; the answer is a page with HTTP 200.",
    ),
    Fault(
        "create-no-id",
        "createTask",
        Answer(200, envelope_bytes(200, "success", {}), carried_out=True),
        "The task is made and charged; the answer says success and names no task.",
    ),
    Fault(
        "create-garbled",
        "createTask",
        Answer(200, GARBLED, carried_out=True),
        "The task is made and charged; the JSON of the answer is broken off.",
    ),
    Fault(
        "create-429",
        "createTask",
        Answer(200, envelope_bytes(429, TOO_OFTEN)),
        "Too many new tasks: rejected with code 429, no task is made.",
    ),
    Fault(
        "create-429-made",
        "createTask",
        Contradict(200, 429, TOO_OFTEN),
        "The task is made and charged; the answer names it and says code 429.",
    ),
    Fault(
        "create-mismatch",
        "createTask",
        Contradict(429, 200, "success"),
        "The task is made and charged; the answer names it under HTTP 429 with code 200.",
    ),
    Fault(
        "create-key-twice",
        "createTask",
        Contradict(200, 422, "no", is_twice=True),
        "The task is made and charged; the answer has the key code twice, with 422 and 200.",
    ),
    Fault(
        "create-500",
        "createTask",
        Answer(200, envelope_bytes(500, INTERNAL)),
        "The server broke: code 500 in the envelope. No task is made, which nobody can know.",
    ),
    Fault(
        "create-media-host",
        "createTask",
        Answer(200, envelope_bytes(500, "Server exception, please try again later")),
        "The host of a media URL does not exist: code 500 without that reason. No task is"
        " made, but the answer does not say so. Source: recorded live traffic (L), other models,"
        " 2026-04-28.",
    ),
    Fault(
        "create-524",
        "createTask",
        Answer(524, page("524: A timeout occurred"), HTML, carried_out=True),
        "The task is made and charged; a gateway gives up first with HTTP 524.",
    ),
    Fault(
        "create-trickle",
        "createTask",
        replace(TRICKLE, carried_out=True),
        "The task is made and charged; the answer comes byte by byte and never ends.",
    ),
    Fault(
        "create-flood",
        "createTask",
        replace(FLOOD, carried_out=True),
        "The task is made and charged; the answer comes fast and never ends.",
    ),
    Fault(
        "credits",
        "createTask",
        Answer(200, envelope_bytes(402, "Credits insufficient")),
        "Not enough credits: code 402, no task is made.",
    ),
    Fault(
        "maintenance",
        "createTask",
        Answer(200, envelope_bytes(455, "The service is under maintenance.")),
        "Maintenance: code 455, no task is made.",
    ),
    Fault(
        "key-limit",
        "createTask",
        Answer(200, envelope_bytes(433, "The credit limit of this API key is reached.")),
        "The key's own cap is reached: code 433, no task is made.",
    ),
    Fault("poll-drop", "recordInfo", Break("reset"), "The connection is reset."),
    Fault("poll-502", "recordInfo", BAD_GATEWAY, "A gateway answers HTTP 502 with a page."),
    Fault(
        "poll-html",
        "recordInfo",
        Answer(200, page("Just a moment..."), HTML),
        "The answer is a page with HTTP 200.",
    ),
    Fault(
        "poll-429",
        "recordInfo",
        Answer(200, envelope_bytes(429, TOO_OFTEN)),
        "Asked too often: code 429.",
    ),
    Fault(
        "poll-garbled",
        "recordInfo",
        Answer(200, GARBLED),
        "The JSON of the answer is broken off.",
    ),
    Fault("poll-stall", "recordInfo", Stall(), "The answer never comes."),
    Fault("poll-trickle", "recordInfo", TRICKLE, "The answer comes byte by byte and never ends."),
    Fault("poll-flood", "recordInfo", FLOOD, "The answer comes fast and never ends."),
    Fault("upload-502", "upload", BAD_GATEWAY, "A gateway answers HTTP 502 with a page."),
    Fault("download-cut", "download", Cut(), "The body is cut half way."),
    Fault(
        "download-404",
        "download",
        Answer(404, page("404 Not Found"), HTML),
        "The clip is not found, HTTP 404.",
    ),
    Fault(
        "download-slow",
        "download",
        Slow(seconds=3.0),
        "The body comes in small pieces, over 3 seconds or as many as the argument says.",
    ),
    Fault(
        "download-trickle",
        "download",
        TRICKLE,
        "The clip comes byte by byte and never ends.",
    ),
    Fault(
        "bad-clip",
        "download",
        Answer(200, b"These bytes are whole, but no video. " * 100, "video/mp4"),
        "The download is whole but not a video.",
    ),
    Fault("short-clip", "task", Fate("short"), "The clip has half the asked length."),
    Fault(
        "fail-media",
        "task",
        Fate("fail", "422", "Your media file is unavailable, please replace it."),
        "The task fails: the picture cannot be read.",
    ),
    Fault(
        "fail-policy",
        "task",
        Fate(
            "fail",
            "422",
            "CONTENT_POLICY_BLOCKED: The input or output was flagged as sensitive.",
        ),
        "The task fails: content policy.",
    ),
    Fault(
        "fail-content",
        "task",
        Fate("fail", "400", "The current content could not be processed"),
        "The task fails: the content could not be processed.",
    ),
    Fault("fail-internal", "task", Fate("fail", "500", INTERNAL), "The task fails: server error."),
    Fault(
        "fail-generation",
        "task",
        Fate("fail", "501", "Generation failed"),
        "The task fails: generation.",
    ),
    Fault(
        "script-fail",
        "task",
        Fate("fail", "500", "<script>alert(1)</script>"),
        "The task fails with HTML in its message, which a display must escape.",
    ),
    Fault(
        "unseen",
        "task",
        Fate("unseen", seconds=0.4),
        "recordInfo answers 422 at first, for 0.4 seconds or as many as the argument says."
        " Reported by clients (C), never recorded.",
    ),
    Fault(
        "newer-record",
        "task",
        Fate("newer"),
        "recordInfo has the fields that later answers may add (L, D).",
    ),
    Fault("no-url", "task", Fate("no-url"), "The task succeeds with an empty list of results."),
    Fault(
        "several-files",
        "task",
        Fate("several"),
        "The task succeeds with three results: a cover picture first, then two clips.",
    ),
    Fault(
        "vanish",
        "task",
        Fate("vanish"),
        "The task is made and charged; recordInfo never knows it.",
    ),
    Fault(
        "callback-never", "callback", Errand("never"), "The task ends and nobody is called back."
    ),
    Fault(
        "callback-late",
        "callback",
        Errand("late", seconds=3.0),
        "The callback comes 3 seconds late, or as many as the argument says.",
    ),
    Fault("callback-twice", "callback", Errand("twice"), "The callback comes twice."),
    Fault(
        "callback-forged",
        "callback",
        Errand("forged"),
        "While the task runs, somebody without the key posts that it has succeeded.",
    ),
    Fault("callback-garbled", "callback", Errand("garbled"), "The callback's JSON is broken off."),
)
KNOWN_FAULTS = {fault.name: fault for fault in FAULTS}
