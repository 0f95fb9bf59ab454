"""Write safe HTML: escaping, elements, inline styles, style sheets and card containers.

Contains the one function that turns text into markup. Must not depend on jobs.

Styles (`looks.css`) are written inline and literally, because a notebook that is not trusted loses
style sheets, ARIA and every property with `var()`; the style sheet (`card.css`) only improves on
them, hence its `!important`.
"""

from __future__ import annotations

import html
import re
import struct
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from typing import NewType

from kling_nb.core.formatting import visible
from kling_nb.display.assets import STATIC

__all__ = [
    "Markup",
    "code",
    "data_uri",
    "escape",
    "fitted",
    "joined",
    "jpeg_size",
    "link",
    "looks",
    "prose",
    "render_mount",
    "render_place",
    "style_sheet",
    "tag",
]

Markup = NewType("Markup", str)
"""Text that is HTML already. Only `escape`, `tag`, `joined` and `style_sheet` make it, and a
player that IPython wrote."""

BESIDE = re.compile(r"(?!//)[\w./%~+=,@()-]+")
"""An address that cannot leave the notebook's server: no scheme, no host, no backslash."""

LOOKS_SHEET = "looks.css"
CARD_SHEET = "card.css"
START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def escape(text: str) -> Markup:
    """Give the text as HTML, safe between tags and in quoted attributes.

    Characters that cannot be seen but act (controls, direction overrides) are shown as U+FFFD.
    The end of a line is a reference, too: in Markdown, to which notebooks are exported, an empty
    line would end the piece of HTML.
    """
    return Markup(html.escape(visible(text), quote=True).replace("\n", "&#10;"))


def joined(*pieces: Markup) -> Markup:
    """Put pieces one after the other."""
    return Markup("".join(pieces))


def tag(name: str, look: str, *children: Markup, **attributes: str) -> Markup:
    """Write one element.

    Args:
        name: The element's name.
        look: Its name in `looks.css`, which gives class and style; empty for neither.
        children: What is inside, as markup; an element without children stays open only if
            HTML calls it void.
        attributes: Their values as plain text; `_` in a name stands for `-`, and `classes` adds
            to the class.
    """
    classes = " ".join(
        filter(None, (f"kling-{look}" if look else "", attributes.pop("classes", "")))
    )
    style = ";".join(filter(None, (looks()[look] if look else "", attributes.pop("style", ""))))
    named = {"class": classes, "style": style} | {
        key.replace("_", "-"): value for key, value in attributes.items()
    }
    inside = "".join(f' {key}="{escape(value)}"' for key, value in named.items() if value)
    if name in ("img", "br"):
        return Markup(f"<{name}{inside}>")
    return Markup(f"<{name}{inside}>{''.join(children)}</{name}>")


def code(text: str) -> Markup:
    """Write something to select and copy."""
    return tag("code", "code", escape(text))


def prose(text: str) -> Markup:
    """Write a sentence; what stands between backticks is something to type."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return joined(*(code(part) if odd % 2 else escape(part) for odd, part in enumerate(parts)))


def data_uri(data: bytes, mime: str = "image/jpeg") -> str:
    """Give the bytes as a `data:` address, the only one that survives in a moved notebook."""
    return f"data:{mime};base64,{b64encode(data).decode('ascii')}"


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Read width and height in pixels from a JPEG's frame header; None where there is none."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        if data[at + 1] in START_OF_FRAME:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return (width, height) if width and height else None
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return None


def fitted(size: tuple[int, int], box: tuple[int, int]) -> tuple[int, int]:
    """Scale a width and height into a box, never up, keeping their ratio."""
    scale = min(1.0, box[0] / size[0], box[1] / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def link(href: str, text: str) -> Markup:
    """Write a link to a file beside the notebook; nothing where the address leads elsewhere."""
    if not BESIDE.fullmatch(href):
        return joined()
    return joined(escape(" "), tag("a", "link", escape(text), href=href, target="_blank"))


@cache
def looks() -> Mapping[str, str]:
    """Give the literal style of each piece by its name; later rules in `looks.css` add to it."""
    found: dict[str, str] = {}
    for names, style in re.findall(r"([^{}]+)\{([^}]*)\}", sheet(LOOKS_SHEET)):
        for name in names.split(","):
            found[name] = ";".join(filter(None, (found.get(name, ""), style.strip(";"))))
    return found


@cache
def style_sheet() -> Markup:
    """Give the `<style>` that goes with each record.

    Each record carries its own, since a notebook may be cut, copied and cleared cell by cell.
    """
    return Markup(f"<style>{sheet(CARD_SHEET)}</style>")


def sheet(name: str) -> str:
    """Read a style sheet without its comments and spaces."""
    css = (STATIC / name).read_text(encoding="utf-8")
    bare = re.sub(r"\s+", " ", re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL))
    return re.sub(r" ?([{};,]) ?", r"\1", re.sub(r"([{;]\s*[-a-z]+): ", r"\1:", bare)).strip()


def render_place(records: str, *, hub_id: str, place_id: str, version: int) -> str:
    """Wrap records so that the hub can draw their feet.

    Args:
        records: One or more sections of `render_record`.
        hub_id: Whose they are.
        place_id: The place.
        version: Grows with each update, so that a page that lost one can be told.
    """
    return tag(
        "div",
        "",
        Markup(records),
        classes="kling-place",
        data_kling_hub=hub_id,
        data_kling_place=place_id,
        data_kling_version=str(version),
    )


def render_mount(fallback: str, *, hub_id: str, model_id: str) -> str:
    """Wrap a saved form that a widget replaces while its kernel lives.

    Args:
        fallback: The saved form, as HTML.
        hub_id: The hub that shows the widget.
        model_id: The widget's model.
    """
    return tag(
        "div",
        "",
        Markup(fallback),
        classes="kling-mount",
        data_kling_hub=hub_id,
        data_kling_mount=model_id,
    )
