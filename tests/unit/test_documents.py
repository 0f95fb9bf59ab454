"""The documents for contributors name files that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SPAN = re.compile(r"`([^`\n]+)`")
PATH = re.compile(r"(?<![\w./-])(?!\.venv)(?:[\w.]+/)+[\w./]*|(?<![\w./-])\w+\.(?:py|toml)\b")


@pytest.mark.parametrize(
    ("document", "base"), [("kling_nb/README.md", "kling_nb"), (".github/CONTRIBUTING.md", ".")]
)
def test_every_path_exists(document: str, base: str) -> None:
    """A path is relative to the package, or to the repository."""
    text = (ROOT / document).read_text(encoding="utf-8")
    blocks = "".join(re.findall(r"```\n(.*?)```", text, re.DOTALL))
    named = PATH.findall("\n".join([*SPAN.findall(text), blocks]))
    assert len(named) > 10
    missing = [
        each for each in named if not any((place / each).exists() for place in (ROOT / base, ROOT))
    ]
    assert missing == []
