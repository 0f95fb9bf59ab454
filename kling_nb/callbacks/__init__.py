"""Webhooks over HTTP: listen for callbacks, in a server of our own or in Jupyter's."""

from __future__ import annotations

__all__: list[str] = []
