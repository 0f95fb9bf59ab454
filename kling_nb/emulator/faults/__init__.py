"""Named faults, and their injection into the emulated service."""

from __future__ import annotations

__all__: list[str] = []
