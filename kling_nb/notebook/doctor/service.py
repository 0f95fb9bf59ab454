"""Check whether the service answers and accepts the key, and whether the account has credits."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from pathlib import Path

from kling_nb.core.errors import (
    ConfigurationError,
    EndpointNotFound,
    KlingError,
    Maintenance,
    RateLimited,
    ServerFault,
    Unauthorized,
    Unreachable,
    UnreadableAnswer,
)
from kling_nb.core.money import format_price
from kling_nb.display.html import Finding
from kling_nb.jobs import settings
from kling_nb.jobs.session import Session
from kling_nb.kie.urls import API_URL, UPLOAD_URL
from kling_nb.models.catalog import CATALOGUE
from kling_nb.models.lookup import offer_of

CHECKING = Finding("Service", "asking", "requesting the balance…")

TIMEOUT_S = 12.0
"""Without an answer in this time the service is reported as broken."""
_OWN_EMULATOR = (
    "It runs in this kernel and saves its tasks in the folder of clips: fix Folder and Disk below "
    "first."
)
_FIXES: tuple[tuple[tuple[type[KlingError], ...], str], ...] = (
    (
        (Unauthorized,),
        "Copy the key from kie.ai again: `%kling login`, or the variable KIE_API_KEY, which "
        "overrides the key of `login`. `%kling emulate on` works without one.",
    ),
    (
        (Unreachable, EndpointNotFound),
        "Check the network, the proxy (HTTPS_PROXY), and KLING_NB_API_URL if it is set.",
    ),
    (
        (UnreadableAnswer,),
        "Another server may answer instead: the log-in page of a network, a proxy, or the server "
        "in KLING_NB_API_URL. Open https://kie.ai in a browser.",
    ),
    ((ServerFault, Maintenance, RateLimited), "Try again later; nothing was charged."),
)


def open_session(opening: Callable[[], Session]) -> tuple[Session | None, Finding]:
    """Return the session of all checks, or None and the reason."""
    try:
        session = opening()
    except ConfigurationError as error:
        fix = "Correct that setting. Without a key: `%kling emulate on`."
        return None, Finding("Settings", "bad", str(error), fix)
    # Another server explains a strange balance or a refused key.
    server = f" at {session.settings.api_url}" if _is_other_server(session) else ""
    return session, Finding("Mode", "ok", f"{session.settings.describe_mode()}{server}")


def _is_other_server(session: Session) -> bool:
    """Return whether the session uses another server than kie.ai."""
    return session.settings.api_url != API_URL


def find_folder(session: Session | None) -> Path | None:
    """Return the folder of clips, or None if its own setting is wrong.

    Args:
        session: None if any setting is wrong.
    """
    if session is not None:
        return session.settings.folder
    try:
        return settings.resolve(
            mode="emulator", emulator_seconds=1.0, api_url=API_URL, upload_url=UPLOAD_URL
        ).folder
    except ConfigurationError:
        return None


def check_callbacks(session: Session) -> Finding:
    """Return whether this kernel receives callbacks; they are optional."""
    url = session.callback_urls.url
    message = (
        f"received at {url}" if url else "off; jobs are polled (`%kling listen` turns them on)"
    )
    return Finding("Callbacks", "ok", message)


def check_service(session: Session, timeout_s: float = TIMEOUT_S) -> Finding:
    """Request the balance, which needs the key and costs nothing."""
    answer = _answer_of(session.balance, timeout_s)
    if answer is None:
        return Finding("Service", "bad", f"no answer in {timeout_s:g} s", _FIXES[1][1])
    if not isinstance(answer, KlingError):
        return _check_balance(session, answer)
    if session.emulator is not None and isinstance(answer, Unreachable):
        return Finding("Service", "bad", "the emulator stopped unexpectedly", _OWN_EMULATOR)
    fix = next((fix for kinds, fix in _FIXES if isinstance(answer, kinds)), "")
    if isinstance(answer, Unauthorized) and _is_other_server(session):
        url = session.settings.api_url
        fix = f"{url} is used instead of kie.ai: use a key of it, or unset KLING_NB_API_URL."
    return Finding("Service", "bad", str(answer), fix)


def _answer_of(request: Callable[[], float], timeout_s: float) -> float | KlingError | None:
    """Return the result or the error of a request, or None after the timeout."""
    answers: queue.SimpleQueue[float | KlingError | None] = queue.SimpleQueue()

    def work() -> None:
        try:
            answers.put(request())
        except KlingError as error:
            answers.put(error)
        except CancelledError:  # the program is exiting
            answers.put(None)

    # A daemon thread does not keep the program alive if the service never answers.
    threading.Thread(target=work, daemon=True).start()
    try:
        return answers.get(timeout=timeout_s)
    except queue.Empty:
        return None


def _check_balance(session: Session, balance: float) -> Finding:
    """Compare the balance with the price of the cheapest clip."""
    key = "key accepted, " if session.service == "live" else "emulated, "
    message = f"{key}balance {format_price(balance)}"
    offers = [offer_of(spec) for spec in CATALOGUE.values()]
    lowest = min(each.credits for each in offers if each.credits is not None and not each.per_s_of)
    if balance < lowest:
        fix = f"The cheapest clip costs {format_price(lowest)}. Add credits at kie.ai."
        return Finding("Service", "warn", message, fix)
    return Finding("Service", "ok", message)
