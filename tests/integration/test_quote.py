"""`%kling quote`: the price of Run All before it runs; nothing is run or sent for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from kling_nb.errors import InvalidInput, KlingError
from kling_nb.jobs import default_session
from kling_nb.jobs.session import Session
from kling_nb.notebook.commands import Commands
from kling_nb.notebook.extension import load, unload
from kling_nb.notebook.quote.quote import NotebookQuote, describe, quote, table
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.user_index import UserIndex
from tests.support.service import CREATE
from tests.support.shells import open_shell, texts

PATIENCE_S = 20.0
pytestmark = pytest.mark.usefixtures("session")


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """Open the kernel of `film.ipynb`."""
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "film.ipynb"))
    with open_shell("headless") as shell:
        load(shell)
        yield shell
        unload(shell)


def save(*sources: str, folder: str = "") -> Path:
    """Write a notebook with these cells, not run."""
    path = Path.cwd() / folder / "film.ipynb"
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def notes(quoted: NotebookQuote) -> list[tuple[float | None, str]]:
    """Return credits and note of each line."""
    return [(line.credits, line.note) for line in quoted.lines]


def test_run_all_costs_what_the_quote_says(session: Session, shell: Any) -> None:
    """Five cells with two existing clips: three prices, and the balance changes by that sum."""
    made = ["%%kling\nA red fox", "%%kling -d 10 --sound\nA bear"]
    new = ["%%kling\nA wolf", "%%kling\nAn owl", "%%kling\nA hare"]
    path = save(made[0], *new, made[1])
    for cell in made:
        shell.run_cell(cell).raise_error()
    before, tasks = session.balance(), session.emulator.account.tasks()  # type: ignore[union-attr]
    quoted = quote()
    assert quoted.total_credits == 3 * 55
    assert quoted.unknown == 0
    assert quoted.funds.balance_credits == before
    assert session.emulator.account.tasks() == tasks  # type: ignore[union-attr]
    for cell in nbformat.read(path, as_version=4).cells:
        shell.run_cell(cell.source).raise_error()
    assert before - session.balance() == quoted.total_credits
    assert [line.cell for line in quoted.lines] == [1, 2, 3, 4, 5]
    assert quote().total_credits == 0


def test_the_table_says_why_a_request_is_free(session: Session, shell: Any) -> None:
    """Its clip is saved, an earlier cell makes it, or it is a dry run."""
    path = save(
        "%%kling\nA red fox",
        "%%kling -d 10\nA wolf",
        "%%kling -d 10 -o again\nA wolf",
        "%%kling -n\nAn owl",
        "%%kling --take 2\nA red fox",
        "%%kling\nAn owl",
    )
    shell.run_cell("%%kling\nA red fox").raise_error()
    quoted = quote(path)
    (row,) = session.jobs()
    day = row.created_at.astimezone()
    assert [row[-1] for row in table(quoted)[1]] == [
        f"0 (saved {day.day} {day:%B})",
        "110",
        "0 (same clip as cell 2)",
        "0 (dry run)",
        "55",
        "55",
    ]
    assert table(quoted)[1][1] == ("2", "A wolf", "text-to-video", "10", "110")
    title, price, *_ = describe(quoted)
    assert title == "Run All would cost 220 credits ($1.10)"
    assert "no real credits" in price


def test_variables_are_those_of_the_notebook_then_of_the_kernel(shell: Any) -> None:
    """A literal in the notebook is used before the variable of the kernel."""
    save(
        "shot = 'A blue fox'\nother = read()",
        "%%kling\n{{shot}}",
        "%%kling\n{{other}}",
        "%%kling\n{{later}}",
        "%%kling\n{{thing}}",
    )
    shell.user_ns |= {"shot": "A red fox", "other": "A wolf", "thing": Loud()}
    quoted = quote()
    assert [line.prompt for line in quoted.lines[:2]] == ["A blue fox", "A wolf"]
    assert notes(quoted)[2:] == [
        (None, "the variable `later` does not exist yet"),
        (None, "the variable `thing` is neither text nor a number"),
    ]
    title, price, unpriced, *_ = describe(quoted)
    assert title == "Run All would cost at least 110 credits ($0.55)"
    assert "at least 110 credits" in price
    assert "→ at most 5,8" in price
    assert unpriced == (
        "2 calls could not be priced: cell 4 (the variable `later` does not exist yet), "
        "cell 5 (the variable `thing` is neither text nor a number)."
    )


class Loud:
    """An object that must not be run."""

    def __str__(self) -> str:
        raise AssertionError("it was run")

    __array__ = savefig = frame = __str__


def test_another_notebook_has_its_own_variables(shell: Any) -> None:
    """The kernel's variables do not apply to it; relative paths start at its folder."""
    shell.user_ns["shot"] = "A red fox"
    Path("film.ipynb").write_text("{}", encoding="utf-8")
    Path("other").mkdir()
    Path("other/fox.png").write_bytes(b"a picture")
    cells = ("%%kling\n{{shot}}", "%%kling -i fox.png\nA fox")
    quoted = quote(save(*cells, folder="other"))
    assert notes(quoted) == [(None, "the variable `shot` does not exist yet"), (55.0, "")]


