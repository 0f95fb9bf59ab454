"""Resolve inputs: a job to its clip, a URI to a file, an open file to its content.

For images, video and audio. Must not inspect the content of a file.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from typing import Any, Final
from urllib.parse import unquote_to_bytes, urlsplit
from urllib.request import url2pathname

from kling_nb.core.errors import MediaError
from kling_nb.core.stored_input import StoredInput

SOURCE_LIMIT_BYTES: Final = 200_000_000
_URI: Final = re.compile(r"(file|data):", re.IGNORECASE)


def describe(source: object) -> str:
    """Return a name of the given object for error messages."""
    if isinstance(source, StoredInput):
        return source.name
    if is_data_url(source):
        return "data URL"
    if isinstance(source, str | os.PathLike):
        return os.path.basename(os.path.normpath(os.fsdecode(source)))[:80]
    if isinstance(source, bytes):
        return f"{len(source):,} bytes"
    if name := file_name(source):
        return os.path.basename(name)[:80]
    return f"job {source.id}" if is_job(source) and hasattr(source, "id") else type(source).__name__


def unwrap(source: object, name: str = "") -> object:
    """Return the path, bytes, clip, image or array of an input.

    Args:
        source: Also a job (its clip), a `file:` or `data:` URI, an open file, `BytesIO`, or an
            image, video or audio of `IPython.display`. Files are read from their beginning.
        name: The user's name for it, e.g. the name of the variable.

    Raises:
        MediaError: It is a job without a clip, or cannot be read.
    """
    if is_job(source):
        return _clip_of_job(source, name or describe(source))
    if type(source).__module__.startswith("IPython."):
        source = _shown_content(source)
    if isinstance(source, str):
        return _read_uri(source)
    if callable(getattr(source, "read", None)):
        return _read_open_file(source)
    return bytes(source) if isinstance(source, bytes | bytearray | memoryview) else source


def is_uri(given: object) -> bool:
    """Return whether it is a `data:` or `file:` URI."""
    return isinstance(given, str) and _URI.match(given.strip()) is not None


def is_data_url(given: object) -> bool:
    """Return whether it is a `data:` URI."""
    return is_uri(given) and str(given).strip()[:5].lower() == "data:"


def url_of(source: object) -> str:
    """Return an http(s) URL, also of an IPython object; empty for anything else."""
    if type(source).__module__.startswith("IPython."):
        source = _shown_content(source)
    url = source.strip() if isinstance(source, str) else ""
    return url if url.lower().startswith(("http://", "https://")) else ""


def is_job(source: Any) -> bool:
    """Return whether it is a job, or another future."""
    return all(callable(getattr(source, name, None)) for name in ("done", "result", "exception"))


def _clip_of_job(job: Any, name: str) -> object:
    """Return the clip of a job."""
    if not job.done():
        variable = name if name.isidentifier() else "job"
        raise MediaError(
            f"{name} is not done yet: run {variable}.result() to wait for it, then run this again"
        )
    if error := job.exception():
        raise MediaError(f"{name} has no clip ({error}); give another one")
    return job.result()


def _shown_content(shown: Any) -> object:
    """Return the content of an `IPython.display` object: bytes, a path or a URL; else itself."""
    names = ("data", "filename", "url")
    return next((value for name in names if (value := getattr(shown, name, None))), shown)


def _read_uri(given: str) -> object:
    """Return the path of a `file:` URI or the bytes of a `data:` URI; else the text itself."""
    if not is_uri(given):
        return given
    given = given.strip()
    if is_data_url(given):
        return _decode_data_url(given)
    parts = urlsplit(given)
    if parts.netloc not in {"", "localhost"}:
        raise MediaError(f"{given[:300]!r} is a file on another machine; give a path on this one")
    return url2pathname(parts.path)


def _decode_data_url(given: str) -> bytes:
    head, comma, data = given.partition(",")
    content = unquote_to_bytes(data)
    if not head.lower().endswith(";base64"):
        return content
    try:
        return base64.b64decode(b"".join(content.split()), validate=True) if comma else b""
    except binascii.Error as error:
        raise MediaError(
            f"a data URL of {len(given):,} characters cannot be decoded ({error}); copy it again"
        ) from None


def file_name(source: object) -> str:
    """Return the name of an open file; empty if it has none or is not a file."""
    name = getattr(source, "name", "") if callable(getattr(source, "read", None)) else ""
    return name if isinstance(name, str) else ""


def _read_open_file(file: Any) -> bytes:
    """Return the whole content of an open file, and keep its position."""
    file = getattr(file, "buffer", file)  # the binary file of one opened as text
    try:
        position = file.tell()
        file.seek(0)
        content = file.read(SOURCE_LIMIT_BYTES + 1)
        file.seek(position)
    except (OSError, ValueError, AttributeError) as error:
        raise MediaError(
            f"{describe(file)}: cannot be read from its beginning ({error}); give its path or bytes"
        ) from None
    if not isinstance(content, bytes):
        raise MediaError(f"{describe(file)}: is open in text mode; open it in mode 'rb'")
    if len(content) > SOURCE_LIMIT_BYTES:
        limit = f"{SOURCE_LIMIT_BYTES // 1_000_000} MB"
        raise MediaError(f"{describe(file)}: is larger than {limit}; give a smaller one")
    return content
