"""Check the page: whether it answers, and whether it plays a clip.

The page receives a clip of one second, decodes it, and answers. Must not depend on the report.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from kling_nb.display.assets import STATIC
from kling_nb.display.comm import Page
from kling_nb.display.front_end import FrontEnd
from kling_nb.display.html import Finding

Answer = Mapping[str, Any]
"""What a page sends: `pictures` (H.264) and `sound` (AAC), each with `plays` and `said`; and in
`scripts` whether a script in an output has run, which only notebooks/front_ends.ipynb tries."""

_LOWEST_LAB = (4, 4)
_LOWEST_NOTEBOOK = (7, 4)

_NO_ANSWER = (
    "Install ipywidgets and anywidget where Jupyter itself runs (the server's environment, not "
    "only the kernel's), restart the server and reload the page; `jupyter labextension list` shows "
    "whether they are enabled. Clips and cards work without them."
)
_NO_PLAYER = (
    "Use a browser with H.264 and AAC: Chrome, Edge, Safari, or Firefox on a system that has "
    "them. The saved file plays in any video player."
)


class Probe(anywidget.AnyWidget):
    """Sends a clip to each page and receives the result; never displayed itself.

    Args:
        clip: An MP4 file with H.264 and AAC.
        on_answer: Called on the kernel's thread with each page's message.
    """

    _esm = STATIC / "probe.js"
    clip = traitlets.Bytes().tag(sync=True)

    def __init__(self, clip: bytes, on_answer: Callable[[Answer], None]) -> None:
        self._on_answer = on_answer
        super().__init__(clip=clip)
        self.on_msg(self._receive)

    def _receive(self, _widget: Any, content: Any, _buffers: Any) -> None:
        if isinstance(content, Mapping):
            self._on_answer(content)


def make_clip() -> bytes:
    """Return a clip of one second with video and audio, encoded like the emulator's clips."""
    from kling_nb.emulator.render.encode import render_clip
    from kling_nb.emulator.render.images import draw_scene

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "probe.mp4"
        scene = draw_scene("doctor", "16:9")
        render_clip(scene, file, size=(320, 180), length_s=1.0, sound=True)
        return file.read_bytes()


def judge_page(
    front_end: FrontEnd, page: Page | None, answer: Answer | None, *, waited_s: float | None
) -> list[Finding]:
    """Return the findings about the page.

    Args:
        front_end: As the kernel detects it.
        page: What the page reports about itself.
        answer: Its message about the clip.
        waited_s: The timeout that has passed without an answer; None before.
    """
    if front_end == "terminal":
        return [Finding("Front end", "ok", "a terminal: text instead of cards")]
    if front_end == "headless":
        return [Finding("Front end", "ok", "a headless run: cells wait for their clips")]
    findings = [_judge_front_end(front_end, page)]
    if answer is not None:
        return [
            *findings,
            Finding("Widgets", "ok", "the page answers"),
            _judge_trial("H.264 video", answer.get("pictures")),
            _judge_trial("AAC audio", answer.get("sound")),
            *_judge_scripts(answer),
        ]
    names = ("Widgets", "H.264 video", "AAC audio")
    if waited_s is None:
        return [*findings, *(Finding(name, "asking", "waiting for the page…") for name in names)]
    message = f"no answer from the page in {waited_s:g} s; a running cell delays it"
    return [
        *findings,
        Finding("Widgets", "bad", message, _NO_ANSWER),
        *(Finding(name, "warn", "unknown: the page did not answer") for name in names[1:]),
    ]


def _judge_front_end(front_end: FrontEnd, page: Page | None) -> Finding:
    if page is None or not page.front_end:
        names = {"notebook": "a notebook; the page has not reported its name"}
        return Finding("Front end", "ok", names.get(front_end, front_end))
    lowest = _LOWEST_LAB if page.front_end == "JupyterLab" else _LOWEST_NOTEBOOK
    message = f"{page.front_end} {page.version}".strip()
    version = tuple(int(part) for part in page.version.split(".")[:2] if part.isdigit())
    if page.front_end.startswith("Jupyter") and version and version < lowest:
        fix = "Upgrade it: older versions handle a click only after the running cell ends."
        return Finding("Front end", "warn", message, fix)
    return Finding("Front end", "ok", message)


def judge_connection(page: Page | None) -> list[Finding]:
    """Return whether a page has connected, and its browser, for a bug report."""
    if page is None:
        return [Finding("Comm", "warn", "no page has connected")]
    return [
        Finding("Comm", "ok", "a page has connected"),
        Finding("Browser", "ok", page.agent or "unknown"),
    ]


def _judge_scripts(answer: Answer) -> list[Finding]:
    """Return whether scripts in outputs run; nothing of ours needs them."""
    if answer.get("scripts") is not True:
        return []
    return [Finding("Scripts", "ok", "a script in an output has run")]


def _judge_trial(name: str, trial: object) -> Finding:
    """Return whether a page played the clip; a missing result counts as not played."""
    result = trial if isinstance(trial, Mapping) else {"said": "the page did not report it"}
    message = str(result.get("said", ""))[:200]
    if result.get("plays") is True:
        return Finding(name, "ok", message)
    return Finding(name, "bad", message, _NO_PLAYER)
