"""The emulated service as ASGI routes, and the sender of its callbacks."""

from __future__ import annotations

__all__: list[str] = []
