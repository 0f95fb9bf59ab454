"""Find the requests in a notebook's cells, in order, without running them.

From source text to `Wanted` values. A `%%kling` cell is a request. A Python call is a request if
its arguments are certain and it certainly runs once. Any other code that may cost credits is listed
as unknown, with the reason. Must not depend on sessions, the ledger or prices.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from IPython.core.inputtransformer2 import TransformerManager

from kling_nb.models.cell import join_lines
from kling_nb.notebook.input_transformers import with_body, without_comments

from .read_code import (
    Aliases,
    Around,
    Closed,
    Inset,
    KlingCell,
    Once,
    Owner,
    Payer,
    find_inset,
    member_of,
    pairs_of,
)

__all__ = ["CallWanted", "CellWanted", "Unclear", "Wanted", "take_inventory"]


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
    """Reads one cell.

    Args:
        number: Of the cell.
        names: What was set before it; what it sets is noted there.
        where: The reasons for doubt that lie around its code.
    """

    def __init__(self, number: int, names: Aliases, where: Sequence[str] = ()) -> None:
        self._number = number
        self._names = names
        self._where = [*where]
        self._found: list[Wanted] = []

    def read(self, source: str) -> Iterator[Wanted]:
        """What a cell asks for, magics and all."""
        lines = with_body(without_comments(source.splitlines(keepends=True)))
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
        self._assign(node.targets, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """The same with a type."""
        if node.value:
            self._assign([node.target], node.value)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        """The same inside an expression."""
        self._assign([node.target], node.value)

    def visit_Name(self, node: ast.Name) -> None:
        """A name that is set in any other way, or a function that is handed on."""
        if not isinstance(node.ctx, ast.Load):
            self._bind(node.id)
        elif self._names.payer_of(node):
            self._doubt(node, "handed to other code")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """A function that is handed on."""
        payer = self._names.payer_of(node)
        if payer and isinstance(node.ctx, ast.Load) and not payer.is_guess:
            self._doubt(node, "handed to other code")
        else:
            self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Its own name, which is set outside; what is inside is in a function."""
        self._names.bind(node.name, is_certain=len(self._where) == 1)
        self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        """The same."""
        self.visit_FunctionDef(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Its own name; the rest of it runs once."""
        self._bind(node.name)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """A magic, or something that pays, or anything else."""
        if inset := find_inset(node, self._names.literal):
            self._read_inset(inset)
            return
        payer = self._names.payer_of(node.func)
        if payer:
            self._visit_owner(node.func)
            self._call(payer, node)
        elif self._names.payer_of(node):  # `getattr(session, "generate")`, called by others
            self._doubt(node, "handed to other code")
        elif self._names.hides(node):
            self._doubt(node, self._why("its name is computed"))
        else:
            self.visit(node.func)
        for each in [*node.args, *(keyword.value for keyword in node.keywords)]:
            given = self._names.payer_of(each)
            if given and given.is_guess:
                self._doubt(each, "handed to other code")
            else:
                self.visit(each)

    def _visit_owner(self, function: ast.expr) -> None:
        """What a function is called on, which may pay itself: `make("a").another_take()`."""
        on, _ = member_of(function)
        if on is not None or isinstance(function, ast.NamedExpr):
            self.visit(on or function)

    def _read_inset(self, inset: Inset) -> None:
        match inset:
            case KlingCell(line, body) if self._where:
                self._doubt(f"%%kling {line} {body}", self._where[-1])
            case KlingCell(line, body):
                self._want_cell(line, body)
            case Once(code):
                self._found += _Reader(self._number, self._names, self._where).read(code)
            case Around(magic, codes):
                for code in filter(self._may_pay, codes):
                    self._doubt(code, self._why(f"inside {magic}"))
            case Closed(code, why):
                self._doubt(code, self._why(why))

    def _may_pay(self, code: str) -> bool:
        return any(True for _ in _Reader(self._number, self._names.copy()).read(code))

    def _want_cell(self, line: str, body: str) -> None:
        line, body = join_lines(line, body)
        self._found.append(CellWanted(self._number, line, body, dict(self._names.values)))
        if output := re.search(r"(?:^|\s)(?:-o|--output)[ =]?\s*(\w+)", line):
            self._bind(output[1])

    def _call(self, payer: Payer, node: ast.Call) -> None:
        """A call that pays: certain only at the top of a cell, and with literals."""
        if why := self._doubt_of(payer):
            self._doubt(node, why)
            return
        try:
            args = tuple(self._names.literal(each) for each in node.args)
            values = {each.arg: self._names.literal(each.value) for each in node.keywords}
        except ValueError:
            self._doubt(node, "its values are computed")
            return
        if None in values:  # `**options`, literal or not
            self._doubt(node, "its values are computed")
        else:
            named = {str(name): value for name, value in values.items()}
            self._found.append(CallWanted(self._number, payer.function, args, named))

    def _doubt_of(self, payer: Payer) -> str:
        """Why only running it tells what a call costs; empty where it is certain."""
        match payer:
            case Payer("another_take"):
                return "a new take each time it runs"
            case Payer(_, Owner.UNKNOWN):
                return self._why("it may be this package's")
            case _ if self._where:
                return self._where[-1]
            case Payer("sending" | "submit"):
                return "what it sends is only known when it runs"
            case Payer(_, Owner.OTHER):
                return "called on an object of the notebook's own"
        return ""

    def _assign(self, targets: Sequence[ast.expr], value: ast.expr) -> None:
        """Names are set; another name for what pays is no doubt, it pays under that one."""
        pairs = [pair for target in targets for pair in pairs_of(target, value)]
        meanings = [(name, self._names.meaning(given)) for name, given in pairs]
        renamed = [] if self._where else [given for _, given in pairs]
        for each in value.elts if isinstance(value, ast.Tuple | ast.List) else [value]:
            if each not in renamed or not self._names.payer_of(each):
                self.visit(each)
        for target in targets:
            self.visit(target)
        for name, meaning in meanings:
            self._names.assign(name, meaning, is_certain=not self._where)

    def _why(self, reason: str) -> str:
        """A reason, after the one that lies around it."""
        return ", ".join([*self._where[-1:], reason])

    def _bind(self, name: str) -> None:
        self._names.bind(name, is_certain=not self._where)

    def _doubt(self, what: ast.AST | str, why: str) -> None:
        """Once, also where a cell says the same several times."""
        code = what if isinstance(what, str) else ast.unparse(what)
        unclear = Unclear(self._number, code, why)
        self._found += [unclear] if unclear not in self._found else []


def _speaks_of_us(code: str) -> bool:
    words = r"kling|image_to_video|text_to_video|another_take|\.generate\b"
    return re.search(words, code) is not None
