"""The parts around the fields: title, choice of model, price, and the hint beside *Generate*."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from kling_nb.core.formatting import credit_words
from kling_nb.core.money import Funds, price_words
from kling_nb.display import html
from kling_nb.display.html.markup import tag
from kling_nb.models.catalog import CATALOGUE
from kling_nb.models.lookup import needed_media, offer_of, takes_words
from kling_nb.models.parameters import Media
from kling_nb.models.spec import ModelSpec, describe

from .fields import label_of
from .form import Form
from .widgets import Control

__all__ = ["cost_words", "head_markup", "hint_words", "model_control", "model_note"]

_NOUNS = {"image": "a picture", "video": "a video", "audio": "sound"}
_SURENESS = {"less sure": "less sure: its fields are pieced together"}


def head_markup(*, emulated: bool) -> str:
    """The panel's title, with a badge where nothing real is made."""
    badge = tag("span", "emulated", "Emulated") if emulated else ""
    title = tag("strong", "", "New clip", classes="kling-panel-title")
    head = tag("div", "", title, badge, classes="kling-panel-head")
    return str(html.style_sheet() + tag("div", "", head, classes="kling-root kling-bare"))


def hint_words(form: Form, funds: Funds) -> str:
    """What has to be mended, for those who look at the button and not at the fields."""
    names = [label_of(form.spec.parameter(problem.field)) for problem in form.problems]
    if names:
        return f"Look at {', '.join(names)} above."
    price = form.price_credits or 0
    if funds.balance_credits is not None and price > funds.balance_credits:
        missing = credit_words(price - funds.balance_credits)
        return f"The balance is {missing} short of this clip: add credits, or choose less."
    if funds.budget_credits is not None and price > funds.budget_credits:
        return "The budget has less left than this clip costs: see `%kling budget`, or choose less."
    return ""


def model_control(spec: ModelSpec) -> Control:
    """The choice among all models of the catalogue, by what a clip is made from."""
    groups: dict[str, list[list[str]]] = {}
    for each in CATALOGUE.values():
        group = _group_of(each)
        words = f"{each.title} · {_offer_words(each)}"
        groups.setdefault(group, []).append([each.name, words, group])
    return Control(
        kind="list",
        name="model",
        label="Model",
        note=model_note(spec),
        options=[option for options in groups.values() for option in options],
        value=spec.name,
    )


def model_note(spec: ModelSpec) -> str:
    """What a model takes, what its price is for, and how sure its fields are."""
    chosen = ", ".join(offer_of(spec).words)
    standard = f"standard clip ({chosen}): " if chosen else ""
    takes = takes_words(spec).replace("_", " ")
    words = [f"takes {takes}", standard + _offer_words(spec, price_words)]
    return "; ".join([*words, *filter(None, [_SURENESS.get(spec.sureness)])])


def cost_words(form: Form, *, funds: Funds, emulated: bool) -> str:
    """What the clip that the form describes costs, and what it would be paid from."""
    spec, allowed = form.spec, form.allowed
    words, price = list(describe(spec, allowed).values()), form.price_credits
    line = spec.prices.line(allowed)
    if price is None and line is not None and line.per_s_of:
        words.append(f"{credit_words(line.credits)} for each second of the {line.per_s_of}")
    return html.price_line(
        words,
        price,
        funds=funds,
        emulated=emulated,
        label=html.age_word(spec.name, datetime.now(UTC)),
    )


def _group_of(spec: ModelSpec) -> str:
    needed = (" or ".join(_noun_of(spec, name) for name in each) for each in needed_media(spec))
    if words := " and ".join(dict.fromkeys(needed)):
        return f"From {words}"
    return "From words, with or without pictures" if spec.media else "From words"


def _noun_of(spec: ModelSpec, name: str) -> str:
    kind = spec.parameter(name).kind
    return _NOUNS[kind.medium] if isinstance(kind, Media) else name


def _offer_words(spec: ModelSpec, words: Callable[[float], str] = credit_words) -> str:
    offer = offer_of(spec)
    if offer.credits is None:
        return "price not known"
    rate = f" a second of {offer.per_s_of}" if offer.per_s_of else ""
    return words(offer.credits) + rate
