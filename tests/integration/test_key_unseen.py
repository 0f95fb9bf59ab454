"""The key is in no variable that a traceback shows, whatever settings refuse."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kling_nb.errors import ConfigurationError
from kling_nb.jobs import default_session
from tests.support.refused_settings import CASES, SECRET_VARIABLE, VARIABLES, clean, refuse

SECRET = "sk-0123456789abcdef-unseen"
ROOT = Path(__file__).parents[2]

VERBOSE = """
import sys, os
from IPython.core.interactiveshell import InteractiveShell
from tests.support.refused_settings import CASES, refuse
shell = InteractiveShell.instance()
shell.run_line_magic("xmode", "Verbose")
for name in CASES:
    try:
        refuse(name)
    except Exception:
        print("\\n".join(shell.InteractiveTB.structured_traceback(*sys.exc_info())))
        print("REFUSED", name)
"""
PYTEST = """
import pytest
from tests.support.refused_settings import CASES, refuse

@pytest.mark.parametrize("name", CASES)
def test_refusal(name):
    refuse(name)
"""


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The key under its own name, and everything that cases set put back."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(SECRET_VARIABLE, SECRET)
    monkeypatch.setitem(sys.modules, "keyring", sys.modules.get("keyring"))
    monkeypatch.setattr(default_session, "_current", None)
    monkeypatch.setattr(default_session, "_given", {})
    yield
    clean()


def shown(value: object) -> str:
    """A value as a crash reporter prints it, its attributes with it."""
    try:
        return f"{value!r} {vars(value) if hasattr(value, '__dict__') else ''}"
    except Exception:  # half made, or a number that is too long to be written
        return ""


def variables(error: BaseException | None) -> Iterator[tuple[str, str, str]]:
    """Every local variable of an error's traceback and of those behind it: where, name, value."""
    while error is not None:
        trace = error.__traceback__
        while trace is not None:
            place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
            for name, value in trace.tb_frame.f_locals.items():
                yield place, name, shown(value)
            trace = trace.tb_next
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("name", CASES)
def test_no_variable_holds_the_key(name: str) -> None:
    """Of the error itself and of what it was raised from; nor does the message."""
    with pytest.raises((ConfigurationError, TypeError)) as caught:
        refuse(name)
    assert SECRET not in str(caught.value)
    found = [
        (place, variable)
        for place, variable, value in variables(caught.value)
        if SECRET in value and not place.startswith(__file__)
    ]
    assert found == []


def run(*command: str, folder: Path) -> str:
    """What a process prints that has the key in its environment."""
    done = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), SECRET_VARIABLE: SECRET},
    )
    return done.stdout + done.stderr


def test_ipython_shows_no_key(tmp_path: Path) -> None:
    """`%xmode Verbose`, which prints the values of variables, over every refusal."""
    printed = run("-c", VERBOSE, folder=tmp_path)
    assert printed.count("REFUSED") == len(CASES), printed[-2000:]
    assert printed.count("kling_nb/jobs/settings.py") > len(CASES) / 2
    assert SECRET not in printed


def test_pytest_shows_no_key(tmp_path: Path) -> None:
    """`pytest -l`, which prints the local variables, over every refusal."""
    (tmp_path / "test_it.py").write_text(PYTEST, encoding="utf-8")
    printed = run(
        "-m", "pytest", "-l", "--full-trace", "-p", "no:cacheprovider", "test_it.py",
        folder=tmp_path,
    )  # fmt: skip
    assert f"{len(CASES)} failed" in printed, printed[-2000:]
    assert SECRET not in printed
