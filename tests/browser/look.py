"""Photographs of what a person sees, in the real JupyterLab.

    python -m tests.browser.look states | first | panel | rows | gallery | readme | animation | all
    python -m tests.browser.look FILE.ipynb

Light and dark, 900 and 480 pixels wide, into tests/screenshots/. A test can say that nothing is
broken; whether it is good to look at takes an eye.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

from PIL import Image

from .filled import FILLED, filled_panel
from .lab import Lab, running_lab
from .notebook import ARGUMENTS, CARD, CHROMIUM, Notebook
from .staged import STAGES, states_notebook
from .stories import first_clips, setup, write_notebook

__all__ = ["main"]

SCREENSHOTS = Path(__file__).parents[1] / "screenshots"
WIDTHS_PX = (900, 480)
HEIGHT_PX = 1000
TALL_PX = 5200
THEMES = ("light", "dark")
CLIPS_S = 12.0
COLUMNS = 3
GAP_PX = 16

README_SCALE = 1.5
README_BYTES = 95_000
ANIMATION_BYTES = 1_400_000
ANIMATION_PX = 600
ANIMATION_WIDTH_PX, ANIMATION_PAGE_PX = 740, 2000
MARGIN_PX = 18
FRAME_PX = 850
ANIMATION_CLIP_S = 4.0
"""How long the clip of the animation takes."""
FRAME_S = 0.2
PLAYING_S = 3.0
"""How long the animation shows the clip."""
PHOTOGRAPH = Path(__file__).parents[2] / "notebooks" / "coffee.jpg"
PROMPTS = (
    "Light wanders over the table",
    "Steam rises from the espresso, morning light wanders over the table",
)

Open = Callable[..., Notebook]


def main(arguments: list[str]) -> None:
    """Photograph what is named, or everything."""
    SCREENSHOTS.mkdir(exist_ok=True)
    wanted = arguments[0] if arguments else "all"
    with tempfile.TemporaryDirectory() as home, running_lab(Path(home)) as lab:
        for name in SUBJECTS if wanted == "all" else [wanted]:
            with browsing(lab) as open_notebook:
                if name in SUBJECTS:
                    SUBJECTS[name](lab, open_notebook)
                else:
                    look_at_file(Path(name), lab, open_notebook)


def look_at_states(lab: Lab, open_notebook: Open) -> None:
    """Each state of a card by itself, and all of them on a sheet."""
    states_notebook(lab.folder / "states.ipynb")
    notebook = open_notebook("states.ipynb")
    notebook.command("notebook:run-all-cells")
    for ending in looks(notebook):
        files = []
        for number, stage in enumerate(STAGES):
            output = notebook.output(2 + number)
            output.locator(CARD).first.wait_for()
            files.append(SCREENSHOTS / f"state-{stage.lower()}-{ending}.png")
            output.screenshot(path=files[-1])
        paste(files, SCREENSHOTS / f"states-{ending}.png")


def look_at_first(lab: Lab, open_notebook: Open) -> None:
    """The first day, while clips are made and when they are there."""
    write_notebook(lab.folder / "first.ipynb", first_clips(CLIPS_S), title="# First clips")
    photograph_twice(open_notebook("first.ipynb"), "first")


def look_at_file(file: Path, lab: Lab, open_notebook: Open) -> None:
    """A notebook that exists, with what lies beside it."""
    shutil.copytree(file.parent, lab.folder, dirs_exist_ok=True)
    photograph_twice(open_notebook(file.name), file.stem)


def look_at_panel(lab: Lab, open_notebook: Open) -> None:
    """The panel as it opens."""
    write_notebook(lab.folder / "panel.ipynb", [setup(2), "%kling panel"], title="# Panel")
    notebook = open_notebook("panel.ipynb")
    notebook.command("notebook:run-all-cells")
    notebook.output(2).get_by_role("button", name="Generate").first.wait_for()
    photograph(notebook, "panel", HEIGHT_PX)


def look_at_rows(lab: Lab, open_notebook: Open) -> None:
    """Fields of every kind, filled in: shots, elements, two frames, a video, a sound, a fault."""
    for name in FILLED:
        write_notebook(lab.folder / f"{name}.ipynb", filled_panel(name), title="# Panel")
        notebook = open_notebook(f"{name}.ipynb")
        notebook.command("notebook:run-all-cells")
        shown = notebook.output(2)
        shown.get_by_role("button", name="Generate").first.wait_for()
        shown.locator(".kling-pictures li, .kling-row").first.wait_for()
        for ending in looks(notebook, TALL_PX):
            shown.screenshot(path=SCREENSHOTS / f"panel-{name}-{ending}.png")


def look_at_gallery(lab: Lab, open_notebook: Open) -> None:
    """Three clips."""
    prompts = ("The sun sinks behind the hills", "Mist rises", "A boat crosses the lake")
    making = [f"%%kling --image lake.png --wait\n{prompt}" for prompt in prompts]
    write_notebook(lab.folder / "gallery.ipynb", [setup(0.5), *making, "%kling gallery"])
    notebook = open_notebook("gallery.ipynb")
    notebook.command("notebook:run-all-cells")
    shown = notebook.output(1 + len(prompts))
    shown.get_by_text(prompts[0]).first.wait_for()
    for ending in looks(notebook):
        shown.screenshot(path=SCREENSHOTS / f"gallery-{ending}.png")


def look_at_readme(lab: Lab, open_notebook: Open) -> None:
    """The panel with a recent clip, as README shows it from `notebooks/images`."""
    shutil.copy(PHOTOGRAPH, lab.folder)
    picture, (first, second) = PHOTOGRAPH.name, PROMPTS
    making = f"%%kling --image {picture} --wait\n{first}"
    asking = f"kling.panel(image={picture!r}, prompt={second!r})"
    write_notebook(lab.folder / "readme.ipynb", [setup(1), making, asking])
    notebook = open_notebook("readme.ipynb", scale=README_SCALE)
    notebook.command("notebook:run-all-cells")
    panel = notebook.output(2).locator(".kling-sheet").first
    panel.locator(".kling-pictures img").first.wait_for()
    file = SCREENSHOTS / "readme-panel.png"
    panel.screenshot(path=file)
    shrink(file, README_BYTES)


def look_at_animation(lab: Lab, open_notebook: Open) -> None:
    """The panel from *Generate* to the clip, as README shows it from `notebooks/images`."""
    shutil.copy(PHOTOGRAPH, lab.folder)
    asking = f"kling.panel(image={PHOTOGRAPH.name!r}, prompt={PROMPTS[1]!r})"
    write_notebook(lab.folder / "animation.ipynb", [setup(ANIMATION_CLIP_S), asking])
    notebook = open_notebook("animation.ipynb")
    notebook.page.set_viewport_size({"width": ANIMATION_WIDTH_PX, "height": ANIMATION_PAGE_PX})
    notebook.command("notebook:run-all-cells")
    panel = notebook.output(1)
    panel.locator(".kling-pictures img").first.wait_for()
    generate = panel.get_by_role("button", name="Generate")
    generate.hover()
    frames = [take_frame(panel, generate)]
    generate.click()
    video = panel.locator(".kling-result video")
    while not video.count():
        frames.append(take_frame(panel, generate))
    video.evaluate("video => { video.muted = true; return video.play() }")
    end = time.monotonic() + PLAYING_S
    while time.monotonic() < end:
        frames.append(take_frame(panel, generate))
    write_animation(frames, SCREENSHOTS / "readme-card.webp")


def take_frame(panel: Any, generate: Any) -> tuple[float, Image.Image]:
    """Return the time and a picture of the panel from its last row, with *Generate*, downwards."""
    began_s = time.monotonic()
    whole, button = panel.bounding_box(), generate.bounding_box()
    top = button["y"] - MARGIN_PX
    shown = whole | {"y": top, "height": min(whole["y"] + whole["height"] - top, FRAME_PX)}
    picture = Image.open(BytesIO(panel.page.screenshot(clip=shown))).convert("RGB")
    panel.page.wait_for_timeout(max(0, 1000 * (began_s + FRAME_S - time.monotonic())))
    return began_s, picture


def write_animation(frames: list[tuple[float, Image.Image]], file: Path) -> None:
    """Write pictures as an animated WebP with their true durations, as good as the limit allows."""
    height_px = max(picture.height for _, picture in frames)
    scale = ANIMATION_PX / frames[0][1].width
    pictures = []
    for _, picture in frames:
        sheet = Image.new("RGB", (picture.width, height_px), "white")
        sheet.paste(picture)
        pictures.append(sheet.resize((ANIMATION_PX, round(height_px * scale))))
    times_s = [at_s for at_s, _ in frames]
    durations_ms = [round(1000 * (end - begin)) for begin, end in pairwise(times_s)]
    for quality in range(80, 20, -10):
        pictures[0].save(
            file,
            save_all=True,
            append_images=pictures[1:],
            duration=[max(1000, durations_ms[0]), *durations_ms[1:], 1000],
            loop=0,
            quality=quality,
            method=6,
        )
        if file.stat().st_size <= ANIMATION_BYTES:
            return
    raise SystemExit(f"{file} is too large")


SUBJECTS: dict[str, Callable[[Lab, Open], None]] = {
    "states": look_at_states,
    "first": look_at_first,
    "panel": look_at_panel,
    "rows": look_at_rows,
    "gallery": look_at_gallery,
    "readme": look_at_readme,
    "animation": look_at_animation,
}


@contextmanager
def browsing(lab: Lab) -> Iterator[Open]:
    """Opens notebooks in a headless browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)

        def open_notebook(name: str, scale: float = 1) -> Notebook:
            size = {"width": WIDTHS_PX[0], "height": HEIGHT_PX}
            page = browser.new_page(viewport=size, device_scale_factor=scale)
            return Notebook(page, lab, name)

        yield open_notebook
        browser.close()


