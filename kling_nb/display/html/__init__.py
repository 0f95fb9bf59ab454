"""Render job states as HTML and plain text; all escaping of the package is here.

`markup` writes safe HTML, `prices` formats quantities, `card_text` and `card_failures` contain the
text for each state; `card`, `card_live`, `gallery` and `tables` combine them. `saved_cards` finds
cards in saved outputs. Pure: no clock, no files except its own style sheets, no notebook. Names are
imported on first use: `%load_ext` needs only one of them, and `card` loads the models.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kling_nb.core.formatting import table_text, to_one_line

    from .card import playback_note, poster_image, render_record, video_attributes
    from .card_live import CardStatus, render_actions, render_live
    from .card_text import render_text, warning_text
    from .markup import escape, prose, render_container, render_mount, style_sheet
    from .prices import NO_CREDITS, about_prefix, price_line
    from .saved_cards import Section, find_sections, without_hub_ids
    from .tables import (
        Finding,
        FindingStatus,
        NoticeKind,
        findings_text,
        render_findings,
        render_notice,
        render_table,
    )

__all__ = [
    "NO_CREDITS",
    "CardStatus",
    "Finding",
    "FindingStatus",
    "NoticeKind",
    "Section",
    "about_prefix",
    "escape",
    "find_sections",
    "findings_text",
    "playback_note",
    "poster_image",
    "price_line",
    "prose",
    "render_actions",
    "render_container",
    "render_findings",
    "render_live",
    "render_mount",
    "render_notice",
    "render_record",
    "render_table",
    "render_text",
    "style_sheet",
    "table_text",
    "to_one_line",
    "video_attributes",
    "warning_text",
    "without_hub_ids",
]

_MODULES = {
    "kling_nb.core.formatting": ("table_text", "to_one_line"),
    "kling_nb.display.html.card": (
        "playback_note",
        "poster_image",
        "render_record",
        "video_attributes",
    ),
    "kling_nb.display.html.card_live": ("CardStatus", "render_actions", "render_live"),
    "kling_nb.display.html.card_text": ("render_text", "warning_text"),
    "kling_nb.display.html.markup": (
        "escape",
        "prose",
        "render_container",
        "render_mount",
        "style_sheet",
    ),
    "kling_nb.display.html.prices": ("NO_CREDITS", "about_prefix", "price_line"),
    "kling_nb.display.html.saved_cards": ("Section", "find_sections", "without_hub_ids"),
    "kling_nb.display.html.tables": (
        "Finding",
        "FindingStatus",
        "NoticeKind",
        "findings_text",
        "render_findings",
        "render_notice",
        "render_table",
    ),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
