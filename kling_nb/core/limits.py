"""Size limits in bytes that several packages share."""

from __future__ import annotations

from typing import Final

__all__ = ["CALLBACK_LIMIT_BYTES", "UPLOAD_LIMIT_BYTES"]

CALLBACK_LIMIT_BYTES: Final = 256 * 1024
"""The longest body of a callback that is read. The documents in the specification have less than
2 kB."""

UPLOAD_LIMIT_BYTES: Final = 100_000_000
"""Of a file that is uploaded (source: D). Some models take a larger one, at a URL of its own."""
