"""Safe pieces of HTML, their literal looks and the style sheet."""

from __future__ import annotations

import re

import pytest

from kling_nb.display.html.markup import (
    data_uri,
    escape,
    fit_size,
    inline_styles,
    join,
    jpeg_size,
    style_sheet,
    tag,
)
from tests.support.html_states import TINY_JPEG

CARD_BACK = inline_styles()["card"]
KEPT = {
    "align-items", "background", "border", "border-bottom", "border-collapse", "border-left",
    "border-radius", "border-top", "box-sizing", "color", "cursor", "display", "flex", "flex-wrap",
    "float", "font-family", "font-size", "font-weight", "gap", "grid-template-columns", "height",
    "justify-content", "letter-spacing", "list-style", "line-height", "margin", "max-width",
    "min-height", "min-width", "overflow", "overflow-wrap", "padding", "text-align",
    "text-decoration", "text-overflow", "text-transform", "vertical-align", "white-space", "width",
}  # fmt: skip
"""Properties that JupyterLab 4.6 was seen to keep in a notebook that is not trusted."""


def luminance(colour: str) -> float:
    """Give the relative luminance of `#rrggbb`."""
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (
        channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
        for channel in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(ink: str, back: str) -> float:
    """Give the contrast ratio of two colours, 1 to 21."""
    light, dark = sorted((luminance(ink), luminance(back)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def colour(style: str, name: str) -> str | None:
    """Find the last literal colour that a style gives to a property."""
    found = re.findall(rf"(?:^|;){name}:\s*(#[0-9a-f]{{6}})", style)
    return found[-1] if found else None


def blend(ink: tuple[int, float], back: int) -> str:
    """Give the grey that a translucent grey makes on another."""
    grey, alpha = ink
    return "#" + f"{round(grey * alpha + back * (1 - alpha)):02x}" * 3


@pytest.mark.parametrize(
    "name", [name for name, css in inline_styles().items() if colour(css, "color")]
)
def test_every_literal_text_can_be_read_on_its_background(name: str) -> None:
    """4.5:1 for each piece: on its own background, or on the card's."""
    style = inline_styles()[name]
    back = colour(style, "background") or colour(CARD_BACK, "background")
    assert contrast(str(colour(style, "color")), str(back)) >= 4.5


@pytest.mark.parametrize("tone", ["run", "good", "bad", "warn", "calm"])
def test_every_badge_can_be_read_in_a_dark_theme(tone: str) -> None:
    """4.5:1 for the badges of the style sheet's dark palette."""
    back, ink = re.findall(rf"--kling-{tone}-(?:back|ink): ?(#[0-9a-f]{{6}})", style_sheet())
    assert contrast(ink, back) >= 4.5


@pytest.mark.parametrize(
    ("ink", "back"), [((0, 0.54), 255), ((255, 0.7), 0x21), ((255, 0.7), 0x11)]
)
def test_the_themes_quiet_text_can_be_read(ink: tuple[int, float], back: int) -> None:
    """JupyterLab's own second text colour, which the cards use, has 4.5:1 on its own layouts."""
    assert contrast(blend(ink, back), blend((back, 1.0), back)) >= 4.5


@pytest.mark.parametrize("name", list(inline_styles()))
def test_looks_hold_only_what_a_sanitizer_keeps(name: str) -> None:
    """No variable, no calculation, no motion, no property that would be removed."""
    style = inline_styles()[name]
    assert {part.split(":")[0].strip() for part in style.split(";")} <= KEPT
    assert not re.search(r"var\(|calc\(|url\(|anywhere|!important", style)


def test_the_style_sheet_uses_the_themes_colours_with_literal_fallbacks() -> None:
    """A front end without JupyterLab's variables shows the literal palette."""
    assert not re.search(r"var\(--jp-[a-z0-9-]+\)", style_sheet())
    assert "var(--jp-layout-color1,#f8f9fb)" in style_sheet()
    assert len(style_sheet()) < 8000, "each record carries it"


def test_the_style_sheet_touches_nothing_but_cards() -> None:
    """Every rule names a class of ours: the notebook around it stays as it is."""
    bare = re.sub(r"@(keyframes|property)[^{]+\{([^{}]|\{[^{}]*\})*\}", "", style_sheet())
    selectors = re.findall(r"[{}]([^{}@]+)\{", bare.replace("<style>", "}"))
    assert selectors
    assert all("kling-" in part for selector in selectors for part in selector.split(","))


def test_motion_is_only_for_those_who_want_it() -> None:
    """The bar's animations stand inside the query for reduced motion."""
    before, _, after = style_sheet().partition("@media (prefers-reduced-motion: no-preference)")
    assert "animation:kling-grow" in after
    assert "animation:kling-grow" not in before
    assert "animation:kling-pass" not in before


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("<a href='x' \"&\">", "&lt;a href=&#39;x&#39; &#34;&amp;&#34;&gt;"),
        ("a\x00b\u202ec", "a\ufffdb\ufffdc"),
        (escape("<\n'"), "&lt;&#10;&#39;"),
    ],
    ids=["markup", "invisible", "escaped before"],
)
def test_escape_leaves_no_way_out_of_text_or_attribute(text: str, escaped: str) -> None:
    """Markup becomes entities, invisible characters are shown; escaping twice changes nothing."""
    assert escape(text) == escaped


@pytest.mark.parametrize(
    ("made", "markup"),
    [
        (tag("b", "", escape("<"), title='"x"', data_kling_job=""),
         '<b title="&#34;x&#34;">&lt;</b>'),
        (tag("img", "", alt="x"), '<img alt="x">'),
        (join("a<", tag("b", "", "<c>")), "a&lt;<b>&lt;c&gt;</b>"),
    ],
    ids=["attributes", "void element", "pieces"],
)  # fmt: skip
def test_an_element_escapes_its_attributes_and_its_plain_pieces(made: str, markup: str) -> None:
    """Markup is not escaped again, empty attributes are left out, void elements not closed."""
    assert made == markup


def test_a_look_that_does_not_exist_is_an_error() -> None:
    """A typing mistake does not become an element without a style."""
    with pytest.raises(KeyError):
        tag("p", "pormpt")


def test_data_becomes_an_address() -> None:
    """Base64 with its type."""
    assert data_uri(b"abc") == "data:image/jpeg;base64,YWJj"


@pytest.mark.parametrize(
    ("data", "size_px"),
    [
        (TINY_JPEG, (1280, 720)),
        (b"", None),
        (b"\xff\xd8", None),
        (b"\x89PNG" + b"x" * 40, None),
        (TINY_JPEG[:24], None),
    ],
)
def test_a_jpegs_size_is_read_from_its_header(data: bytes, size_px: tuple[int, int] | None) -> None:
    """Width before height, behind other segments; a broken image has none."""
    assert jpeg_size(data) == size_px


def test_pictures_shrink_into_their_box_and_never_grow() -> None:
    """The ratio stays."""
    assert fit_size((1280, 720), (144, 120)) == (144, 81)
    assert fit_size((720, 1280), (144, 120)) == (68, 120)
    assert fit_size((10, 20), (144, 120)) == (10, 20)
