"""What createTask accepts, and how it words a refusal.

Pure: a parsed body in, an order or a refusal out. Codes and texts follow the service where they
are known (C: `This field is required`, `… is not within the range of allowed options`, `generate
playground failed, task id is blank`); the others are this emulator's own words. What lies behind a
URL is not looked at: the service sees files only when it works on the task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from kling_nb.emulator.account.tasks import Order
from kling_nb.emulator.models import MODELS, HostedModel
from kling_nb.emulator.models.fields import (
    REQUIRED,
    Address,
    Addresses,
    AtMostBeside,
    Choice,
    Flag,
    Form,
    Integer,
    Kind,
    NeededWhen,
    NeededWithout,
    NotInForm,
    NotTogether,
    Number,
    OnlyInForm,
    Records,
    Rule,
    Text,
)
from kling_nb.emulator.render.durations import billed_lengths

__all__ = ["Refusal", "check_order"]

BLANK_ID = "generate playground failed, task id is blank"
NEARLY = 1e-6


class Refusal(Exception):
    """The service's answer to a request it does not carry out."""

    def __init__(self, code: int, msg: str) -> None:
        """Take the two fields of the envelope."""
        super().__init__(f"{code} {msg}")
        self.code = code
        self.msg = msg


def check_order(body: object, measure: Callable[[str], float | None] = lambda _: None) -> Order:
    """The order in a createTask body.

    Args:
        body: As it was parsed.
        measure: The seconds of the video or sound at a URL; None where they are not known. Only
            asked where they decide the price.

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
    check_input(model, values)
    return Order(name, values, callback_url, price_of(model, values, measure))


def check_input(model: HostedModel, values: Mapping[str, object]) -> None:
    """Refuse the first field that is missing, of the wrong kind, not asked for, or not there."""
    for name, kind in model.fields.items():
        if not is_missing(values.get(name)):
            check_value(name, kind, values[name])
        elif name in model.required:
            code, msg = kind.when_missing if isinstance(kind, Addresses) else (500, REQUIRED)
            raise Refusal(code, msg)
    for rule in model.rules:
        check_rule(rule, values)
    if values.keys() - model.fields.keys():
        raise Refusal(422, BLANK_ID)


def is_missing(value: object) -> bool:
    """Whether a field counts as not sent: null, blank, or an empty list."""
    return value is None or value == [] or (isinstance(value, str) and not value.strip())


def check_rule(rule: Rule, values: Mapping[str, object]) -> None:
    """Refuse a field that the others ask for, or do not let be."""
    match rule:
        case NeededWhen():
            told = values.get(rule.flag)
            stands = (rule.default if told is None else told) is rule.stands
            need(rule.name, values, stands and not is_on(values.get(rule.without)))
        case NeededWithout():
            need(rule.name, values, is_missing(values.get(rule.other)))
        case AtMostBeside():
            number = len(listed(values.get(rule.name)))
            if number > rule.most and is_on(values.get(rule.other)):
                raise Refusal(422, f"{rule.name} must be at most {rule.most} with {rule.other}")
        case OnlyInForm():
            if not is_missing(values.get(rule.name)) and has_form(rule.form, values):
                check_option(rule.name, rule.options, values[rule.name])
        case NotInForm():
            if has_form(rule.form, values) and values.keys() & {*rule.names}:
                raise Refusal(422, BLANK_ID)
        case NotTogether():
            if is_on(values.get(rule.name)) and is_on(values.get(rule.other)):
                raise Refusal(422, f"{rule.name} and {rule.other} exclude each other")


def need(name: str, values: Mapping[str, object], is_asked: bool) -> None:
    """Refuse a request without a field that the others ask for."""
    if is_asked and is_missing(values.get(name)):
        raise Refusal(500, REQUIRED)


def is_on(value: object) -> bool:
    """Whether a field is there; a flag, whether it is true."""
    return value is not False and not is_missing(value)


def has_form(form: Form, values: Mapping[str, object]) -> bool:
    """Whether a request has that form."""
    has = all(is_on(values.get(name)) for name in form.has)
    lacks = not any(is_on(values.get(name)) for name in form.lacks)
    return has and lacks and (not form.single or len(listed(values.get(form.single))) == 1)


def check_value(name: str, kind: Kind, value: object) -> None:
    """Refuse a value that its field cannot hold."""
    match kind:
        case Text():
            check_text(name, kind, value)
        case Choice():
            check_option(name, kind.options, value)
        case Flag():
            check_option(name, (True, False), value)
        case Integer():
            check_option(name, tuple(range(kind.low, kind.high + 1)), value)
        case Number():
            check_number(name, kind, value)
        case Address():
            check_address(name, value)
        case Addresses():
            check_addresses(name, kind, value)
        case Records():
            check_records(name, kind, value)


def check_text(name: str, kind: Text, value: object) -> None:
    """Refuse what is no text, or too long."""
    if not isinstance(value, str):
        raise Refusal(422, f"{name} must be a string")
    if kind.max_chars is not None and len(value) > kind.max_chars:
        raise Refusal(422, f"{name} must be at most {kind.max_chars} characters")


def check_option(name: str, options: tuple[object, ...], value: object) -> None:
    """Refuse a value that is none of the options, its type included: 5 is not "5"."""
    if not any(type(value) is type(option) and value == option for option in options):
        raise Refusal(500, f"{name} is not within the range of allowed options")


def check_number(name: str, kind: Number, value: object) -> None:
    """Refuse what is no number, out of range, or between two steps."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refusal(422, f"{name} must be a number")
    steps = (value - kind.low) / kind.step
    # "not … <=" also refuses NaN.
    if not kind.low <= value <= kind.high or abs(steps - round(steps)) > NEARLY:
        raise Refusal(500, f"{name} is not within the range of allowed options")


