"""Notebook files as archives of jobs: pack clips into them, slim them, recover jobs from them."""

from __future__ import annotations

__all__: list[str] = []
