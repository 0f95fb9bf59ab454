"""Validate and price the body of a createTask request.

Pure. Codes and texts follow the service where they are known (C: `This field is required`, `… is
not within the range of allowed options`, `generate playground failed, task id is blank`); the
others are this emulator's. Files are not checked here: the service reads them when it works on the
task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import assert_never
from urllib.parse import urlsplit

from kling_nb.emulator.account.tasks import TaskRequest
from kling_nb.emulator.models import MODELS, HostedModel
from kling_nb.emulator.models.fields import (
    REQUIRED,
    AtMostWith,
    Choice,
    FieldKind,
    Flag,
    Integer,
    NotInForm,
    NotTogether,
    Number,
    ObjectList,
    OnlyInForm,
    RequestForm,
    RequiredWhen,
    RequiredWithout,
    Rule,
    Text,
    Url,
    UrlList,
)
from kling_nb.emulator.render.shot_list import billed_s

_BLANK_ID = "generate playground failed, task id is blank"
_TOLERANCE = 1e-6


class Refusal(Exception):
    """The service refuses the request."""

    def __init__(self, code: int, msg: str) -> None:
        """Take the two fields of the envelope."""
        super().__init__(f"{code} {msg}")
        self.code = code
        self.msg = msg


def check_request(
    body: object, measure: Callable[[str], float | None] = lambda _: None
) -> TaskRequest:
    """Return the task that a createTask body requests.

    Args:
        body: The parsed JSON.
        measure: Returns the seconds of the video or audio at a URL, None if they are unknown. Only
            called if they decide the price.

    Raises:
        Refusal: With the service's code and text for the first error.
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
    _check_input(model, values)
    return TaskRequest(name, values, callback_url, _price_of(model, values, measure))


def _check_input(model: HostedModel, values: Mapping[str, object]) -> None:
    """Refuse missing, invalid, incompatible and unknown fields."""
    _check_fields("", model.required, model.optional, values)
    for rule in model.rules:
        _check_rule(rule, values)
    if values.keys() - model.fields.keys():
        raise Refusal(422, _BLANK_ID)


def _check_fields(
    prefix: str,
    required: Mapping[str, FieldKind],
    optional: Mapping[str, FieldKind],
    values: Mapping[str, object],
) -> None:
    """Refuse missing and invalid fields; `prefix` precedes their names in the texts."""
    for name, kind in {**required, **optional}.items():
        if not _is_missing(values.get(name)):
            _check_value(f"{prefix}{name}", kind, values[name])
        elif name in required:
            raise Refusal(*(kind.when_missing if isinstance(kind, UrlList) else (500, REQUIRED)))


def _is_missing(value: object) -> bool:
    """Return whether a field counts as not sent: null, blank, or an empty list."""
    return value is None or value == [] or (isinstance(value, str) and not value.strip())


def _check_rule(rule: Rule, values: Mapping[str, object]) -> None:
    """Refuse a field that others require or exclude."""
    match rule:
        case RequiredWhen():
            flag = values.get(rule.flag)
            applies = (rule.default if flag is None else flag) is rule.value
            _require(rule.name, values, applies and not _is_set(values.get(rule.without)))
        case RequiredWithout():
            _require(rule.name, values, _is_missing(values.get(rule.other)))
        case AtMostWith():
            number = len(_as_list(values.get(rule.name)))
            if number > rule.most and _is_set(values.get(rule.other)):
                raise Refusal(422, f"{rule.name} must be at most {rule.most} with {rule.other}")
        case OnlyInForm():
            if not _is_missing(values.get(rule.name)) and _has_form(rule.form, values):
                _check_option(rule.name, rule.options, values[rule.name])
        case NotInForm():
            if _has_form(rule.form, values) and values.keys() & {*rule.names}:
                raise Refusal(422, _BLANK_ID)
        case NotTogether():
            if _is_set(values.get(rule.name)) and _is_set(values.get(rule.other)):
                raise Refusal(422, f"{rule.name} and {rule.other} exclude each other")
        case _:
            assert_never(rule)


def _require(name: str, values: Mapping[str, object], is_required: bool) -> None:
    """Refuse a request without a required field."""
    if is_required and _is_missing(values.get(name)):
        raise Refusal(500, REQUIRED)


def _is_set(value: object) -> bool:
    """Return whether a field is present; for a flag, whether it is true."""
    return value is not False and not _is_missing(value)


def _has_form(form: RequestForm, values: Mapping[str, object]) -> bool:
    """Return whether a request has this form."""
    has = all(_is_set(values.get(name)) for name in form.has)
    lacks = not any(_is_set(values.get(name)) for name in form.lacks)
    return has and lacks and (not form.single or len(_as_list(values.get(form.single))) == 1)


