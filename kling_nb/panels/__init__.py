"""The panel: the form that a `ModelSpec` describes, its price, and the clips it made below it.

`fields` and `pictures` are the controls, `form` puts them together and judges them, `results` are
the cards. The panel joins them to a session. It names no model and no parameter.
"""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from importlib.resources import files
from typing import Any

import ipywidgets as widgets
from IPython import get_ipython

from .. import html
from ..cells import find_model, write_cell
from ..default import default_session
from ..errors import InvalidInput, KlingError, Problem
from ..html.markup import escape, joined, tag
from ..jobs import Job
from ..models import IMAGE_TO_VIDEO
from ..preparation import Wish
from ..session import Session
from ..specs import ModelSpec, Values, describe, price_credits
from .fields import label_of, put
from .form import Form
from .pictures import Surroundings
from .results import Result

__all__ = ["Panel", "panel"]

_GENERATE = "Generate"
_BUSY = "Sending …"
_log = logging.getLogger("kling_nb")

# A click waits for the session in a thread of these. In the session's own threads, several clicks
# at once could take every thread that the session needs to get on.
_beside = ThreadPoolExecutor(max_workers=4, thread_name_prefix="kling_nb panel")


def panel(
    model: str = IMAGE_TO_VIDEO.name, *, session: Session | None = None, **values: object
) -> Panel:
    """The form of a model; its clips appear below it.

    Args:
        model: The service's name of the model.
        session: Where clips are made; the default session unless told, also after `configure`.
        values: What the fields hold at first, by parameter.

    Raises:
        InvalidInput: The model is not known, or a value is not allowed.
        ConfigurationError: There is no session, e.g. live mode without a key.
    """
    current = default_session if session is None else lambda: session
    return Panel(find_model(model), current, values)


