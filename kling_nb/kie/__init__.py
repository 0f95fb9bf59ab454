"""Everything that the service spells: its HTTP client, wire format, uploads, downloads, limits."""

from __future__ import annotations

__all__: list[str] = []
