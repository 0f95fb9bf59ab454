"""The text of a cell: what reaches the service, which names are bound, and error messages."""

from __future__ import annotations

import pytest

from tests.kernel.kernels import PATIENCE_S, Kernel, remaining
from tests.support.service import Served

pytestmark = pytest.mark.kernel


def test_the_prompt_reaches_the_service_raw(kernel: Kernel, service: Served) -> None:
    """Braces, percent signs, quotes, dollars and lines are sent as they were written."""
    prompt = "100 % {x} {{ $HOME \\n \"quoted\" 'it''s' `ls` #no\nsecond line; %s !ls ?"
    kernel.run("x = 'expanded'", "%%kling -i fox.png\n" + prompt)
    assert service.account.tasks()[-1].input["prompt"] == prompt


def test_only_doubled_braces_are_replaced(kernel: Kernel, service: Served) -> None:
    """By the text of that variable."""
    kernel.run("animal = 'fox'", "%%kling -i fox.png\nA {{animal}}, a {{ animal }}, an {animal}")
    assert service.account.tasks()[-1].input["prompt"] == "A fox, a fox, an {animal}"


def test_a_line_is_not_expanded(kernel: Kernel) -> None:
    """`{x}` and `$x` in a line stay what they are."""
    (error,) = kernel.run("x = 'jobs'", "%kling {x}")
    assert "'{x}'" in error.text
    (error,) = remaining(kernel.run("%%kling --model $x\nbody"))
    assert "'$x'" in error.text


def test_a_comment_above_is_allowed(kernel: Kernel, service: Served) -> None:
    """IPython itself refuses a cell magic below a comment; the comment is not in the prompt."""
    kernel.run("# the fox\n\n%%kling -i fox.png\nbelow a comment")
    assert service.account.tasks()[-1].input["prompt"] == "below a comment"


def test_the_job_is_bound(kernel: Kernel) -> None:
    """To the name behind `-o`, else to `_`; both are the job of the card."""
    requests = kernel.send(
        "%%kling -i fox.png -o named\nnamed",
        "named.record.prompt, type(named).__name__",
        "%%kling -i fox.png\nunnamed",
        "_.record.prompt",
    )
    kernel.finish(*requests)
    assert kernel.shown(requests[1])[0].text == "('named', 'Job')"
    assert kernel.shown(requests[3])[0].text == "'unnamed'"


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("%%kling --sund\nhello", "'--sund' is not an option; did you mean --sound?"),
        ("%%kling -i fox.png -d 7\nhello", "duration: '7' is not one of 5, 10"),
        ("%%kling -i fox.png\n{{missing}}", "there is no variable 'missing'"),
        ("%kling jbos", "did you mean jobs?"),
    ],
)
def test_a_mistake_is_told_in_a_line(kernel: Kernel, service: Served, cell: str, said: str) -> None:
    """No traceback, and nothing is sent."""
    creations = service.creations
    (error,) = remaining(kernel.run(cell))
    assert error.kind == "error"
    assert len(error.text.splitlines()) == 1
    assert said in error.text
    assert service.creations == creations


def test_a_refusal_is_an_error_in_the_cell(kernel: Kernel, service: Served) -> None:
    """The cell fails with the service's words; the card says the same and no job runs."""
    service.account.inject("credits")
    (request,) = kernel.send("%%kling -i fox.png\nrefused")
    kernel.finish(request)
    (error,) = [message for message in kernel.shown(request) if message.kind == "error"]
    assert error.text.startswith("InsufficientCredits: ")
    assert len(error.text.splitlines()) == 1
    kernel.until(lambda: any(m.state == "refused" for m in kernel.shown(request)))


@pytest.mark.parametrize(
    ("cell", "offered"),
    [
        ("%%kling --dur", "--duration"),
        ("%%kling --image fo", "fox.png"),
        ("%%kling --model kling-2.6/te", "kling-2.6/text-to-video"),
        ("%kling ado", "adopt"),
    ],
)
def test_tab_completes(kernel: Kernel, cell: str, offered: str) -> None:
    """What the kernel answers to the front end's question at the end of the line."""
    kernel.run("%config IPCompleter.use_jedi = False")  # which takes seconds to load
    reply = kernel.client.complete(cell, len(cell), reply=True, timeout=PATIENCE_S)
    assert offered in reply["content"]["matches"]


def test_everything_has_plain_text(kernel: Kernel) -> None:
    """Every bundle of every cell above, and of each command."""
    for command in ("", "balance", "jobs", "models", "resume"):
        assert kernel.run(f"%kling {command}"), command
    bundles = [message.bundle for message in kernel.messages if message.bundle]
    assert len(bundles) > 20
    assert all("text/plain" in bundle for bundle in bundles)


def test_only_the_message_of_a_dry_run_is_left(kernel: Kernel) -> None:
    """The placeholder goes; nothing is sent."""
    placeholder, *_ = messages = kernel.run("%%kling -i fox.png --dry-run\na dry run")
    assert placeholder.is_placeholder
    (message,) = remaining(messages)
    assert "Nothing was sent." in message.text
