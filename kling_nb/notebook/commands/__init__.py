"""The commands of `%kling …`: everything except making a clip.

Each command is a method whose first docstring line is its help text. Output is tables and notices
of `display`.
"""

from __future__ import annotations

import getpass
import shlex
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from IPython.display import display

from kling_nb.core.errors import ConfigurationError, InvalidInput
from kling_nb.core.job_state import FOLLOWED, SUBMITTING
from kling_nb.core.money import Funds
from kling_nb.core.secret import Key
from kling_nb.display import html
from kling_nb.display.cards import front_end
from kling_nb.display.notice import show_notice, show_table
from kling_nb.jobs.default_session import configure, default_session
from kling_nb.jobs.job import Job
from kling_nb.jobs.prepare import Quote
from kling_nb.jobs.settings import save_key
from kling_nb.models.catalog import CATALOGUE
from kling_nb.models.lookup import nearest
from kling_nb.notebook.archive import pack as packing
from kling_nb.notebook.archive import recover as salvage
from kling_nb.notebook.quote import quote as quotation
from kling_nb.notebook.status import balance_text, greet, mode_text

from .callbacks import listening_line, show_listening
from .models import show_models
from .money import show_budgets, show_spending

__all__ = ["Commands"]


class Commands:
    """The line commands of one shell.

    Args:
        shell: The interactive shell.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._commands: Mapping[str, Callable[..., Job | None]] = {
            "balance": self.balance,
            "jobs": self.jobs,
            "show": self.show,
            "resume": self.resume,
            "adopt": self.adopt,
            "forget": self.forget,
            "models": self.models,
            "emulate": self.emulate,
            "login": self.login,
            "budget": self.budget,
            "spend": self.spend,
            "panel": self.panel,
            "doctor": self.doctor,
            "gallery": self.gallery,
            "pack": self.pack,
            "slim": self.slim,
            "quote": self.quote,
            "recover": self.recover,
            "listen": self.listen,
        }

    def run(self, line: str) -> Job | None:
        """Run one command line; empty shows how things stand."""
        try:
            words = shlex.split(line)
        except ValueError as error:
            raise InvalidInput.of("line", f"{line!r}: {error}", "close the quotes") from None
        if not words:
            self.status()
            return None
        command = self._commands.get(words[0])
        if command is None:
            close = nearest(words[0], list(self._commands))
            hint = f"did you mean {close}? " if close else ""
            allowed = f"allowed: {', '.join(self._commands)}; `%%kling?` explains them"
            raise InvalidInput.of("command", repr(words[0]), f"{hint}{allowed}")
        try:
            return command(*words[1:])
        except TypeError as error:
            if "positional argument" not in str(error):
                raise
            usage = (command.__doc__ or "").partition("\n")[0]
            # Counted, not shown: somebody may have given a key.
            given = f"{len(words) - 1} values given" if words[1:] else "nothing given"
            raise InvalidInput.of(words[0], given, usage) from None

    def help_text(self) -> str:
        """Every command with its first line."""
        first = [(command.__doc__ or "").partition("\n")[0] for command in self._commands.values()]
        return "\n".join(["Commands of %kling:", *(f"    {line}" for line in first)])

    def complete(self, event: Any) -> list[str]:
        """The commands, or the ids of jobs behind one that takes an id."""
        words = event.line.split()
        if words[1:2] == ["models"] and (len(words) > 2 or not event.symbol):
            return list(CATALOGUE)
        if len(words) > 2 or (len(words) == 2 and not event.symbol):
            return [row.id for row in default_session().jobs()]
        return list(self._commands)

    def greet(self) -> None:
        """One line at once; balance and jobs taken up again follow behind it."""
        try:
            session = default_session()
        except ConfigurationError as error:
            show_notice("warning", "kling_nb is loaded, but not ready", [str(error)])
            return
        greet(session, front_end(self._shell))

    def status(self) -> None:
        """Alone: mode, balance, budgets, running jobs."""
        session = default_session()
        rows = session.ledger.rows(*(SUBMITTING | FOLLOWED), limit=-1)
        budgets_here = session.ledger.accounts.standings(session.service, session.notebook)
        lines = [mode_text(session), balance_text(session), *map(str, budgets_here)]
        lines += [*listening_line(), f"{len(rows)} running"]
        show_notice("info", "kling_nb", [*lines, *(f"{row.id} {row.stage}" for row in rows)])

    def balance(self) -> None:
        """`balance`: credits and dollars on the account."""
        session = default_session()
        show_notice("info", "Balance", [balance_text(session), mode_text(session)])

    def jobs(self) -> None:
        """`jobs`: the newest jobs of this folder."""
        rows = [
            (
                row.id,
                row.created_at.astimezone().strftime("%Y-%m-%d %H:%M"),
                str(row.stage),
                row.service,
                row.model,
                html.one_line(row.prompt, 60),
                _credits(row.credits if row.credits is not None else row.price_credits),
            )
            for row in default_session().jobs()
        ]
        headers = ("job", "made", "stage", "service", "model", "prompt", "credits")
        show_table(headers, rows, "Jobs of this folder")

    def show(self, job_id: str) -> Job:
        """`show ID`: the card of a job."""
        return default_session().job(job_id)

    def resume(self, job_id: str = "") -> Job | None:
        """`resume [ID]`: take up what nobody follows."""
        jobs = default_session().resume(job_id)
        if job_id:
            return jobs[0]
        show_notice(
            "info", f"{len(jobs)} running", [f"{job.id} {job.facts.prompt[:60]}" for job in jobs]
        )
        return None

    def adopt(self, task_id: str, job_id: str = "") -> Job:
        """`adopt TASK_ID [ID]`: bring in a task that exists at the service."""
        return default_session().adopt(task_id, job_id)

    def forget(self, job_id: str, *words: str) -> None:
        """`forget ID [--yes]`: allow a lost request to be paid for again."""
        if any(word != "--yes" for word in words):
            raise InvalidInput.of("forget", repr(" ".join(words)), "allowed: `--yes`, or nothing")
        row = default_session().forget(job_id, yes=bool(words))
        show_notice("info", f"Job {row.id} is forgotten", ["The same cell may submit again."])

    def models(self, name: str = "") -> None:
        """`models [NAME]`: what can be asked for, with prices; or the options of one model."""
        show_models(name)

    def emulate(self, switch: str) -> None:
        """`emulate on|off`: work without key and cost, or live."""
        if switch not in {"on", "off"}:
            raise InvalidInput.of("emulate", repr(switch), "allowed: on, off")
        session = configure(mode="emulator" if switch == "on" else "live")
        session.resume()
        show_notice("info", "kling_nb", [mode_text(session)])

    def login(self) -> None:
        """`login`: ask for the key; it is shown and saved nowhere but in the keyring."""
        key = Key(getpass.getpass("kie.ai API key: "))
        session = configure(api_key=key, mode="live")
        try:
            save_key(key)
            kept = "The key is kept in the system's keyring."
        except ConfigurationError as error:
            kept = f"The key is used until this kernel ends. {error}"
        session.resume()
        show_notice("info", "kling_nb", [mode_text(session), kept])

    def budget(self, *words: str) -> None:
        """`budget [CREDITS|$DOLLARS|off] [--per notebook|day|folder]`: what may be spent."""
        show_budgets(default_session(), words)

    def spend(self, *words: str) -> None:
        """`spend [--by notebook|day|model] [--csv FILE] [--replace]`: what clips cost."""
        show_spending(default_session(), words)

    def panel(self) -> None:
        """`panel`: the form."""
        from kling_nb.display.panel.panel import panel

        display(panel())

    def doctor(self) -> None:
        """`doctor`: what works here, and the fix for what does not."""
        from kling_nb.notebook.doctor import show_report

        show_report(default_session, front_end(self._shell))

    def gallery(self, *words: str) -> None:
        """`gallery [WORDS]`: the saved clips of this folder, or those with these words."""
        from kling_nb.display.gallery import gallery

        display(gallery(" ".join(words)))

    def pack(self, *words: str) -> None:
        """`pack [NOTEBOOK] [--to FILE] [--replace]`: a copy with every clip inside."""
        order = packing.read_order("pack", words)
        done = packing.pack(order.notebook, to=order.to, replace=order.replace)
        title, *lines = packing.describe("pack", done)
        show_notice("info", title, lines)

    def slim(self, *words: str) -> None:
        """`slim [NOTEBOOK] [--to FILE | --in-place] [--replace]`: with posters, clips as files."""
        order = packing.read_order("slim", words)
        done = packing.slim(
            order.notebook, to=order.to, replace=order.replace, in_place=order.in_place
        )
        title, *lines = packing.describe("slim", done)
        show_notice("info", title, lines)

    def quote(self, *words: str) -> None:
        """`quote [NOTEBOOK]`: what Run All would cost now; nothing is run."""
        quotation.show_quote(quotation.quote(_one_notebook("quote", words)))

    def recover(self, *words: str) -> None:
        """`recover [NOTEBOOK …]`: the ledger again, from the cards of saved notebooks."""
        title, *lines = salvage.describe(salvage.recover(*words))
        show_notice("info", title, lines)

    def listen(self, *words: str) -> None:
        """`listen [--url URL] [--port N] [--jupyter] | off`: be told when clips are done."""
        show_listening(words)

    def show_quote(self, quote: Quote) -> None:
        """What a dry run tells."""
        price = html.price_line(
            quote.inputs.values(),
            quote.price_credits,
            funds=Funds(quote.balance_credits, quote.budget_credits),
            emulated=quote.emulated,
            label=html.age_word(quote.model, datetime.now(UTC)),
        )
        lines = [price, "Nothing was sent."]
        if quote.existing is not None:
            row = quote.existing
            lines = [f"Job {row.id} answers this already ({row.stage}): 0 credits now.", price]
        lines += [html.warning_text(warning) for warning in quote.warnings]
        kind: html.NoticeKind = "warning" if quote.warnings else "info"
        show_notice(kind, f"Dry run of {quote.model}", lines)


def _one_notebook(verb: str, words: Sequence[str]) -> str:
    if len(words) > 1 or (words and words[0].startswith("-")):
        raise InvalidInput.of(verb, " ".join(words), "allowed: one notebook, no options")
    return words[0] if words else ""


def _credits(credits: float | None) -> str:
    return "?" if credits is None else f"{credits:,g}"
