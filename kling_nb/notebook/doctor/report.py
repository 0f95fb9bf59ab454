"""The doctor's report: show all findings at once, and update them when an answer arrives.

In a notebook the report shows the findings so far, then updates in the background: through its
display handle, and after a reload of the page through the hub.
"""

from __future__ import annotations

import contextvars
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from IPython.core.getipython import get_ipython
from IPython.display import display

from kling_nb.callbacks.jupyter_server import find_root
from kling_nb.core.console import print_text
from kling_nb.display.comm import Place, hub, view_data
from kling_nb.display.front_end import FrontEnd
from kling_nb.display.html import Finding, findings_text, render_findings
from kling_nb.jobs.session import Session
from kling_nb.notebook.archive.notebook_file import told_notebooks

from .browser import PageReport, Probe, judge_page, make_clip
from .environment import (
    check_disk,
    check_folder,
    check_interrupts,
    check_links,
    check_network,
    check_notebook,
    check_packages,
    check_python,
)
from .folder import check_contents
from .service import ASKING, check_callbacks, check_service, find_place, open_session

__all__ = ["examine", "show_report"]

MISSED = "This page was reloaded: run `%kling doctor` once more so that the notebook keeps this."

PATIENCE_S = 10.0
"""How long a page may take to answer, its trials included, before that is a finding."""


def examine(opening: Callable[[], Session], place: FrontEnd) -> list[Finding]:
    """Everything that can be found without a page; waits for the service.

    Args:
        opening: Gives the session.
        place: What shows the findings.
    """
    examination = Examination(opening, place)
    examination.ask_service()
    return examination.findings()


def show_report(
    opening: Callable[[], Session], place: FrontEnd, *, patience_s: float = PATIENCE_S
) -> None:
    """Show the report in the running cell; in a notebook it is filled in behind it."""
    if place == "terminal":
        print_text(findings_text(examine(opening, place)))
    elif place == "headless":
        findings = examine(opening, place)
        bundle = {"text/html": render_findings(findings), "text/plain": findings_text(findings)}
        display(bundle, raw=True)
    else:
        Report(Examination(opening, place)).show(patience_s)


class Examination:
    """What is known so far.

    Args:
        opening: Gives the session.
        place: What shows the findings.
    """

    def __init__(self, opening: Callable[[], Session], place: FrontEnd) -> None:
        self.place = place
        self.answer: PageReport | None = None
        self.waited_s: float | None = None
        self._session, mode = open_session(opening)
        self._first = [check_python(), *check_interrupts(), check_packages()]
        self._then = [mode]
        if self._session is not None:  # without one, a setting that it needs is named already
            self._then += [check_network(), check_callbacks(self._session)]
        self._service = [ASKING] if self._session else []
        self._last = examine_place(find_place(self._session), place)

    def ask_service(self) -> None:
        """Take as long as the service does."""
        if self._session is not None:
            self._service = [check_service(self._session)]

    def findings(self) -> list[Finding]:
        """All of it, in the order in which things depend on each other."""
        page = hub().page if self.place not in ("terminal", "headless") else None
        asked = judge_page(self.place, page, self.answer, waited_s=self.waited_s)
        return [*self._first, *asked, *self._then, *self._service, *self._last]


def examine_place(folder: Path | None, place: FrontEnd) -> list[Finding]:
    """What is found on this machine's disks.

    Args:
        folder: Of clips; None where the settings do not tell it.
        place: Where there is no page there is no notebook that anybody could tell.
    """
    findings = []
    if place not in ("terminal", "headless"):
        told = told_notebooks(getattr(get_ipython(), "user_ns", {}), os.environ)
        findings.append(check_notebook(told, Path.cwd()))
        findings += check_links(folder, find_root()) if folder else []
    if folder is None:
        return findings
    return [*findings, check_folder(folder), check_disk(folder), *check_contents(folder)]


class Report:
    """A report in a notebook's output.

    Args:
        examination: What is shown.
    """

    def __init__(self, examination: Examination) -> None:
        self._examination = examination
        self._place = Place(self._tell_page, MISSED)
        self._drawing = threading.Lock()
        self._answered = threading.Event()
        self._handle: Any = None
        self._probe: Probe | None = None
        self._hub = hub()

    def show(self, patience_s: float) -> None:
        """Show what is known, and ask."""
        self._handle = display(self._bundle(), raw=True, display_id=True)
        self._probe = Probe(make_clip(), self._take_answer)
        if self._examination.place != "notebook":
            display({**view_data(self._probe), "text/html": "", "text/plain": ""}, raw=True)
        self._hub.observe(self._see_page, "page")
        works = {
            "kling_nb doctor update": self._ask_service,
            "kling_nb doctor timeout": partial(self._give_up, patience_s),
        }
        for name, work in works.items():
            # The cell's context goes with each, which says where the output belongs.
            run = contextvars.copy_context().run
            threading.Thread(target=run, args=(work,), name=name, daemon=True).start()

    def _ask_service(self) -> None:
        self._examination.ask_service()
        self._draw()

    def _give_up(self, patience_s: float) -> None:
        self._answered.wait(patience_s)
        if self._examination.answer is None:
            self._examination.waited_s = patience_s
            self._draw()

    def _take_answer(self, answer: PageReport) -> None:
        self._examination.answer = answer
        self._answered.set()
        self._draw()
        # What a page tells of itself came before its answer: nothing is waited for any more.
        self._stop_seeing()
        if self._probe is not None:
            self._probe.close()

    def _stop_seeing(self) -> None:
        with suppress(ValueError):  # not observed any more
            self._hub.unobserve(self._see_page, "page")

    def _see_page(self, _change: object) -> None:
        self._draw()

    def _draw(self) -> None:
        with self._drawing:
            self._place.renew()
            self._handle.update(self._bundle(), raw=True)
            self._place.tell()

    def _tell_page(self, content: Mapping[str, Any]) -> None:
        """A page that was reloaded asks what it has missed."""
        self._place.tell(self._bundle() if content.get("do") == "show" else None)

    def _bundle(self) -> dict[str, Any]:
        findings = self._examination.findings()
        text = findings_text(findings)
        return self._place.wrap({"text/html": render_findings(findings), "text/plain": text})
