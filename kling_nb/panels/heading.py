"""What stands around the fields: the title, the choice of a model, the remark beside *Generate*."""

from __future__ import annotations

from collections.abc import Sequence

from .. import html
from ..errors import Problem
from ..html.markup import escape, tag
from ..models import CATALOGUE
from ..specs import ModelSpec
from .controls import Control
from .fields import label_of

__all__ = ["head_markup", "hint_words", "model_control"]


def head_markup(*, emulated: bool) -> str:
    """The panel's title, with a badge where nothing real is made."""
    badge = (tag("span", "emulated", escape("Emulated")),) if emulated else ()
    title = tag("strong", "", escape("New clip"), classes="kling-panel-title")
    head = tag("div", "", title, *badge, classes="kling-panel-head")
    return html.style_sheet() + tag("div", "", head, classes="kling-root kling-bare")


def hint_words(spec: ModelSpec, problems: Sequence[Problem]) -> str:
    """What has to be mended, for those who look at the button and not at the fields."""
    names = [label_of(spec.parameter(problem.field)) for problem in problems]
    return f"Look at {', '.join(names)} above." if names else ""


def model_control(spec: ModelSpec) -> Control:
    """The choice among all models of the catalogue."""
    return Control(
        kind="list",
        name="model",
        label="Model",
        options=[[each.name, each.title] for each in CATALOGUE.values()],
        value=spec.name,
    )
