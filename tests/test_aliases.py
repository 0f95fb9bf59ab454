"""Names of a notebook: what pays, under which alias, and what holds a literal."""

from __future__ import annotations

import ast

import pytest

from kling_nb.aliases import UNCERTAIN, Aliases


def after(code: str) -> Aliases:
    """The names after these statements."""
    names = Aliases()
    for node in ast.parse(code).body:
        match node:
            case ast.Import():
                names.add_import(node)
            case ast.ImportFrom():
                names.add_import_from(node)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                names.assign(name, value, is_certain=True)
    return names


def expression(code: str) -> ast.expr:
    """An expression's syntax."""
    return ast.parse(code, mode="eval").body


@pytest.mark.parametrize(
    ("code", "called", "function"),
    [
        ("import kling_nb", "kling_nb.generate", "generate"),
        ("import kling_nb as k", "k.image_to_video", "image_to_video"),
        ("from kling_nb import text_to_video as t", "t", "text_to_video"),
        ("from kling_nb import *", "generate", "generate"),
        ("import kling_nb as k\nmake = k.generate", "make", "generate"),
        ("import kling_nb as k\nj = k", "j.generate", "generate"),
        ("import kling_nb as k\ns = k.Session()", "s.generate", "generate"),
        ("from kling_nb import Session\ns = Session()", "s.generate", "generate"),
        ("import kling_nb as k\nform = k.panel()", "form.generate", "generate"),
        ("import kling_nb as k", "k.default_session().generate", "generate"),
        ("", "anything.another_take", "another_take"),
        ("", "model.generate", ""),
        ("", "generate", ""),
        ("from kling_nb import generate\ngenerate = 5", "generate", ""),
        ("import kling_nb as k\nk = model", "k.generate", ""),
        ("import kling_nb as k", "k.balance", ""),
    ],
)
def test_what_pays_is_known_by_any_name(code: str, called: str, function: str) -> None:
    """And nothing else of the same name."""
    assert after(code).function_of(expression(called)) == function


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("shot = 'a fox'", "a fox"),
        ("other = 'a fox'\nshot = other", "a fox"),
        ("shot = 5", 5),
        ("shot = f'{x}'", UNCERTAIN),
        ("shot = 'a'\nshot = read()", UNCERTAIN),
        ("shot = 'a'\nimport shot", UNCERTAIN),
    ],
)
def test_only_literals_are_certain(code: str, value: object) -> None:
    """Under the name that was set last."""
    assert after(code).values["shot"] == value