def photograph_twice(notebook: Notebook, name: str) -> None:
    """Everything that runs, and everything when it has ended."""
    notebook.begin("notebook:run-all-cells")
    notebook.page.locator("[data-kling-state=waiting]").first.wait_for()
    photograph(notebook, f"{name}-running", HEIGHT_PX)
    notebook.finish()
    notebook.page.wait_for_function("() => kling.isQuiet()")
    photograph(notebook, f"{name}-done", TALL_PX)


def photograph(notebook: Notebook, moment: str, height_px: int) -> None:
    """One picture of the page for each theme and width."""
    for ending in looks(notebook, height_px):
        notebook.page.screenshot(path=SCREENSHOTS / f"{moment}-{ending}.png")


def looks(notebook: Notebook, height_px: int = HEIGHT_PX) -> Iterator[str]:
    """Give the page each theme and width in turn, and what to call it in a file's name."""
    for theme in THEMES:
        notebook.theme(theme)
        for width_px in WIDTHS_PX:
            notebook.page.set_viewport_size({"width": width_px, "height": height_px})
            notebook.output(0)
            notebook.page.wait_for_function("() => kling.isDrawn()")
            yield f"{theme}-{width_px}"


def shrink(file: Path, limit_bytes: int) -> None:
    """Write a picture as JPEG beside it, as good as the limit allows."""
    picture, small = Image.open(file).convert("RGB"), file.with_suffix(".jpg")
    for quality in range(90, 40, -5):
        picture.save(small, quality=quality, optimize=True, progressive=True)
        if small.stat().st_size <= limit_bytes:
            break
    print(small, small.stat().st_size)


def paste(files: list[Path], sheet: Path) -> None:
    """Lay pictures of one width out in columns, each below the shortest so far."""
    pictures: list[Any] = [Image.open(file).convert("RGB") for file in files]
    width_px = max(picture.width for picture in pictures)
    ends = [0] * COLUMNS
    places = []
    for picture in pictures:
        column = ends.index(min(ends))
        places.append((column * (width_px + GAP_PX), ends[column]))
        ends[column] += picture.height + GAP_PX
    page = Image.new("RGB", (COLUMNS * (width_px + GAP_PX), max(ends)), "#808080")
    for picture, place in zip(pictures, places, strict=True):
        page.paste(picture, place)
    page.save(sheet)
    print(sheet)


if __name__ == "__main__":
    main(sys.argv[1:])
