"""Resolve names of variables in a cell to their values.

In a prompt a name is written in double braces; a backslash before them keeps the text as it is. In
place of an image, a video, audio or records, a name is written alone. There `{name}` and `$name`,
as IPython writes them, mean the same as `name`; `name[0]` and `name.attribute` also work. Variables
are passed as a mapping; no file that they name is opened.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass

from kling_nb.core.errors import InvalidInput
from kling_nb.core.text import nearest

from .parameter_kind import as_tuple
from .spec import ModelSpec

_IN_PROMPT = re.compile(r"(?<!\\)(\\*)(\{\{\s*([A-Za-z_]\w*)\s*\}\})")
"""Groups: the backslashes, the whole, the name. Each pair of backslashes before a name is one, and
an odd one escapes the name; elsewhere backslashes have no meaning."""


_MARKED = re.compile(r"\{\s*([^{}]+?)\s*\}|\$\{([^{}]+)\}|\$(.+)")
"""`{name}`, `${name}` or `$name`."""
_EXPRESSION = re.compile(r"([A-Za-z_]\w*)((?:\.[A-Za-z_]\w*|\[[^\[\]]+\])*)")
_STEP = re.compile(r"\.(\w+)|\[([^\[\]]+)\]")
_NOTHING = object()


@dataclass(frozen=True, slots=True)
class _Resolved:
    """The values of a cell, with names of variables replaced."""

    values: dict[str, object]
    written: dict[str, object]
    """The text of media and records by parameter, for `write_cell`."""


def fill_prompt(body: str, variables: Mapping[str, object]) -> str:
    r"""Return the prompt with each `{{name}}` replaced by the text of that variable.

    `\{{name}}` is the text `{{name}}` itself.

    Raises:
        InvalidInput: A variable does not exist.
    """

    def value_of(match: re.Match[str]) -> str:
        backslashes, whole, name = match.groups()
        kept = backslashes[: len(backslashes) // 2]
        if len(backslashes) % 2:
            return kept + whole
        if name not in variables:
            close = nearest(name, [known for known in variables if not known.startswith("_")])
            hint = f"; did you mean {close!r}?" if close else ""
            raise InvalidInput.of(
                "prompt",
                f"there is no variable {name!r}",
                f"define it first, or write `\\{{{{{name}}}}}` for the literal text{hint}",
            )
        return kept + str(variables[name])

    return _IN_PROMPT.sub(value_of, body)


def raw_prompt(prompt: str) -> str:
    """Return the cell body for a prompt, with each `{{name}}` escaped."""
    return _IN_PROMPT.sub(lambda match: match[1] * 2 + "\\" + match[2], prompt)


def names_in(body: str) -> list[str]:
    """Return the variables that a prompt names."""
    return [name for backslashes, _, name in _IN_PROMPT.findall(body) if len(backslashes) % 2 == 0]


def resolve(
    spec: ModelSpec, values: Mapping[str, object], variables: Mapping[str, object]
) -> _Resolved:
    """Return the values with names of variables replaced.

    Args:
        spec: The model.
        values: As written; a text that is not a variable's name stays as it is.
        variables: By name. A list stands for several images.
    """
    found = _Resolved(dict(values), {})
    for name, kind in ((p.name, p.kind) for p in spec.sources):
        if values.get(name) is not None:
            found.values[name], found.written[name] = kind.resolve(
                values[name], lambda given: _value(given, variables)
            )
    return found


def unresolved(spec: ModelSpec, values: Mapping[str, object]) -> list[str]:
    """Return the names without a variable, in values that can only be names: records, `{name}`."""
    given = (values.get(p.name) for p in spec.sources if not p.kind.medium)
    names = [each for each in given if isinstance(each, str) and each.isidentifier()]
    return names + missing_variables(spec, values)


def missing_variables(spec: ModelSpec, values: Mapping[str, object]) -> list[str]:
    """Return the names in `{name}`, `${name}` and `$name` that `resolve` did not find."""
    given = (values.get(p.name) for p in spec.sources)
    texts = [each for value in given for each in as_tuple(value) if isinstance(each, str)]
    return [name for text in texts if (name := _bare(text)) != text and _EXPRESSION.fullmatch(name)]


def media_texts(spec: ModelSpec, values: Mapping[str, object]) -> dict[str, list[str]]:
    """Return the texts among the values of each image, video and audio parameter."""
    return {
        p.name: [each for each in as_tuple(values.get(p.name)) if isinstance(each, str)]
        for p in spec.media
    }


def is_variable(text: str) -> bool:
    """Return whether a text can only be the name of a variable, or of a file without a suffix."""
    match = _EXPRESSION.fullmatch(text)
    return match is not None and "." not in text


def _value(given: object, variables: Mapping[str, object]) -> object:
    """Return the value that a text names, or the text itself, e.g. the file `fox.png`."""
    if not isinstance(given, str) or not (match := _EXPRESSION.fullmatch(_bare(given))):
        return given
    held = variables.get(match[1], _NOTHING)
    for attribute, key in _STEP.findall(match[2]):
        held = _attribute(held, attribute) if attribute else _item(held, key.strip("\"'"))
    return given if held is _NOTHING else held


def _bare(text: str) -> str:
    """Return the text without the marks of a name."""
    match = _MARKED.fullmatch(text)
    return next(filter(None, match.groups()), text) if match else text


def _attribute(held: object, name: str) -> object:
    # Static lookup first: a class with `__getattr__` would answer to `fox.png`, a file.
    if inspect.getattr_static(held, name, _NOTHING) is _NOTHING:
        return _NOTHING
    return getattr(held, name, _NOTHING)


def _item(held: object, key: str) -> object:
    if isinstance(held, Mapping):
        return held.get(key, _NOTHING)
    if isinstance(held, list | tuple) and re.fullmatch(r"-?\d{1,9}", key):
        place = int(key)
        return held[place] if -len(held) <= place < len(held) else _NOTHING
    return _NOTHING
