"""The emulated account: tasks, balance, uploads and callbacks, in one folder."""

from __future__ import annotations

__all__: list[str] = []
