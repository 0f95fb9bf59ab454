"""A lane: one served emulator, one folder, one kernel after another; it plays runs in turn.

It acts as a patient person does: runs the cell again, resumes, adopts what it is told to adopt.
Must not judge.
"""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from kling_nb.core.job_state import ENDED, FOLLOWED, Stage
from tests.chaos import evidence, inside
from tests.chaos.judge import Evidence, Played
from tests.chaos.mortal import Mortal, Reply
from tests.chaos.plan import PICTURES, Kill, Run
from tests.chaos.troubles import TROUBLES, Trouble
from tests.kernel.kernels import environment
from tests.support.service import Served

__all__ = ["Lane"]

KEY = "sk-chaos-0123456789abcdef"
SETUP = "from tests.chaos import inside; inside.prepare()"
BREAK = "from tests.chaos import broken; broken.RULES[{!r}].break_it()"
LOAD = "%load_ext kling_nb"
RESUME = "%kling resume"
ADVICE = re.compile(r"`(%kling adopt \w+ \w+)`")

CELL_S = 40.0
STALL_S = 1.0
BUSY_S = 0.7
GLANCE_S = 0.03
STUCK_S = 4.0
"""After so long without an end the lane resumes the job."""
DEATH_S = 8.0
"""How long a step is waited for before the kernel is killed where it is."""
PATIENCE_S = 3 * CELL_S
"""A run that has not ended after so long is given up, and the kernel restarted."""
OVER = ("success", "fail")
LOSSES = ("ledger-lost", "ledger-cut", "ledger-older")
BREATH_S = 0.15