def test_images_are_identified_by_their_hash(shell: Any, photo: bytes) -> None:
    """By path or variable; a missing file or another object is not priced."""
    Path("fox.png").write_bytes(photo)
    shell.user_ns |= {"photo": photo, "loud": Loud()}
    shell.run_cell("%%kling -i fox.png\nA fox").raise_error()
    save(
        "%%kling -i fox.png\nA fox",
        "%%kling -i photo\nA fox",
        "%%kling -i photo\nA wolf",
        "%%kling -i bear.png\nA fox",
        "%%kling -i loud\nA fox",
    )
    (_, first), (_, second), (third, _), (fourth, missing), (fifth, drawn) = notes(quote())
    assert first == second
    assert first.startswith("saved ")
    assert (third, fourth, fifth) == (55.0, None, None)
    assert "there is no file 'bear.png'" in missing
    assert drawn == "a quote does not read an image of type Loud"


def test_an_image_by_url_is_not_fetched(shell: Any) -> None:
    """The hash of the last download identifies it."""
    url = "http://127.0.0.1:9/fox.png"
    shell.run_cell(f"%%kling -i {url}\nA fox").raise_error()
    save(
        f"%%kling -i {url}\nA fox",
        "%%kling -i http://127.0.0.1:9/b.png\nA fox",
        "%%kling -i http://127.0.0.1:9/b.png\nA fox",
    )
    first, *others = notes(quote())
    assert first[1].startswith("saved ")
    assert others == [(55.0, ""), (0.0, "same clip as cell 2")]


def test_calls_from_python() -> None:
    """They are priced, and share a clip with a cell that makes the same request."""
    path = save(
        "import kling_nb as kling",
        "job = kling.text_to_video('A fox', duration=10)",
        "%%kling -d 10\nA fox",
        "for shot in shots:\n    kling.text_to_video(shot)",
        "kling.generate('kling-2.6/text-to-video', prompt='An owl', take=2)",
        "kling.generate('kling-9', prompt='An owl')",
    )
    found = notes(quote(path))
    shared = (0.0, "same clip as cell 2")
    assert found[:4] == [(110.0, ""), shared, (None, "in a loop"), (55.0, "")]
    assert found[4][0] == 0.0
    assert "refused: model: 'kling-9' is not known" in found[4][1]


def test_a_call_that_is_not_priced_is_counted() -> None:
    """The total is a lower bound, and the answer names the cells and the reasons."""
    quoted = quote(
        save(
            "import kling_nb as kling\nmine = kling.Session()",
            "mine.text_to_video('A fox')",
            "%time kling.text_to_video('A fox')",
            "for shot in shots:\n    kling.text_to_video(shot)\n    kling.text_to_video(shot)",
            "kling.text_to_video('A fox', take='2')",
            "kling.text_to_video('A fox')",
        )
    )
    *unknown, refused, known = notes(quoted)
    reasons = ["called on another object", "inside %time", "in a loop", "in a loop"]
    assert unknown == [(None, reason) for reason in reasons]
    assert refused[0] == 0.0
    assert refused[1].startswith("refused: take: '2'")
    assert known == (55.0, "")
    assert quoted.unknown == 4
    title, _, unpriced, *_ = describe(quoted)
    assert title == "Run All would cost at least 55 credits ($0.28)"
    assert unpriced == (
        "4 calls could not be priced: cell 2 (called on another object), cell 3 (inside %time), "
        "cell 4 (in a loop)."
    )


def test_a_refused_request_costs_nothing() -> None:
    """The line contains the reason."""
    quoted = quote(save("%%kling -d 7\nA fox", "%%kling --dur 5\nx"))
    assert [credits for credits, _ in notes(quoted)] == [0.0, 0.0]
    assert "duration: '7' is not one of 5, 10" in notes(quoted)[0][1]
    assert "stops at the first cell" in "\n".join(describe(quoted))


