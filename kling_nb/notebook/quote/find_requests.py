"""Find the requests in a notebook's cells without running them.

`%%kling` cells, and calls with literal arguments at the top level of a cell, become requests. Every
other call that may submit a request becomes an `UnpricedCall` with the reason. Reads source text
only; must not depend on sessions, the ledger or prices.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from IPython.core.inputtransformer2 import TransformerManager

from kling_nb.core.errors import InvalidInput
from kling_nb.core.text import join_lines
from kling_nb.models.cell import read_line
from kling_nb.notebook.input_transformers import with_body, without_comments

UNCERTAIN: Final = object()
"""The value of a variable that is not a literal."""

_FUNCTIONS: Final = frozenset({"generate", "image_to_video", "text_to_video"})
_DISTINCT: Final = frozenset({"another_take", "image_to_video", "text_to_video"})
"""Names that other libraries do not use: counted without an import, too."""
_METHODS: Final = _DISTINCT | {"generate", "submitting"}
"""Names that are counted as methods of any object."""
_SESSION: Final = re.compile(r"\b(Session|default_session|configure)\b")
"""A notebook that mentions one may call `Session.submit`, a name that thread pools use, too."""

_ONCE: Final = (
    *(ast.Module, ast.Expr, ast.Assign, ast.AnnAssign, ast.Import, ast.ImportFrom),
    *(ast.Call, ast.keyword, ast.Attribute, ast.Await, ast.Name, ast.expr_context),
    *(ast.List, ast.Tuple, ast.Dict, ast.Constant),
)
"""Syntax that runs its parts exactly once."""
_LOOP, _FUNCTION, _CONDITION = "in a loop", "in a function", "under a condition"
_REASONS: Final[Mapping[type[ast.AST], str]] = {
    **dict.fromkeys((ast.For, ast.AsyncFor, ast.While, ast.GeneratorExp), _LOOP),
    **dict.fromkeys((ast.ListComp, ast.SetComp, ast.DictComp), _LOOP),
    **dict.fromkeys((ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda), _FUNCTION),
    **dict.fromkeys((ast.If, ast.IfExp, ast.BoolOp, ast.Match), _CONDITION),
    **dict.fromkeys((ast.Try, ast.TryStar), _CONDITION),
}
_RUN_TEXT: Final = frozenset({"run_cell", "run_cell_magic", "run_line_magic"})
_NO_CODE: Final = re.compile(
    r"%%(html|javascript|js|latex|markdown|svg|writefile|file)"
    r"|%(pinfo2?|pdoc|pdef|psource|pfile|psearch|xdel|store|kling)",
    re.IGNORECASE,
)
"""Magics that run no code; `%kling` commands do not generate."""


@dataclass(frozen=True, slots=True)
class CellRequest:
    """A `%%kling` cell."""

    cell: int
    """Number of the cell among those with code, as `[3]` after Run All."""
    line: str
    body: str
    variables: Mapping[str, object]
    """Variables that earlier code of the notebook sets: a literal, or `UNCERTAIN`."""


@dataclass(frozen=True, slots=True)
class CallRequest:
    """A Python call with literal arguments."""

    cell: int
    function: str
    """`image_to_video`, `text_to_video` or `generate`."""
    args: tuple[object, ...]
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class UnpricedCall:
    """Code that may submit requests; only running it shows which and how many."""

    cell: int
    code: str
    reason: str


def find_requests(sources: Iterable[str]) -> list[CellRequest | CallRequest | UnpricedCall]:
    """Return the requests of a notebook, in order.

    Args:
        sources: Its code cells.
    """
    finder = _Finder()
    for number, source in enumerate((each for each in sources if each.strip()), start=1):
        finder.read_cell(number, source)
    return finder.found


class _Finder(ast.NodeVisitor):
    def __init__(self) -> None:
        self.found: list[CellRequest | CallRequest | UnpricedCall] = []
        self._cell = 0
        self._reason = ""
        """Why the current code may not run exactly once; empty at the top level."""
        self._modules: set[str] = set()
        """Names of the imported package."""
        self._functions: dict[str, str] = {}
        """Function by imported name; empty where the name may mean another function."""
        self._methods = _METHODS
        self._variables: dict[str, object] = {}

    def read_cell(self, number: int, source: str) -> None:
        """Add the requests of one cell."""
        self._cell = number
        if _SESSION.search(source):
            self._methods |= {"submit"}
        self._read(source, "")

    def visit(self, node: ast.AST) -> None:
        """Visit a node; below syntax that is not in `_ONCE`, calls are not priced."""
        reason = self._reason
        if not reason and not isinstance(node, _ONCE):
            self._reason = _REASONS.get(type(node), "not at the top level of the cell")
        match node:
            case ast.Import() | ast.ImportFrom():
                self._import(node)
            case ast.Assign(targets=targets, value=value):
                self._assign(targets, value)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._assign([target], value)
            case ast.Call():
                self._call(node)
            case _:
                self._read_name(node)
                self.generic_visit(node)
        self._reason = reason

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            source = alias.name if isinstance(node, ast.Import) else node.module or ""
            is_ours = source.partition(".")[0] == "kling_nb"
            name = alias.asname or alias.name.partition(".")[0]
            self._bind(name)
            if isinstance(node, ast.Import):
                self._modules |= {name} if is_ours else set()
            elif is_ours and name == "*":
                self._functions |= {each: each for each in _FUNCTIONS}
            elif alias.name in _DISTINCT or (is_ours and alias.name in _FUNCTIONS):
                self._functions[name] = alias.name if is_ours else ""

    def _assign(self, targets: list[ast.expr], value: ast.expr) -> None:
        literal: object = UNCERTAIN
        with suppress(ValueError):
            literal = UNCERTAIN if self._reason else self._literal(value)
        for child in (value, *targets):
            self.visit(child)
        self._variables |= {each.id: literal for each in targets if isinstance(each, ast.Name)}

    def _read_name(self, node: ast.AST) -> None:
        """Record a name that the node sets, or a function that it does not call."""
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                self._bind(node.name)
            case ast.Name(ctx=ast.Store() | ast.Del()):
                self._bind(node.id)
            case ast.Name() | ast.Attribute(ctx=ast.Load()) if self._function_of(node) is not None:
                self._skip(node, "used without a call")

    def _call(self, node: ast.Call) -> None:
        match node.func:
            case ast.Attribute(attr=name) if name in _RUN_TEXT:
                self._read_text(node, name)
            case ast.Name(id="exec" | "eval" as name):
                self._read_text(node, name)
            case ast.Name(id="getattr") if self._is_submitting(node.args):
                self._skip(node, "called by a computed name")
                self.generic_visit(node)
            case _ if (function := self._function_of(node.func)) is not None:
                self._add_call(node, function)
                # What it is called on or with may be another request.
                self.generic_visit(node.func)
                for child in (*node.args, *node.keywords):
                    self.visit(child)
            case _:
                self.generic_visit(node)

    def _add_call(self, node: ast.Call, function: str) -> None:
        is_method = isinstance(node.func, ast.Attribute)
        other = "called on another object" if is_method else "its name may mean another function"
        reason = self._reason or ("" if function else other)
        request = self._literal_call(node, function)
        if request and not reason:
            self.found.append(request)
        else:
            self._skip(node, reason or "its arguments are not literals")

    def _literal_call(self, node: ast.Call, function: str) -> CallRequest | None:
        if any(each.arg is None for each in node.keywords):  # **options
            return None
        with suppress(ValueError):
            args = tuple(map(self._literal, node.args))
            values = {str(each.arg): self._literal(each.value) for each in node.keywords}
            return CallRequest(self._cell, function, args, values)
        return None

    def _read_text(self, node: ast.Call, function: str) -> None:
        """Read what a magic, `exec` or `run_cell` runs: not priced, except a `%%kling` cell."""
        sign = {"run_cell_magic": "%%", "run_line_magic": "%"}.get(function, "")
        given = [each.value if isinstance(each, ast.Constant) else None for each in node.args]
        match sign, [*given, *(None for _ in node.keywords)]:
            case "%%", ["kling", str(line), str(body)]:
                self._add_cell(*join_lines(line, body))
            case "%", ["run", str(line)]:
                self._skip(f"%run {line}", "another file")
            case "%" | "%%", [str(magic), *_] if _NO_CODE.fullmatch(sign + magic):
                pass
            case "%" | "%%", [str(magic), *texts] if None not in texts:
                for text in map(str, texts):
                    self._read(text, self._reason or f"inside {sign}{magic}")
            case "", [str(text), *_]:
                self._read(text, self._reason or f"inside {function}")
            case _:
                self._skip(node, self._reason or "its code is computed")

    def _read(self, source: str, reason: str) -> None:
        """Add the requests of source text; those with a reason are not priced."""
        before, self._reason = self._reason, reason
        lines = with_body(without_comments(source.splitlines(keepends=True)))
        try:
            self.visit(ast.parse(TransformerManager().transform_cell("".join(lines))))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            names = "|".join(map(re.escape, {*_DISTINCT, *self._functions}))
            if re.search(rf"%%kling|\.(generate|submitting)\b|\b({names})\b", source):
                self._skip(source, reason or "it cannot be read as Python")
        self._reason = before

    def _add_cell(self, line: str, body: str) -> None:
        if self._reason:
            self._skip(f"%%kling {line} {body}", self._reason)
        else:
            self.found.append(CellRequest(self._cell, line, body, dict(self._variables)))
        with suppress(InvalidInput):
            self._bind(read_line(line).output)

    def _function_of(self, node: ast.expr) -> str | None:
        """Return the function that an expression names, "" where it may be one, or None."""
        match node:
            case ast.Name(id=name) if name in self._functions or name in _DISTINCT:
                return self._functions.get(name, "")
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if owner in self._modules:
                return name if name in _FUNCTIONS else None
            case ast.Attribute(attr=name) if name in self._methods:
                return ""
        return None

    def _is_submitting(self, args: list[ast.expr]) -> bool:
        """Return whether `getattr` with these arguments may be a function that submits."""
        names = {each.id for each in args if isinstance(each, ast.Name)}
        texts = {each.value for each in args if isinstance(each, ast.Constant)}
        return bool(names & self._modules or texts & self._methods)

    def _literal(self, node: ast.expr) -> object:
        """Return the value of a literal, or of a variable with a literal text or number.

        Raises:
            ValueError: It is neither.
        """
        if isinstance(node, ast.Name):
            value = self._variables.get(node.id)
            if isinstance(value, str | int | float):
                return value
        try:
            return ast.literal_eval(node)
        except (TypeError, MemoryError, RecursionError) as error:
            raise ValueError(str(error)) from None

    def _bind(self, name: str) -> None:
        self._variables[name] = UNCERTAIN
        self._modules.discard(name)
        if name in self._functions:
            self._functions[name] = ""

    def _skip(self, code: ast.AST | str, reason: str) -> None:
        text = code if isinstance(code, str) else ast.unparse(code)
        self.found.append(UnpricedCall(self._cell, text, reason))