@dataclass(slots=True)
class Lane:
    """One account, one folder.

    Args:
        home: An empty folder of its own.
        served: The emulator.
        broken: The rule that the kernels break, empty for none.
    """

    home: Path
    served: Served
    broken: str = ""
    played: list[Played] = field(default_factory=list)
    kernel: Mortal | None = None
    advice: list[str] = field(default_factory=list)
    limits: dict[str, float] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    @property
    def folder(self) -> Path:
        """Where the kernels work."""
        return self.home / "work"

    @property
    def ledger(self) -> Path:
        """The ledger of the folder."""
        return self.folder / "kling_clips" / evidence.LEDGER

    def play(self, runs: Iterable[Run]) -> Evidence:
        """Play all runs, settle the rest, and return the state of the disk."""
        self.folder.mkdir(parents=True)
        for name, colour in PICTURES.items():
            Image.new("RGB", (64, 36), colour).save(self.folder / name)
        self.served.account.set_balance(1e9)
        try:
            self.say(RESUME)
            for run in runs:
                self.played.append(self.play_one(run))
            self.settle_all()
        finally:
            if self.kernel is not None:
                self.kernel.kill()
        return Evidence(
            tuple(self.played),
            tuple(evidence.read_paid(self.served.account)),
            tuple(evidence.read_noted(self.folder)),
            (evidence.check_ledger(self.folder),),
        )

    def play_one(self, run: Run) -> Played:
        """One run, from its cell to its end."""
        trouble, account = TROUBLES.get(run.trouble), self.served.account
        self.write(f"run {run.number}: {run.way}, {run.trouble}, {run.strike}, {run.kill}")
        kernel = self.living()
        older = self.ledger.read_bytes()
        # Of the run, not of the kernel: a trouble may wait for the next one.
        self.limits = limits_of(run)
        kernel.do(arming(self.limits | traps_of(run)), CELL_S)
        if trouble is not None and trouble.at == "service":
            account.inject(trouble.name, times=run.times, argument=trouble.argument)
        blocker = self.block(run)
        request = kernel.send(run.cell)
        if run.kill:
            self.bury(run, run.kill, kernel)
        else:
            self.hear(kernel.reply(request, CELL_S))
        # First this: copying the file would take the lock from whoever holds it in this process.
        blocker.join()
        self.put_back()
        died_in = evidence.stage_at_death(self.folder, run.prompt) if run.kill else ""
        has_ended = self.settle(run)
        if not has_ended:
            self.retire()
        elif run.trouble in LOSSES:
            self.lose_ledger(run, older)
        struck = trouble is not None and self.was_struck(trouble)
        account.clear_faults()
        return Played(
            run.number,
            evidence.hash_of(run, self.folder),
            run.trouble,
            struck=struck,
            killed=run.kill is not None,
            died_in=died_in,
            error=self.take_child_error(),
            has_ended=has_ended,
        )

    def was_struck(self, trouble: Trouble) -> bool:
        """Return whether the trouble of a run has begun; forget what the kernel left of it."""
        if trouble.at != "kernel":
            return len(self.served.account.faults()) == 0
        mark = self.folder / inside.STRUCK
        is_marked = mark.exists()
        mark.unlink(missing_ok=True)
        return is_marked

    def take_child_error(self) -> str:
        """Return what a forked child of the kernel left, and forget it; empty without."""
        left = self.folder / inside.CHILD_ERROR
        text = left.read_text() if left.exists() else ""
        left.unlink(missing_ok=True)
        return text

    def living(self) -> Mortal:
        """The kernel at work; a new one, which resumes, where there is none."""
        if self.kernel is None:
            settings = {
                "KLING_NB_MODE": "live",
                "KIE_API_KEY": KEY,
                "KLING_NB_API_URL": self.served.url,
                "KLING_NB_UPLOAD_URL": self.served.url,
            }
            self.kernel = Mortal(self.folder, environment(self.home, **settings))
            broken = BREAK.format(self.broken) if self.broken else ""
            for cell in (SETUP, broken, arming(self.limits), LOAD):
                reply = self.kernel.do(cell, CELL_S)
                # A ledger that cannot be read is no reason to do without a kernel.
                if reply is None or not (reply.ok or cell == LOAD):
                    raise RuntimeError(f"{cell}: {reply.text if reply else 'no answer'}")
        return self.kernel

    def say(self, cell: str) -> None:
        """Run a cell, and keep the commands that its error names."""
        self.hear(self.living().do(cell, CELL_S))

    def hear(self, reply: Reply | None) -> None:
        """Keep the error of a cell in the journal, and the advice that is in it."""
        if reply is not None and not reply.ok:
            self.advice += ADVICE.findall(reply.text)
            self.write(reply.text)

    def write(self, line: str) -> None:
        """Write a line to the journal, for the analysis of a finding."""
        with (self.home / "journal.txt").open("a", encoding="utf-8") as journal:
            journal.write(f"{time.monotonic() - self.began:8.2f} {line}\n")

    def put_back(self) -> None:
        """Put the ledger back that the kernel garbled or lost, as a person does."""
        kept = self.folder / inside.KEPT
        if kept.exists():
            self.restore(kept.read_bytes())
            kept.unlink()

    def lose_ledger(self, run: Run, older: bytes) -> None:
        """Ask for the same again without the ledger of today; then put that back."""
        kept = self.ledger.read_bytes()
        match run.trouble:
            case "ledger-lost":
                self.ledger.unlink()
            case "ledger-cut":
                self.ledger.write_bytes(kept[: len(kept) // 2])
            case "ledger-older":
                self.restore(older)
        if run.again:  # in a new kernel
            self.retire()
        self.say(run.cell)
        # What the kernel learnt of the folder without its ledger ends with it.
        self.retire()
        self.restore(kept)

    def restore(self, content: bytes) -> None:
        """Make this the ledger."""
        self.ledger.with_name(f"{self.ledger.name}-journal").unlink(missing_ok=True)
        self.ledger.write_bytes(content)

    def retire(self) -> None:
        """End the kernel; the next run starts another."""
        if self.kernel is not None:
            self.kernel.kill()
            self.kernel = None

    def bury(self, run: Run, kill: Kill, kernel: Mortal) -> None:
        """Kill the kernel at its instant, or see it die."""
        if kill.step:
            self.await_death(run, kill, kernel)
        else:
            time.sleep(kill.after_s)
        self.retire()

    def await_death(self, run: Run, kill: Kill, kernel: Mortal) -> None:
        """Wait until the kernel has died at its step, or the step can come no more."""
        deadline = time.monotonic() + DEATH_S
        while kernel.lives and time.monotonic() < deadline:
            if evidence.stage_of(self.folder, run.prompt) in ENDED:
                time.sleep(kill.after_s)
                return
            time.sleep(GLANCE_S)

    def block(self, run: Run) -> threading.Thread:
        """Another program that holds the ledger for a while, if the run has that trouble."""

        def hold() -> None:
            if run.trouble != "ledger-locked" or run.strike is None:
                return
            time.sleep(run.strike.after_s)
            with closing(
                sqlite3.connect(self.ledger, timeout=5, isolation_level=None)
            ) as connection:
                connection.execute("BEGIN EXCLUSIVE")
                time.sleep(run.strike.amount_s)
                connection.execute("ROLLBACK")

        thread = threading.Thread(target=hold)
        thread.start()
        return thread

    def settle(self, run: Run) -> bool:
        """Act as a user does until the run has ended; return whether it ended in time."""
        if run.kill or run.again:
            self.say(run.cell)
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            stage = self.watch(run)
            if self.advice:
                self.follow_advice()
            elif stage in FOLLOWED:
                self.say(RESUME)
            elif stage in ENDED - {Stage.DISCARDED}:
                return True
            else:
                self.say(run.cell)
            time.sleep(BREATH_S)
        return self.watch(run) in ENDED - {Stage.DISCARDED}

    def follow_advice(self) -> None:
        """Do as the errors said; what did not help is tried again in a while."""
        for cell in sorted(set(self.advice)):
            reply = self.living().do(cell, CELL_S)
            self.hear(reply)
            if reply is not None and reply.ok:
                self.advice = [other for other in self.advice if other != cell]

    def watch(self, run: Run) -> str | None:
        """The stage of a run once it goes on no more, as far as one can see from outside."""
        deadline = time.monotonic() + STUCK_S
        while time.monotonic() < deadline:
            stage = evidence.stage_of(self.folder, run.prompt)
            if stage is not None and stage not in FOLLOWED:
                return stage
            time.sleep(GLANCE_S)
        return stage

    def settle_all(self) -> None:
        """Resume everything, and wait for it within reason; the judge sees what is left."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            self.say(RESUME)
            rows, tasks = evidence.read_noted(self.folder), self.served.account.tasks()
            # Also those without a row: a task that is not over cannot count as lost.
            if all(row.stage in ENDED for row in rows) and all(
                task.state in OVER for task in tasks
            ):
                return
            time.sleep(BREATH_S * 4)


def arming(given: Mapping[str, object]) -> str:
    """The cell that gets a kernel ready for a run."""
    return f"inside.arm(**{dict(given)!r})"


def limits_of(run: Run) -> dict[str, float]:
    """Where a run needs a shorter patience than people have."""
    if run.trouble == "create-stall":
        return {"create_timeout_s": STALL_S}
    if run.trouble in {"create-trickle", "create-flood"}:
        return {"create_s": STALL_S}
    return {"busy_s": BUSY_S} if run.trouble in {"ledger-locked", "note-locked"} else {}


def traps_of(run: Run) -> dict[str, object]:
    """What waits for the kernel at its steps."""
    traps: dict[str, object] = {"request": run.request} if run.trouble == "fork" else {}
    if run.kill and run.kill.step:
        traps["kill"] = (run.kill.step, run.kill.after_s)
    if run.strike and run.strike.step:
        traps["strike"] = (run.trouble, run.strike.step, run.strike.amount_s)
    return traps
