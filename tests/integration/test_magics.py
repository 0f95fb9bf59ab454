"""`%%kling` and `%kling` in a real shell, with an emulator in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from IPython.core.completer import provisionalcompleter

from kling_nb.core.job_state import Stage
from kling_nb.display import gallery
from kling_nb.display.cards import mimebundle
from kling_nb.display.cards.placeholder import Placeholder
from kling_nb.display.front_end import FrontEnd
from kling_nb.errors import (
    BudgetExceeded,
    InsufficientCredits,
    InvalidInput,
    KlingError,
    WaitInterrupted,
)
from kling_nb.jobs import default_session
from kling_nb.jobs.session import Session
from kling_nb.models.catalog import CATALOGUE
from kling_nb.notebook import extension, magics
from kling_nb.notebook.extension import extension_of
from kling_nb.notebook.input_transformers import AWAITED, CLEANUP
from tests.support.service import Open
from tests.support.shells import htmls, open_shell, texts, updates_of, wait_for_update

Start = Callable[..., Any]
CELL = "%%kling -i fox.png {}\nA red fox"


@pytest.fixture
def session(session: Session, photo: bytes) -> Session:
    """The default session, in a working folder with an image."""
    Path("fox.png").write_bytes(photo)
    return session


@pytest.fixture
def start(session: Session) -> Iterator[Callable[[FrontEnd], Any]]:
    """Opens a shell in a front end, with the extension loaded and its greeting forgotten."""
    with ExitStack() as shells:

        def begin(place: FrontEnd = "notebook") -> Any:
            shell = shells.enter_context(open_shell(place))
            extension.load(shell)
            wait_for_update(shell)
            shell.display_pub.outputs.clear()
            return shell

        yield begin


def run(shell: Any, cell: str) -> Any:
    """The value of a cell that ends well."""
    done = shell.run_cell(cell)
    done.raise_error()
    return done.result


def fail(shell: Any, cell: str, error: type[KlingError]) -> KlingError:
    """The error of a cell that fails."""
    problem = shell.run_cell(cell).error_in_exec
    assert isinstance(problem, error)
    return problem


def test_loading_twice_changes_nothing(start: Start) -> None:
    """One transformer of each kind, and the same magics."""
    shell = start()
    before = [*shell.input_transformers_cleanup], [*shell.input_transformers_post]
    extension.load(shell)
    assert ([*shell.input_transformers_cleanup], [*shell.input_transformers_post]) == before
    assert {"kling", AWAITED} <= set(shell.magics_manager.magics["cell"])
    assert "kling" in shell.magics_manager.magics["line"]


def test_unloading_takes_the_transformers_away(start: Start) -> None:
    """A second time too, and loading brings them back."""
    shell = start()
    loaded = [*shell.input_transformers_post]
    extension.unload(shell)
    extension.unload(shell)
    assert len(shell.input_transformers_post) == len(loaded) - 1
    assert not {*CLEANUP} & {*shell.input_transformers_cleanup}
    extension.load(shell)
    assert len(shell.input_transformers_post) == len(loaded)


def test_a_cell_gives_its_job(start: Start) -> None:
    """Submitted when the cell returns, its card shown once."""
    shell = start()
    job = run(shell, CELL.format(""))
    assert job.task_id
    shown = [output for output in shell.display_pub.outputs if not output["update"]]
    assert len(shown) == 1
    job.result(20)


def test_a_named_job_is_no_value(start: Start) -> None:
    """`-o` binds it instead, even when the service refuses it afterwards."""
    shell = start()
    assert run(shell, CELL.format("-o fox")) is None
    assert shell.user_ns["fox"].result(20).path.is_file()


def test_a_cell_of_shots_needs_no_body(start: Start, session: Session) -> None:
    """They have their own words; JSON and a variable that holds the same are the same request."""
    shell = start()
    shell.user_ns["mine"] = [{"prompt": "wakes", "duration": 3}, {"prompt": "runs", "duration": 4}]
    first = run(shell, "%%kling -m 3.0/video --shots mine")
    (row,) = session.jobs()
    assert run(shell, row.cell).id == first.id
    assert "--shots '[{" in row.cell
    assert row.price_credits == 7 * 14


def test_inputs_may_be_variables(start: Start, session: Session, photo: bytes) -> None:
    """What is in memory is found by its name, also inside records, and the cell reads back."""
    shell = start()
    shell.user_ns |= {"fox": photo, "frames": ["fox.png", photo]}
    elements = '[{"name": "fox", "description": "red", "images": ["fox", "fox.png"]}]'
    cell = f"%%kling -m 3.0/video -i frames --elements '{elements}'\n@fox runs"
    first = run(shell, cell)
    (row,) = session.jobs()
    assert row.cell.startswith("%%kling --model kling-3.0/video --image frames ")
    assert run(shell, row.cell).id == first.id


def test_a_refused_job_is_bound_too(start: Start, session: Session) -> None:
    """So that one can look at it."""
    shell = start()
    session.emulator.account.inject("credits")
    fail(shell, CELL.format("-o fox"), InsufficientCredits)
    assert type(shell.user_ns["fox"].state).__name__ == "Refused"


@pytest.mark.parametrize("place", ["terminal", "notebook"])
def test_a_waiting_cell_returns_with_the_clip(start: Start, place: FrontEnd) -> None:
    """The job is done and its last display is sent."""
    shell = start(place)
    run(shell, CELL.format("--wait -o fox"))
    assert shell.user_ns["fox"].done()
    if place == "notebook":
        assert "data:video/mp4" in updates_of(shell, 0)[-1]["text/html"]


def test_a_wait_in_a_cell_within_a_cell(start: Start) -> None:
    """Waits in the old way, since nothing can be awaited there."""
    shell = start()
    run(shell, "get_ipython().run_cell_magic('kling', '-i fox.png --wait -o fox', 'A fox')")
    assert shell.user_ns["fox"].done()


def test_a_headless_cell_waits_by_itself(start: Start) -> None:
    """One display, which has become the clip; no live part."""
    shell = start("headless")
    run(shell, CELL.format(""))
    assert len([output for output in shell.display_pub.outputs if not output["update"]]) == 1
    assert "data:video/mp4" in updates_of(shell, 0)[-1]["text/html"]


def test_a_headless_command_waits_too(start: Start, session: Session) -> None:
    """`%kling show` of a running job ends with its clip."""
    job = session.image_to_video("fox.png", "A red fox")
    shell = start("headless")
    run(shell, f"%kling show {job.id}")
    assert job.done()
    assert "data:video/mp4" in (htmls(shell) + [u["text/html"] for u in updates_of(shell, 0)])[-1]


def test_a_job_is_shown_once_in_a_cell(start: Start) -> None:
    """And again in the next one."""
    shell = start()
    run(shell, CELL.format("--wait -o fox"))
    shell.display_pub.outputs.clear()
    run(shell, "from IPython.display import display\ndisplay(fox)\ndisplay(fox)\nfox")
    run(shell, "fox")
    assert len(texts(shell)) == 2


def test_a_dry_run_sends_nothing(start: Start, session: Session) -> None:
    """It tells the price, and leaves no trace."""
    shell = start()
    assert run(shell, CELL.format("-n")) is None
    assert "55 credits" in texts(shell)[0]
    assert "Nothing was sent." in texts(shell)[0]
    assert session.jobs() == []


def test_a_marked_name_that_no_variable_has_is_told(start: Start) -> None:
    """Nothing is looked for on the disk."""
    shell = start()
    with pytest.raises(InvalidInput, match=r"there is no variable 'picture'.*'\./\{picture\}'"):
        run(shell, CELL.format("-n -i {picture}"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pictur", "did you mean the variable 'picture' or the file 'picture.png'?"),
        ("foxx.png", "there is no file 'foxx.png'; did you mean 'fox.png'?"),
        ("xyzzy", "'xyzzy'; define the variable first, or give a path"),
        ("frames[7]", "there is no variable and no file 'frames[7]'"),
    ],
)
def test_a_name_of_neither_a_variable_nor_a_file_is_told(
    start: Start, session: Session, photo: bytes, name: str, said: str
) -> None:
    """One line says that both were looked for, with close names."""
    shell = start()
    Path("picture.png").write_bytes(photo)
    Path("folder").mkdir()
    shell.user_ns |= {"picture": photo, "frames": [photo], "_pictur": 1, "pictures": print}
    error = str(fail(shell, f"%%kling -i {name}\nA red fox", InvalidInput))
    assert error.startswith("image: ")
    assert said in error
    assert "\n" not in error
    assert session.jobs() == []


def test_a_file_without_a_suffix_is_found(start: Start, photo: bytes) -> None:
    """Its name could be that of a variable."""
    Path("photo").write_bytes(photo)
    run(start(), "%%kling -n -i photo\nA red fox")


def test_a_dry_run_names_the_job_that_answers(start: Start) -> None:
    """Then the request costs nothing."""
    shell = start()
    job = run(shell, CELL.format("--wait"))
    shell.display_pub.outputs.clear()
    run(shell, CELL.format("-n"))
    assert f"Job {job.id} has the same request (saved): 0 credits now." in texts(shell)[0]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("%%kling --sund\nfox", "did you mean --sound?"),
        ("%%kling --wait --sund\nfox", "did you mean --sound?"),
        ("%%kling fox.png", "did you mean `--image fox.png`?"),
        ("%%kling balance", "write `%kling balance`"),
        ("%kling -i fox.png A fox", "`%%kling -i fox.png`, with `A fox` on the next line"),
        ("%kling -i fox.png\nA red fox", "`%%kling -i fox.png`, with the prompt on the next line"),
    ],
)
def test_mistakes_send_nothing(start: Start, session: Session, cell: str, said: str) -> None:
    """And says what to do."""
    assert said in str(fail(start(), cell, InvalidInput))
    assert session.jobs() == []


def test_a_cell_whose_card_cannot_be_shown_sends_nothing(
    start: Start, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job is over, and the same cell makes its clip when that is mended."""
    shell = start()

    def broken(*given: object) -> None:
        raise RuntimeError("no card")

    with monkeypatch.context() as patch:
        patch.setattr(magics, "show_card", broken)
        assert isinstance(shell.run_cell(CELL.format("")).error_in_exec, RuntimeError)
    assert [row.stage for row in session.jobs()] == [Stage.DISCARDED]
    run(shell, CELL.format("--wait"))
    assert [row.stage for row in session.jobs()] == [Stage.SAVED, Stage.DISCARDED]