def test_a_request_with_a_lost_answer_is_not_paid_again(session: Session) -> None:
    """A lost answer blocks its request."""
    session.emulator.account.inject("lose-answer")
    session.text_to_video("A fox")
    quoted = quote(save("%%kling\nA fox"))
    assert notes(quoted) == [(0.0, "unknown")]


def test_a_total_above_a_budget_is_reported(session: Session) -> None:
    """The total is compared with the balance and the budgets."""
    path = save("%%kling\nA fox", "%%kling\nA wolf")
    assert quote(path).is_covered
    session.budget(100)
    quoted = quote(path)
    assert not quoted.is_covered
    assert "budget left 100: short by 10" in describe(quoted)[1]
    assert "exceeds the balance or a budget" in describe(quoted)[2]


def test_a_request_paid_in_another_folder_is_refused(
    open_live: Callable[[str], Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In live mode, as when the cell runs."""
    first, second = open_live("one"), open_live("two")
    first.text_to_video("A fox of another folder")
    assert UserIndex().find(first.jobs()[0].fingerprint)
    monkeypatch.setattr(default_session, "_current", second)
    path = save("%%kling\nA fox of another folder")
    ((credits, note),) = notes(quote(path))
    assert credits == 0.0
    assert note.startswith("refused: paid ")
    with pytest.raises(KlingError):
        second.text_to_video("A fox of another folder")


def test_the_command_shows_a_table_and_the_total() -> None:
    """It takes one notebook."""
    path = save("%%kling\nA <b>fox</b>", "%%timeit\nkling.generate('a')")
    with open_shell("notebook") as shell:
        Commands(shell).run(f"quote {path}")
        shown = texts(shell)
        with pytest.raises(InvalidInput, match="usage: `%kling quote "):
            Commands(shell).run("quote a.ipynb b.ipynb")
    assert "A <b>fox</b>" in shown[0]
    assert "not priced: inside %%timeit" in shown[0]
    assert shown[1].startswith("Run All would cost at least 55 credits ($0.28)\n")
    assert str(quote(path)).startswith("cell")


def test_only_the_balance_is_queried(
    open_live: Callable[[str], Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No request is submitted and no image uploaded."""
    session = open_live("quoted")
    asked: list[str] = []
    real = session._context.client.balance

    async def balance() -> float:
        asked.append("balance")
        return await real()

    async def refuse(*_: object, **__: object) -> None:
        asked.append(CREATE)

    monkeypatch.setattr(session._context.client, "balance", balance)
    for name in ("create_task", "upload", "task"):
        monkeypatch.setattr(session._context.client, name, refuse)
    monkeypatch.setattr(default_session, "_current", session)
    Path("fox.png").write_bytes(b"a picture")
    quote(save("%%kling\nA fox", "%%kling -i fox.png\nA fox"))
    assert asked == ["balance"]


def test_the_same_request_respelled_is_free(session: Session, shell: Any, photo: bytes) -> None:
    """A prompt with no-break spaces, an image by its URI, a job in place of its clip."""
    fox = Path.cwd() / "fox.png"
    fox.write_bytes(photo)
    first = session.text_to_video("A fox")
    jobs = [
        first,
        session.image_to_video(fox, "It runs"),
        session.image_to_video(first.result(PATIENCE_S), "It stops"),
    ]
    for job in jobs:
        job.result(PATIENCE_S)
    shell.user_ns["first"] = first
    save(
        "%%kling\nA\u00a0fox\u200b",
        f"%%kling -i {fox.as_uri()}\nIt runs",
        "%%kling -i first\nIt stops",
    )
    quoted = quote()
    assert quoted.total_credits == 0
    assert [note[:6] for _, note in notes(quoted)] == ["saved "] * 3


def test_an_earlier_fingerprint_is_free(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fingerprints by older rules are looked up, as when the cell runs."""
    path = save("%%kling\nA fox")
    intent = JobRecord(
        "e" * 64, "emulator", "kling-2.6/text-to-video", {"prompt": "A fox"}, 1, 55.0
    )
    session.ledger.intend(intent)
    monkeypatch.setattr(
        "kling_nb.notebook.quote.price_requests.fingerprints", lambda *_, **__: ("f" * 64, "e" * 64)
    )
    assert notes(quote(path)) == [(0.0, "intended")]
