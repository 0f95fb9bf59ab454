"""Test `errors`: the tree of the docstring, two facts on each class, and useful messages."""

from __future__ import annotations

import re
from typing import Any

import pytest

from kling_nb import errors
from kling_nb.errors import InvalidInput, KlingError, Problem, ServiceError

CLASSES: dict[str, Any] = {
    name: value
    for name in errors.__all__
    if isinstance(value := getattr(errors, name), type) and issubclass(value, BaseException)
}
SERVICE_ERRORS = sorted(name for name, kind in CLASSES.items() if issubclass(kind, ServiceError))
PROBLEMS = (
    Problem("duration", "'7' is not one of 5, 10", "allowed: 5, 10"),
    Problem("prompt", "is missing", "allowed: 1 to 1,000 characters"),
)


def drawn_tree() -> dict[str, str]:
    """Return the parent of each class in the tree of the module's docstring."""
    parents: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").split("```")[1].splitlines():
        found = re.match(r"([│├└─ ]*)(\w+)", line)
        if found:
            depth = len(found[1]) // 4
            path = [*path[:depth], found[2]]
            parents[found[2]] = path[depth - 1] if depth else ""
    return parents


def test_the_docstring_has_the_tree() -> None:
    """Every class is below its base, and every name exists."""
    tree = drawn_tree()
    roots = {"KlingError", "KeyboardInterrupt"}
    assert {name for name, parent in tree.items() if not parent} == roots
    assert tree.keys() - {"KeyboardInterrupt"} == CLASSES.keys()
    for name, parent in tree.items():
        if parent:
            assert CLASSES[name].__mro__[1].__name__ == parent


def test_errors_after_which_a_request_is_sent_again() -> None:
    """It certainly never arrived, or was rejected unread."""
    retryable = {name for name, kind in CLASSES.items() if getattr(kind, "retryable", False)}
    assert retryable == {"NotSent", "RateLimited"}


def test_errors_after_which_a_task_may_exist() -> None:
    """The answer is broken, unreadable, contradictory or lost."""
    may_exist = {name for name, kind in CLASSES.items() if getattr(kind, "may_exist", False)}
    assert may_exist == {"ServerFault", "UnreadableAnswer", "ContradictoryAnswer", "AnswerLost"}


def test_invalid_input_has_every_problem() -> None:
    """Each line has the field, the value and what is allowed; a subject precedes them."""
    error = InvalidInput(PROBLEMS)
    assert error.problems == PROBLEMS
    assert str(error).splitlines() == [
        "duration: '7' is not one of 5, 10; allowed: 5, 10",
        "prompt: is missing; allowed: 1 to 1,000 characters",
    ]
    assert str(InvalidInput(PROBLEMS[:1], subject="clip 3")).startswith("clip 3: duration: ")


@pytest.mark.parametrize("name", SERVICE_ERRORS)
def test_service_errors_quote_the_service(name: str) -> None:
    """The code, the service's text and our advice; an unknown task is not said to be free."""
    kind = CLASSES[name]
    error = kind(499, "their words")
    assert isinstance(error, ServiceError)
    assert (error.code, error.message) == (499, "their words")
    assert str(error) == f"The service answered 499: 'their words'. {error.advice}"
    text = str(kind(499, "their words", advice="Wear a hat."))
    assert text.endswith(" Wear a hat.")
    assert kind.advice not in text
    assert not (kind.may_exist and "Nothing was charged" in kind.advice)


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("Unauthorized", "KIE_API_KEY"),
        ("InsufficientCredits", "add credits"),
        ("EndpointNotFound", "KLING_NB_API_URL"),
        ("BadRequest", "Change the value"),
        ("RateLimited", "try again"),
        ("KeyLimitReached", "Raise the key's limit"),
        ("Maintenance", "Try again later"),
        ("ServerFault", "%kling jobs"),
        ("UnreadableAnswer", "%kling jobs"),
    ],
)
def test_service_errors_name_the_next_step(name: str, step: str) -> None:
    """Each class says what to do next."""
    assert step in CLASSES[name].advice


@pytest.mark.parametrize(
    "name", sorted(n for n, k in CLASSES.items() if "JobFailed" in str(k.__mro__))
)
def test_failed_jobs_are_named(name: str) -> None:
    """The error has the id of its job."""
    error = CLASSES[name]("no clip", job_id="1a2b3c4d")
    assert error.job_id == "1a2b3c4d"
    assert str(error) == "no clip"


def test_notebooks_get_one_line() -> None:
    """A mistake that is corrected in the cell shows no traceback."""
    assert KlingError("no such file")._render_traceback_() == ["KlingError: no such file"]
    assert errors.WaitInterrupted("it goes on")._render_traceback_() == ["it goes on"]


def test_errors_that_pythons_own_names_catch() -> None:
    """`except Exception` around a wait lets an interrupt through."""
    assert issubclass(InvalidInput, ValueError)
    assert issubclass(errors.WaitTimeout, TimeoutError)
    assert issubclass(errors.WaitInterrupted, KeyboardInterrupt)
    assert not issubclass(errors.WaitInterrupted, Exception)
