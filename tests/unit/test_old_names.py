"""Names that were given up stay given up: `tests/support/old_names.tsv` has them, one a line."""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "tests" / "support" / "old_names.tsv").read_text(encoding="utf-8")
OLD = [line.split("\t") for line in TABLE.splitlines()[1:]]
CLASSES = {old: new for kind, old, new in OLD if kind == "class"}
MODULES = {old: new for kind, old, new in OLD if kind == "module"}
FILES = [
    path
    for folder in ("kling_nb", "tests")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "samples" not in path.parts
]
DOTTED = re.compile(r"\b(?:from|import) (kling_nb[\w.]*)|[\"'](kling_nb\.[\w.]+)[\"'.]")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_old_name_is_used(path: Path) -> None:
    """Neither a class nor a module; code in strings counts for modules."""
    text = path.read_text(encoding="utf-8")
    names = {
        token.string
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.NAME
    }
    assert {old: CLASSES[old] for old in names & CLASSES.keys()} == {}
    dotted = {first or second for first, second in DOTTED.findall(text)}
    assert {old: MODULES[old] for old in dotted & MODULES.keys()} == {}


def test_new_names_exist() -> None:
    """Each line says where to look now."""
    source = "\n".join(path.read_text(encoding="utf-8") for path in FILES)
    assert [
        new for new in CLASSES.values() if not re.search(rf"^class _?{new}\b", source, re.M)
    ] == []
    paths = [new.replace(".", "/") for new in MODULES.values()]
    assert [
        path
        for path in paths
        if not ((ROOT / f"{path}.py").exists() or (ROOT / path / "__init__.py").exists())
    ] == []
