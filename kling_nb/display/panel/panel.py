"""The panel: connects the form and its buttons to a session.

Nothing here blocks the kernel's main thread: session calls and file reads run in other threads.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import ipywidgets as widgets
from IPython import get_ipython

from kling_nb.core.console import print_text
from kling_nb.core.errors import InvalidInput, KlingError, Problem
from kling_nb.core.money import Funds, price_words
from kling_nb.display import html
from kling_nb.display.comm import without_comms
from kling_nb.display.front_end import present_front_end
from kling_nb.display.threads import draw_later, work_later
from kling_nb.jobs.default_session import default_session
from kling_nb.jobs.job import Job
from kling_nb.jobs.session import Session
from kling_nb.models.catalog import CATALOGUE, IMAGE_TO_VIDEO
from kling_nb.models.cell import write_cell
from kling_nb.models.clip_request import ClipRequest
from kling_nb.models.lookup import find_model
from kling_nb.models.spec import ModelSpec, Values

from .file_field import Surroundings
from .form import Form, Kept
from .header import cost_words, head_markup, hint_words, model_control, model_note
from .results import Result, last_frame, recent_clips
from .saved_view import SavedView
from .widgets import Actions, Recents

__all__ = ["Panel", "panel"]

_log = logging.getLogger("kling_nb")


class Panel(widgets.VBox):
    """A form and its results; display it, or work with it from Python.

    Args:
        spec: The model that is chosen at first.
        session: Gives the session to work with now.
        values: What the fields hold at first.
        variables: Gives the notebook's variables, by which pictures may be named.
    """

    def __init__(
        self,
        spec: ModelSpec,
        session: Callable[[], Session],
        values: Values,
        variables: Callable[[], Mapping[str, object]],
    ) -> None:
        self._spec, self._session = spec, session
        self._funds = Funds()
        self._results, self._kept = list[Result](), Kept()
        self._listing, self._writing = threading.Lock(), threading.RLock()
        self._around = Surroundings(
            variables, lambda: self._is_emulated, lambda: self._session().settings.folder
        )
        self._form = Form(spec, values, self._around)
        self._head, self._notice = widgets.HTML(), widgets.HTML()
        self._model = model_control(spec)
        self._recents, self._actions, self._keepsake = Recents(), Actions(), SavedView()
        self._place, self._cards = widgets.VBox([self._form.box]), widgets.VBox()
        super().__init__([self._sheet(), self._notice, self._cards])
        self.add_class("kling-panel")
        self._form.on_change = self._refresh
        self._model.observe(self._take_model, "value")
        self._actions.on_press = self._take_press
        self._recents.on_choice = self._take_choice
        self._put_notice("")
        self._refresh()
        work_later(self._take_balance)
        work_later(self._take_recents)

    @property
    def model(self) -> str:
        """The name of the model that is chosen."""
        return self._spec.name

    @property
    def values(self) -> dict[str, object]:
        """What the fields hold, as it would be given in Python."""
        return self._form.values

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is shown as wrong, in the order of the fields."""
        return self._form.problems

    @property
    def jobs(self) -> tuple[Job, ...]:
        """The jobs that have a card here, newest first."""
        return tuple(result.job for result in self._results)

    @without_comms()
    def choose(self, model: str) -> None:
        """Show the form of another model; what both have in common stays.

        Raises:
            InvalidInput: The model is not known.
        """
        spec, old = find_model(model), self._form
        if spec is self._spec:
            return
        # Of what both have in common the present form knows best, also that it is empty.
        self._kept = old.kept | {n: v for n, v in self._kept.items() if n not in old.controls}
        form = Form(spec, {}, self._around)
        form.take_over(self._kept)
        with self._writing:
            self._spec, self._form, self._model.value = spec, form, spec.name
            form.on_change = self._refresh
        self._place.children = [form.box]
        old.close()
        self._refresh()

    def generate(self) -> Job:
        """Do what *Generate* does: ask for the clip that the form describes.

        Returns:
            The job; its card is in the panel too.

        Raises:
            InvalidInput: Values are not allowed; nothing was sent.
            KlingError: The service refused; nothing was charged.
        """
        job = self._make(self._wish())
        if present_front_end() == "headless":  # what comes after a cell's end is saved nowhere
            with suppress(KlingError):
                job.result()
            self._keep()
        return job

    def _take_press(self, word: str, held: Mapping[str, object]) -> None:
        """A click on *Generate* or *Copy cell*, with what the controls show in that moment."""
        model = held.get("model")
        if isinstance(model, str) and model in CATALOGUE:
            self.choose(model)
        self._form.hold({name: value for name, value in held.items() if name != "model"})
        if word == "copy":
            self._actions.cell = self._cell_text()
            self._actions.send({"copy": self._actions.cell})
            return
        if self._actions.busy:  # a second click that was under way already
            return
        self._be_busy(True)
        work_later(self._answer_click, self._wish())

    def _answer_click(self, wish: ClipRequest) -> None:
        with self._telling("Something broke in kling_nb."), suppress(KlingError):
            # An error of ours that has a sentence is on screen already.
            self._make(wish, lambda job: self._actions.send({"show": job.id}))

    def _make(self, wish: ClipRequest, on_card: Callable[[Job], None] = lambda _: None) -> Job:
        session, job = self._session(), None
        self._be_busy(True)
        self._put_notice("")
        try:
            with session.submitting(wish) as job:  # sent at the end, and not at all without a card
                self.show(job)
                on_card(job)
        except InvalidInput as invalid:
            left = self._form.take_problems(invalid.problems)
            if left:
                self._tell("Not accepted; nothing was sent.", *map(str, left))
            if self.problems:
                self._actions.send({"focus": self.problems[0].field})
            raise
        except KlingError as error:
            if job is None or not job.done():  # else its card tells
                self._tell("There is no clip.", str(error))
            raise
        finally:
            self._be_busy(False)
            work_later(self._take_balance)
        return job

    def _wish(self) -> ClipRequest:
        form = self._form
        return ClipRequest(form.spec, form.values, written=form.sources)

    @without_comms()
    def show(self, job: Job) -> None:
        """Put a job's card on top; the one that the same job had goes."""
        with self._listing:
            known = [result for result in self._results if result.job.id == job.id]
            result = next((each for each in known if each.job is job), None)
            if result is None:
                result = Result(job, on_take=self.show, on_end=self._take_end)
            others = [one for one in self._results if one.job.id != job.id]
            self._results = [result, *others]
            self._cards.children = [one.box for one in self._results]
        for one in known:
            if one is not result:
                one.close()

    def _take_end(self) -> None:
        """A clip is there, or will not be: the notebook keeps it, and the balance may differ."""
        draw_later(self._keep)
        work_later(self._take_balance)
        work_later(self._take_recents)

    def _keep(self) -> None:
        with self._listing:  # a card that is just being made may have ended already
            jobs = self.jobs
        self._keepsake.update(jobs)

    def _take_model(self, change: Mapping[str, Any]) -> None:
        if change["new"] in CATALOGUE:
            self.choose(change["new"])

    def _take_choice(self, word: str, job_id: str) -> None:
        """A recent clip was chosen to start from."""
        work_later(self._start_from_frame if word == "frame" else self._start_from, job_id)

    def _start_from(self, job_id: str) -> None:
        with self._telling("These settings cannot be used."):
            wish = self._session().request_of(job_id)
            self.choose(wish.spec.name)
            self._kept = {}
            self._form.start_from(wish.values, wish.written)

    def _start_from_frame(self, job_id: str) -> None:
        with self._telling("This clip cannot be used."):
            content, name = last_frame(self._session().ledger.row(job_id))
            self._form.take_picture(content, name)

    def _refresh(self, _: object = None) -> None:
        """Write head, price and hint anew; the last to come has seen all changes."""
        emulated = self._is_emulated
        with self._writing:
            form, actions = self._form, self._actions
            self._head.value = head_markup(emulated=emulated)
            actions.controls = {"model": self._model.model_id, **form.controls}
            self._model.note = model_note(form.spec)
            price = form.price_credits
            actions.amount = "" if price is None else price_words(price)
            actions.price = cost_words(form, funds=self._funds, emulated=emulated)
            actions.warnings = [html.warning_text(each) for each in form.warnings]
            actions.hint = hint_words(form, self._funds)
            self._recents.takes_pictures = bool(form.spec.media)
            if actions.cell:
                actions.cell = self._cell_text()

    def _cell_text(self) -> str:
        return write_cell(self._form.spec, self._form.written)

    def _take_balance(self) -> None:
        funds = Funds()
        with suppress(KlingError):  # the price stands alone then; a job says why it cannot be made
            funds = self._session().funds()
        self._funds = funds  # only now: until then the balance as it was is in sight
        self._refresh()

    def _take_recents(self) -> None:
        with suppress(KlingError):
            self._recents.clips = recent_clips(self._session())

    def _be_busy(self, is_busy: bool) -> None:
        self._actions.busy = is_busy

    @contextmanager
    def _telling(self, title: str) -> Iterator[None]:
        """Show why something could not be done."""
        try:
            yield
        except KlingError as error:
            self._tell(title, str(error))
        except Exception as error:
            _log.exception("the panel could not answer")
            self._tell(title, f"{type(error).__name__}: {error}")

    def _tell(self, title: str, *lines: str) -> None:
        self._put_notice(html.render_notice("error", title, lines))

    def _put_notice(self, markup: str) -> None:
        self._notice.value = markup
        self._notice.layout.display = None if markup else "none"

    def _sheet(self) -> Any:
        sheet = widgets.VBox([self._head, self._model, self._recents, self._place, self._actions])
        sheet.add_class("kling-sheet")
        return sheet

    @property
    def _is_emulated(self) -> bool:
        return self._session().service == "emulator"

    def _ipython_display_(self) -> None:
        """Show it in the running cell, with what a saved notebook needs."""
        place = present_front_end()
        title = f"Panel for {self._spec.title}"
        if place == "terminal":
            text = f"{title}: a panel needs a notebook. In a terminal, use `%%kling`; see %%kling?"
            print_text(text)
            return
        self._keepsake.display(self, title)
        draw_later(self._keep)


@without_comms()
def panel(
    model: str = IMAGE_TO_VIDEO.name, *, session: Session | None = None, **values: object
) -> Panel:
    """The form of a model; its clips appear below it.

    Args:
        model: The service's name of the model that is chosen at first.
        session: Where clips are made; the default session unless told, also after `configure`.
        values: What the fields hold at first, by parameter.

    Raises:
        InvalidInput: The model is not known, or a value is not allowed.
        ConfigurationError: There is no session, e.g. live mode without a key.
    """
    current: Callable[[], Session] = default_session if session is None else lambda: session
    return Panel(find_model(model), current, values, _variables)


def _variables() -> Mapping[str, object]:
    shell = get_ipython()
    return {} if shell is None else shell.user_ns
