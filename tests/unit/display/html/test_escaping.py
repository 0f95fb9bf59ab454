"""Nothing that a person or the service wrote becomes markup."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest

from kling_nb.core.job_state import JobState
from kling_nb.display import html
from kling_nb.display.html import CardStatus
from kling_nb.display.html.markup import inline_styles
from tests.support.html_outline import Outline, foot, record, text
from tests.support.html_states import EVERY, FACTS, SAVED, TINY_JPEG, name_of

ALLOWED = {
    "section": {"class", "style", "aria-label", "data-kling-job", "data-kling-state", "role"},
    "style": set(),
    "div": {
        "class", "style", "role", "aria-label", "aria-valuemin", "aria-valuemax", "aria-valuenow",
        "aria-valuetext", "data-kling-at", "data-kling-usual", "data-kling-late",
    },
    "button": {
        "class", "style", "type", "title", "disabled", "data-kling-do", "data-kling-job",
        "data-kling-turn", "data-kling-text",
    },
    "span": {"class", "style", "role"},
    "strong": {"class", "style"},
    "p": {"class", "style", "title", "role"},
    "img": {"class", "style", "src", "alt", "width", "height"},
    "details": {"class", "style"},
    "summary": {"class", "style"},
    "pre": {"class", "style"},
    "code": {"class", "style"},
    "blockquote": {"class", "style"},
    "dl": {"class", "style"},
    "dt": {"class", "style"},
    "dd": {"class", "style"},
    "a": {"class", "style", "href", "target", "download"},
    "table": {"class", "style"},
    "caption": {"class", "style"},
    "thead": set(),
    "tbody": set(),
    "tr": set(),
    "th": {"class", "style", "scope"},
    "td": {"class", "style"},
}  # fmt: skip

OWN_STYLE = re.compile(r"(^|;)(width:\d+%|text-align:right|--kling-[a-z]+:-?[\d.]+s)(?=;|$)")
"""What a piece may add to its literal look: computed widths and delays."""

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "quotes": "\"' onmouseover=alert(1) x='",
    "breakout": '"><img src=x onerror=alert(1)>',
    "endings": "</style></pre></details></section>--><svg/onload=alert(1)>",
    "address": "javascript:alert(1)",
    "bidi": "\u202egpj.exe\u2066",
    "nul": "a\x00b\x1b[2J\ud800",
    "backticks": "`<b>`x`",
    "long": "w<" * 5_000,
    "lines": "one\n\ntwo\r\nthree\nfour\nfive",
}


def poisoned(value: Any, poison: str) -> Any:
    """Replace every text in a value, however deep."""
    if isinstance(value, str):
        return poison
    if isinstance(value, tuple):
        return tuple(poisoned(item, poison) for item in value)
    if isinstance(value, Mapping):
        return {f"{key}{poison}": poisoned(item, poison) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        names = (item.name for item in fields(value))
        return replace(value, **{name: poisoned(getattr(value, name), poison) for name in names})
    return value


def check_safe(markup: str) -> None:
    """Check that a piece of HTML holds our elements, attributes, styles and addresses only."""
    markup.encode("utf-8")
    assert not re.search("[\x00-\x08\x1b\u202a-\u202e\u2066-\u2069]", markup)
    # In Markdown an empty line ends a piece of HTML, and what follows is no card any more.
    assert "\n" not in markup
    outline = Outline(markup)
    assert not outline.open
    for tag, attrs in outline.elements:
        assert set(attrs) <= ALLOWED[tag]
        assert (attrs.get("src") or "data:image/jpeg;base64,").startswith("data:image/jpeg;base64,")
        literal = OWN_STYLE.sub("", attrs.get("style") or "")
        assert literal in {"", *inline_styles().values()}


@pytest.mark.parametrize("poison", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("state", EVERY, ids=name_of)
def test_nothing_that_others_wrote_becomes_markup(state: JobState, poison: str) -> None:
    """Each text of the request and of the answer is hostile at once, in HTML and in text."""
    bad_facts, bad_state = poisoned(FACTS, poison), poisoned(state, poison)
    check_safe(record(bad_state, bad_facts))
    check_safe(foot(bad_state, bad_facts, poisoned(CardStatus(1, "a", "b", "c", "d"), poison)))
    plain = text(bad_state, bad_facts)
    plain.encode("utf-8")
    assert len(plain.splitlines()) <= 4
    assert "\x1b" not in plain


@pytest.mark.parametrize("poison", HOSTILE.values(), ids=HOSTILE)
def test_tables_and_notices_escape_too(poison: str) -> None:
    """Headers, cells, captions, titles and lines."""
    check_safe(html.render_table([poison, "b"], [[poison, poison]], caption=poison))
    check_safe(html.render_notice("error", poison, [poison, poison]))
    assert len(html.table_text([poison], [[poison]]).splitlines()) == 2


@pytest.mark.parametrize("poison", HOSTILE.values(), ids=HOSTILE)
def test_the_players_attributes_cannot_be_left(poison: str) -> None:
    """IPython writes the attributes unescaped, so they come escaped."""
    attributes = html.video_attributes(poisoned(FACTS, poison), poster=TINY_JPEG)
    assert "\n" not in attributes
    ((_, found),) = Outline(f"<video {attributes}></video>").elements
    assert set(found) == {
        "controls", "loop", "playsinline", "preload", "title", "aria-label", "class", "width",
        "height", "style", "poster",
    }  # fmt: skip


@pytest.mark.parametrize(
    "href",
    ["javascript:alert(1)", "//evil.example/x", "https://evil.example", "\\\\evil\\x",
     "data:text/html,x", " x", ""],
)  # fmt: skip
def test_a_link_leads_to_a_file_beside_the_notebook_or_nowhere(href: str) -> None:
    """Any other address is left out."""
    assert "<a " not in record(SAVED, file_href=href)


def test_a_poster_stands_in_for_a_player() -> None:
    """Ready markup for clips that are not embedded."""
    check_safe(record(SAVED, player=html.poster_image(FACTS, TINY_JPEG)))
    assert html.poster_image(FACTS, b"") == ""


@pytest.mark.parametrize("state", EVERY, ids=name_of)
def test_rendered_html_is_plain_text_to_its_users(state: JobState) -> None:
    """`Markup` would escape what is added to it: a player beside its note."""
    notice, poster = html.render_notice("info", "title", []), html.poster_image(FACTS, TINY_JPEG)
    assert {type(each) for each in (record(state), foot(state), poster, notice)} == {str}
