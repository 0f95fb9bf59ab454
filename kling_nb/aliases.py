"""What the names in a notebook's code stand for, read and never run.

Which are this package, its sessions and its functions that pay, under whatever alias, and which
hold a literal. Syntax in, names out; where a name is set in any other way, its value is uncertain.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Final

__all__ = ["UNCERTAIN", "Aliases"]


class Uncertain:
    """What a name holds that is set in a way that only running the notebook can tell."""


UNCERTAIN: Final = Uncertain()

_CALLS: Final = frozenset({"image_to_video", "text_to_video", "generate", "another_take"})
"""What pays when it is called."""
_DISTINCT: Final = _CALLS - {"generate"}
"""Names that nothing else has, whoever they are called on."""
_SESSIONS: Final = frozenset({"Session", "configure", "default_session", "panel"})
"""What makes a session, or a panel: both generate."""


@dataclass(slots=True)
class Aliases:
    """The names of one notebook, as far as its cells were read."""

    values: dict[str, object] = field(default_factory=dict)
    """Literals, and `UNCERTAIN`."""
    modules: set[str] = field(default_factory=set)
    """This package, under whatever name."""
    sessions: set[str] = field(default_factory=set)
    """What else has functions that pay, or makes what has."""
    functions: dict[str, str] = field(default_factory=dict)
    """What pays, under whatever name."""

    def bind(self, name: str) -> None:
        """A name is set to something that only running it tells."""
        self.values[name] = UNCERTAIN
        self.functions.pop(name, None)
        self.sessions.discard(name)
        self.modules.discard(name)

    def assign(self, name: str, value: ast.expr, *, is_certain: bool) -> None:
        """A name is set to an expression.

        Args:
            name: The name.
            value: The expression.
            is_certain: It is set once, and surely: not in a loop, function or condition.
        """
        function = self.function_of(value)
        is_ours = self.is_ours(value.func if isinstance(value, ast.Call) else value)
        is_module = isinstance(value, ast.Name) and value.id in self.modules
        literal = self._literal_or_uncertain(value) if is_certain else UNCERTAIN
        self.bind(name)
        self.values[name] = literal
        if function:
            self.functions[name] = function
        elif is_module:
            self.modules.add(name)
        elif is_ours:
            self.sessions.add(name)

    def add_import(self, node: ast.Import) -> None:
        """`import kling_nb as kling`."""
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            self.bind(name)
            if alias.name.partition(".")[0] == "kling_nb":
                self.modules.add(name)

    def add_import_from(self, node: ast.ImportFrom) -> None:
        """`from kling_nb import generate as make`, and `import *`."""
        is_ours = (node.module or "").partition(".")[0] == "kling_nb"
        for alias in node.names:
            name = alias.asname or alias.name
            self.bind(name)
            if is_ours and name == "*":
                self.functions |= {each: each for each in _CALLS}
                self.sessions |= _SESSIONS
            elif is_ours and alias.name in _CALLS:
                self.functions[name] = alias.name
            elif is_ours and alias.name in _SESSIONS:
                self.sessions.add(name)

    def function_of(self, node: ast.AST) -> str:
        """Which of the functions that pay an expression names; empty for none."""
        match node:
            case ast.Name(id=name):
                return self.functions.get(name, "")
            case ast.Attribute(attr=name) if name in _DISTINCT:
                return name
            case ast.Attribute(attr="generate", value=ast.Call(func=owner) | owner):
                return "generate" if self.is_ours(owner) else ""
        return ""

    def is_ours(self, node: ast.AST) -> bool:
        """Whether an expression is this package, a session, or what makes one."""
        match node:
            case ast.Name(id=name):
                return name in self.modules | self.sessions
            case ast.Attribute(attr=name, value=ast.Name(id=owner)):
                return name in _SESSIONS and owner in self.modules
        return False

    def is_plain(self, node: ast.expr) -> bool:
        """Whether a function is this package's own, which works with the default session."""
        match node:
            case ast.Attribute(value=ast.Name(id=owner)):
                return owner in self.modules
        return isinstance(node, ast.Name)

    def literal(self, node: ast.expr) -> object:
        """What an expression says by itself, or by a name that was set to a literal.

        Raises:
            ValueError: Only running it can tell.
        """
        if isinstance(node, ast.Name) and isinstance(
            value := self.values.get(node.id), str | int | float
        ):
            return value
        try:
            return ast.literal_eval(node)
        except (TypeError, MemoryError, RecursionError) as error:
            raise ValueError(str(error)) from None

    def _literal_or_uncertain(self, node: ast.expr) -> object:
        try:
            return self.literal(node)
        except ValueError:
            return UNCERTAIN
