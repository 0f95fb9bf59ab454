"""Code within code: which calls of a cell run text, as magics do, and what is known of that text.

From the syntax of one call to an `Inset`. What the text asks for is read by `inventory`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from .aliases import member_of

__all__ = ["Around", "Closed", "Harmless", "Inset", "KlingCell", "Once", "find_inset", "is_python"]

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
