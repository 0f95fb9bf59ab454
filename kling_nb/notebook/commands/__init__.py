"""The commands of `%kling …`: everything except making a clip.

A command is a method with `@command`: its arguments are parsed, described and completed by argparse
and its docstring is the help. Output is tables and notices of `display`.
"""

from __future__ import annotations

import argparse
import getpass
import shlex
from typing import Any

from IPython.display import display

from kling_nb.callbacks.listen import listen
from kling_nb.core import budgets
from kling_nb.core.errors import ConfigurationError, InvalidInput
from kling_nb.core.expenses import By
from kling_nb.core.job_state import FOLLOWED, SUBMITTING
from kling_nb.core.secret import Key
from kling_nb.display import html
from kling_nb.display.front_end import front_end
from kling_nb.display.notice import show_notice, show_table
from kling_nb.jobs.default_session import configure, default_session
from kling_nb.jobs.job import Job
from kling_nb.jobs.keys import save_key
from kling_nb.models.catalog import CATALOGUE
from kling_nb.notebook.archive import pack as packing
from kling_nb.notebook.archive import recover as salvage
from kling_nb.notebook.quote import quote as quotes
from kling_nb.notebook.status import describe_balance

from .expenses import show_expenses
from .folder import show_folder
from .help import find_command, not_a_command, show_help
from .models import show_models
from .parser import PARSERS, Argument, command

__all__ = ["Commands"]


def _job_ids() -> list[str]:
    return [row.id for row in default_session().jobs()]


