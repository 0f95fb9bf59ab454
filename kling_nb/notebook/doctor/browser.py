"""Check the page: whether it answers, and whether it plays a clip.

The page receives a clip of one second, decodes it, and answers. Must not depend on the report.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from kling_nb.display.assets import STATIC
from kling_nb.display.comm import Page
from kling_nb.display.front_end import FrontEnd
from kling_nb.display.html import Finding

__all__ = ["PageReport", "Probe", "judge_page", "make_clip"]

LAB_LEAST = (4, 4)
NOTEBOOK_LEAST = (7, 4)
NOTEBOOK_LIKE = ("notebook", "VS Code", "Colab")

NO_ANSWER = (
    "Install ipywidgets and anywidget where Jupyter itself runs (the server's environment, not "
    "only the kernel's), restart the server and reload the page; `jupyter labextension list` tells "
    "whether they are there and enabled. Clips and cards show without."
)
NO_PLAYER = (
    "Use a browser with H.264 and AAC: Chrome, Edge, Safari, or Firefox on a system that has "
    "them. The saved file plays in any video player."
)


@dataclass(frozen=True, slots=True)
class PageReport:
    """What the page told of the clip."""

    pictures: tuple[bool, str]
    """Whether H.264 was decoded and played, and what the page says of it."""
    sound: tuple[bool, str]
    """The same for AAC."""

    @classmethod
    def parse(cls, told: Mapping[str, Any]) -> PageReport:
        """Read a message; what is missing did not play."""
        return cls(read_trial(told.get("pictures")), read_trial(told.get("sound")))


class Probe(anywidget.AnyWidget):
    """Sends a clip to each page and hears what became of it; never displayed itself.

    Args:
        clip: An MP4 file with H.264 and AAC.
        on_answer: Called on the kernel's thread with each page's answer.
    """

    _esm = STATIC / "probe.js"
    clip = traitlets.Bytes().tag(sync=True)

    def __init__(self, clip: bytes, on_answer: Callable[[PageReport], None]) -> None:
        self._on_answer = on_answer
        super().__init__(clip=clip)
        self.on_msg(self._receive)

    def _receive(self, _widget: Any, content: Any, _buffers: Any) -> None:
        if isinstance(content, Mapping):
            self._on_answer(PageReport.parse(content))


def make_clip() -> bytes:
    """A clip of one second with pictures and sound, as the emulator makes them."""
    from kling_nb.emulator.render.encode import render_clip
    from kling_nb.emulator.render.images import draw_scene

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "probe.mp4"
        scene = draw_scene("doctor", "16:9")
        render_clip(scene, file, size=(320, 180), length_s=1.0, sound=True)
        return file.read_bytes()


def judge_page(
    place: FrontEnd, page: Page | None, answer: PageReport | None, *, waited_s: float | None
) -> list[Finding]:
    """The findings about the page.

    Args:
        place: What the kernel knows of its front end.
        page: What the page told at its hello.
        answer: What it told of the clip.
        waited_s: How long an answer was waited for in vain; None while it is waited for.
    """
    if place not in NOTEBOOK_LIKE:
        words = {
            "terminal": "a terminal: text instead of cards",
            "headless": "a headless run: cells wait for their clips, nobody clicks",
        }
        return [Finding("Front end", "ok", words[place])]
    findings = [judge_front_end(place, page)]
    if answer is not None:
        return [
            *findings,
            Finding("Widgets", "ok", "the page answers"),
            judge_trial("H.264 pictures", answer.pictures),
            judge_trial("AAC sound", answer.sound),
        ]
    names = ("Widgets", "H.264 pictures", "AAC sound")
    if waited_s is None:
        return [*findings, *(Finding(name, "asking", "asking the page…") for name in names)]
    said = f"no answer from the page in {waited_s:g} s; a cell that still runs delays it"
    return [
        *findings,
        Finding("Widgets", "bad", said, NO_ANSWER),
        *(Finding(name, "warn", "not known: the page did not answer") for name in names[1:]),
    ]


def judge_front_end(place: FrontEnd, page: Page | None) -> Finding:
    if page is None or not page.front_end:
        names = {"notebook": "a notebook; which one, its page has not told"}
        return Finding("Front end", "ok", names.get(place, place))
    least = LAB_LEAST if page.front_end == "JupyterLab" else NOTEBOOK_LEAST
    said = f"{page.front_end} {page.version}".strip()
    numbers = tuple(int(part) for part in page.version.split(".")[:2] if part.isdigit())
    if page.front_end.startswith("Jupyter") and numbers and numbers < least:
        fix = "Upgrade it: in older ones a click is handled only after the cell that runs."
        return Finding("Front end", "warn", said, fix)
    return Finding("Front end", "ok", said)


def judge_trial(name: str, trial: tuple[bool, str]) -> Finding:
    plays, said = trial
    return Finding(name, "ok", said) if plays else Finding(name, "bad", said, NO_PLAYER)


def read_trial(told: object) -> tuple[bool, str]:
    if not isinstance(told, Mapping):
        return False, "the page said nothing of it"
    return told.get("plays") is True, str(told.get("said", ""))[:200]
