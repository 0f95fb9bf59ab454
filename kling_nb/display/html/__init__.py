"""Render job states as HTML and plain text; all escaping of the package is here.

`markup` writes safe HTML, `prices` formats quantities, `card_text` and `card_failures` contain the
text for each state; `card`, `card_live`, `gallery` and `tables` combine them. `saved_cards` finds
cards in saved outputs. Pure: no clock, no files except its own style sheets, no notebook.
"""

from __future__ import annotations

from kling_nb.core.formatting import to_one_line

from .card import playback_note, poster_image, render_record, video_attributes
from .card_live import CardStatus, render_actions, render_live
from .card_text import render_text, table_text, warning_text
from .markup import escape, prose, render_container, render_mount, style_sheet
from .prices import about_prefix, price_line
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