def _read_port(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port number")
    return int(text)


_JOB = Argument("job_id", metavar="ID", values=_job_ids)
_OPTIONAL_JOB = Argument("job_id", metavar="ID", values=_job_ids, nargs="?", default="")
_NOTEBOOK = Argument("notebook", metavar="NOTEBOOK", nargs="?", default="")
_TO = Argument("--to", metavar="FILE", default="")
_REPORT_NAME = "kling-report.md"
"""The bug report of `%kling doctor --report` without a name."""
_REPLACE = Argument("--replace", action="store_true")
_HELP = {"-h", "--help"}


class Commands:
    """The line commands of one shell.

    Args:
        shell: The interactive shell.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell

    def run(self, line: str) -> Job | None:
        """Run one command line; an empty line shows the status."""
        if line.lstrip().startswith("-") and not _HELP & {*line.split()}:
            raise not_a_command(line)
        try:
            words = shlex.split(line)
        except ValueError as error:
            raise InvalidInput.of("line", f"{line!r}: {error}", "close the quotes") from None
        if not words:
            self.status()
            return None
        name, *rest = words
        if name in _HELP:
            show_help()
            return None
        parser = find_command(*words)
        if _HELP & {*rest}:
            show_help(name)
            return None
        job: Job | None = getattr(self, name)(**parser.read(rest))
        return job

    def help_text(self) -> str:
        """Return every command with its arguments and help."""
        lines = (f"    {parser.help_line}" for parser in PARSERS.values())
        return "\n".join(["Commands of %kling:", *lines])

    def complete(self, event: Any) -> list[str]:
        """Return the words that may come next in a `%kling` line."""
        words = event.line.split()[1:]
        words = words[:-1] if event.symbol else words
        if not words:
            return list(PARSERS)
        return PARSERS[words[0]].complete(words[1:]) if words[0] in PARSERS else []

    def status(self) -> None:
        """Show mode, balance, budgets, callbacks and running jobs."""
        session = default_session()
        rows = session.ledger.rows(*(SUBMITTING | FOLLOWED), limit=-1)
        budgets_here = session.ledger.spending.budget_statuses(session.service, session.notebook)
        lines = [
            session.settings.describe_mode(),
            describe_balance(session),
            *map(str, budgets_here),
        ]
        if listening := session.callback_urls.listening:
            lines.append(f"listening at {listening.url}")
        lines += [f"{len(rows)} running", *(f"{row.id} {row.stage}" for row in rows)]
        show_notice("info", "kling_nb", lines)

    @command()
    def balance(self) -> None:
        """Show the credits and dollars on the account."""
        session = default_session()
        show_notice(
            "info", "Balance", [describe_balance(session), session.settings.describe_mode()]
        )

    @command()
    def jobs(self) -> None:
        """List the newest jobs of this folder."""
        rows = [
            (
                row.id,
                row.created_at.astimezone().strftime("%Y-%m-%d %H:%M"),
                row.shown_stage,
                row.service,
                row.model,
                html.to_one_line(row.title or row.prompt, 60),
                _format_credits(row.credits if row.credits is not None else row.price_credits),
            )
            for row in default_session().jobs()
        ]
        headers = ("job", "made", "stage", "service", "model", "prompt", "credits")
        show_table(headers, rows, "Jobs of this folder")

    @command(_JOB)
    def show(self, job_id: str) -> Job:
        """Show the card of a job."""
        return default_session().job(job_id)

    @command(_OPTIONAL_JOB)
    def resume(self, job_id: str) -> Job | None:
        """Resume interrupted jobs, or one job."""
        jobs = default_session().resume(job_id)
        if job_id:
            return jobs[0]
        lines = [f"{job.id} {job.record.prompt[:60]}" for job in jobs]
        show_notice("info", f"{len(jobs)} running", lines)
        return None

    @command(Argument("task_id", metavar="TASK_ID"), _OPTIONAL_JOB)
    def adopt(self, task_id: str, job_id: str) -> Job:
        """Download the clip of a task that exists at the service."""
        return default_session().adopt(task_id, job_id)

    @command(_JOB, Argument("--yes", action="store_true"))
    def forget(self, job_id: str, yes: bool) -> None:
        """Allow a lost request to be paid for again."""
        row = default_session().forget(job_id, yes=yes)
        show_notice("info", f"Job {row.id} is forgotten", ["The same cell may submit again."])

    @command(
        Argument("name", metavar="NAME", values=lambda: list(CATALOGUE), nargs="?", default="")
    )
    def models(self, name: str) -> None:
        """List the models with prices, or the options of one."""
        show_models(name)

    @command(Argument("switch", choices=("on", "off")))
    def emulate(self, switch: str) -> None:
        """Switch between the emulator (no key, no cost) and live mode."""
        session = configure(mode="emulator" if switch == "on" else "live")
        session.resume()
        show_notice("info", "kling_nb", [session.settings.describe_mode()])

    @command()
    def login(self) -> None:
        """Ask for the API key; it is saved only in the keyring and never shown."""
        key = Key(getpass.getpass("kie.ai API key: "))
        session = configure(api_key=key, mode="live")
        try:
            save_key(key)
            message = "The key is saved in the system's keyring."
        except ConfigurationError as error:
            message = f"The key is used until this kernel ends. {error}"
        session.resume()
        show_notice("info", "kling_nb", [session.settings.describe_mode(), message])

    @command(
        Argument("limit", metavar=f"CREDITS|$DOLLARS|{budgets.OFF}", nargs="?", default=""),
        Argument("--per", choices=[*map(str, budgets.Scope)], default=""),
    )
    def budget(self, limit: str, per: str) -> None:
        """Show the budgets; set or remove one."""
        if per and not limit:
            raise InvalidInput.of(
                "budget", "no limit given", f"e.g. `%kling budget 500 --per {per}`"
            )
        session = default_session()
        lines = budgets.describe(session.budget(limit or None, per), session.service)
        show_notice("info", "Budget", lines)

    @command(
        Argument("--by", choices=[*map(str, By)], default=str(By.DAY)),
        Argument("--csv", metavar="FILE", default=""),
        _REPLACE,
    )
    def spend(self, by: str, csv: str, replace: bool) -> None:
        """List what clips cost, also as a CSV file."""
        show_expenses(default_session(), By(by), csv, replace=replace)

    @command()
    def panel(self) -> None:
        """Show a form with the options of the models."""
        from kling_nb.display.panel.panel import panel

        display(panel())

    @command(
        Argument("--report", metavar="FILE", nargs="?", const=_REPORT_NAME, default=""),
        Argument("--http", action="store_true"),
        _REPLACE,
    )
    def doctor(self, report: str, http: bool, replace: bool) -> None:
        """Check this environment and say how to fix problems, or write a bug report."""
        from kling_nb.notebook.doctor.report import show_report, write_report

        place = front_end(self._shell)
        if not report:
            if http or replace:
                raise InvalidInput.of("doctor", "options without --report", "add --report")
            show_report(default_session, place)
            return
        paths = write_report(default_session, place, report, http=http, replace=replace)
        lines = ["It contains no key and no prompt. Read it before you send it."]
        show_notice("info", f"Bug report: {', '.join(paths)}", lines)

    @command(Argument("words", metavar="WORDS", nargs="*"))
    def gallery(self, words: list[str]) -> None:
        """Show the saved clips of this folder, or those that contain all WORDS."""
        from kling_nb.display.gallery import gallery

        display(gallery(" ".join(words)))

    @command(Argument("--tidy", action="store_true"), Argument("--yes", action="store_true"))
    def folder(self, tidy: bool, yes: bool) -> None:
        """Show the disk use of the clip folder; `--tidy` lists unneeded files, `--yes` deletes."""
        show_folder(default_session(), tidy=tidy, yes=yes)

    @command(_NOTEBOOK, _TO, _REPLACE)
    def pack(self, notebook: str, to: str, replace: bool) -> None:
        """Write a copy of a notebook with every clip inside."""
        title, *lines = packing.describe("pack", packing.pack(notebook, to=to, replace=replace))
        show_notice("info", title, lines)

    @command(_NOTEBOOK, _TO, Argument("--in-place", action="store_true"), _REPLACE)
    def slim(self, notebook: str, to: str, in_place: bool, replace: bool) -> None:
        """Write a copy with posters in place of clips, which stay as files."""
        done = packing.slim(notebook, to=to, replace=replace, in_place=in_place)
        title, *lines = packing.describe("slim", done)
        show_notice("info", title, lines)

    @command(_NOTEBOOK)
    def quote(self, notebook: str) -> None:
        """Price Run All of a notebook without running it."""
        quotes.show_quote(quotes.quote(notebook))

    @command(Argument("notebooks", metavar="NOTEBOOK", nargs="*"))
    def recover(self, notebooks: list[str]) -> None:
        """Rebuild the ledger from the cards of saved notebooks."""
        title, *lines = salvage.describe(salvage.recover(*notebooks))
        show_notice("info", title, lines)

    @command(
        Argument("off", choices=("off",), nargs="?"),
        Argument("--url", metavar="URL", default=""),
        Argument("--port", metavar="N", type=_read_port, default=0),
        Argument("--jupyter", action="store_true"),
    )
    def listen(self, off: str | None, url: str, port: int, jupyter: bool) -> None:
        """Receive callbacks when clips are done; `off` stops."""
        if not off:
            display(listen(url, port=port, jupyter=jupyter))
            return
        if url or port or jupyter:
            raise InvalidInput.of("listen", "'off' with options", "give `off` alone, or options")
        default_session().callback_urls.stop()
        show_notice("info", "Stopped listening for callbacks")

    @command(
        Argument("name", metavar="COMMAND", values=lambda: list(PARSERS), nargs="?", default="")
    )
    def help(self, name: str) -> None:
        """List the commands, or explain one."""
        show_help(name)


def _format_credits(credits: float | None) -> str:
    return "?" if credits is None else f"{credits:,g}"
