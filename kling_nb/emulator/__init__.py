"""An emulator of kie.ai: the same paths, envelopes, states, prices and failures, at no cost.

It follows the API's documentation and imports no other package of `kling_nb`, so that it does not
repeat a mistake of the client. Clips are rendered only on request; Pillow and PyAV are loaded
then.
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
