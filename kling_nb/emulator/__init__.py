"""A stand-in for kie.ai: the same paths, envelopes, states, prices and failures, no money.

It follows the API's documentation and imports nothing else of this package, so that a mistake
of the client is not repeated here. Clips are rendered only when asked for; Pillow and PyAV are
loaded then.
"""

from __future__ import annotations

from kling_nb.emulator.books import Books
from kling_nb.emulator.emulator import Emulator
from kling_nb.emulator.faults import KNOWN_FAULTS
from kling_nb.emulator.injection import InjectedFault
from kling_nb.emulator.letters import Post
from kling_nb.emulator.outbox import Outbox
from kling_nb.emulator.tasks import Task
from kling_nb.emulator.terms import UNLIMITED, Terms

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
