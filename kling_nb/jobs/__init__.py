"""The engine: prepare, reserve, submit, poll and download; sessions, recovery and settings."""

from __future__ import annotations

__all__: list[str] = []
