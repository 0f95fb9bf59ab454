"""Everything kie.ai spells: HTTP client, wire format, uploads, downloads, rate limits, webhooks.

Must not know jobs, the ledger or notebooks. The only user of httpx beside the emulator.

Read first: `client` (calls of one account), `wire` (what answers mean), `http` (downloads).

    from kling_nb.kie.client import Client
"""

from __future__ import annotations

__all__: list[str] = []
