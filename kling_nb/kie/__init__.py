"""The API of kie.ai: HTTP client, wire format, uploads, downloads, rate limits, webhooks.

Must not depend on jobs, the ledger or notebooks. The only user of httpx besides the emulator.

Read first: `client` (the calls of one account), `wire` (the meaning of answers), `http`
(downloads).

    from kling_nb.kie.client import Client
"""

from __future__ import annotations

__all__: list[str] = []
