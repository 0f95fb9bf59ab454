"""The samples are whole: each has its source, each is used, none carries a key."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.support.sample_files import SAMPLES, sample, sample_names

README = (SAMPLES / "README.md").read_text(encoding="utf-8")
SOURCES = re.compile(r"\b(specification|[DLC])\b")


def used_names() -> set[str]:
    """Every text literal in the tests beside this one that name a sample."""
    texts = (path.read_text(encoding="utf-8") for path in Path(__file__).parents[2].rglob("*.py"))
    names = sample_names()
    return {
        node.value
        for text in texts
        if any(name in text for name in names)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_every_sample_is_used() -> None:
    """A sample that no test names proves nothing."""
    assert set(sample_names()) <= used_names()


def test_the_table_of_sources_has_just_the_samples() -> None:
    """No file without its source, no source without its file."""
    assert re.findall(r"^\| `([^`]+)` \|", README, re.MULTILINE) == sorted(
        sample_names(), key=README.index
    )


@pytest.mark.parametrize("name", sample_names())
def test_every_sample_names_its_source_and_carries_no_key(name: str) -> None:
    """The last column of the table has a source class; a recorded body may be published."""
    row = next(line for line in README.splitlines() if line.startswith(f"| `{name}` |"))
    assert SOURCES.search(row.rstrip(" |").rpartition("|")[2])
    assert b"Bearer" not in sample(name)
    assert b"Authorization" not in sample(name)
