"""Whether the service answers, takes the key, and has credits."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import ConfigurationError, KlingError, ServiceError, Unauthorized, Unreachable
from ..greeting import mode_text
from ..html import Finding, price_words
from ..models import CATALOGUE
from ..offers import offer_of
from ..session import Session

__all__ = ["ASKING", "check_callbacks", "check_service", "open_session"]

ASKING = Finding("Service", "asking", "asking for the balance…")

FIXES: tuple[tuple[type[KlingError], str], ...] = (
    (
        Unauthorized,
        "Copy the key from kie.ai once more: `%kling login`, or the variable KIE_API_KEY. "
        "`%kling emulate on` works without one.",
    ),
    (
        Unreachable,
        "Check the network, the proxy (HTTPS_PROXY), and KLING_NB_API_URL if it is set.",
    ),
    (ServiceError, "Try again later; nothing was charged."),
)


def open_session(opening: Callable[[], Session]) -> tuple[Session | None, Finding]:
    """The session that everything shares, or why there is none."""
    try:
        session = opening()
    except ConfigurationError as error:
        fix = "Correct that setting. Without a key: `%kling emulate on`."
        return None, Finding("Settings", "bad", str(error), fix)
    return session, Finding("Mode", "ok", mode_text(session))


def check_callbacks(session: Session) -> Finding:
    """Whether the service's notifications are heard here; nobody has to hear them."""
    url = session.hearing.url
    said = f"heard at {url}" if url else "nobody listens; the service is asked (`%kling listen`)"
    return Finding("Callbacks", "ok", said)


def check_service(session: Session) -> Finding:
    """Ask for the balance, which needs the key and costs nothing. Takes as long as an answer."""
    try:
        balance = session.balance()
    except KlingError as error:
        fix = next((fix for kind, fix in FIXES if isinstance(error, kind)), "")
        return Finding("Service", "bad", str(error), fix)
    key = "it takes the key, " if session.service == "live" else "emulated, "
    said = f"{key}balance {price_words(balance)}"
    offers = [offer_of(spec) for spec in CATALOGUE.values()]
    least = min(each.credits for each in offers if each.credits is not None and not each.per_s_of)
    if balance < least:
        fix = f"The cheapest clip costs {price_words(least)}. Add credits at kie.ai."
        return Finding("Service", "warn", said, fix)
    return Finding("Service", "ok", said)
