"""`%kling quote`: find the requests of a notebook and price them without running it."""

from __future__ import annotations

__all__: list[str] = []
