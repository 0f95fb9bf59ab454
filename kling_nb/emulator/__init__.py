"""A stand-in for kie.ai: the same paths, envelopes, states, prices and failures, no money.

It follows the API's documentation and imports nothing else of this package, so that a mistake
of the client is not repeated here. Clips are rendered only when asked for; Pillow and PyAV are
loaded then.
"""

from __future__ import annotations

from kling_nb.emulator.account.account import Books
from kling_nb.emulator.account.callback_plan import Post
from kling_nb.emulator.account.callback_queue import Outbox
from kling_nb.emulator.account.limits import UNLIMITED, Terms
from kling_nb.emulator.account.tasks import Task
from kling_nb.emulator.faults.catalog import KNOWN_FAULTS
from kling_nb.emulator.faults.injection import InjectedFault

from .emulator import Emulator

__all__ = [
    "KNOWN_FAULTS",
    "UNLIMITED",
    "Books",
    "Emulator",
    "InjectedFault",
    "Outbox",
    "Post",
    "Task",
    "Terms",
]
