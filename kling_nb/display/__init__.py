"""Notebook output: cards, panel, gallery, and the comm that makes saved HTML interactive.

Must not make decisions about money: `jobs` makes them, and `display` observes jobs. Scripts and
style sheets are in `static`.

Read first: `cards/card` (the controller of a card), `html/card` (its HTML), `comm`.

    from kling_nb.display.cards.mimebundle import card_bundle
"""

from __future__ import annotations

__all__: list[str] = []
