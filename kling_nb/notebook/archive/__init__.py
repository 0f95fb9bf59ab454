"""Notebook files as archives of jobs: embed clips (pack), remove them (slim), recover jobs."""

from __future__ import annotations

__all__: list[str] = []
