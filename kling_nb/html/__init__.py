"""From the state of a job to HTML and plain text; all escaping of the package is here.

`units` and `prices` spell quantities, `failures` and `words` say what a state means, `markup`
writes safe pieces, `record`, `live`, `text` and `tables` put them together. Pure: no clock, no
file but its own style sheet, no notebook.
"""

from __future__ import annotations

from .live import render_live
from .markup import escape, prose, style_sheet
from .prices import price_line, price_words
from .record import poster_image, render_record, video_attributes
from .tables import NoticeKind, render_notice, render_table
from .text import render_text, table_text
from .units import one_line

__all__ = [
    "NoticeKind",
    "escape",
    "one_line",
    "poster_image",
    "price_line",
    "price_words",
    "prose",
    "render_live",
    "render_notice",
    "render_record",
    "render_table",
    "render_text",
    "style_sheet",
    "table_text",
    "video_attributes",
]
