"""Outputs on a bare page, and the messages of their kernel; `fake_model.js` is the kernel.

Knows the messages of `kling_nb.display.comm`; the page is opened by the `open_page` fixture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kling_nb.display import html
from kling_nb.display.comm import Hub
from tests.support.html_outline import foot, record
from tests.support.html_states import FACTS, WAITING

__all__ = ["MOUNT", "Open", "bundle", "draw", "feet", "open_outputs", "place", "sent", "tell"]

FAKE = Path(__file__).with_name("fake_model.js")
MOUNT = html.render_mount("<p>saved form</p>", hub_id="one", model_id="m1")
"""The saved form of a widget."""

Open = Callable[..., Any]


def open_outputs(
    page: Any,
    *outputs: str,
    hubs: tuple[str, ...] = ("one",),
    live: bool = True,
    platform: str = "Linux x86_64",
    document: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Fill a page with outputs, and connect hubs to it.

    Args:
        page: The page.
        outputs: The HTML of its outputs.
        hubs: The ids of the hubs.
        live: Whether their kernel runs.
        platform: What the browser says of its computer.
        document: The outputs of the notebook, if the page has one.
    """
    page.set_content("".join(f'<div class="output">{output}</div>' for output in outputs))
    page.add_script_tag(path=FAKE)
    page.evaluate("value => Object.defineProperty(navigator, 'platform', { value })", platform)
    for hub in hubs:
        page.evaluate("given => fakeHub(...given)", [str(Hub._esm), hub, live, list(document)])


def place(state: Any = WAITING, *, hub: str = "one", name: str = "p1", version: int = 1) -> str:
    """A record in its place."""
    return html.render_container(record(state), hub_id=hub, place_id=name, version=version)


def bundle(state: Any, **given: Any) -> dict[str, str]:
    """What the kernel sends to a page that is behind."""
    return {"text/html": place(state, **given), "text/plain": "saved"}


def tell(page: Any, *, hub: str = "one", name: str = "p1", **content: Any) -> None:
    """A message from the kernel."""
    page.evaluate("([hub, told]) => fakes[hub].tell(told)", [hub, {"place": name, **content}])


def draw(page: Any, markup: str) -> None:
    """Replace the first output, as a front end does when it draws it again."""
    page.locator(".output").first.evaluate("(node, html) => { node.innerHTML = html }", markup)


def feet(state: Any = WAITING) -> dict[str, str]:
    """What the kernel sends for the job."""
    return {FACTS.id: foot(state)}


def sent(page: Any, word: str, hub: str = "one") -> list[dict[str, Any]]:
    """What the page has sent of a kind."""
    found: list[dict[str, Any]] = page.evaluate("hub => fakes[hub].sent", hub)
    return [content for content in found if content["do"] == word]
