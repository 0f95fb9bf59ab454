"""Names that were given up stay given up: `tests/support/old_names.tsv` has them, one a line."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "tests" / "support" / "old_names.tsv").read_text(encoding="utf-8")
OLD = [line.split("\t") for line in TABLE.splitlines()[1:]]
CLASSES = {old: new for kind, old, new in OLD if kind == "class"}
NAMES = [(old, new) for kind, old, new in OLD if kind == "name"]
FIELDS = [(old, new) for kind, old, new in OLD if kind == "attribute"]
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


def module_names(module: str) -> set[str]:
    """The names that a module defines, without the underscore of private ones."""
    path = ROOT / module.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    found = set[str]()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                found.add(node.name)
            case ast.Assign():
                found |= {each.id for each in node.targets if isinstance(each, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
    return {name.lstrip("_") for name in found}


def class_names() -> dict[str, set[str]]:
    """The methods and fields of each class of the package, by its name."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "kling_nb").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                names = found.setdefault(node.name.lstrip("_"), set())
                for part in ast.walk(node):
                    match part:
                        case ast.FunctionDef() | ast.AsyncFunctionDef():
                            names.add(part.name)
                        case ast.AnnAssign(target=ast.Name(id=name)):
                            names.add(name)
                        case ast.Attribute(attr=name, ctx=ast.Store()):
                            names.add(name)
    return found


def test_functions_and_constants_keep_their_new_names() -> None:
    """In its module neither the old one is left, nor is the new one missing."""
    known = {new.rpartition(".")[0] for _, new in NAMES}
    defined = {module: module_names(module) for module in known}
    wrong = []
    for old, new in NAMES:
        module, _, name = new.rpartition(".")
        old_name = old.rpartition(".")[2].lstrip("_")
        if name.lstrip("_") not in defined[module] or old_name in defined[module]:
            wrong.append((old, new))
    assert wrong == []


def test_methods_and_fields_keep_their_new_names() -> None:
    """In its class neither the old one is left, nor is the new one missing."""
    classes = class_names()
    wrong = []
    for old, new in FIELDS:
        owner, _, name = new.partition(".")
        if name not in classes[owner] or old.partition(".")[2] in classes[owner]:
            wrong.append((old, new))
    assert wrong == []
