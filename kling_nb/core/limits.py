"""Size limits in bytes that several packages share."""

from __future__ import annotations

from typing import Final

CALLBACK_LIMIT_BYTES: Final = 256 * 1024
"""Maximum body of a callback. The examples in the specification have less than 2 kB."""

UPLOAD_LIMIT_BYTES: Final = 100_000_000
"""Maximum size of an upload (source: D). Some models take a larger file by its URL."""
