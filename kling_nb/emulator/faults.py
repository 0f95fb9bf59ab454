"""Define the faults that the emulator can produce: name, endpoint and effect of each.

`http/inject_faults` applies the effects on requests, `account/account` and `render/worker` those on
tasks, `account/callbacks` and `http/callback_sender` those on callbacks.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

Endpoint = Literal["createTask", "task", "callback", "recordInfo", "upload", "download", "other"]
"""The requests that a fault waits for; "task" is the creation of a task, whatever the answer, and
"callback" the creation of a task with a callback URL."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Send this answer instead of the true one."""

    status: int
    body: bytes
    content_type: str = "application/json;charset=UTF-8"
    carried_out: bool = False
    """Whether the request is executed first and its true answer discarded."""


@dataclass(frozen=True, slots=True)
class Contradict:
    """Execute the request; send its true data with a status and a code that deny it."""

    status: int
    code: int
    msg: str
    is_twice: bool = False
    """Whether the key `code` occurs a second time, with 200."""


@dataclass(frozen=True, slots=True)
class Endless:
    """Send a body that never ends: a piece, a pause, the next piece."""

    piece: bytes
    pause_s: float
    carried_out: bool = False


@dataclass(frozen=True, slots=True)
class Break:
    """Send no answer: close, reset or refuse the connection."""

    how: Literal["close", "reset", "refuse"]
    carried_out: bool = False


@dataclass(frozen=True, slots=True)
class Stall:
    """Send no answer until the client gives up."""

    carried_out: bool = False


@dataclass(frozen=True, slots=True)
class Cut:
    """Send half of the body, then close the connection."""


@dataclass(frozen=True, slots=True)
class Slow:
    """Send the body in small pieces over this time."""

    seconds: float


@dataclass(frozen=True, slots=True)
class TaskFault:
    """Execute the request; the task that it creates fails or has an unusual result."""

    ending: Literal["fail", "no-url", "vanish", "short", "several", "unseen", "newer"]
    fail_code: str = ""
    fail_msg: str = ""
    seconds: float = 0.0
    """How long recordInfo does not know the task."""


@dataclass(frozen=True, slots=True)
class CallbackFault:
    """Execute the task; its callback is missing, late or wrong."""

    how: Literal["never", "late", "twice", "forged", "garbled"]
    seconds: float = 0.0
    """The delay of a late callback."""


Effect = Answer | Contradict | Endless | Break | Stall | Cut | Slow | TaskFault | CallbackFault


@dataclass(frozen=True, slots=True)
class _Fault:
    """A named fault."""

    name: str
    endpoint: Endpoint
    effect: Effect
    what: str
    """The description, one sentence or more."""
    choices: Mapping[str, Effect] = field(default_factory=dict)
    """The alternative effects, by the argument of the fault."""


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """A fault that waits for its request."""

    name: str
    times_left: int
    argument: str

    @property
    def effect(self) -> Effect:
        """The effect of the fault with its argument."""
        fault = KNOWN_FAULTS[self.name]
        effect = fault.choices.get(self.argument, fault.effect)
        if isinstance(effect, Slow | CallbackFault | TaskFault) and self.argument:
            return replace(effect, seconds=float(self.argument))
        return effect


def _envelope_bytes(code: int, msg: str, data: object = None) -> bytes:
    """Encode the service's JSON envelope; it is sent with HTTP 200."""
    return json.dumps({"code": code, "msg": msg, "data": data}, separators=(",", ":")).encode()


def page(status: int, title: str, *, carried_out: bool = False) -> Answer:
    """Return an answer with an HTML page, as gateways send it."""
    html = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return Answer(status, html.encode(), "text/html; charset=utf-8", carried_out)


TOO_OFTEN = "Your call frequency is too high. Please try again later."
_INTERNAL = "Internal Error, Please try again later."
_NO_ACCESS = "You do not have access permissions"
_MAINTENANCE = "The service is under maintenance."
_GARBLED = Answer(200, _envelope_bytes(200, "success", {"taskId": "0" * 32})[:-8])
_TRICKLE = Endless(b" ", pause_s=0.05)
_FLOOD = Endless(b" " * 65_536, pause_s=0.0)
_MEDIA_HOST = Answer(200, _envelope_bytes(500, "Server exception, please try again later"))
_NO_VIDEO = Answer(200, b"These bytes are whole, but no video. " * 100, "video/mp4")

