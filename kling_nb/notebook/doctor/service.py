"""Check whether the service answers and accepts the key, and whether the account has credits."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
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
from kling_nb.core.money import price_words
from kling_nb.display.html import Finding
from kling_nb.jobs import settings
from kling_nb.jobs.session import Session
from kling_nb.kie.urls import API_URL, UPLOAD_URL
from kling_nb.models.catalog import CATALOGUE
from kling_nb.models.lookup import offer_of
from kling_nb.notebook.status import mode_text

__all__ = ["ASKING", "check_callbacks", "check_service", "find_place", "open_session"]

ASKING = Finding("Service", "asking", "asking for the balance…")

PATIENCE_S = 12.0
"""How long an answer is waited for; one that takes longer is a finding."""
NETWORK = "Check the network, the proxy (HTTPS_PROXY), and KLING_NB_API_URL if it is set."
LATER = "Try again later; nothing was charged."
OWN_EMULATOR = (
    "It works in this kernel and keeps its books in the folder of clips: mend what is said of "
    "Folder and Disk below first."
)
FIXES: tuple[tuple[type[KlingError], str], ...] = (
    (
        Unauthorized,
        "Copy the key from kie.ai once more: `%kling login`, or the variable KIE_API_KEY, which "
        "goes before what `login` keeps. "
        "`%kling emulate on` works without one.",
    ),
    (Unreachable, NETWORK),
    (EndpointNotFound, NETWORK),
    (
        UnreadableAnswer,
        "Something else may answer in its place: the log-in page of a network, a proxy, or what "
        "KLING_NB_API_URL names. Open https://kie.ai in a browser.",
    ),
    (ServerFault, LATER),
    (Maintenance, LATER),
    (RateLimited, LATER),
)


def open_session(opening: Callable[[], Session]) -> tuple[Session | None, Finding]:
    """The session that everything shares, or why there is none."""
    try:
        session = opening()
    except ConfigurationError as error:
        fix = "Correct that setting. Without a key: `%kling emulate on`."
        return None, Finding("Settings", "bad", str(error), fix)
    # Whoever set it for a trial and forgot it wonders about balances and keys.
    where = f" at {session.settings.api_url}" if is_elsewhere(session) else ""
    return session, Finding("Mode", "ok", f"{mode_text(session)}{where}")


def is_elsewhere(session: Session) -> bool:
    """Whether another server than the service's own is asked."""
    return session.settings.api_url != API_URL


def find_place(session: Session | None) -> Path | None:
    """The folder of clips; None where its own setting is wrong.

    Args:
        session: None where some setting is wrong; the folder is what it is nevertheless.
    """
    if session is not None:
        return session.settings.folder
    try:
        rest = settings.resolve(
            mode="emulator",
            emulator_seconds=1.0,
            api_url=API_URL,
            upload_url=UPLOAD_URL,
        )
    except ConfigurationError:
        return None
    return rest.folder


def check_callbacks(session: Session) -> Finding:
    """Whether the service's notifications are heard here; nobody has to hear them."""
    url = session.callback_urls.url
    said = f"heard at {url}" if url else "nobody listens; the service is asked (`%kling listen`)"
    return Finding("Callbacks", "ok", said)


def check_service(session: Session, patience_s: float = PATIENCE_S) -> Finding:
    """Ask for the balance, which needs the key and costs nothing.

    Args:
        session: Asks.
        patience_s: How long an answer is waited for.
    """
    answer = answer_of(session.balance, patience_s)
    if answer is None:
        said = f"no answer in {patience_s:g} s"
        return Finding("Service", "bad", said, fix_of(session, Unreachable()))
    if isinstance(answer, KlingError):
        is_own = session.emulator is not None and isinstance(answer, Unreachable)
        said = "the emulator broke off" if is_own else str(answer)
        return Finding("Service", "bad", said, fix_of(session, answer))
    return judge_balance(session, answer)


def fix_of(session: Session, error: KlingError) -> str:
    """What to do about it; empty where the error says that itself."""
    if session.emulator is not None and isinstance(error, Unreachable):
        return OWN_EMULATOR
    if isinstance(error, Unauthorized) and is_elsewhere(session):
        url = session.settings.api_url
        return f"{url} is asked and not kie.ai: give its key, or take KLING_NB_API_URL away."
    return next((fix for kind, fix in FIXES if isinstance(error, kind)), "")


def answer_of(ask: Callable[[], float], patience_s: float) -> float | KlingError | None:
    """What comes of a question; None where nothing has come in time."""
    answers: queue.SimpleQueue[float | KlingError] = queue.SimpleQueue()

    def work() -> None:
        try:
            answers.put(ask())
        except KlingError as error:
            answers.put(error)

    # A daemon: a service that never answers keeps no program from its end.
    threading.Thread(target=work, daemon=True).start()
    try:
        return answers.get(timeout=patience_s)
    except queue.Empty:
        return None


def judge_balance(session: Session, balance: float) -> Finding:
    key = "it takes the key, " if session.service == "live" else "emulated, "
    said = f"{key}balance {price_words(balance)}"
    offers = [offer_of(spec) for spec in CATALOGUE.values()]
    least = min(each.credits for each in offers if each.credits is not None and not each.per_s_of)
    if balance < least:
        fix = f"The cheapest clip costs {price_words(least)}. Add credits at kie.ai."
        return Finding("Service", "warn", said, fix)
    return Finding("Service", "ok", said)
