"""Every kind of text is listed with its line, and no string for programs is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.visible_strings import main

MODULE = '''\
"""The module."""

__all__ = ["Clip", "Other"]

CLASSES = "kling-timed kling-blind"
QUERY = "SELECT id FROM jobs WHERE stage = ?"
PATTERN = re.compile("any of these words")
URL = "https://kie.ai/logs"
TYPE = "text/html; charset=utf-8"
NAMES = {"a key of a dictionary": "value.txt"}


def save(path: "a type or another", size: int):
    """Save privately."""
    if size == "not a size":
        _log.info("nothing to save")
    _log.warning("nothing was saved")
    raise ValueError(
        f"{path} holds {size:,} bytes; "
        f"at most {LIMIT} fit" + extra("or a smaller file")
    )


class Clip:
    """A saved clip."""

    path: str
    """Where it is."""

    def play(self):
        """Play it."""
        button("play", "Play", title="starts")
        html('<a class="kling-link" title="Play the clip" href="a.mp4">▶</a>')

    def _load(self):
        """Load it."""

    @command()
    def show(self):
        """Show it."""
'''

SCRIPT = """\
// A comment with words.
const NAME = "tile-chip tile-badge";
button("play", "Play");
if (key === "Escape") note = `${count} clips
  are shown`;
"""

STYLE = """\
.kling-late::after { content: " longer than usual"; align-content: start }
.kling-mark::before { content: "✓ " }
"""

TEXT = """\
# Clips

| --- |

```python
job = generate()  # one clip
```
"""

NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "source": ["# A “clip”\n", "\n", "It plays."]},
        {"cell_type": "code", "outputs": [], "source": ["import kling_nb\n", "# loads it"]},
        {"cell_type": "code", "outputs": [], "source": ["%%kling\n", "# a prompt"]},
        {"cell_type": "markdown", "source": ["It plays."]},
    ]
}

FILES = {
    "kling_nb/__init__.py": MODULE,
    "kling_nb/card.js": SCRIPT,
    "kling_nb/card.css": STYLE,
    "kling_nb/.hidden/other.md": TEXT,
    "kling_nb/data.txt": "Some words for nobody.",
    "notebooks/tour.ipynb": json.dumps(NOTEBOOK, indent=1, ensure_ascii=False),
    "README.md": TEXT,
}


@pytest.fixture(autouse=True)
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the files, and change to their folder."""
    for name, content in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    monkeypatch.chdir(tmp_path)


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """Return the printed lines."""
    main(arguments)
    return capsys.readouterr().out.splitlines()


def test_texts_of_python_files_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Messages, labels, HTML, warnings and public docstrings; no SQL, class, key or pattern."""
    assert listed(capsys, "kling_nb/__init__.py") == [
        "kling_nb/__init__.py:17: nothing was saved",
        "kling_nb/__init__.py:19: {…} holds {…} bytes; at most {…} fit{…}",
        "kling_nb/__init__.py:20: or a smaller file",
        "kling_nb/__init__.py:25: A saved clip.",
        "kling_nb/__init__.py:28: Where it is.",
        "kling_nb/__init__.py:31: Play it.",
        "kling_nb/__init__.py:32: Play",
        "kling_nb/__init__.py:32: starts",
        'kling_nb/__init__.py:33: <a class="kling-link" title="Play the clip" href="a.mp4">▶</a>',
        "kling_nb/__init__.py:40: Show it.",
    ]


def test_the_switch_adds_all_other_docstrings(capsys: pytest.CaptureFixture[str]) -> None:
    """Those of modules, and of private and internal functions."""
    public = listed(capsys, "kling_nb/__init__.py")
    everything = listed(capsys, "--docstrings", "kling_nb/__init__.py")
    assert [line for line in everything if line not in public] == [
        "kling_nb/__init__.py:1: The module.",
        "kling_nb/__init__.py:14: Save privately.",
        "kling_nb/__init__.py:36: Load it.",
    ]


def test_texts_of_the_front_end_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Strings of scripts and `content` of style sheets; no comment, class or name of a key."""
    assert listed(capsys, "kling_nb/card.js", "kling_nb/card.css") == [
        "kling_nb/card.js:3: Play",
        "kling_nb/card.js:4: {…} clips are shown",
        "kling_nb/card.css:1: longer than usual",
    ]


def test_texts_of_notebooks_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Markdown and comments, with their lines in the file; no prompt."""
    lines = FILES["notebooks/tour.ipynb"].splitlines()
    found = listed(capsys, "notebooks")
    assert [line.partition(": ")[2] for line in found] == [
        "# A “clip”",
        "It plays.",
        "loads it",
        "It plays.",
    ]
    numbers = [int(line.split(":")[1]) for line in found]
    assert [lines[number - 1].strip(' ",') for number in numbers] == [
        "# A “clip”\\n",
        "It plays.",
        "# loads it",
        "It plays.",
    ]
    assert numbers == sorted(set(numbers))


def test_the_whole_tree_is_read_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    """The package, the notebooks and the README; no hidden folder and no other type of file."""
    found = listed(capsys)
    assert {line.partition(":")[0] for line in found} == {
        "kling_nb/__init__.py",
        "kling_nb/card.css",
        "kling_nb/card.js",
        "notebooks/tour.ipynb",
        "README.md",
    }
    assert found[-2:] == ["README.md:1: # Clips", "README.md:6: one clip"]
