"""The parts that the jobs of one session share. `session` creates them once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from kling_nb.kie.client import Client
from kling_nb.kie.http import Downloader
from kling_nb.storage.ledger import Ledger

from .balance_watch import BalanceWatcher
from .callback_urls import CallbackUrls
from .other_folders import OtherFolders
from .upload_inputs import InputUploader


@dataclass(frozen=True, slots=True)
class Context:
    """What every job of a session works with."""

    service: str
    """`live` or `emulator`."""
    client: Client
    clips: Downloader
    """Downloads results."""
    inputs: Downloader
    """Downloads inputs that the user gives as a URL."""
    ledger: Ledger
    other_folders: OtherFolders
    uploads: InputUploader
    balance_watch: BalanceWatcher
    callback_urls: CallbackUrls
    notebook: Callable[[], str]
    """Returns the path of the notebook from the parent of the clip folder; empty if unknown."""
    now: Callable[[], datetime]
    """Returns the time, aware."""
    sleep: Callable[[float], Awaitable[None]]
    verifying: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    """Limits how many clips are verified at once: a 1080p clip needs 50 MB and one CPU."""
