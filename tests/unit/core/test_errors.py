"""What `errors` promises: the drawn tree, two facts on each class, sentences that help."""

from __future__ import annotations

import re
from typing import Any

import pytest

from kling_nb import errors
from kling_nb.errors import InvalidInput, KlingError, Problem, RateLimited, ServiceError

CLASSES: dict[str, Any] = {
    name: value
    for name in errors.__all__
    if isinstance(value := getattr(errors, name), type) and issubclass(value, BaseException)
}
SERVICE_ERRORS = sorted(name for name, kind in CLASSES.items() if issubclass(kind, ServiceError))
PROBLEMS = (
    Problem("duration", "'7' is not one of 5, 10", "allowed: 5, 10"),
    Problem("prompt", "is missing", "1 to 1,000 characters are allowed"),
)


def drawn_tree() -> dict[str, str]:
    """Each class of the drawing in the module's docstring with the one it hangs on."""
    parents: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").split("```")[1].splitlines():
        found = re.match(r"([│├└─ ]*)(\w+)", line)
        if found:
            depth = len(found[1]) // 4
            path = [*path[:depth], found[2]]
            parents[found[2]] = path[depth - 1] if depth else ""
    return parents


def test_the_drawing_is_the_tree() -> None:
    """Every class is drawn below its base, and nothing is drawn that does not exist."""
    tree = drawn_tree()
    roots = {"KlingError", "KeyboardInterrupt"}
    assert {name for name, parent in tree.items() if not parent} == roots
    assert tree.keys() - {"KeyboardInterrupt"} == CLASSES.keys()
    for name, parent in tree.items():
        if parent:
            assert CLASSES[name].__mro__[1].__name__ == parent


def test_what_may_be_sent_again_by_itself() -> None:
    """Only what surely never arrived, or was rejected unread, may be sent again."""
    retryable = {name for name, kind in CLASSES.items() if getattr(kind, "retryable", False)}
    assert retryable == {"NotSent", "RateLimited"}


def test_what_leaves_a_task_unknown() -> None:
    """A broken, unreadable, contradictory or lost answer leaves open whether a task exists."""
    may_exist = {name for name, kind in CLASSES.items() if getattr(kind, "may_exist", False)}
    assert may_exist == {"ServerFault", "UnreadableAnswer", "ContradictoryAnswer", "AnswerLost"}


def test_a_problem_reads_as_field_given_allowed() -> None:
    """A problem's text has the field, what was given and what is allowed."""
    assert str(PROBLEMS[0]) == "duration: '7' is not one of 5, 10; allowed: 5, 10"


def test_invalid_input_carries_every_problem() -> None:
    """The message has a line for each problem, and the problems can be taken apart."""
    error = InvalidInput(PROBLEMS)
    assert error.problems == PROBLEMS
    assert str(error).splitlines() == [str(problem) for problem in PROBLEMS]


def test_invalid_input_names_its_subject() -> None:
    """A subject stands before the problems."""
    assert str(InvalidInput(PROBLEMS[:1], subject="clip 3")).startswith("clip 3: duration: ")


def test_invalid_input_is_a_value_error() -> None:
    """Programs that expect Python's own error for a bad value get it."""
    assert issubclass(InvalidInput, ValueError)


@pytest.mark.parametrize("name", SERVICE_ERRORS)
def test_service_errors_quote_the_service(name: str) -> None:
    """A service error has the code, the service's own words, and a sentence of ours."""
    error = CLASSES[name](499, "their words")
    assert isinstance(error, ServiceError)
    assert (error.code, error.message) == (499, "their words")
    assert str(error) == f"The service answered 499: 'their words'. {error.advice}"


@pytest.mark.parametrize("name", SERVICE_ERRORS)
def test_service_errors_say_more_when_more_is_known(name: str) -> None:
    """Given advice takes the place of the class's own."""
    text = str(CLASSES[name](499, "their words", advice="Wear a hat."))
    assert text.endswith(" Wear a hat.")
    assert CLASSES[name].advice not in text


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


@pytest.mark.parametrize("name", SERVICE_ERRORS)
def test_nothing_was_charged_is_said_only_where_it_is_sure(name: str) -> None:
    """Where a task may exist, nobody promises that it is free."""
    kind = CLASSES[name]
    assert not (kind.may_exist and "Nothing was charged" in kind.advice)


def test_a_rate_limit_carries_retry_after() -> None:
    """What the service asked for is kept, and is None where it asked for nothing."""
    assert RateLimited(429, "slow down", retry_after_s=7.0).retry_after_s == 7.0
    assert RateLimited(429, "slow down").retry_after_s is None


@pytest.mark.parametrize(
    "name", sorted(n for n, k in CLASSES.items() if "JobFailed" in str(k.__mro__))
)
def test_failed_jobs_are_named(name: str) -> None:
    """Whoever catches a failed job learns which one it is."""
    error = CLASSES[name]("no clip", job_id="1a2b3c4d")
    assert error.job_id == "1a2b3c4d"
    assert str(error) == "no clip"


def test_notebooks_get_one_line() -> None:
    """A mistake that is mended in the cell shows no traceback."""
    assert KlingError("no such file")._render_traceback_() == ["KlingError: no such file"]
    assert errors.WaitInterrupted("it goes on")._render_traceback_() == ["it goes on"]


def test_an_interrupt_is_not_swallowed() -> None:
    """`except Exception` around a wait lets an interrupt through."""
    assert not issubclass(errors.WaitInterrupted, Exception)
    assert issubclass(errors.WaitInterrupted, KeyboardInterrupt)


def test_a_timeout_is_pythons_own() -> None:
    """`except TimeoutError` catches a wait that was too long."""
    assert issubclass(errors.WaitTimeout, TimeoutError)
