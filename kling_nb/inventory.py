"""What a notebook's cells will ask for, read and never run: its requests, in their order.

From source text to `Wanted` values. A `%%kling` cell is a request; a call from Python is one where
it is certain that it runs once and what it says; everything else that may pay is named as unknown,
with the reason. Knows no session, no ledger and no price.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from IPython.core.inputtransformer2 import TransformerManager

from .aliases import Aliases
from .rewriting import without_comments

__all__ = ["CallWanted", "CellWanted", "Unclear", "Wanted", "take_inventory"]


_ONCE: Final = frozenset({"time", "capture"})
"""Cell magics that run their body once, as a cell."""
_RUNS: Final = frozenset({"timeit", "prun", "lprun", "mprun", "memit", "debug"})
"""Line magics that run the rest of their line, who knows how often."""
_NO_CODE: Final = frozenset(
    {"html", "HTML", "javascript", "js", "latex", "markdown", "svg", "SVG", "writefile", "file"}
)
_REPEATS: Final[Mapping[type[ast.AST], str]] = {
    ast.For: "in a loop",
    ast.AsyncFor: "in a loop",
    ast.While: "in a loop",
    ast.ListComp: "in a loop",
    ast.SetComp: "in a loop",
    ast.DictComp: "in a loop",
    ast.GeneratorExp: "in a loop",
    ast.FunctionDef: "in a function",
    ast.AsyncFunctionDef: "in a function",
    ast.Lambda: "in a function",
    ast.If: "under a condition",
    ast.IfExp: "under a condition",
    ast.BoolOp: "under a condition",
    ast.Match: "under a condition",
    ast.Try: "under a condition",
    ast.TryStar: "under a condition",
}
"""Where code runs several times, or perhaps, and the words for it."""


@dataclass(frozen=True, slots=True)
class CellWanted:
    """A `%%kling` cell."""

    number: int
    """Of the cell, among those with code, as `[3]` beside it once all were run in order."""
    line: str
    body: str
    names: Mapping[str, object]
    """What the notebook has set before it: a literal, or `UNCERTAIN`."""


@dataclass(frozen=True, slots=True)
class CallWanted:
    """A call from Python whose values are all written there."""

    number: int
    function: str
    """`image_to_video`, `text_to_video` or `generate`."""
    args: tuple[object, ...]
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Unclear:
    """Something that may pay; how often and for what, only running it can tell."""

    number: int
    code: str
    why: str


Wanted = CellWanted | CallWanted | Unclear


def take_inventory(sources: Iterable[str]) -> list[Wanted]:
    """Every request of a notebook.

    Args:
        sources: Its code cells, in their order.
    """
    known = Aliases()
    return [
        wanted
        for number, source in enumerate((each for each in sources if each.strip()), start=1)
        for wanted in _Reader(number, known).read(source)
    ]


class _Reader(ast.NodeVisitor):
    """Reads one cell."""

    def __init__(self, number: int, names: Aliases) -> None:
        self._number = number
        self._names = names
        self._where: list[str] = []
        self._found: list[Wanted] = []

    def read(self, source: str) -> Iterator[Wanted]:
        """What a cell asks for, magics and all."""
        lines = without_comments(source.splitlines(keepends=True))
        try:
            tree = ast.parse(TransformerManager().transform_cell("".join(lines)))
        except (SyntaxError, ValueError, RecursionError):
            if _speaks_of_us(source):
                self._doubt(source, "it cannot be read as Python")
        else:
            self.visit(tree)
        found, self._found = self._found, []
        yield from found

    def visit(self, node: ast.AST) -> None:
        """Every node, with the reasons for doubt that lie around it."""
        reason = _REPEATS.get(type(node))
        self._where += [reason] if reason else []
        super().visit(node)
        if reason:
            self._where.pop()

    def visit_Import(self, node: ast.Import) -> None:
        """`import kling_nb as kling`."""
        self._names.add_import(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """`from kling_nb import generate as make`."""
        self._names.add_import_from(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        """A literal, another name for what pays, a session, or something uncertain."""
        match node.targets:
            case [ast.Name(id=name)]:
                self._assign(name, node.value)
            case _:
                self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        """A name that is set in any other way, or a function that is handed on."""
        if not isinstance(node.ctx, ast.Load):
            self._names.bind(node.id)
        elif self._names.function_of(node):
            self._doubt(node, "handed to other code")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """A function that is handed on."""
        if isinstance(node.ctx, ast.Load) and self._names.function_of(node):
            self._doubt(node, "handed to other code")
        else:
            self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Its own name; what is inside is in a function."""
        self._names.bind(node.name)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """A magic, or something that pays, or anything else."""
        match node:
            case ast.Call(func=ast.Attribute(attr="run_cell_magic" | "run_line_magic" as kind)):
                texts = [each.value for each in node.args if isinstance(each, ast.Constant)]
                self._read_magic(kind, [str(each) for each in texts], node)
                return
        function = self._names.function_of(node.func)
        if function:
            self._call(function, node)
        else:
            self.visit(node.func)
        for each in [*node.args, *node.keywords]:
            self.visit(each)

    def _read_magic(self, kind: str, texts: list[str], node: ast.Call) -> None:
        match kind, texts:
            case "run_cell_magic", ["kling", line, body] if self._where:
                self._doubt(f"%%kling {line} {body}", self._where[-1])
            case "run_cell_magic", ["kling", line, body]:
                self._want_cell(line, body)
            case ("run_cell_magic", [name, _, code]) if name in _ONCE:
                self._found += _Reader(self._number, self._names).read(code)
            case ("run_cell_magic", [name, _, code]):
                if name not in _NO_CODE and _speaks_of_us(code):
                    self._doubt(code, f"inside %%{name}")
            case "run_line_magic", ["time", code]:
                self._found += _Reader(self._number, self._names).read(code)
            case "run_line_magic", ["run", file]:
                self._doubt(f"%run {file}", "another file")
            case ("run_line_magic", [name, code]) if name in _RUNS and _speaks_of_us(code):
                self._doubt(code, f"inside %{name}")
            case _ if len(texts) != len(node.args) and texts[:1] in ([], ["kling"]):
                self._doubt(node, self._where[-1] if self._where else "its text is computed")

    def _want_cell(self, line: str, body: str) -> None:
        self._found.append(CellWanted(self._number, line, body, dict(self._names.values)))
        if output := re.search(r"(?:^|\s)(?:-o|--output)[ =]?\s*(\w+)", line):
            self._names.bind(output[1])

    def _call(self, function: str, node: ast.Call) -> None:
        """A call that pays: certain only at the top of a cell, and with literals."""
        if function == "another_take":
            self._doubt(node, "a new take each time it runs")
        elif self._where:
            self._doubt(node, self._where[-1])
        elif not self._names.is_plain(node.func):
            self._doubt(node, "called on an object of the notebook's own")
        else:
            try:
                args = tuple(self._names.literal(each) for each in node.args)
                values = {str(each.arg): self._names.literal(each.value) for each in node.keywords}
            except ValueError:
                self._doubt(node, "its values are computed")
            else:
                if "None" in values:  # `**options`, literal or not
                    self._doubt(node, "its values are computed")
                else:
                    self._found.append(CallWanted(self._number, function, args, values))

    def _assign(self, name: str, value: ast.expr) -> None:
        if self._where or not self._names.function_of(value):
            self.visit(value)  # else another name for what pays, and it pays under that one
        self._names.assign(name, value, is_certain=not self._where)

    def _doubt(self, what: Any, why: str) -> None:
        code = what if isinstance(what, str) else ast.unparse(what)
        self._found.append(Unclear(self._number, code, why))


def _speaks_of_us(code: str) -> bool:
    return re.search(r"kling|image_to_video|text_to_video|another_take", code) is not None
