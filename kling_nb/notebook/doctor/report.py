"""The doctor's report: show all findings at once, and update them when an answer arrives.

In a notebook the report appears at once and updates in the background: through its display handle,
and after a reload of the page through the hub.
"""

from __future__ import annotations

import contextvars
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from IPython.core.getipython import get_ipython
from IPython.display import display

from kling_nb.callbacks.jupyter_server import find_root
from kling_nb.core.console import print_text
from kling_nb.display.comm import CardContainer, hub, view_data
from kling_nb.display.front_end import FrontEnd, reported_notebooks
from kling_nb.display.html import Finding, findings_text, render_findings
from kling_nb.display.threads import is_closing
from kling_nb.jobs.session import Session

from .browser import Answer, Probe, judge_connection, judge_page, make_clip
from .bug_report import write_bug_report
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
from .service import CHECKING, check_callbacks, check_service, find_folder, open_session

MISSED = "This page was reloaded. To save this report in the notebook, run `%kling doctor` again."

_PAGE_TIMEOUT_S = 10.0
"""Without an answer in this time the page is reported as broken; includes playing the clip."""

_answers: Final[list[Answer]] = []
"""The last answer of a page, for a bug report."""


def examine(opening: Callable[[], Session], front_end: FrontEnd) -> list[Finding]:
    """Run all checks that need no page; wait for the service.

    Args:
        opening: Returns the session.
        front_end: What shows the findings.
    """
    examination = _Examination(opening, front_end)
    examination.check_service()
    return examination.findings()


def show_report(
    opening: Callable[[], Session], front_end: FrontEnd, *, timeout_s: float = _PAGE_TIMEOUT_S
) -> None:
    """Show the report in the running cell; in a notebook, update it in the background."""
    if front_end == "terminal":
        print_text(findings_text(examine(opening, front_end)))
    elif front_end == "headless":
        display(_bundle_of(examine(opening, front_end)), raw=True)
    else:
        _Report(_Examination(opening, front_end)).show(timeout_s)


def write_report(
    opening: Callable[[], Session], front_end: FrontEnd, path: str, *, http: bool, replace: bool
) -> list[str]:
    """Run all checks, wait for the service, and write a bug report; see `write_bug_report`.

    A page cannot answer while a cell runs, so its last answer counts.
    """
    examination = _Examination(opening, front_end)
    examination.answer = _answers[0] if _answers else None
    examination.check_service()
    findings = [*examination.findings(), *examination.connection()]
    return write_bug_report(
        findings, examination.session, examination.folder, path, http=http, replace=replace
    )


def _bundle_of(findings: list[Finding]) -> dict[str, Any]:
    return {"text/html": render_findings(findings), "text/plain": findings_text(findings)}


class _Examination:
    """The findings so far.

    Args:
        opening: Returns the session.
        front_end: What shows the findings.
    """

    def __init__(self, opening: Callable[[], Session], front_end: FrontEnd) -> None:
        self.front_end = front_end
        self.answer: Answer | None = None
        self.waited_s: float | None = None
        self._has_page = front_end not in ("terminal", "headless")
        self.session, mode = open_session(opening)
        self._first = [check_python(), *check_interrupts(), check_packages()]
        self._then = [mode]
        if self.session is not None:  # otherwise `mode` reports the wrong setting
            self._then += [check_network(), check_callbacks(self.session)]
        self._service = [CHECKING] if self.session else []
        self.folder = find_folder(self.session)
        self._last = _check_files(self.folder, has_page=self._has_page)

    def check_service(self) -> None:
        """Wait for the service, and replace its finding."""
        if self.session is not None:
            self._service = [check_service(self.session)]

    def findings(self) -> list[Finding]:
        """Return all findings; a finding may explain those after it."""
        page = hub().page if self._has_page else None
        judged = judge_page(self.front_end, page, self.answer, waited_s=self.waited_s)
        return [*self._first, *judged, *self._then, *self._service, *self._last]

    def connection(self) -> list[Finding]:
        """Return the findings about the comm and the browser; none without a page."""
        return judge_connection(hub().page) if self._has_page else []


def _check_files(folder: Path | None, *, has_page: bool) -> list[Finding]:
    """Check the notebook and the folder of clips.

    Args:
        folder: The folder of clips; None if it is not known.
        has_page: Whether a page shows a notebook.
    """
    findings = []
    if has_page:
        paths = reported_notebooks(getattr(get_ipython(), "user_ns", {}), os.environ)
        findings.append(check_notebook(paths, Path.cwd()))
        findings += check_links(folder, find_root()) if folder else []
    if folder is not None:
        findings += [check_folder(folder), check_disk(folder), *check_contents(folder)]
    return findings


class _Report:
    """A report in the output of a notebook."""

    def __init__(self, examination: _Examination) -> None:
        self._examination = examination
        self._place = CardContainer(self._answer_page, MISSED)
        self._drawing = threading.Lock()
        self._answered = threading.Event()
        self._handle: Any = None
        self._probe: Probe | None = None
        self._hub = hub()

    def show(self, timeout_s: float) -> None:
        """Show the findings so far, and request those of the page and the service."""
        self._handle = display(self._bundle(), raw=True, display_id=True)
        self._probe = Probe(make_clip(), self._receive)
        if self._examination.front_end != "notebook":
            display({**view_data(self._probe), "text/html": "", "text/plain": ""}, raw=True)
        self._hub.observe(self._draw, "page")
        works = {
            "kling_nb doctor update": self._check_service,
            "kling_nb doctor timeout": lambda: self._wait_for_page(timeout_s),
        }
        for name, work in works.items():
            # The cell's context defines the output that a thread updates.
            run = contextvars.copy_context().run
            threading.Thread(target=run, args=(work,), name=name, daemon=True).start()

    def _check_service(self) -> None:
        self._examination.check_service()
        self._draw()

    def _wait_for_page(self, timeout_s: float) -> None:
        self._answered.wait(timeout_s)
        if self._examination.answer is None:
            self._examination.waited_s = timeout_s
            self._draw()

    def _receive(self, answer: Answer) -> None:
        self._examination.answer = answer
        _answers[:] = [answer]
        self._answered.set()
        self._draw()
        # The page describes itself before it answers, so nothing more is expected.
        with suppress(ValueError):  # a second answer
            self._hub.unobserve(self._draw, "page")
        if self._probe is not None:
            self._probe.close()

    def _draw(self, _change: object = None) -> None:
        if is_closing():  # IPython can no longer display
            return
        with self._drawing:
            self._place.start_version()
            self._handle.update(self._bundle(), raw=True)
            self._place.send_update()

    def _answer_page(self, content: Mapping[str, Any]) -> None:
        """Send the report to a page that was reloaded."""
        self._place.send_update(self._bundle() if content.get("do") == "show" else None)

    def _bundle(self) -> dict[str, Any]:
        return self._place.wrap(_bundle_of(self._examination.findings()))
