"""What the names in a notebook's code stand for, read and never run.

Which are this package, its sessions and its functions that pay, under whatever alias, and which
hold a literal. Syntax in, names out; where a name is set in any other way, its value is uncertain.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

__all__ = ["UNCERTAIN", "Aliases", "Meaning", "Owner", "Payer", "member_of", "pairs_of"]


class Uncertain:
    """What a name holds that is set in a way that only running the notebook can tell."""


UNCERTAIN: Final = Uncertain()

_DISTINCT: Final = frozenset({"image_to_video", "text_to_video", "another_take"})
"""Names that nothing else has, whoever they are called on."""
_OF_SESSIONS: Final = frozenset({"sending", "submit"})
"""What pays too, where it is called on a session."""
_PAYING: Final = _DISTINCT | _OF_SESSIONS | {"generate"}


class Thing(Enum):
    """What a name of this package stands for."""

    PACKAGE = auto()
    SESSION_MAKER = auto()
    PANEL_MAKER = auto()
    SESSION = auto()
    """One with the settings that are usual here."""
    OTHER = auto()
    """A session with settings of its own, or a panel: both generate."""


_MAKERS: Final[Mapping[str, Thing]] = {
    "Session": Thing.SESSION_MAKER,
    "configure": Thing.SESSION_MAKER,
    "default_session": Thing.SESSION_MAKER,
    "panel": Thing.PANEL_MAKER,
}


class Owner(Enum):
    """What a function that pays is called on."""

    USUAL = auto()
    """This package, or a session with the same settings."""
    OTHER = auto()
    """Something else of this package's."""
    UNKNOWN = auto()
    """Perhaps a session, perhaps nothing of ours."""


