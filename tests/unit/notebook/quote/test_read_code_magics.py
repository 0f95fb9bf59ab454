"""Code within code: what a call runs, and what is known of its text."""

from __future__ import annotations

import ast

import pytest

from kling_nb.notebook.quote.read_code import (
    Around,
    Closed,
    Harmless,
    Inset,
    KlingCell,
    Once,
    find_inset,
    is_python,
)


def inset(code: str) -> Inset | None:
    """What a call runs."""
    call = ast.parse(code, mode="eval").body
    assert isinstance(call, ast.Call)
    return find_inset(call, ast.literal_eval)


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("ip.run_cell_magic('kling', '-d 5', 'a fox')", KlingCell("-d 5", "a fox")),
        ("ip.run_cell_magic('kling', cell='a fox', line='')", KlingCell("", "a fox")),
        ("getattr(ip, 'run_cell_magic')('kling', '', 'a')", KlingCell("", "a")),
        ("ip.run_cell_magic('time', '', 'go()')", Once("go()")),
        ("ip.run_cell_magic('capture', 'out', 'go()')", Once("go()")),
        ("ip.run_line_magic('time', 'go()')", Once("go()")),
        ("ip.run_line_magic('time', '--no-raise-error go()')", Once("go()")),
        ("ip.run_cell('go()')", Once("go()")),
        ("exec('go()')", Once("go()")),
        ("ip.run_cell_magic('timeit', '', 'go()')", Around("%%timeit", ("go()",))),
        (
            "ip.run_cell_magic('timeit', '-n 3 x = 1', 'go()')",
            Around("%%timeit", ("x = 1", "go()")),
        ),
        ("ip.run_cell_magic('bash', '--bg', 'ls -l')", Around("%%bash", ("ls -l",))),
        ("ip.run_line_magic('timeit', '-n 3 -r 1 go(1, 2)')", Around("%timeit", ("go(1, 2)",))),
        ("ip.run_line_magic('timeit', 'go(')", Around("%timeit", ("go(",))),
        ("ip.run_line_magic('memray', 'go()')", Around("%memray", ("go()",))),
        ("ip.run_line_magic('run', 'shots.py')", Closed("%run shots.py", "another file")),
        ("ip.run_line_magic('pip', 'install x')", Harmless()),
        ("ip.run_line_magic('pinfo', 'x')", Harmless()),
        ("ip.run_cell_magic('html', '', '<b>')", Harmless()),
        ("ip.run_cell_magic('html', '', text)", Harmless()),
        ("ip.run_line_magic('matplotlib', text)", Harmless()),
        ("go('a')", None),
        ("app.exec('a')", None),
        ("run_cell('a')", None),
    ],
)
def test_calls_that_run_text_are_known(code: str, found: Inset | None) -> None:
    """Magics by name, however their arguments are given."""
    assert inset(code) == found


@pytest.mark.parametrize(
    "code",
    [
        "ip.run_cell_magic('kling', '', text)",
        "ip.run_cell_magic('kling', '')",
        "ip.run_cell_magic(*given)",
        "ip.run_cell_magic(name, '', 'a')",
        "ip.run_cell_magic('time', '', f'{a}')",
        "ip.run_line_magic('timeit', text)",
        "ip.run_line_magic(name, 'a')",
        "ip.run_cell(text)",
        "exec(open('shots.py').read())",
        "exec(b'go()')",
    ],
)
def test_text_that_is_computed_is_closed(code: str) -> None:
    """Only running it can tell."""
    assert inset(code) == Closed(ast.unparse(ast.parse(code)), "its text is computed")


@pytest.mark.parametrize(
    ("code", "is_it"), [("go()", True), ("", True), ("-n", True), ("ls -", False)]
)
def test_python_is_told_by_its_syntax(code: str, is_it: bool) -> None:
    """Magics are none."""
    assert is_python(code) is is_it
