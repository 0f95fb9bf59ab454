"""Create the client of a session: over the network, or for an emulator in this process.

Builds it from settings. Must not depend on jobs or on the requests that the client sends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from kling_nb.core.rate_limits import NEW_TASKS, STATUS_REQUESTS, RateLimits
from kling_nb.core.secret import Key
from kling_nb.kie.client import Client
from kling_nb.kie.http import Downloader
from kling_nb.kie.http_log import HttpLog
from kling_nb.kie.network import Network, Transport
from kling_nb.kie.rate_limit import RateLimiter
from kling_nb.kie.slots import Account
from kling_nb.kie.urls import API_URL

from . import settings

if TYPE_CHECKING:
    from kling_nb.emulator import Emulator, Limits

_EMULATOR_KEY = "the-emulator-takes-any-key"


@dataclass(frozen=True, slots=True)
class Connection:
    """The connection of a session to the service."""

    client: Client
    clips: Downloader
    """Downloads results."""
    inputs: Downloader
    """Downloads inputs from URLs that the user gives, always over the network."""
    http_log: HttpLog
    """The last requests to the service and for results."""
    emulator: Emulator | None
    """The emulator in this process; None for another service."""


def connect(
    chosen: settings.Settings,
    transport: Transport | None,
    now: Callable[[], datetime],
    sleep: Callable[[float], Awaitable[None]],
) -> Connection:
    """Create the client and the downloaders for these settings.

    Args:
        chosen: The settings.
        transport: Replaces the network; None is the network, or in emulator mode the emulator.
        now: Returns the time, aware.
        sleep: Waits for the rate limits.

    Raises:
        ConfigurationError: In live mode, a proxy or the certificates of the environment are
            invalid.
    """
    network = Network()
    if chosen.mode == "live" and transport is None:
        network.check()
    emulator = None if transport else _emulator_for(chosen)
    transport = transport or (emulator.transport() if emulator else None)
    limits = emulator.account.limits if emulator else None
    log = HttpLog()
    client = Client(
        chosen.key or Key(_EMULATOR_KEY),
        api_url=chosen.api_url,
        upload_url=chosen.upload_url,
        transport=transport,
        rate_limiter=rate_limiter_of(chosen, limits, now, sleep),
        network=network,
        log=log,
    )
    clips = Downloader(transport=transport, network=network, log=log)
    return Connection(client, clips, Downloader(network=network), log, emulator)


def _emulator_for(chosen: settings.Settings) -> Emulator | None:
    """Return an emulator in this process, or None if the settings name another service."""
    if chosen.mode != "emulator" or chosen.api_url != API_URL:
        return None
    from kling_nb.emulator import Emulator, Limits

    folder, limits = chosen.folder / "emulator", chosen.rate_limits
    if limits == RateLimits():
        return Emulator(folder, seconds=chosen.emulator_seconds)
    own = Limits(
        tasks_per_window=limits.new_tasks.limit,
        task_window_s=limits.new_tasks.window_s,
        status_requests_per_window=limits.status_requests.limit,
        status_window_s=limits.status_requests.window_s,
    )
    return Emulator(folder, seconds=chosen.emulator_seconds, limits=own)


def account_of(chosen: settings.Settings) -> Account:
    """Return the account that the rate limits belong to; an emulator has one for all keys."""
    if chosen.mode == "live":
        return Account(chosen.api_url, chosen.key)
    is_served = chosen.api_url != API_URL
    return Account(chosen.api_url if is_served else str(chosen.folder))


def rate_limiter_of(
    chosen: settings.Settings,
    limits: Limits | None,
    now: Callable[[], datetime],
    sleep: Callable[[float], Awaitable[None]],
) -> RateLimiter:
    """Return the rate limiter of a session.

    Args:
        chosen: The settings.
        limits: Limits of an emulator in this process; None uses the limits of the settings.
        now: Returns the time, aware.
        sleep: Waits.
    """
    new_tasks, status_requests = chosen.rate_limits.new_tasks, chosen.rate_limits.status_requests
    if limits is not None:
        new_tasks = replace(NEW_TASKS, limit=limits.tasks_per_window, window_s=limits.task_window_s)
        status_requests = replace(
            STATUS_REQUESTS,
            limit=limits.status_requests_per_window,
            window_s=limits.status_window_s,
        )
    account = account_of(chosen)
    return RateLimiter(
        account, new_tasks, status_requests, clock=lambda: now().timestamp(), sleep=sleep
    )
