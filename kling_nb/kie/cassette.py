"""Write requests and answers as a cassette of vcrpy, without anything private.

What is kept is listed here; everything else is replaced: prompts and other texts, URLs of inputs
and results, hosts other than those of the service, tokens, signatures, the home folder. The same
value always gets the same placeholder, so that a report still shows what belongs together.

A cassette is YAML with JSON texts as values, which needs no YAML library. Pure: reads no log and
no settings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from kling_nb.core.addresses import is_loopback
from kling_nb.core.secret import Key

from . import urls
from .http_log import Exchange

_HOSTS: Final = ("kie.ai", "redpandaai.co", "aiquickdraw.com")
"""The domains of the service. Source: documentation and recorded traffic (D, L)."""
_PATHS: Final = (
    urls.CREATE_PATH,
    urls.RECORD_PATH,
    urls.CREDIT_PATH,
    urls.DOWNLOAD_URL_PATH,
    urls.UPLOAD_PATH,
    urls.UPLOAD_BASE64_PATH,
    urls.UPLOAD_URL_PATH,
)
_SUFFIXES: Final = frozenset({".mp4", ".mov", ".jpg", ".jpeg", ".png", ".webp", ".mp3", ".wav"})

_WORDS: Final = frozenset(
    {"model", "state", "duration", "aspect_ratio", "mode", "resolution", "character_orientation",
     "background_source", "failCode", "taskId", "recordId", "task_id", "operationType", "mimeType"}
)  # fmt: skip
"""Fields with a word of the service or a task id."""
_MESSAGES: Final = frozenset({"msg", "message", "failMsg"})
"""Fields with a message of the service, which may quote a request."""
_NESTED: Final = frozenset({"param", "paramJson", "resultJson", "input", "response"})
"""Fields that contain JSON as text. Source: recorded traffic (L)."""
_WORD: Final = re.compile(r"[\w.:/+-]{1,80}")
_NAME: Final = re.compile(r"\w{1,40}")
_URL: Final = re.compile(r"https?://[^\s\"'<>`]*[^\s\"'<>`.,;:!?)\]]", re.IGNORECASE)

_MESSAGE_CHARS: Final = 500
_SHORTEST: Final = 3
"""A shorter private text may occur in any message by chance."""
_TOKEN_CHARS: Final = 8
"""A shorter part of a path identifies nothing."""
_QUOTED_CHARS: Final = 12
"""So many characters in common with a private text count as a quotation."""


class Scrubber:
    """Replaces what is private.

    Args:
        keys: The API keys in use.
        homes: The user's home folder, by each of its names.
    """

    def __init__(self, keys: Iterable[Key] = (), homes: Iterable[str] = ()) -> None:
        self._keys = tuple(keys)
        self._homes = [home for each in homes if (home := each.rstrip("/\\"))]
        self._private: set[str] = set()
        self._numbers: dict[str, dict[str, int]] = {"file": {}, "host": {}}

    def learn(self, *texts: str) -> None:
        """Replace these texts in messages from now on."""
        self._private |= {text for text in map(str.strip, texts) if len(text) >= _SHORTEST}

    def text(self, message: str) -> str:
        """Return a message for people without keys, private texts, URLs and the home folder."""
        for key in self._keys:
            message = key.remove_from(message.encode("utf-8", "replace")).decode()
        message = _URL.sub(lambda found: self.url(found[0]), message)
        for private in sorted(self._private, key=lambda each: (-len(each), each)):
            message = _without(message, private)
        for home in self._homes:
            message = message.replace(home, "~")
        return message

    def url(self, url: str) -> str:
        """Return a URL without user name, query and name of a file.

        Of an endpoint of the service, the path and the task id remain.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            return "(URL)"
        endpoint = next((path for path in _PATHS if parts.path.endswith(path)), "")
        query = parse_qsl(parts.query)
        self.learn(*(value for name, value in query if name not in _WORDS))
        shown = endpoint or self._file(parts.path)
        if endpoint and (task_id := dict(query).get("taskId")):
            shown += f"?taskId={_word(task_id)}"
        return f"{parts.scheme}://{self._host(host)}{f':{port}' if port else ''}{shown}"

    def body(self, content: bytes | None) -> str:
        """Return a body; a text is replaced unless it is a word or a message of the service."""
        if not content:
            return "" if content == b"" else "(not recorded)"
        try:
            return json.dumps(self.value(json.loads(content)), ensure_ascii=False)
        except (ValueError, RecursionError):
            return f"({len(content):,} bytes that are not JSON)"

    def value(self, value: object, name: str = "") -> object:
        """Return a JSON value that belongs to this name, as `body` does."""
        match value:
            case dict():
                return {_name(each): self.value(inner, each) for each, inner in value.items()}
            case list():
                return [self.value(inner, name) for inner in value]
            case str():
                return self._field(name, value)
        return value

    def _field(self, name: str, text: str) -> str:
        if name in _MESSAGES:
            return self.text(text[:_MESSAGE_CHARS])
        if _URL.fullmatch(text):
            return self.url(text)
        if not text or (name in _WORDS and _WORD.fullmatch(text)):
            return text
        if name in _NESTED:
            try:
                return json.dumps(self.value(json.loads(text), name), ensure_ascii=False)
            except ValueError:
                pass
        self.learn(text)
        return f"({len(text):,} characters)"

    def _host(self, host: str) -> str:
        plain = host.rstrip(".")
        is_known = any(plain == each or plain.endswith(f".{each}") for each in _HOSTS)
        if is_known or is_loopback(host):
            return host
        self.learn(host)
        return f"host-{self._number('host', host)}.invalid"

    def _file(self, path: str) -> str:
        if not path.strip("/"):
            return path
        self.learn(path, *(part for part in path.split("/") if len(part) >= _TOKEN_CHARS))
        suffix = PurePosixPath(path).suffix.lower()
        return f"/file-{self._number('file', path)}{suffix if suffix in _SUFFIXES else ''}"

    def _number(self, kind: str, value: str) -> int:
        known = self._numbers[kind]
        return known.setdefault(value, len(known) + 1)


