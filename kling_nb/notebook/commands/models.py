"""`%kling models`: list the models with the price of a standard clip, or the options of one.

From specs to tables; must not depend on sessions.
"""

from __future__ import annotations

from datetime import UTC, datetime

from kling_nb.core.money import format_price
from kling_nb.display.html import about_prefix
from kling_nb.display.notice import show_table
from kling_nb.models.catalog import CATALOGUE
from kling_nb.models.lookup import find_model, format_inputs, models_named, offer_of
from kling_nb.models.option_parser import option_rows
from kling_nb.models.spec import ModelSpec


def show_models(name: str = "") -> None:
    """Show all models with their standard clip, or the options of one.

    Args:
        name: A model's name or a part of it; if several models match, they are listed.
    """
    found = models_named(name) if name else list(CATALOGUE.values())
    if len(found) < 2:
        _show_options(find_model(name))
        return
    rows = [
        (spec.name, format_offer(spec), _describe_clip(spec), format_inputs(spec), spec.confidence)
        for spec in found
    ]
    dates = sorted({f"{spec.prices.as_of:%Y-%m-%d}" for spec in found})
    price = f"price of {', '.join(dates)}"
    show_table(("model", price, "standard clip", "takes", "confidence"), rows, "Models")


def format_offer(spec: ModelSpec) -> str:
    """Return the price of the standard clip: `55 credits ($0.28)`, or per second of an input."""
    offer = offer_of(spec)
    if offer.credits is None:
        return "not known"
    price = f"{about_prefix(spec.name, datetime.now(UTC))} {format_price(offer.credits)}".lstrip()
    return f"{price} per second of {offer.per_s_of}" if offer.per_s_of else price


def _describe_clip(spec: ModelSpec) -> str:
    offer = offer_of(spec)
    length = f"as long as its {offer.per_s_of}" if offer.per_s_of else ""
    return " · ".join(filter(None, (length, *offer.words)))


def _show_options(spec: ModelSpec) -> None:
    headers = ("option", "takes", "default", "meaning")
    show_table(headers, option_rows(spec), f"{spec.title} ({spec.name})")
