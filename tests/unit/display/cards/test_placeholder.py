"""The placeholder of a card: what it says, where it is shown, and when it goes."""

from __future__ import annotations

from typing import Any

import pytest

from kling_nb.display.cards import placeholder
from kling_nb.display.cards.placeholder import showing_placeholder
from tests.support.shells import htmls, open_shell, texts

NOTE = "Nothing has been sent yet."


@pytest.mark.parametrize(
    ("line", "body", "text"),
    [
        ("-i fox.png", "A red fox", f"Preparing\nA red fox\n{NOTE}"),
        ("--model=3.0/video", "A\nfox", f"Preparing · 3.0/video\nA fox\n{NOTE}"),
        ("-i fox.png \\", "-m v2.1\nA fox", f"Preparing · v2.1\nA fox\n{NOTE}"),
        ("--shots mine", "", f"Preparing\n{NOTE}"),
    ],
    ids=["prompt", "model", "two lines", "no prompt"],
)
def test_it_says_what_is_prepared(line: str, body: str, text: str) -> None:
    """The first words of the prompt, and the model if the cell names one."""
    with open_shell("notebook") as shell, showing_placeholder(shell, line, body):
        assert texts(shell) == [text]


def test_what_was_written_is_text() -> None:
    """A long prompt is cut."""
    with open_shell("notebook") as shell, showing_placeholder(shell, "-m <i>", "<b>x" * 99):
        (markup,) = htmls(shell)
    assert "&lt;b&gt;x" in markup
    assert "<b>" not in markup
    assert "<i>" not in markup
    assert "…" in markup


@pytest.mark.parametrize("place", ["terminal", "headless"])
def test_it_is_only_for_pages(place: str) -> None:
    """A terminal has no card to replace it with, and a headless run no reader."""
    with open_shell(place) as shell:  # type: ignore[arg-type]
        with showing_placeholder(shell, "", "A red fox") as shown:
            assert shown.handle is None
        assert texts(shell) == []


@pytest.mark.parametrize("replaced", [False, True], ids=["an error", "a card"])
def test_it_goes_if_there_is_no_card(monkeypatch: pytest.MonkeyPatch, replaced: bool) -> None:
    """With the next output, so that nothing jumps; a card is left alone."""
    cleared: list[bool] = []
    monkeypatch.setattr(placeholder, "clear_output", lambda *, wait: cleared.append(wait))

    def run(shell: Any) -> None:
        with showing_placeholder(shell, "", "A red fox") as shown:
            shown.is_replaced = replaced
            raise KeyError

    with open_shell("notebook") as shell, pytest.raises(KeyError):
        run(shell)
    assert cleared == ([] if replaced else [True])