def render_cassette(exchanges: Sequence[Exchange], scrubber: Scrubber, title: str) -> str:
    """Return a cassette; requests without an answer are comments in it.

    Args:
        exchanges: The requests, oldest first.
        scrubber: Replaces what is private.
        title: The first line, a comment.
    """
    # Twice, since a message may quote a text that comes after it.
    parts = [[_render(each, scrubber) for each in exchanges] for _ in range(2)][1]
    is_empty = not any(each.status for each in exchanges)
    lines = [f"# {title}", "interactions: []" if is_empty else "interactions:", *parts]
    return "\n".join([*lines, "version: 1", ""])


def _render(exchange: Exchange, scrubber: Scrubber) -> str:
    url, body = scrubber.url(exchange.url), scrubber.body(exchange.body)
    answer, error = scrubber.body(exchange.answer), scrubber.text(exchange.error)
    note = f"# {exchange.method} {url}: {' '.join(error.split())}" if error else ""
    if not exchange.status:
        return note
    lines = [
        "- request:",
        f"    method: {_quoted(exchange.method)}",
        f"    uri: {_quoted(url)}",
        f"    headers: {_headers(exchange.headers)}",
        f"    body: {_quoted(body)}",
        "  response:",
        f"    status: {{code: {exchange.status}, message: ''}}",
        f"    headers: {_headers(exchange.answer_headers)}",
        f"    body: {{string: {_quoted(answer)}}}",
    ]
    return "\n".join([note, *lines] if note else lines)


def _headers(headers: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{name}: [{_quoted(value)}]" for name, value in headers.items()) + "}"


def _quoted(text: str) -> str:
    """Return a text as YAML writes it: in single quotes if possible, else as JSON."""
    text = text.encode("utf-8", "replace").decode()  # half a surrogate pair
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    written = json.dumps(text, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", written)


_UNPRINTABLE: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""Characters that YAML does not allow in a file, and JSON does."""


def _word(text: str) -> str:
    return text if _WORD.fullmatch(text) else "(text)"


def _name(text: str) -> str:
    return text if _NAME.fullmatch(text) else "(name)"


def _without(message: str, private: str) -> str:
    """Return a message without a private text, or parts of it that are long enough to tell."""
    if len(private) < _QUOTED_CHARS:
        return re.sub(rf"(?<!\w){re.escape(private)}(?!\w)", "(private)", message)
    blocks = SequenceMatcher(None, message, private, autojunk=False).get_matching_blocks()
    for block in reversed(blocks):
        if block.size >= _QUOTED_CHARS:
            message = f"{message[: block.a]}(private){message[block.a + block.size :]}"
    return message
