"""A gallery in a page without Jupyter: what is on the screen, and the kernel's side of it.

The kernel answers when a test says so; clocks stand still until a test moves them.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kling_nb.display.gallery import Gallery, gallery
from kling_nb.jobs.session import Session

__all__ = ["PATIENCE_S", "Shown", "shown_gallery", "text_of"]

FAKE = Path(__file__).with_name("fake_gallery.js")
PATIENCE_S = 20.0
# A pointer that only passes over a clip requests nothing.
HOVER_MS = 300


def text_of(content: bytes) -> str:
    """Bytes as the page takes them."""
    return b64encode(content).decode()


class Shown:
    """A gallery in a page without Jupyter, and the kernel's side of it."""

    def __init__(self, page: Any, made: Gallery, films: dict[str, str]) -> None:
        self.page = page
        self.faults: list[str] = []
        self.first = dict(made.first)
        self._films = films
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        stills = [text_of(still) for still in self.first.pop("stills")]
        page.clock.install(time=0)
        page.clock.pause_at(1)
        page.set_content('<style id="looks"></style>')
        page.locator("#looks").evaluate("(style, css) => { style.textContent = css }", made._css)
        page.add_script_tag(path=FAKE)
        page.evaluate("given => showGallery(...given)", [str(made._esm), self.first, stills])

    def tile(self, prompt: str) -> Any:
        """The clip with that prompt."""
        return self.page.locator(".kling-tile").filter(has_text=prompt)

    def note(self, prompt: str) -> Any:
        """The status on the image of a clip."""
        return self.tile(prompt).get_by_role("status")

    def look_at(self, prompt: str) -> None:
        """Point at a clip, long enough to request its video."""
        self.tile(prompt).locator(".kling-tile-screen").hover()
        self.page.clock.run_for(HOVER_MS)

    def look_away(self) -> None:
        """Point at nothing."""
        self.page.mouse.move(1, 1)

    def button(self, name: str) -> Any:
        """A button by its beginning."""
        return self.page.get_by_role("button", name=name).first

    def asked(self, word: str) -> list[dict[str, Any]]:
        """Return the requests of a kind that the kernel got."""
        sent: list[dict[str, Any]] = self.page.evaluate("kernel.sent")
        return [content for content in sent if content["do"] == word]

    def answer(self, word: str, **reply: Any) -> None:
        """Answer the last question of a kind."""
        self.page.evaluate("given => kernel.answer(...given)", [word, reply])

    def change(
        self,
        clip: dict[str, Any],
        *,
        fits: bool = True,
        matching: int = 3,
        still: bytes = b"no still",
    ) -> None:
        """Tell the page of a clip that has changed; of one that is gone, `clip` has the id only."""
        told = {"fits": fits, "matching": matching, "heading": f"{matching} clips"}
        content = clip if len(clip) > 1 else {}
        stills = [text_of(still)] if still else []
        self.page.evaluate("given => kernel.change(...given)", [content, told, stills, clip["id"]])

    @property
    def prompts(self) -> list[str]:
        """The prompts of the clips on show."""
        shown: list[str] = self.page.locator(".kling-tile-prompt").all_inner_texts()
        return shown

    def has_focus(self, node: Any) -> bool:
        """Whether a control has the focus."""
        return bool(node.evaluate("node => node === document.activeElement"))

    def send_film(self, prompt: str) -> None:
        """Send the requested video."""
        given = ["film", {"preview": False}, [self._films[prompt]]]
        self.page.evaluate("given => kernel.answer(...given)", given)

    def wait_until_moving(self, video: Any) -> None:
        """Wait until a video is some frames on."""
        video.wait_for()
        self.page.wait_for_function(
            "video => !video.paused && video.currentTime > 0.1", arg=video.element_handle()
        )


@contextmanager
def shown_gallery(
    chromium: Any, open_session: Callable[..., Session], prompts: Sequence[str]
) -> Iterator[Shown]:
    """A gallery of clips with these prompts, the last one first; no answer comes by itself."""
    session = open_session()
    films = {}
    for prompt in prompts:
        clip = session.text_to_video(prompt).result(PATIENCE_S)
        films[prompt] = text_of(Path(clip.path).read_bytes())
    made = gallery(session=session)
    page = chromium.new_page()
    opened = Shown(page, made, films)
    yield opened
    page.close()
    made.close()
    assert opened.faults == []
