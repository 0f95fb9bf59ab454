"""What createTask accepts, and how it words a refusal.

Pure: a parsed body in, an order or a refusal out. Codes and texts follow the service where they
are known (C: `This field is required`, `… is not within the range of allowed options`, `generate
playground failed, task id is blank`); the others are this emulator's own words.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from kling_nb.emulator.models import MODELS, Choice, Flag, Kind, Pictures, Text
from kling_nb.emulator.tasks import Order

__all__ = ["Refusal", "check_order"]


class Refusal(Exception):
    """The service's answer to a request it does not carry out."""

    def __init__(self, code: int, msg: str) -> None:
        """Take the two fields of the envelope."""
        super().__init__(f"{code} {msg}")
        self.code = code
        self.msg = msg


def check_order(body: object) -> Order:
    """The order in a createTask body.

    Raises:
        Refusal: with the service's code and text for the first thing that is wrong.
    """
    if not isinstance(body, dict):
        raise Refusal(400, "The request body must be a JSON object")
    name, values = body.get("model"), body.get("input")
    if not isinstance(name, str) or name not in MODELS:
        raise Refusal(422, f"The model {name!r} is not supported")
    if not isinstance(values, dict):
        raise Refusal(422, "The input must be a JSON object")
    callback_url = body.get("callBackUrl") or ""
    if not isinstance(callback_url, str):
        raise Refusal(422, "callBackUrl must be a URL")
    model = MODELS[name]
    check_fields(model.fields, values)
    price = model.prices_credits[tuple(values[field] for field in model.priced_by)]
    return Order(name, values, callback_url, price)


def check_fields(fields: Mapping[str, Kind], values: Mapping[str, object]) -> None:
    """Refuse the first field that is missing, of the wrong kind, or not the model's."""
    for name, kind in fields.items():
        match kind:
            case Text():
                check_text(name, kind, values.get(name))
            case Choice():
                check_option(name, kind.options, values.get(name))
            case Flag():
                check_option(name, (True, False), values.get(name))
            case Pictures():
                check_pictures(name, kind, values.get(name))
    if values.keys() - fields.keys():
        raise Refusal(422, "generate playground failed, task id is blank")


def check_text(name: str, kind: Text, value: object) -> None:
    """Refuse text that is missing, blank, or too long."""
    if value is None or (isinstance(value, str) and not value.strip()):
        raise Refusal(500, "This field is required")
    if not isinstance(value, str):
        raise Refusal(422, f"{name} must be a string")
    if len(value) > kind.max_chars:
        raise Refusal(422, f"{name} must be at most {kind.max_chars} characters")


def check_option(name: str, options: tuple[object, ...], value: object) -> None:
    """Refuse a value that is none of the options, its type included: 5 is not "5"."""
    if value is None:
        raise Refusal(500, "This field is required")
    if not any(type(value) is type(option) and value == option for option in options):
        raise Refusal(500, f"{name} is not within the range of allowed options")


def check_pictures(name: str, kind: Pictures, value: object) -> None:
    """Refuse anything but a list of so many http or https URLs."""
    if not value:
        raise Refusal(422, kind.when_missing)
    if not isinstance(value, list) or len(value) != kind.count:
        raise Refusal(422, f"{name} must be a list of exactly {kind.count} URL")
    if not all(isinstance(url, str) and is_web_address(url) for url in value):
        raise Refusal(422, f"{name} must hold http or https URLs, not file content")


def is_web_address(text: str) -> bool:
    """Whether the text is an http or https URL with a host."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