_CREATE_TEXTS = {
    "400": "Bad request",
    "401": _NO_ACCESS,
    "402": "Credits insufficient",
    "404": "Not Found",
    "408": "Timeout",
    "422": "generate playground failed, task id is blank",
    "429": TOO_OFTEN,
    "433": "The credit limit of this API key is reached.",
    "455": _MAINTENANCE,
    "500": _INTERNAL,
    "500-credits": "Credits insufficient",
    "500-options": "duration is not within the range of allowed options",
    "500-required": "This field is required",
    "501": "Generation failed",
    "505": "Feature disabled",
    "524": "Timeout",
}
"""The codes of createTask (D); the texts are the service's if known (C), else this emulator's."""
_RECORD_TEXTS = {
    "401": _NO_ACCESS,
    "404": "Not Found",
    "408": "No result for over 10 minutes",
    "422": "recordInfo is null",
    "429": TOO_OFTEN,
    "455": _MAINTENANCE,
    "500": _INTERNAL,
}
"""The codes of recordInfo (D), likewise."""


def _answers_for(texts: Mapping[str, str]) -> dict[str, Effect]:
    """Return an answer for each code; a suffix after a hyphen separates texts of one code."""
    return {name: Answer(200, _envelope_bytes(int(name[:3]), text)) for name, text in texts.items()}


CREATE, RECORD = _answers_for(_CREATE_TEXTS), _answers_for(_RECORD_TEXTS)
_MADE = "The task is created and charged; "
_EFFECTS: dict[Endpoint, dict[str, tuple[Effect, str]]] = {
    "createTask": {
        "create-code": (
            CREATE["501"],
            f"The answer has code 501, or the argument: {', '.join(CREATE)}.",
        ),
        "refuse": (CREATE["422"], "Code 422 refuses the input; no task is created."),
        "lose-answer": (
            Break("close", carried_out=True),
            f"{_MADE}the connection closes without an answer.",
        ),
        "drop": (Break("reset"), "The connection is reset before the task is created."),
        "unreachable": (
            Break("refuse"),
            "The connection is refused. The argument selects another endpoint. A served emulator is"
            " already connected, so it resets the connection.",
        ),
        "create-stall": (Stall(carried_out=True), f"{_MADE}the answer never comes."),
        "create-502": (
            page(502, "502 Bad Gateway", carried_out=True),
            f"{_MADE}a gateway answers HTTP 502 with an HTML page.",
        ),
        "create-html": (
            page(200, "Just a moment...", carried_out=True),
            f"{_MADE}the answer is an HTML page with HTTP 200.",
        ),
        "create-no-id": (
            Answer(200, _envelope_bytes(200, "success", {}), carried_out=True),
            f"{_MADE}the answer has code 200 and no task id.",
        ),
        "create-garbled": (
            replace(_GARBLED, carried_out=True),
            f"{_MADE}the JSON of the answer is cut off.",
        ),
        "create-429": (CREATE["429"], "Too many new tasks: code 429; no task is created."),
        "create-429-made": (
            Contradict(200, 429, TOO_OFTEN),
            f"{_MADE}the answer has its id and code 429.",
        ),
        "create-mismatch": (
            Contradict(429, 200, "success"),
            f"{_MADE}the answer has its id, code 200 and HTTP 429.",
        ),
        "create-key-twice": (
            Contradict(200, 422, "no", is_twice=True),
            f"{_MADE}the answer has the key `code` twice, with 422 and 200.",
        ),
        "create-500": (CREATE["500"], "Code 500; no task is created, but the client cannot know."),
        "create-media-host": (
            _MEDIA_HOST,
            "The host of a media URL does not exist: code 500 without that reason; no task is"
            " created. Source: recorded live traffic (L), other models, 2026-04-28.",
        ),
        "create-524": (
            page(524, "524: A timeout occurred", carried_out=True),
            f"{_MADE}a gateway gives up first with HTTP 524.",
        ),
        "create-trickle": (
            replace(_TRICKLE, carried_out=True),
            f"{_MADE}the answer comes byte by byte and never ends.",
        ),
        "create-flood": (
            replace(_FLOOD, carried_out=True),
            f"{_MADE}the answer comes fast and never ends.",
        ),
        "credits": (CREATE["402"], "Not enough credits: code 402; no task is created."),
        "maintenance": (CREATE["455"], "Maintenance: code 455; no task is created."),
        "key-limit": (CREATE["433"], "The key's own cap: code 433; no task is created."),
    },
    "recordInfo": {
        "poll-code": (
            RECORD["500"],
            f"The answer has code 500, or the argument: {', '.join(RECORD)}.",
        ),
        "poll-drop": (Break("reset"), "The connection is reset."),
        "poll-502": (page(502, "502 Bad Gateway"), "HTTP 502 with an HTML page."),
        "poll-html": (page(200, "Just a moment..."), "HTTP 200 with an HTML page."),
        "poll-429": (RECORD["429"], "Too many status requests: code 429."),
        "poll-garbled": (_GARBLED, "The JSON of the answer is cut off."),
        "poll-stall": (Stall(), "The answer never comes."),
        "poll-trickle": (_TRICKLE, "The answer comes byte by byte and never ends."),
        "poll-flood": (_FLOOD, "The answer comes fast and never ends."),
    },
    "upload": {"upload-502": (page(502, "502 Bad Gateway"), "HTTP 502 with an HTML page.")},
    "download": {
        "download-cut": (Cut(), "The body is cut after half of its length."),
        "download-404": (page(404, "404 Not Found"), "HTTP 404."),
        "download-slow": (
            Slow(seconds=3.0),
            "The body comes in small pieces over 3 seconds, or the argument.",
        ),
        "download-trickle": (_TRICKLE, "The clip comes byte by byte and never ends."),
        "bad-clip": (_NO_VIDEO, "The download is complete, but not a video."),
    },
    "task": {
        "short-clip": (TaskFault("short"), "The clip has half the requested length."),
        "fail-media": (
            TaskFault("fail", "422", "Your media file is unavailable, please replace it."),
            "The task fails: the image cannot be read.",
        ),
        "fail-policy": (
            TaskFault(
                "fail",
                "422",
                "CONTENT_POLICY_BLOCKED: The input or output was flagged as sensitive.",
            ),
            "The task fails: content policy.",
        ),
        "fail-content": (
            TaskFault("fail", "400", "The current content could not be processed"),
            "The task fails: the content could not be processed.",
        ),
        "fail-internal": (TaskFault("fail", "500", _INTERNAL), "The task fails: server error."),
        "fail-generation": (
            TaskFault("fail", "501", "Generation failed"),
            "The task fails: generation.",
        ),
        "script-fail": (
            TaskFault("fail", "500", "<script>alert(1)</script>"),
            "The task fails with HTML in its message, which a display must escape.",
        ),
        "unseen": (
            TaskFault("unseen", seconds=0.4),
            "recordInfo answers 422 for the first 0.4 seconds, or the argument. Reported by"
            " clients (C), never recorded.",
        ),
        "newer-record": (
            TaskFault("newer"),
            "recordInfo has the fields that later answers may add (L, D).",
        ),
        "no-url": (TaskFault("no-url"), "The task succeeds with an empty list of results."),
        "several-files": (
            TaskFault("several"),
            "The task succeeds with three results: a cover image, then two clips.",
        ),
        "vanish": (TaskFault("vanish"), f"{_MADE}recordInfo never knows it."),
    },
    "callback": {
        "callback-never": (CallbackFault("never"), "No callback is sent."),
        "callback-late": (
            CallbackFault("late", seconds=3.0),
            "The callback is sent 3 seconds late, or the argument.",
        ),
        "callback-twice": (CallbackFault("twice"), "The callback is sent twice."),
        "callback-forged": (
            CallbackFault("forged"),
            "While the task runs, a callback without the webhook key reports success.",
        ),
        "callback-garbled": (CallbackFault("garbled"), "The JSON of the callback is cut off."),
    },
}
_CHOICES = {"create-code": CREATE, "poll-code": RECORD}
KNOWN_FAULTS = {
    name: _Fault(name, endpoint, effect, what, _CHOICES.get(name, {}))
    for endpoint, faults in _EFFECTS.items()
    for name, (effect, what) in faults.items()
}


