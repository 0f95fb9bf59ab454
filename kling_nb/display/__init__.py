"""What a notebook shows: cards, panel, gallery, and the comm that brings saved HTML to life."""

from __future__ import annotations

__all__: list[str] = []