@dataclass(frozen=True, slots=True)
class Payer:
    """A function that pays when it is called, or may."""

    function: str
    owner: Owner = Owner.USUAL

    @property
    def is_guess(self) -> bool:
        """Whether nothing but a name that others use too speaks for it."""
        return self.owner is Owner.UNKNOWN and self.function not in _DISTINCT


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an expression stands for, as far as its syntax tells."""

    value: object = UNCERTAIN
    thing: Thing | None = None
    payer: Payer | None = None


@dataclass(slots=True)
class Aliases:
    """The names of one notebook, as far as its cells were read."""

    values: dict[str, object] = field(default_factory=dict)
    """Literals, and `UNCERTAIN`."""
    things: dict[str, Thing] = field(default_factory=dict)
    """This package, its sessions, and what makes them."""
    payers: dict[str, Payer] = field(default_factory=dict)
    """What pays, under whatever name."""

    def copy(self) -> Aliases:
        """The same names, to be set differently."""
        return Aliases(dict(self.values), dict(self.things), dict(self.payers))

    def bind(self, name: str, *, is_certain: bool = True) -> None:
        """A name is set to something that only running it tells.

        Args:
            name: The name.
            is_certain: It is set surely, and here: not in a loop, function or condition. What
                paid under an uncertain name may still pay.
        """
        self.values[name] = UNCERTAIN
        self.things.pop(name, None)
        payer = self.payers.pop(name, None)
        if payer and not is_certain:
            self.payers[name] = Payer(payer.function, Owner.UNKNOWN)

    def assign(self, name: str, meaning: Meaning, *, is_certain: bool = True) -> None:
        """A name is set to an expression; see `bind`."""
        self.bind(name, is_certain=is_certain)
        if is_certain:
            self.values[name] = meaning.value
        if meaning.payer:
            function, owner = meaning.payer.function, meaning.payer.owner
            self.payers[name] = Payer(function, owner if is_certain else Owner.UNKNOWN)
        elif meaning.thing and is_certain:
            self.things[name] = meaning.thing

    def add_import(self, node: ast.Import) -> None:
        """`import kling_nb as kling`."""
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            self.bind(name)
            if alias.name.partition(".")[0] == "kling_nb":
                self.things[name] = Thing.PACKAGE

    def add_import_from(self, node: ast.ImportFrom) -> None:
        """`from kling_nb import generate as make`, and `import *`; `from shots import …` too."""
        is_ours = (node.module or "").partition(".")[0] == "kling_nb"
        for alias in node.names:
            name = alias.asname or alias.name
            self.bind(name)
            if is_ours and name == "*":
                self.payers |= {each: Payer(each) for each in _PAYING - _OF_SESSIONS}
                self.things |= _MAKERS
            elif is_ours and alias.name in _MAKERS:
                self.things[name] = _MAKERS[alias.name]
            elif alias.name in _PAYING - _OF_SESSIONS and (is_ours or alias.name in _DISTINCT):
                self.payers[name] = Payer(alias.name, Owner.USUAL if is_ours else Owner.UNKNOWN)

    def meaning(self, node: ast.expr) -> Meaning:
        """What an expression stands for now."""
        try:
            value = self.literal(node)
        except ValueError:
            value = UNCERTAIN
        return Meaning(value, self.thing_of(node), self.payer_of(node))

    def payer_of(self, node: ast.expr) -> Payer | None:
        """Which function that pays an expression names, or may name; None for none."""
        match node:
            case ast.Name(id=name):
                return self.payers.get(name)
            case ast.NamedExpr(value=value):
                return self.payer_of(value)
        on, name = member_of(node)
        if on is None or name not in _PAYING:
            return None
        match self.thing_of(on):
            case None:
                may_pay = name in _DISTINCT or (name != "submit" and not self._is_literal(on))
                return Payer(name, Owner.UNKNOWN) if may_pay else None
            case Thing.PACKAGE if name in _OF_SESSIONS:
                return None
            case Thing.PACKAGE | Thing.SESSION:
                return Payer(name)
            case _:
                return Payer(name, Owner.OTHER)

    def hides(self, node: ast.Call) -> bool:
        """Whether a call is `getattr(kling, name)`, which may give what pays."""
        match node:
            case ast.Call(func=ast.Name(id="getattr"), args=[on, *_]):
                return self.thing_of(on) is not None and member_of(node)[0] is None
        return False

    def thing_of(self, node: ast.expr) -> Thing | None:
        """What of this package's an expression surely is; None where it is nothing, or unknown."""
        on, name = member_of(node)
        if on is not None:
            return _MAKERS.get(name) if self.thing_of(on) is Thing.PACKAGE else None
        match node:
            case ast.Name(id=name):
                return self.things.get(name)
            case ast.NamedExpr(value=value):
                return self.thing_of(value)
            case ast.Call(func=maker, args=args, keywords=keywords):
                return self._made_by(maker, is_usual=not args and not keywords)
        return None

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

    def _made_by(self, maker: ast.expr, *, is_usual: bool) -> Thing | None:
        match self.thing_of(maker):
            case Thing.SESSION_MAKER:
                return Thing.SESSION if is_usual else Thing.OTHER
            case Thing.PANEL_MAKER:
                return Thing.OTHER
        return None

    def _is_literal(self, node: ast.expr) -> bool:
        return self.meaning(node).value is not UNCERTAIN


def member_of(node: ast.expr) -> tuple[ast.expr, str] | tuple[None, str]:
    """`x.name` or `getattr(x, "name")` as the expression of `x` and the name; else None."""
    match node:
        case ast.Attribute(value=on, attr=name):
            return on, name
        case ast.Call(
            func=ast.Name(id="getattr"), args=[on, ast.Constant(value=str(name)), *_], keywords=[]
        ):
            return on, name
    return None, ""


def pairs_of(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """Which names an assignment sets to what, as far as that is written: `a, b = 1, 2`."""
    match target, value:
        case ast.Name(id=name), _:
            yield name, value
        case (
            ast.Tuple(elts=places) | ast.List(elts=places),
            ast.Tuple(elts=given) | ast.List(elts=given),
        ) if len(places) == len(given) and not _has_star([*places, *given]):
            for each, its_value in zip(places, given, strict=True):
                yield from pairs_of(each, its_value)


def _has_star(nodes: list[ast.expr]) -> bool:
    return any(isinstance(each, ast.Starred) for each in nodes)
