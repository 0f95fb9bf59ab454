"""The paths of the service's endpoints. Source: published documentation and live traffic (D, L)."""

from __future__ import annotations

from typing import Final

__all__ = [
    "CREATE_PATH",
    "CREDIT_PATH",
    "DOWNLOAD_URL_PATH",
    "RECORD_PATH",
    "UPLOAD_BASE64_PATH",
    "UPLOAD_LIMIT_BYTES",
    "UPLOAD_PATH",
    "UPLOAD_URL_PATH",
]

CREATE_PATH: Final = "/api/v1/jobs/createTask"
RECORD_PATH: Final = "/api/v1/jobs/recordInfo"
CREDIT_PATH: Final = "/api/v1/chat/credit"
DOWNLOAD_URL_PATH: Final = "/api/v1/common/download-url"

# On the upload host:
UPLOAD_PATH: Final = "/api/file-stream-upload"
UPLOAD_BASE64_PATH: Final = "/api/file-base64-upload"
UPLOAD_URL_PATH: Final = "/api/file-url-upload"

UPLOAD_LIMIT_BYTES: Final = 100_000_000
"""Of a file that is uploaded. Some models take a larger one, at a URL of its own."""
