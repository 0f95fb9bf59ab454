"""Write safe HTML: escaping, elements, inline styles, style sheets and card containers.

`tag` and `join` escape each plain `str`; only `markupsafe.Markup` is inserted as it is. Must not
depend on jobs.

Styles (`looks.css`) are written inline and literally, because an untrusted notebook loses style
sheets, ARIA and every property with `var()`. The style sheet (`card.css`) improves on them, hence
its `!important`.
"""

from __future__ import annotations

import re
import struct
from base64 import b64encode
from collections.abc import Mapping
from functools import cache

import markupsafe
from markupsafe import Markup

from kling_nb.core.formatting import replace_invisible
from kling_nb.display.assets import STATIC

_BESIDE = re.compile(r"(?!//)[\w./%~+=,@()-]+")
"""A URL that cannot leave the notebook's server: no scheme, no host, no backslash."""

_LOOKS_SHEET = "looks.css"
_CARD_SHEET = "card.css"
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def escape(text: str) -> Markup:
    """Return text as HTML, safe between tags and in quoted attributes; markup is unchanged.

    Invisible characters with an effect (controls, direction overrides) are shown as U+FFFD. Line
    ends become character references: in Markdown, to which notebooks are exported, an empty line
    would end the block of HTML.
    """
    if isinstance(text, Markup):
        return text
    return markupsafe.escape(replace_invisible(text)).replace("\n", Markup("&#10;"))


def join(*pieces: str) -> Markup:
    """Concatenate pieces; plain text is escaped, `Markup` is not."""
    return Markup("").join(map(escape, pieces))


def tag(name: str, look: str, *children: str, **attributes: str) -> Markup:
    """Return one element.

    Args:
        name: The element's name.
        look: The name in `looks.css` of its class and inline style; empty for neither.
        children: The content; plain text is escaped, `Markup` is not.
        attributes: Values as plain text; `_` in a name stands for `-`, and `classes` adds to the
            class.
    """
    classes = " ".join(
        filter(None, (f"kling-{look}" if look else "", attributes.pop("classes", "")))
    )
    style = ";".join(
        filter(None, (inline_styles()[look] if look else "", attributes.pop("style", "")))
    )
    named = {"class": classes, "style": style} | {
        key.replace("_", "-"): value for key, value in attributes.items()
    }
    inside = "".join(f' {key}="{escape(value)}"' for key, value in named.items() if value)
    if name in ("img", "br"):
        return Markup(f"<{name}{inside}>")
    return Markup(f"<{name}{inside}>{join(*children)}</{name}>")


def code(text: str) -> Markup:
    """Return text as a `<code>` element, to select and copy."""
    return tag("code", "code", text)


def prose(text: str) -> Markup:
    """Return a sentence as HTML, with the parts between backticks as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return join(*(code(part) if odd % 2 else part for odd, part in enumerate(parts)))


def data_uri(data: bytes, mime: str = "image/jpeg") -> str:
    """Return bytes as a `data:` URL, the only kind that works in a moved notebook."""
    return f"data:{mime};base64,{b64encode(data).decode('ascii')}"


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Read width and height in pixels from a JPEG's frame header, or None."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        if data[at + 1] in _START_OF_FRAME:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return (width, height) if width and height else None
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return None


def fit_size(size: tuple[int, int], box: tuple[int, int]) -> tuple[int, int]:
    """Scale a width and height down into a box, keeping the ratio."""
    scale = min(1.0, box[0] / size[0], box[1] / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def link(href: str, text: str, *, download: str = "") -> Markup:
    """Return a link to a file beside the notebook; empty if the URL leads elsewhere.

    Args:
        href: The URL.
        text: The text of the link.
        download: The file name to suggest; empty opens the file instead.
    """
    if not _BESIDE.fullmatch(href):
        return join()
    return join(" ", tag("a", "link", text, href=href, target="_blank", download=download))


@cache
def inline_styles() -> Mapping[str, str]:
    """Return the inline style of each element by name, from `looks.css`."""
    found: dict[str, str] = {}
    for names, style in re.findall(r"([^{}]+)\{([^}]*)\}", _read_css(_LOOKS_SHEET)):
        for name in names.split(","):
            found[name] = ";".join(filter(None, (found.get(name, ""), style.strip(";"))))
    return found


@cache
def style_sheet() -> Markup:
    """Return the `<style>` element that each card contains.

    Each card has its own, because users cut, copy and clear a notebook cell by cell.
    """
    return Markup(f"<style>{_read_css(_CARD_SHEET)}</style>")


def _read_css(name: str) -> str:
    """Read a style sheet, without comments and spaces."""
    css = (STATIC / name).read_text(encoding="utf-8")
    bare = re.sub(r"\s+", " ", re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL))
    return re.sub(r" ?([{};,]) ?", r"\1", re.sub(r"([{;]\s*[-a-z]+): ", r"\1:", bare)).strip()


def render_container(cards: str, *, hub_id: str, place_id: str, version: int) -> str:
    """Wrap cards in a container, so that pages can draw their actions.

    Args:
        cards: HTML of one or more calls of `render_record`.
        hub_id: The hub of the kernel.
        place_id: The container.
        version: Increases with each update, so that a page can detect a lost one.
    """
    return str(
        tag(
            "div",
            "",
            Markup(cards),
            classes="kling-place",
            data_kling_hub=hub_id,
            data_kling_place=place_id,
            data_kling_version=str(version),
        )
    )


def render_mount(fallback: str, *, hub_id: str, model_id: str) -> str:
    """Wrap a saved view that a widget replaces while its kernel runs."""
    return str(
        tag(
            "div",
            "",
            Markup(fallback),
            classes="kling-mount",
            data_kling_hub=hub_id,
            data_kling_mount=model_id,
        )
    )
