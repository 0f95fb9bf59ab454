"""The emulated service as an ASGI application, with its callbacks."""

from __future__ import annotations

__all__: list[str] = []
