"""An emulator of kie.ai: the same paths, envelopes, states, prices and failures, at no cost.

It follows the API's documentation and imports no other package of `kling_nb`, so that it does not
repeat a mistake of the client. Only rendering loads Pillow and PyAV.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kling_nb.emulator.account.account import UNLIMITED, EmulatedAccount, Limits
from kling_nb.emulator.account.callback_queue import CallbackQueue
from kling_nb.emulator.account.callbacks import CallbackAttempt
from kling_nb.emulator.account.tasks import Task
from kling_nb.emulator.faults import KNOWN_FAULTS

if TYPE_CHECKING:
    from .emulator import Emulator

__all__ = [
    "KNOWN_FAULTS",
    "UNLIMITED",
    "CallbackAttempt",
    "CallbackQueue",
    "EmulatedAccount",
    "Emulator",
    "Limits",
    "Task",
]


def __getattr__(name: str) -> Any:
    if name == "Emulator":  # loads httpx
        from .emulator import Emulator

        return Emulator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
