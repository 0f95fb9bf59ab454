"""Find `%%kling` text and calls that submit requests in the code of a cell.

Code is parsed and never run. Tracks which names refer to kling_nb, to a session or to a function
that submits, and extracts code within code: magics and other calls that execute source text.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

__all__ = [
    "UNCERTAIN",
    "Aliases",
    "Around",
    "Closed",
    "Harmless",
    "Inset",
    "KlingCell",
    "Meaning",
    "Once",
    "Owner",
    "Payer",
    "find_inset",
    "is_python",
    "member_of",
    "pairs_of",
]

_CALLS: Final[Mapping[str, tuple[str, ...]]] = {
    "run_cell_magic": ("magic_name", "line", "cell"),
    "run_line_magic": ("magic_name", "line"),
    "run_cell": ("raw_cell",),
    "exec": ("source",),
}
"""What runs text, and the names of its arguments."""
_ONCE: Final = frozenset({"time", "capture"})
"""Magics that run their code once, as a cell."""
_RUNS: Final = frozenset({"timeit", "prun", "lprun", "mprun", "memit", "debug"})
"""Line magics that run the rest of their line, who knows how often."""
_LANGUAGES: Final = frozenset(
    {"html", "HTML", "javascript", "js", "latex", "markdown", "svg", "SVG", "writefile", "file"}
)
_LOOKS: Final = frozenset(
    {"pinfo", "pinfo2", "pdoc", "pdef", "psource", "pfile", "psearch", "xdel", "store"}
)
_NO_CODE: Final = _LANGUAGES | _LOOKS
"""Magics whose text is not run."""


@dataclass(frozen=True, slots=True)
class KlingCell:
    """A `%%kling` cell."""

    line: str
    body: str


@dataclass(frozen=True, slots=True)
class Once:
    """Code that runs once, in the place of the call."""

    code: str


@dataclass(frozen=True, slots=True)
class Around:
    """A magic around code that runs who knows how often, or in another program."""

    magic: str
    """`%%timeit`."""
    codes: tuple[str, ...]
    """What it may run: its line, where that is code, and its body."""


@dataclass(frozen=True, slots=True)
class Closed:
    """Text that cannot be read here."""

    code: str
    why: str


@dataclass(frozen=True, slots=True)
class Harmless:
    """A magic that runs no code."""


Inset = KlingCell | Once | Around | Closed | Harmless


def find_inset(call: ast.Call, literal: Callable[[ast.expr], object]) -> Inset | None:
    """What a call runs as code; None for a call that is no magic.

    Args:
        call: The call.
        literal: Tells what an expression says; ValueError where only running it can tell.
    """
    kind = _kind_of(call.func)
    if not kind:
        return None
    names = _CALLS[kind]
    given = dict(zip(names, call.args, strict=False))
    given |= {each.arg: each.value for each in call.keywords if each.arg in names}
    match kind, [_text(given.get(name), literal) for name in names]:
        case "run_cell_magic", [str(name), str(line), str(body)]:
            return _cell_magic(name, line, body)
        case "run_line_magic", [str(name), str(line)]:
            return _line_magic(name, _without_options(line))
        case "run_cell" | "exec", [str(code)]:
            return Once(code)
        case ("run_cell_magic", [str(name), *_]) if name in _NO_CODE:
            return Harmless()
        case ("run_line_magic", [str(name), _]) if name not in {"run", *_ONCE, *_RUNS}:
            return Harmless()
    return Closed(ast.unparse(call), "its text is computed")


def is_python(code: str) -> bool:
    """Whether a text is Python without magics."""
    try:
        ast.parse(code)
    except (SyntaxError, ValueError, RecursionError):
        return False
    return True


def _cell_magic(name: str, line: str, body: str) -> Inset:
    if name == "kling":
        return KlingCell(line, body)
    if name in _ONCE:
        return Once(body)
    if name in _NO_CODE:
        return Harmless()
    setup = _without_options(line)
    is_code = setup and not setup.startswith("-") and is_python(setup)
    return Around(f"%%{name}", (setup, body) if is_code else (body,))


def _line_magic(name: str, code: str) -> Inset:
    if name in _ONCE:
        return Once(code)
    if name == "run":
        return Closed(f"%run {code}", "another file")
    if name in _RUNS or (name not in _NO_CODE and is_python(code)):
        return Around(f"%{name}", (code,))
    return Harmless()


def _kind_of(function: ast.expr) -> str:
    is_plain = isinstance(function, ast.Name)
    name = function.id if isinstance(function, ast.Name) else member_of(function)[1]
    return name if name in _CALLS and is_plain == (name == "exec") else ""


def _text(node: ast.expr | None, literal: Callable[[ast.expr], object]) -> str | None:
    """A text that is written there, or under a name; None for one that is computed."""
    try:
        text = literal(node) if node else None
    except ValueError:
        return None
    return text if isinstance(text, str) else None


def _without_options(code: str) -> str:
    """The code of a line magic: `make("a")` of `-n 3 -r 1 make("a")`."""
    words = code.split(" ") if code.startswith("-") else []
    rests = (" ".join(words[start:]) for start in range(1, len(words)))
    return next((rest for rest in rests if rest[:1] != "-" and is_python(rest)), code)


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
