"""Faults by name, and how they are injected into the emulated service."""

from __future__ import annotations

__all__: list[str] = []
