"""The notebooks that the browser tests open, and the pictures they start from.

Text and files only: nothing here runs a cell.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import nbformat
from PIL import Image, ImageDraw, ImageFilter

__all__ = [
    "PROMPT",
    "SOUND_PROMPT",
    "draw_picture",
    "first_clips",
    "setup",
    "tasks_made",
    "write_notebook",
]

PROMPT = "The sun sinks behind the hills while the lake turns from gold to violet"
SOUND_PROMPT = "A loon calls twice across the water, {slow} push-in <b>towards</b> the shore"


def draw_picture(path: Path) -> None:
    """An evening at a lake, 640×360: gradients and edges, so that a clip of it is no flat field."""
    width, height, horizon = 640, 360, 220
    picture = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(picture)
    for y in range(height):
        share = abs(y - horizon) / horizon
        glow = (round(252 - 170 * share), round(168 - 110 * share), round(96 + 40 * share))
        draw.line((0, y, width, y), fill=glow)
    draw.ellipse((385, 150, 465, 230), fill=(255, 236, 190))
    for base, colour, step in ((232, (110, 66, 104), 97), (244, (62, 42, 78), 61)):
        peaks = [(x, base - 28 - (x * step) % 67) for x in range(0, width + step, step)]
        draw.polygon([(0, base), *peaks, (width, base)], fill=colour)
    for row in range(14):
        y = 254 + row * 7
        draw.line((425 - row * 9, y, 425 + row * 9, y), fill=(255, 220, 170), width=2)
    picture.filter(ImageFilter.GaussianBlur(0.8)).save(path)


def setup(emulator_seconds: float) -> str:
    """The first cell: nothing can be spent, clips take that long and lie beside the notebook."""
    return (
        "%load_ext kling_nb\n"
        "import kling_nb as kling\n"
        "kling.configure(\n"
        f"    mode='emulator', folder='kling_clips', emulator_seconds={emulator_seconds:g}\n"
        ");"
    )


def first_clips(emulator_seconds: float) -> list[str]:
    """What a person does on the first day: two cells, something else, then Python."""
    return [
        setup(emulator_seconds),
        f"%%kling --image lake.png -o evening\n{PROMPT}",
        f"%%kling --image lake.png --sound\n{SOUND_PROMPT}",
        "print('the kernel is free:', 6 * 7)",
        "job = kling.image_to_video('lake.png', 'Mist rises from the lake')\n"
        "clip = await job\n"
        "clip",
    ]


def write_notebook(path: Path, cells: Sequence[str], *, title: str = "") -> None:
    """A notebook as JupyterLab saves a new one: no outputs, no signature; its picture beside."""
    book = nbformat.v4.new_notebook(
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
        }
    )
    if title:
        book.cells.append(nbformat.v4.new_markdown_cell(title))
    book.cells += [nbformat.v4.new_code_cell(source) for source in cells]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(book, path)
    draw_picture(path.parent / "lake.png")


def tasks_made(folder: Path) -> int:
    """Return how many tasks the emulator of a notebook's folder has made."""
    (account,) = (folder / "kling_clips" / "emulator").glob("*.sqlite3")
    with closing(sqlite3.connect(account)) as connection:
        return int(connection.execute("SELECT count(*) FROM tasks").fetchone()[0])
