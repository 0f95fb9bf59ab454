"""Test `pages`: the text of an error page, on one line."""

from __future__ import annotations

import pytest

from kling_nb.kie.pages import page_text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", ""),
        (b"error code: 1010", "error code: 1010"),
        (b"<h1>502 Bad Gateway</h1><hr>nginx", "502 Bad Gateway nginx"),
        (b"<head><title>t</title></head><p>Access &lt;denied&gt;", "Access <denied>"),
        (b"<script>alert('<b>')</script>Log in", "Log in"),
        (b"<script>never closed", ""),
        (b"a\x00b\x1b[31m\r\n\tc", "a b [31m c"),
        (b"caf\xe9 \xff", "caf\N{REPLACEMENT CHARACTER} \N{REPLACEMENT CHARACTER}"),
        (b"<" * 100_000, ""),
        (b"<p>" + b"x" * 1000, "x" * 159 + "\N{HORIZONTAL ELLIPSIS}"),
    ],
)  # fmt: skip
def test_the_text_of_a_page(body: bytes, text: str) -> None:
    """Without markup, scripts and control characters, and short."""
    assert page_text(body) == text
