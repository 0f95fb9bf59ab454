"""The emulated account: tasks, uploads, balance and callbacks, kept in SQLite."""

from __future__ import annotations

__all__: list[str] = []