def find_fault(name: str) -> _Fault:
    """Return the fault with this name.

    Raises:
        ValueError: The name is unknown; the message has the nearest known one.
    """
    if name in KNOWN_FAULTS:
        return KNOWN_FAULTS[name]
    nearest = difflib.get_close_matches(name, KNOWN_FAULTS, n=1, cutoff=0.0)[0]
    raise ValueError(
        f"fault: {name!r} is not known; did you mean {nearest!r}? Known: {', '.join(KNOWN_FAULTS)}"
    )


def endpoint_for(fault: _Fault, argument: str) -> str:
    """Return the endpoint that the fault waits for when it is injected with this argument.

    Raises:
        ValueError: The fault does not accept the argument.
    """
    if not argument:
        return fault.endpoint
    if options := get_args(Endpoint) if fault.name == "unreachable" else (*fault.choices,):
        if argument not in options:
            raise ValueError(f"argument: {argument!r} is unknown; use one of {', '.join(options)}")
        return argument if fault.name == "unreachable" else fault.endpoint
    match fault.effect:
        case Slow() | CallbackFault(how="late") | TaskFault(ending="unseen"):
            if argument.replace(".", "", 1).isdecimal():
                return fault.endpoint
            raise ValueError(f"argument: {argument!r} is not a number of seconds; try '2.5'")
    raise ValueError(f"argument: {fault.name} takes no argument, but was given {argument!r}")
