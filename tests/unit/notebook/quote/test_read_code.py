"""Names of a notebook: what pays, under which alias, and what holds a literal."""

from __future__ import annotations

import ast

import pytest

from kling_nb.notebook.quote.read_code import UNCERTAIN, Aliases, Owner, Payer, member_of, pairs_of


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
                names.assign(name, names.meaning(value))
    return names


def expression(code: str) -> ast.expr:
    """An expression's syntax."""
    return ast.parse(code, mode="eval").body


USUAL, OTHER, UNKNOWN = Owner.USUAL, Owner.OTHER, Owner.UNKNOWN


@pytest.mark.parametrize(
    ("code", "called", "payer"),
    [
        ("import kling_nb", "kling_nb.generate", Payer("generate", USUAL)),
        ("import kling_nb as k", "k.image_to_video", Payer("image_to_video", USUAL)),
        ("from kling_nb import text_to_video as t", "t", Payer("text_to_video", USUAL)),
        ("from kling_nb import *", "generate", Payer("generate", USUAL)),
        ("import kling_nb as k\nmake = k.generate", "make", Payer("generate", USUAL)),
        ("import kling_nb as k\nj = k", "j.generate", Payer("generate", USUAL)),
        ("import kling_nb as k\ns = k.Session()", "s.generate", Payer("generate", USUAL)),
        ("import kling_nb as k\ns = k.Session()", "s.sending", Payer("sending", USUAL)),
        ("import kling_nb as k\ns = k.Session()", "s.submit", Payer("submit", USUAL)),
        ("import kling_nb as k\ns = k.Session(folder='x')", "s.generate", Payer("generate", OTHER)),
        ("from kling_nb import Session\ns = Session()", "s.generate", Payer("generate", USUAL)),
        ("import kling_nb as k\nform = k.panel()", "form.generate", Payer("generate", OTHER)),
        ("import kling_nb as k", "k.default_session().generate", Payer("generate", USUAL)),
        ("import kling_nb as k", "(s := k.Session()).generate", Payer("generate", USUAL)),
        ("import kling_nb as k", "(make := k.generate)", Payer("generate", USUAL)),
        ("import kling_nb as k", "getattr(k, 'generate')", Payer("generate", USUAL)),
        ("import kling_nb as k", "getattr(k, 'Session')().generate", Payer("generate", USUAL)),
        ("import kling_nb as k\nmake = getattr(k, 'generate')", "make", Payer("generate", USUAL)),
        ("", "anything.another_take", Payer("another_take", UNKNOWN)),
        ("", "anything.text_to_video", Payer("text_to_video", UNKNOWN)),
        ("", "getattr(anything, 'text_to_video')", Payer("text_to_video", UNKNOWN)),
        ("", "model.generate", Payer("generate", UNKNOWN)),
        ("", "self.s.generate", Payer("generate", UNKNOWN)),
        ("", "find()[0].generate", Payer("generate", UNKNOWN)),
        ("make = model.generate", "make", Payer("generate", UNKNOWN)),
        ("from shots import text_to_video", "text_to_video", Payer("text_to_video", UNKNOWN)),
        ("import kling_nb as k\nk = model", "k.generate", Payer("generate", UNKNOWN)),
        ("", "generate", None),
        ("", "'text'.generate", None),
        ("", "pool.submit", None),
        ("from shots import generate", "generate", None),
        ("from kling_nb import generate\ngenerate = 5", "generate", None),
        ("import kling_nb as k", "k.balance", None),
        ("import kling_nb as k", "k.submit", None),
    ],
)
def test_what_pays_is_known_by_any_name(code: str, called: str, payer: Payer | None) -> None:
    """And what only has such a name is a guess."""
    assert after(code).payer_of(expression(called)) == payer


@pytest.mark.parametrize(
    ("payer", "is_guess"),
    [
        (Payer("generate"), False),
        (Payer("generate", Owner.UNKNOWN), True),
        (Payer("text_to_video", Owner.UNKNOWN), False),
    ],
)
def test_a_name_that_others_use_too_is_a_guess(payer: Payer, is_guess: bool) -> None:
    """On something that is not known to be ours."""
    assert payer.is_guess is is_guess


def test_a_name_that_is_perhaps_set_anew_may_still_pay() -> None:
    """In a function or under a condition; and one that is perhaps set to what pays, too."""
    names = after("import kling_nb as k\nmake = k.generate")
    names.bind("make", is_certain=False)
    assert names.payer_of(expression("make")) == Payer("generate", Owner.UNKNOWN)
    names.assign("other", names.meaning(expression("k.generate")), is_certain=False)
    assert names.payer_of(expression("other")) == Payer("generate", Owner.UNKNOWN)
    names.assign("s", names.meaning(expression("k.Session()")), is_certain=False)
    assert names.payer_of(expression("s.generate")) == Payer("generate", Owner.UNKNOWN)


def test_a_copy_is_set_by_itself() -> None:
    """What is only tried out leaves no name behind."""
    names = after("import kling_nb as k\nmake = k.generate\nshot = 'a fox'")
    copied = names.copy()
    for name in ("k", "make", "shot"):
        copied.bind(name)
    assert names.payer_of(expression("k.generate")) == Payer("generate")
    assert names.payer_of(expression("make")) == Payer("generate")
    assert names.values["shot"] == "a fox"


@pytest.mark.parametrize(
    ("code", "pairs"),
    [
        ("a = 1", [("a", "1")]),
        ("a, b = 1, 2", [("a", "1"), ("b", "2")]),
        ("[a, (b, c)] = 1, (2, x)", [("a", "1"), ("b", "2"), ("c", "x")]),
        ("a, (b, c) = 1, pair", [("a", "1")]),
        ("a, *b = 1, 2", []),
        ("a, b = both", []),
        ("a.b = 1", []),
    ],
)
def test_an_assignment_is_taken_apart(code: str, pairs: list[tuple[str, str]]) -> None:
    """As far as it is written which name gets what."""
    (node,) = ast.parse(code).body
    assert isinstance(node, ast.Assign)
    assert [(n, ast.unparse(v)) for n, v in pairs_of(node.targets[0], node.value)] == pairs


@pytest.mark.parametrize(
    ("code", "on", "name"),
    [
        ("a.b.c", "a.b", "c"),
        ("getattr(a, 'b')", "a", "b"),
        ("getattr(a, 'b', None)", "a", "b"),
        ("getattr(a, b)", None, ""),
        ("a", None, ""),
    ],
)
def test_a_member_has_two_ways_of_writing(code: str, on: str | None, name: str) -> None:
    """By a dot or by its name as text."""
    found, found_name = member_of(expression(code))
    assert (found and ast.unparse(found), found_name) == (on, name)


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
