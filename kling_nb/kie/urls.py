"""The hosts of the service and the paths of its endpoints.

Source: published documentation and live traffic (D, L).
"""

from __future__ import annotations

from typing import Final

API_URL: Final = "https://api.kie.ai"
"""Source: the provider's documentation and recorded live traffic (D, L), 2026-04."""
UPLOAD_URL: Final = "https://kieai.redpandaai.co"
"""Source: the provider's documentation and recorded live traffic (D, L), 2026-04."""

CREATE_PATH: Final = "/api/v1/jobs/createTask"
RECORD_PATH: Final = "/api/v1/jobs/recordInfo"
CREDIT_PATH: Final = "/api/v1/chat/credit"
DOWNLOAD_URL_PATH: Final = "/api/v1/common/download-url"

# On the upload host:
UPLOAD_PATH: Final = "/api/file-stream-upload"
UPLOAD_BASE64_PATH: Final = "/api/file-base64-upload"
UPLOAD_URL_PATH: Final = "/api/file-url-upload"
