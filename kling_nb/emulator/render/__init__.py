"""Render clips from the inputs of a task."""

from __future__ import annotations

__all__: list[str] = []
