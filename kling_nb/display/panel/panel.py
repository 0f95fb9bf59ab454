"""The panel: connects the form and its buttons to a session.

Nothing here blocks the kernel's main thread: other threads call the session and read files.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import ipywidgets as widgets
from IPython import get_ipython
from IPython.display import HTML

from kling_nb.core.console import print_text
from kling_nb.core.errors import InvalidInput, KlingError, Problem
from kling_nb.core.money import Funds, format_price
from kling_nb.display import html
from kling_nb.display.comm import without_comms
from kling_nb.display.front_end import cell_id, present_front_end
from kling_nb.display.threads import draw_later, work_later
from kling_nb.jobs.default_session import default_session
from kling_nb.jobs.job import Job
from kling_nb.jobs.session import Session
from kling_nb.models.catalog import CATALOGUE, IMAGE_TO_VIDEO
from kling_nb.models.cell import write_cell
from kling_nb.models.clip_request import ClipRequest
from kling_nb.models.lookup import find_model
from kling_nb.models.spec import ModelSpec, Values

from .file_field import FileContext
from .form import Form, FormContent
from .header import format_cost, format_hint, model_control, model_note, render_header
from .results import RECENT_CLIPS, Result, earlier_jobs, last_frame, recent_clips
from .saved_view import SavedView
from .widgets import Actions, Recents

NOT_IN_MARIMO = (
    'marimo shows no panel and runs no `%%kling` cells: use `kling.image_to_video("fox.png", '
    '"A red fox runs")`, and `await job` for the clip.'
)

_log = logging.getLogger("kling_nb")


class Panel(widgets.VBox):
    """A form and its results; display it, or use it from Python.

    Args:
        spec: The initial model.
        session: Returns the current session.
        values: The initial values.
        variables: Returns the notebook's variables, which may name files.
        key: Identifies the panel in its notebook, also in the next kernel: it shows the jobs that
            a panel with this key sent. Empty if unknown.
    """

    def __init__(
        self,
        spec: ModelSpec,
        session: Callable[[], Session],
        values: Values,
        variables: Callable[[], Mapping[str, object]],
        key: str = "",
    ) -> None:
        self._spec, self._session, self._key = spec, session, key
        self._funds = Funds()
        self._results, self._kept = list[Result](), FormContent()
        self._listing, self._writing = threading.Lock(), threading.RLock()
        self._is_recalling = False
        self._context = FileContext(
            variables, lambda: self._is_emulated, lambda: self._session().settings.folder
        )
        self._form = Form(spec, values, self._context)
        self._head, self._notice, self._more = (widgets.HTML() for _ in range(3))
        self._model = model_control(spec)
        self._recents, self._actions, self._saved_view = Recents(), Actions(), SavedView()
        self._form_box, self._cards = widgets.VBox([self._form.box]), widgets.VBox()
        self._form_box.add_class("kling-fields")
        self._recents.expected = self._count_recents()
        super().__init__([self._build_header(), self._notice, self._cards, self._more])
        self.add_class("kling-panel")
        self._form.on_change = self._refresh
        self._model.observe(self._on_model, "value")
        self._actions.on_press = self._on_press
        self._recents.on_choice = self._on_choice
        for hidden in (self._notice, self._more):
            _show_html(hidden, "")
        self._refresh()
        work_later(self._update_balance)
        work_later(self._update_recents)
        if key and present_front_end() != "headless":  # later output is not saved
            work_later(self._recall)

    def _display_(self) -> HTML:
        """Return what marimo shows: it has neither IPython's messages nor its magics."""
        return HTML(html.render_notice("info", "The panel", [NOT_IN_MARIMO]))

    @property
    def model(self) -> str:
        """The name of the chosen model."""
        return self._spec.name

    @property
    def values(self) -> dict[str, object]:
        """The values of the fields, as in Python."""
        return self._form.values

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The problems shown, in the order of the fields."""
        return self._form.problems

    @property
    def jobs(self) -> tuple[Job, ...]:
        """The jobs with a card in the panel, newest first."""
        return tuple(result.job for result in self._results)

    @without_comms()
    def choose(self, model: str) -> None:
        """Show the form of another model; it keeps the values that both models have.

        Raises:
            InvalidInput: The model is not known.
        """
        spec, old = find_model(model), self._form
        if spec is self._spec:
            return
        # The current form overrides older values, also with empty ones.
        self._kept = old.kept | {n: v for n, v in self._kept.items() if n not in old.controls}
        form = Form(spec, {}, self._context)
        form.restore(self._kept)
        with self._writing:
            self._spec, self._form, self._model.value = spec, form, spec.name
            form.on_change = self._refresh
        self._form_box.children = [form.box]
        old.close()
        self._refresh()

    def generate(self) -> Job:
        """Submit the request in the form, as *Generate* does.

        Returns:
            The job; its card is in the panel too.

        Raises:
            InvalidInput: Values are not allowed; nothing was sent.
            KlingError: The service refused; nothing was charged.
        """
        job = self._make(self._request())
        if present_front_end() == "headless":  # later output is not saved
            with suppress(KlingError):
                job.result()
            self._update_saved_view()
        return job

    def _on_press(self, word: str, held: Mapping[str, object]) -> None:
        """Handle a click on *Generate* or *Copy cell*, with the values of the controls."""
        model = held.get("model")
        if isinstance(model, str) and model in CATALOGUE:
            self.choose(model)
        self._form.sync_values({name: value for name, value in held.items() if name != "model"})
        if word == "copy":
            self._actions.cell = self._cell_text()
            self._actions.send({"copy": self._actions.cell})
            return
        if self._actions.busy:  # a second click, sent before the button was disabled
            return
        self._actions.busy = True
        work_later(self._on_generate, self._request())

    def _on_generate(self, request: ClipRequest) -> None:
        with self._showing_errors("Error in kling_nb."), suppress(KlingError):
            # `_make` has shown a `KlingError` already.
            self._make(request, lambda job: self._actions.send({"show": job.id}))

    def _make(self, request: ClipRequest, on_card: Callable[[Job], None] = lambda _: None) -> Job:
        session, job = self._session(), None
        self._actions.busy = True
        _show_html(self._notice, "")
        try:
            with session.submitting(request) as job:  # sends at the end of the block
                self.show(job)
                on_card(job)
        except InvalidInput as invalid:
            left = self._form.add_problems(invalid.problems)
            if left:
                self._show_error("Not accepted; nothing was sent.", *map(str, left))
            if self.problems:
                self._actions.send({"focus": self.problems[0].field})
            raise
        except KlingError as error:
            if job is None or not job.done():  # else its card shows the error
                self._show_error("No clip was made.", str(error))
            raise
        finally:
            self._actions.busy = False
            work_later(self._update_balance)
        return job

    def _request(self) -> ClipRequest:
        form = self._form
        return ClipRequest(form.spec, form.values, written=form.sources, panel=self._key)

    @without_comms()
    def show(self, job: Job) -> None:
        """Put a job's card on top; an earlier card of the same job is removed."""
        with self._listing:
            known = [result for result in self._results if result.job.id == job.id]
            result = next((each for each in known if each.job is job), None)
            if result is None:
                result = Result(job, on_take=self.show, on_end=self._on_end)
            others = [one for one in self._results if one.job.id != job.id]
            self._results = [result, *others]
            self._cards.children = [one.box for one in self._results]
        for one in known:
            if one is not result:
                one.close()

    def _recall(self) -> None:
        """Show the jobs that this panel sent earlier, also in an earlier kernel."""
        with suppress(KlingError):  # the next job reports it
            jobs, more = earlier_jobs(self._session(), self._key)
            if not jobs:  # nothing is redrawn while the user fills in the form
                return
            self._show_earlier(jobs)
            line = html.prose(f"{more} more in `%kling gallery`")
            _show_html(self._more, f'<p class="kling-small">{line}</p>' if more else "")
            self._on_end()

    @without_comms()
    def _show_earlier(self, jobs: Sequence[Job]) -> None:
        """Put cards of jobs below the others, newest first."""
        with self._listing:
            shown = {result.job.id for result in self._results}
            self._is_recalling = True  # otherwise each card would query the balance
            try:
                self._results += [
                    Result(job, on_take=self.show, on_end=self._on_end)
                    for job in jobs
                    if job.id not in shown
                ]
            finally:
                self._is_recalling = False
            self._cards.children = [one.box for one in self._results]

    def _on_end(self) -> None:
        """Update saved view, balance and recent clips after the end of a job."""
        if self._is_recalling:
            return
        draw_later(self._update_saved_view)
        work_later(self._update_balance)
        work_later(self._update_recents)

    def _update_saved_view(self) -> None:
        with self._listing:  # a new card may have ended already
            jobs = self.jobs
        self._saved_view.update(jobs)

    def _on_model(self, change: Mapping[str, Any]) -> None:
        if change["new"] in CATALOGUE:
            self.choose(change["new"])

    def _on_choice(self, word: str, job_id: str) -> None:
        """Start from the last frame or the settings of a recent clip."""
        work_later(self._start_from_frame if word == "frame" else self._start_from, job_id)

    def _start_from(self, job_id: str) -> None:
        with self._showing_errors("These settings cannot be used."):
            request = self._session().request_of(job_id)
            self.choose(request.spec.name)
            self._kept = {}
            self._form.load(request.values, request.written)

    def _start_from_frame(self, job_id: str) -> None:
        with self._showing_errors("This clip cannot be used."):
            content, name = last_frame(self._session().ledger.row(job_id))
            self._form.set_image(content, name)

    def _refresh(self, _: object = None) -> None:
        """Update title, price and hint; under a lock, so that the last update has all changes."""
        emulated = self._is_emulated
        with self._writing:
            form, actions = self._form, self._actions
            self._head.value = render_header(emulated=emulated)
            actions.controls = {"model": self._model.model_id, **form.controls}
            actions.form_of, self._model.note = form.spec.name, model_note(form.spec)
            price = form.price_credits
            actions.amount = "" if price is None else format_price(price)
            actions.price = format_cost(form, funds=self._funds, emulated=emulated)
            actions.warnings = [html.warning_text(each) for each in form.warnings]
            actions.hint = format_hint(form, self._funds)
            self._recents.takes_pictures = bool(form.spec.media)
            if actions.cell:
                actions.cell = self._cell_text()

    def _cell_text(self) -> str:
        return write_cell(self._form.spec, self._form.written)

    def _update_balance(self) -> None:
        funds = Funds()
        with suppress(KlingError):  # then the price is shown alone; a job reports the error
            funds = self._session().funds()
        self._funds = funds  # until then the old balance stays visible
        self._refresh()

    def _update_recents(self) -> None:
        with suppress(KlingError):
            self._recents.clips = recent_clips(self._session())
        self._recents.expected = 0

    def _count_recents(self) -> int:
        """Return the number of recent clips; their posters are read later, in another thread."""
        with suppress(KlingError):
            return len(self._session().ledger.clips(RECENT_CLIPS))
        return 0

    @contextmanager
    def _showing_errors(self, title: str) -> Iterator[None]:
        """Show errors of the block as a notice with this title."""
        try:
            yield
        except KlingError as error:
            self._show_error(title, str(error))
        except Exception as error:
            _log.exception("the panel could not answer")
            self._show_error(title, f"{type(error).__name__}: {error}")

    def _show_error(self, title: str, *lines: str) -> None:
        _show_html(self._notice, html.render_notice("error", title, lines))

    def _build_header(self) -> Any:
        form = [self._form_box, self._actions]
        # If there is no clip yet, its row comes below the form, which must not move later.
        rows = [self._recents, *form] if self._recents.expected else [*form, self._recents]
        header = widgets.VBox([self._head, self._model, *rows])
        header.add_class("kling-sheet")
        return header

    @property
    def _is_emulated(self) -> bool:
        return self._session().service == "emulator"

    def _ipython_display_(self) -> None:
        """Show the panel in the running cell, with its saved view."""
        front_end = present_front_end()
        title = f"Panel for {self._spec.title}"
        if front_end == "terminal":
            text = (
                f"{title}: a panel needs a notebook. In a terminal, use `%%kling`; see `%%kling?`"
            )
            print_text(text)
            return
        self._saved_view.display(self, title)
        draw_later(self._update_saved_view)


@without_comms()
def panel(
    model: str = IMAGE_TO_VIDEO.name,
    *,
    name: str = "",
    session: Session | None = None,
    **values: object,
) -> Panel:
    """Return the panel of a model; its clips appear below the form.

    In the next kernel, the panel of the same cell shows its clips again.

    Args:
        model: The name of the initial model.
        name: Identifies the panel in its notebook instead of the cell. Give one to each of several
            panels of a cell, and in a front end that does not send the ids of its cells.
        session: The session; by default the current default session.
        values: The initial values, by parameter.

    Raises:
        InvalidInput: The model is not known, or a value is not allowed.
        ConfigurationError: There is no session, e.g. live mode without a key.
    """
    current: Callable[[], Session] = default_session if session is None else lambda: session
    key = name or cell_id(get_ipython())
    return Panel(find_model(model), current, values, _variables, key)


def _show_html(part: Any, markup: str) -> None:
    """Show markup in an HTML widget, which takes no space without it."""
    part.value = markup
    part.layout.display = None if markup else "none"


def _variables() -> Mapping[str, object]:
    shell = get_ipython()
    return {} if shell is None else shell.user_ns
