"""Markup in a prompt, a file name and the service's words is inert in all that a kernel sends."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from typing import Any

import pytest
from PIL import Image

from tests.kernel.kernels import Kernel
from tests.support.service import Served

pytestmark = pytest.mark.kernel

SCRIPT = "<script>alert(1)</script>"
IMAGE = '"><img src=x onerror=alert(1)>'
FORBIDDEN = {"script", "iframe", "object", "embed", "form", "base", "meta", "link", "svg"}


class Harm(HTMLParser):
    """Everything in a piece of HTML that could run or lead away."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Judge an element."""
        if tag in FORBIDDEN:
            self.found.append(tag)
        for name, value in attrs:
            leads = name in {"src", "href", "poster", "action", "formaction", "srcdoc"}
            if name.startswith("on") or (leads and not is_harmless(value or "")):
                self.found.append(f"{tag} {name}={(value or '')[:60]}")


def is_harmless(url: str) -> bool:
    """Whether an address is embedded data or a clip beside the notebook."""
    data = ("data:image/jpeg;base64,", "data:video/mp4;base64,")
    return url.startswith((*data, "kling_clips/"))


def markup_of(content: Mapping[str, Any]) -> list[str]:
    """Every string anywhere in a message that would be shown as HTML."""
    found = []
    for name, value in content.items():
        if name == "feet":
            found += value.values()
        elif isinstance(value, dict):
            found += markup_of(value)
        elif name in {"text/html", "html"}:
            found.append(str(value))
    return found


@pytest.fixture(scope="module")
def hostile(start: Callable[..., Kernel], service: Served) -> Kernel:
    """A kernel that has shown hostile words in each state, command and click."""
    kernel = start()
    picture = Image.new("RGB", (64, 36))
    picture.save(kernel.folder / "<script>.png")
    picture.save(kernel.folder / "'onload='alert(1).png")
    service.account.inject("script-fail")
    cells = [
        f"%%kling -i '<script>.png' -o fails\n{SCRIPT}",
        f"%%kling -i \"'onload='alert(1).png\" -o works\n{SCRIPT} {IMAGE}",
    ]
    failing, working = kernel.send(*cells)
    kernel.until(lambda: any(m.state == "failed" for m in kernel.shown(failing)))
    kernel.final(working)
    for request in (failing, working):
        card = kernel.card(request)
        kernel.ask(card["hub"], {"do": "seen", "places": {card["place"]: 0}})
        kernel.until(lambda place=card["place"]: is_told(kernel, place))
    kernel.run("%kling jobs", "%kling", "%kling resume", "works", "works.result()", "fails")
    kernel.run(f"%kling forget {kernel.rows()[0].id}")
    kernel.run("%%kling -n -i '<script>.png'\n" + SCRIPT)
    return kernel


def is_told(kernel: Kernel, place: str) -> bool:
    """Whether a page that was behind got the records of a place."""
    return any(m.told.get("place") == place and m.html for m in kernel.messages)


def test_nothing_runs(hostile: Kernel) -> None:
    """No element that runs, no handler, no address that leads away, in any message."""
    pieces = [piece for message in hostile.messages for piece in markup_of(message.content)]
    assert len(pieces) > 10
    assert [harm for piece in pieces for harm in Harm(piece).found] == []


def test_everything_is_still_readable(hostile: Kernel) -> None:
    """The prompt, the file name and the service's words are shown, as text."""
    told = json.dumps([message.content for message in hostile.messages])
    for words in ("&lt;script&gt;alert(1)&lt;/script&gt;", "&lt;script&gt;.png"):
        assert words in told


def test_the_parser_sees_harm() -> None:
    """What the tests above look for would be found."""
    markup = f"{SCRIPT}{IMAGE}<a href='javascript:alert(1)'>x</a>"
    assert Harm(markup).found == [
        "script",
        "img src=x",
        "img onerror=alert(1)",
        "a href=javascript:alert(1)",
    ]