def check_address(name: str, value: object) -> None:
    """Refuse anything but one http or https URL."""
    if not isinstance(value, str):
        raise Refusal(422, f"{name} must be one URL, as a string")
    if not is_web_address(value):
        raise Refusal(422, f"{name} must be an http or https URL, not file content")


def check_addresses(name: str, kind: Addresses, value: object) -> None:
    """Refuse anything but a list of so many http or https URLs."""
    number = len(value) if isinstance(value, list) else 0
    is_alone = number == 1 and kind.alone is not None
    if (number < kind.least and not is_alone) or (kind.most is not None and number > kind.most):
        raise Refusal(422, f"{name} must be a list of {count_of(kind)}")
    if not all(isinstance(url, str) and is_web_address(url) for url in listed(value)):
        raise Refusal(422, f"{name} must hold http or https URLs, not file content")


def count_of(kind: Addresses) -> str:
    """How many URLs a list may hold."""
    if kind.least == kind.most:
        return f"exactly {kind.least} URL" + ("s" if kind.least > 1 else "")
    return f"{kind.least} to {kind.most} URLs" if kind.most else f"at least {kind.least} URL"


def check_records(name: str, kind: Records, value: object) -> None:
    """Refuse anything but a list of so many objects with all of the fields."""
    records = listed(value)
    if not records or (kind.most is not None and len(records) > kind.most):
        raise Refusal(422, f"{name} must be a list of 1 to {kind.most or 'many'} objects")
    for record in records:
        if not isinstance(record, dict):
            raise Refusal(422, f"{name} must hold objects")
        check_record(name, kind, record)


def check_record(name: str, kind: Records, record: Mapping[str, object]) -> None:
    """Refuse an object that lacks a field, has a bad one, or one too many."""
    for field, inner in kind.fields.items():
        if is_missing(record.get(field)):
            raise Refusal(500, REQUIRED)
        check_value(f"{name}.{field}", inner, record[field])
    for field, inner in kind.optional.items():
        if not is_missing(record.get(field)):
            check_value(f"{name}.{field}", inner, record[field])
    if record.keys() - kind.fields.keys() - kind.optional.keys():
        raise Refusal(422, BLANK_ID)
    start, end = record.get("start_time"), record.get("end_time")
    if isinstance(start, int) and isinstance(end, int) and start >= end:
        raise Refusal(422, f"{name}.end_time must be after start_time")


def listed(value: object) -> list[object]:
    """The value, if it is a list."""
    return value if isinstance(value, list) else []


def is_web_address(text: str) -> bool:
    """Whether the text is an http or https URL with a host."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def price_of(
    model: HostedModel, values: Mapping[str, object], measure: Callable[[str], float | None]
) -> float:
    """What the request costs: the first price that fits, for each second where it is one.

    Where a file is sent that the model bills by, its seconds count if they are more.
    """
    told = {name: value for name, value in values.items() if value is not None}
    counting = {**model.defaults, **told}
    credits = next(
        price.credits
        for price in model.prices
        if all(counting.get(name) == value for name, value in price.when.items())
        and not (price.beside and is_missing(values.get(price.beside)))
    )
    if not model.per_s:
        return credits
    return credits * max(length.whole_s for length in billed_lengths(model, values, measure))