def _check_value(name: str, kind: FieldKind, value: object) -> None:
    """Refuse an invalid value of a field."""
    match kind:
        case Text():
            _check_text(name, kind, value)
        case Choice():
            _check_option(name, kind.options, value)
        case Flag():
            _check_option(name, (True, False), value)
        case Integer():
            _check_option(name, tuple(range(kind.low, kind.high + 1)), value)
        case Number():
            _check_number(name, kind, value)
        case Url():
            _check_url(name, value)
        case UrlList():
            _check_urls(name, kind, value)
        case ObjectList():
            _check_objects(name, kind, value)
        case _:
            assert_never(kind)


def _check_text(name: str, kind: Text, value: object) -> None:
    """Refuse anything but a string of at most `max_chars` characters."""
    if not isinstance(value, str):
        raise Refusal(422, f"{name} must be a string")
    if kind.max_chars is not None and len(value) > kind.max_chars:
        raise Refusal(422, f"{name} must be at most {kind.max_chars} characters")


def _check_option(name: str, options: tuple[object, ...], value: object) -> None:
    """Refuse a value that is none of the options; the type counts: 5 is not "5"."""
    if not any(type(value) is type(option) and value == option for option in options):
        raise Refusal(500, f"{name} is not within the range of allowed options")


def _check_number(name: str, kind: Number, value: object) -> None:
    """Refuse anything but a number in the range and on a step."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refusal(422, f"{name} must be a number")
    steps = (value - kind.low) / kind.step
    # "not … <=" also refuses NaN.
    if not kind.low <= value <= kind.high or abs(steps - round(steps)) > _TOLERANCE:
        raise Refusal(500, f"{name} is not within the range of allowed options")


def _check_url(name: str, value: object) -> None:
    """Refuse anything but one http or https URL."""
    if not isinstance(value, str):
        raise Refusal(422, f"{name} must be one URL, as a string")
    if not _is_web_url(value):
        raise Refusal(422, f"{name} must be an http or https URL, not file content")


def _check_urls(name: str, kind: UrlList, value: object) -> None:
    """Refuse anything but a list of http or https URLs of the allowed length."""
    number = len(value) if isinstance(value, list) else 0
    is_alone = number == 1 and kind.alone is not None
    if (number < kind.least and not is_alone) or (kind.most is not None and number > kind.most):
        raise Refusal(422, f"{name} must be a list of {_count_of(kind)}")
    if not all(isinstance(url, str) and _is_web_url(url) for url in _as_list(value)):
        raise Refusal(422, f"{name} must contain http or https URLs, not file content")


def _count_of(kind: UrlList) -> str:
    """Describe the allowed number of URLs."""
    if kind.least == kind.most:
        return f"exactly {kind.least} URL" + ("s" if kind.least > 1 else "")
    return f"{kind.least} to {kind.most} URLs" if kind.most else f"at least {kind.least} URL"


def _check_objects(name: str, kind: ObjectList, value: object) -> None:
    """Refuse anything but a list of valid objects of the allowed length."""
    objects = _as_list(value)
    if not objects or (kind.most is not None and len(objects) > kind.most):
        raise Refusal(422, f"{name} must be a list of 1 to {kind.most or 'many'} objects")
    for each in objects:
        if not isinstance(each, dict):
            raise Refusal(422, f"{name} must contain objects")
        _check_fields(f"{name}.", kind.fields, kind.optional, each)
        if each.keys() - kind.fields.keys() - kind.optional.keys():
            raise Refusal(422, _BLANK_ID)
        start, end = each.get("start_time"), each.get("end_time")
        if isinstance(start, int) and isinstance(end, int) and start >= end:
            raise Refusal(422, f"{name}.end_time must be after start_time")


def _as_list(value: object) -> list[object]:
    """Return a list as it is, and an empty list for any other value."""
    return value if isinstance(value, list) else []


def _is_web_url(text: str) -> bool:
    """Return whether the text is an http or https URL with a host."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _price_of(
    model: HostedModel, values: Mapping[str, object], measure: Callable[[str], float | None]
) -> float:
    """Return the credits for a request: the first matching price, per second if it is one."""
    sent = {name: value for name, value in values.items() if value is not None}
    with_defaults = {**model.defaults, **sent}
    credits = next(
        price.credits
        for price in model.prices
        if all(with_defaults.get(name) == value for name, value in price.when.items())
        and not (price.beside and _is_missing(values.get(price.beside)))
    )
    if not model.per_s:
        return credits
    return credits * billed_s(model, values, measure)
