"""A parameter kind has methods for all that other modules show of it; none tests for a kind."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import get_args

import kling_nb
from kling_nb.models.spec import Kind

ROOT = Path(kling_nb.__file__).parent
KIND = re.compile(rf"\.kind\b|\b({'|'.join(kind.__name__ for kind in get_args(Kind))})\b")
PANEL = ROOT / "display" / "panel"
EMULATOR = ROOT / "emulator"
"""It has kinds of its own."""


def kind_tests(path: Path) -> list[ast.stmt | ast.expr]:
    """Return each `match`, `isinstance` and `type` of a module on a parameter kind."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.stmt | ast.expr))
    return [node for node in nodes if KIND.search(_tested(node))]


def _tested(node: ast.AST) -> str:
    """Return the source of what a node tests and tests for; empty if it is no test."""
    match node:
        case ast.Match(subject=subject, cases=cases):
            patterns = [part for case in cases for part in ast.walk(case.pattern)]
            classes = [part.cls for part in patterns if isinstance(part, ast.MatchClass)]
            return " ".join(map(ast.unparse, [subject, *classes]))
        case ast.Call(func=ast.Name(id="isinstance" | "issubclass" | "type"), args=args):
            return " ".join(map(ast.unparse, args))
        case _:
            return ""


def test_only_the_panel_tests_for_a_kind() -> None:
    """Any other module calls a method of the kind."""
    paths = [path for path in ROOT.rglob("*.py") if not {PANEL, EMULATOR} & {*path.parents}]
    found = {path: [node.lineno for node in kind_tests(path)] for path in paths}
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_each_match_of_the_panel_covers_all_kinds() -> None:
    """It ends in `assert_never`, so that mypy reports a new kind without a case."""
    found = [node for path in PANEL.rglob("*.py") for node in kind_tests(path)]
    assert found
    for node in found:
        assert isinstance(node, ast.Match)
        assert ast.unparse(node.cases[-1].body[0]).startswith("assert_never(")