def test_an_interrupted_await_leaves_the_job_running(
    open_session: Open, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cancellation becomes one sentence; the job is not over."""
    slow = open_session(emulator_seconds=60)
    monkeypatch.setattr(default_session, "_current", slow)
    shell = start()

    async def interrupted() -> None:
        # By hand: a KeyboardInterrupt out of a task of its own would end the loop.
        waiting = extension_of(shell).magics.run_awaited(
            "-i fox.png -o fox", "A fox", Placeholder()
        )
        waiting.send(None)
        with pytest.raises(WaitInterrupted, match="continues and its clip"):
            waiting.throw(asyncio.CancelledError())

    asyncio.run(interrupted())
    assert not shell.user_ns["fox"].done()


def complete(shell: Any, line: str) -> list[str]:
    """What may come next, as IPython asks for it."""
    symbol = "" if line.endswith(" ") else line.rsplit(maxsplit=1)[-1]
    return extension_of(shell).complete(SimpleNamespace(line=line, symbol=symbol))


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("%%kling ", {"--image", "-i", "--duration", "--sound", "--no-sound", "--wait", "--take"}),
        ("%%kling --dur", {"--duration"}),
        ("%%kling --duration ", {"5", "10"}),
        ("%%kling -i fox.png -d ", {"5", "10"}),
        ("%%kling --embed ", set(mimebundle.Embed.__args__)),  # type: ignore[attr-defined]
        ("%%kling --model ", set(CATALOGUE)),
        ("%%kling -m kling", set(CATALOGUE)),
        ("%%kling --image ", {"picture"}),
        ("%%kling --image fo", {"picture", "fox.png"}),
        ("%%kling --wiat --embed ", {"auto"}),
        ("%%kling -m 3.0/video --mode ", {"std", "pro", "4K"}),
        ("%%kling -m omni/text --duration ", {"3", "15"}),
        ("%%kling -m v2-1-pro --cfg-scale ", {"0", "0.1", "1"}),
        ("%%kling -m 3.0/video --shots ", {"picture"}),
        ("%%kling -m avatar-pro --audio fo", {"fox.png"}),
        ("%%kling -m 3.0/video --", {"--shots", "--elements", "--mode"}),
        ("%kling ", {"balance", "jobs", "adopt"}),
    ],
)
def test_completions(start: Start, line: str, offered: set[str]) -> None:
    """Options, choices, models, variables and files; also behind a mistake."""
    shell = start()
    shell.user_ns["picture"] = b""
    assert offered <= set(complete(shell, line))


@pytest.mark.parametrize("line", ["%%kling --", "%%kling --duration ", "%kling "])
def test_nothing_but_our_own_is_offered(start: Start, line: str) -> None:
    """IPython puts no name and no keyword of Python among the options."""
    shell = start()
    with provisionalcompleter():
        offered = {each.text for each in shell.Completer.completions(line, len(line))}
    assert offered
    assert offered <= set(complete(shell, line))


def test_after_unloading_python_is_offered_again(start: Start) -> None:
    """The completer is as it was."""
    shell = start()
    before = len(shell.Completer.custom_matchers)
    extension.unload(shell)
    assert len(shell.Completer.custom_matchers) == before - 1


@pytest.mark.parametrize("use_jedi", [True, False])
def test_completion_of_our_objects_offers_what_is_for_people(
    start: Start, session: Session, use_jedi: bool
) -> None:
    """No name that only this package uses, and none of a widget; each name exists."""
    shell = start()
    shell.Completer.use_jedi = use_jedi
    job = session.text_to_video("A red fox")
    named = {"job": job, "clip": job.result(20), "shown": gallery.gallery(), "mine": session}
    shell.user_ns |= named
    offered: dict[str, set[str]] = {}
    for name, thing in named.items():
        with provisionalcompleter():
            found = shell.Completer.completions(f"{name}.", len(name) + 1)
            offered[name] = {each.text.rpartition(".")[2] for each in found}
        assert all(hasattr(thing, each) for each in offered[name])
        assert not [each for each in offered[name] if each.startswith("_")]
    assert offered["job"] >= {"id", "state", "result", "done", "detach", "another_take"}
    assert not offered["job"] & {"enter", "amend", "finish", "fail", "abandon", "controller"}
    assert offered["clip"] >= {"path", "duration_s", "frame", "credits"}
    assert "close" in offered["shown"]
    assert not offered["shown"] & {"comm", "traits", "first", "asked", "layout", "observe"}
    assert offered["mine"] >= {"generate", "clips", "balance", "resume"}
    assert not offered["mine"] & {"ledger", "loop", "reserve", "submit", "process_callback"}


def test_help_is_derived_from_the_specs(start: Start) -> None:
    """`%%kling?` shows every model's options and every command."""
    text = start().object_inspect("%%kling")["docstring"]
    for word in ("--duration", "--sound", "--take", *CATALOGUE, "adopt TASK_ID", "emulate on|off"):
        assert word in text


def test_displays_are_taught_without_the_magics(session: Session) -> None:
    """`import kling_nb` in a notebook is enough to see a job as its card."""
    with open_shell() as shell:
        extension.teach_displays(shell)
        assert "kling" not in shell.magics_manager.magics["line"]
        shell.user_ns["job"] = session.image_to_video("fox.png", "A red fox")
        shell.user_ns["job"].result(20)
        run(shell, "job")
        assert not texts(shell)  # a terminal prints


@pytest.mark.parametrize(
    ("place", "told"), [("notebook", "/srv/fox.ipynb"), ("VS Code", "/home/ada/first.ipynb")]
)
def test_requests_are_noted_with_their_notebook(
    start: Start, monkeypatch: pytest.MonkeyPatch, place: FrontEnd, told: str
) -> None:
    """Where the front end tells which one it is, whether the file is there or was renamed."""
    monkeypatch.setattr(default_session, "_notebook_path", str)
    monkeypatch.setenv("JPY_SESSION_NAME", "/srv/fox.ipynb")
    start(place)
    assert default_session._notebook_path() == told


def test_a_budget_refuses_a_cell_in_one_line(start: Start, session: Session) -> None:
    """The figures and the ways on; nothing was sent and no card is shown."""
    shell = start()
    run(shell, "%kling budget 10")
    shell.display_pub.outputs.clear()
    with pytest.raises(BudgetExceeded, match="more than the budget has left"):
        run(shell, CELL.format(""))
    assert texts(shell) == []
    assert session.jobs() == []
