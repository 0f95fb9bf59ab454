"""`%kling quote`: find the requests in cells and price them before anything is sent."""

from __future__ import annotations

__all__: list[str] = []
