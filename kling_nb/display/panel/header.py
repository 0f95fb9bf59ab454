"""The parts around the fields: title, choice of model, price, and the hint beside *Generate*."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from kling_nb.core.formatting import format_credits
from kling_nb.core.money import Funds, format_price
from kling_nb.display import html
from kling_nb.display.html.markup import tag
from kling_nb.models.catalog import CATALOGUE
from kling_nb.models.lookup import format_inputs, needed_media, offer_of
from kling_nb.models.spec import ModelSpec, describe

from .fields import label_of
from .form import Form
from .widgets import Control

_NOUNS = {"image": "an image", "video": "a video", "audio": "audio"}
_CONFIDENCE_NOTES = {"unconfirmed": "unconfirmed: its fields come from several sources"}


def render_header(*, emulated: bool) -> str:
    """Return the panel's title, with a badge for the emulator."""
    badge = tag("span", "emulated", "Emulated") if emulated else ""
    title = tag("strong", "", "New clip", classes="kling-panel-title")
    head = tag("div", "", title, badge, classes="kling-panel-head")
    return str(html.style_sheet() + tag("div", "", head, classes="kling-root kling-bare"))


def format_hint(form: Form, funds: Funds) -> str:
    """Return the hint beside the button: fields to fix, missing credits or budget; else empty."""
    names = [label_of(form.spec.parameter(problem.field)) for problem in form.problems]
    if names:
        return f"Fix {', '.join(names)} above."
    price = form.price_credits or 0
    if funds.balance_credits is not None and price > funds.balance_credits:
        missing = format_credits(price - funds.balance_credits)
        return f"The balance is {missing} too low: add credits or choose cheaper options."
    if funds.budget_credits is not None and price > funds.budget_credits:
        return "This clip exceeds the budget: see `%kling budget`, or choose cheaper options."
    return ""


def model_control(spec: ModelSpec) -> Control:
    """Return the list of all models of the catalogue, grouped by input."""
    groups: dict[str, list[list[str]]] = {}
    for each in CATALOGUE.values():
        group = _group_of(each)
        words = f"{each.title} · {_format_offer(each)}"
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
    """Return the note of a model: its inputs, its price, and whether its fields are unconfirmed."""
    chosen = ", ".join(offer_of(spec).words)
    standard = f"standard clip ({chosen}): " if chosen else ""
    takes = format_inputs(spec).replace("_", " ")
    words = [f"takes {takes}", standard + _format_offer(spec, format_price)]
    return "; ".join([*words, *filter(None, [_CONFIDENCE_NOTES.get(spec.confidence)])])


def format_cost(form: Form, *, funds: Funds, emulated: bool) -> str:
    """Format the price of the clip in the form, with balance and budget."""
    spec, allowed = form.spec, form.allowed
    words, price = list(describe(spec, allowed).values()), form.price_credits
    line = spec.prices.line(allowed)
    if price is None and line is not None and line.per_s_of:
        words.append(f"{format_credits(line.credits)} per second of the {line.per_s_of}")
    return html.price_line(
        words,
        price,
        funds=funds,
        emulated=emulated,
        label=html.about_prefix(spec.name, datetime.now(UTC)),
    )


def _group_of(spec: ModelSpec) -> str:
    needed = (" or ".join(_noun_of(spec, name) for name in each) for each in needed_media(spec))
    if words := " and ".join(dict.fromkeys(needed)):
        return f"From {words}"
    return "From text, with or without images" if spec.media else "From text"


def _noun_of(spec: ModelSpec, name: str) -> str:
    kind = spec.parameter(name).kind
    return _NOUNS[kind.medium] if kind.medium else name


def _format_offer(spec: ModelSpec, words: Callable[[float], str] = format_credits) -> str:
    offer = offer_of(spec)
    if offer.credits is None:
        return "price not known"
    rate = f" per second of {offer.per_s_of}" if offer.per_s_of else ""
    return words(offer.credits) + rate