class Panel(widgets.VBox):
    """A form and its results; display it, or work with it from Python.

    Args:
        spec: The model.
        session: Gives the session to work with now.
        values: What the fields hold at first.
    """

    def __init__(self, spec: ModelSpec, session: Callable[[], Session], values: Values) -> None:
        self._spec, self._session = spec, session
        self._balance_credits: float | None = None
        self._results: list[Result] = []
        self._listing, self._writing = threading.Lock(), threading.Lock()
        around = Surroundings(_variables, lambda: self._is_emulated)
        self._form = Form(spec, values, around)
        self._head, self._price, self._hint, self._cell, self._notice = (
            widgets.HTML() for _ in range(5)
        )
        self._button = widgets.Button(description=_GENERATE, button_style="primary")
        self._copy = widgets.ToggleButton(
            description="Copy cell", tooltip="Show the %%kling cell that asks for the same"
        )
        self._cards = widgets.VBox()
        super().__init__([self._sheet(), self._notice, self._cards])
        self.add_class("kling-panel")
        self._form.on_change = self._refresh
        self._button.on_click(self._click)
        self._copy.observe(self._refresh, "value")
        self._refresh()
        self._ask_balance()

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

    def generate(self) -> Job:
        """Do what *Generate* does: ask for the clip that the form describes.

        Returns:
            The job; its card is in the panel too.

        Raises:
            InvalidInput: Values are not allowed; nothing was sent.
            KlingError: The service refused; nothing was charged.
        """
        return self._make(self._wish())

    def _click(self, _: object) -> None:
        if self._button.disabled:  # a second click that was under way already
            return
        self._be_busy(True)
        context = contextvars.copy_context()
        _beside.submit(context.run, self._answer_click, self._wish())

    def _answer_click(self, wish: Wish) -> None:
        try:
            with suppress(KlingError):  # which is on screen
                self._make(wish)
        except Exception as error:
            _log.exception("the panel could not make a clip")
            self._tell("Something broke in kling_nb.", f"{type(error).__name__}: {error}")

    def _make(self, wish: Wish) -> Job:
        session, job = self._session(), None
        self._be_busy(True)
        put(self._notice, "")
        try:
            job = session.prepare(wish)
            self._show(job)
            session.submit(job)
        except InvalidInput as invalid:
            left = self._form.take_problems(invalid.problems)
            if left:
                self._tell("Not accepted; nothing was sent.", *map(str, left))
            raise
        except KlingError as error:
            if job is None or not job.done():  # else its card tells
                self._tell("There is no clip.", str(error))
            raise
        finally:
            self._be_busy(False)
            self._ask_balance()
        return job

    def _wish(self) -> Wish:
        return Wish(self._spec, self._form.values, written=self._form.sources)

    def _show(self, job: Job) -> None:
        """A card on top; the one that the same job had goes."""
        with self._listing:
            known = [result for result in self._results if result.job.id == job.id]
            if known and known[0].job is job:
                result = known[0]
            else:
                result = Result(job)
                job.add_done_callback(self._ask_balance)
            others = [one for one in self._results if one.job.id != job.id]
            self._results = [result, *others]
            self._cards.children = [one.box for one in self._results]
        for one in known:
            if one is not result:
                one.close()

    def _refresh(self, _: object = None) -> None:
        """Write price, hint and cell anew; the last to come has seen all changes."""
        emulated = self._is_emulated
        with self._writing:
            self._head.value = _head(self._spec, emulated=emulated)
            self._price.value = self._price_text(emulated=emulated)
            put(self._hint, self._hint_text())
            put(self._cell, self._cell_text() if self._copy.value else "")

    def _price_text(self, *, emulated: bool) -> str:
        allowed = self._form.allowed
        line = html.price_line(
            describe(self._spec, allowed).values(),
            price_credits(self._spec, allowed),
            balance_credits=self._balance_credits,
            emulated=emulated,
        )
        return tag("p", "", escape(line), classes="kling-cost", aria_live="polite")

    def _hint_text(self) -> str:
        """What has to be mended, for those who look at the button and not at the fields."""
        names = [label_of(self._spec.parameter(problem.field)) for problem in self.problems]
        text = escape(f"Look at {', '.join(names)} above.")
        return tag("p", "", text, classes="kling-problem", role="status") if names else ""

    def _cell_text(self) -> str:
        cell = write_cell(self._spec, self._form.written)
        hint = tag("p", "", escape("One click selects all of it."), classes="kling-quiet-note")
        text = tag("pre", "", escape(cell), classes="kling-cell-text", tabindex="0")
        return joined(text, hint)

    def _ask_balance(self, _: object = None) -> None:
        with suppress(RuntimeError):  # a job that ends while the interpreter does
            _beside.submit(self._take_balance)

    def _take_balance(self) -> None:
        try:
            self._balance_credits = self._session().balance()
        except KlingError:  # the price stands alone then; a job says why it cannot be made
            self._balance_credits = None
        self._refresh()

    def _be_busy(self, is_busy: bool) -> None:
        self._button.disabled = is_busy
        self._button.description = _BUSY if is_busy else _GENERATE

    def _tell(self, title: str, *lines: str) -> None:
        put(self._notice, html.render_notice("error", title, lines))

    def _sheet(self) -> Any:
        actions = widgets.HBox([self._button, self._copy, self._hint])
        actions.add_class("kling-actions")
        sheet = widgets.VBox([self._head, self._form.box, self._price, actions, self._cell])
        sheet.add_class("kling-sheet")
        return sheet

    @property
    def _is_emulated(self) -> bool:
        return self._session().service == "emulator"

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """The widget, and what a saved notebook says where no kernel answers it."""
        title = f"Panel for {self._spec.name}"
        lines = ["Run this cell again to use it.", "`%kling jobs` lists the clips that it made."]
        bundle: dict[str, Any] = dict(super()._repr_mimebundle_(**kwargs) or {})
        bundle["text/plain"] = "\n".join([title, *lines])
        bundle["text/html"] = html.render_notice("info", title, lines)
        return bundle


def _head(spec: ModelSpec, *, emulated: bool) -> str:
    badge = (tag("span", "emulated", escape("Emulated")),) if emulated else ()
    title = tag("strong", "", escape(spec.title), classes="kling-panel-title")
    name = tag("span", "", escape(spec.name), classes="kling-quiet-note")
    head = tag("div", "", title, *badge, name, classes="kling-panel-head")
    return html.style_sheet() + _sheet_css() + head


@cache
def _sheet_css() -> str:
    return f"<style>{files(__package__).joinpath('panel.css').read_text(encoding='utf-8')}</style>"


def _variables() -> Mapping[str, object]:
    shell = get_ipython()
    return {} if shell is None else shell.user_ns
