"""A stand-in for kie.ai: the same paths, envelopes, states, prices and failures, no money.

It follows the API's documentation and imports nothing else of this package, so that a mistake
of the client is not repeated here. Clips are rendered only when asked for; Pillow and PyAV are
loaded then.
"""

from __future__ import annotations

from kling_nb.emulator.books import Books, InjectedFault
from kling_nb.emulator.emulator import Emulator
from kling_nb.emulator.faults import KNOWN_FAULTS
from kling_nb.emulator.tasks import Task
from kling_nb.emulator.terms import UNLIMITED, Terms

__all__ = [
    "KNOWN_FAULTS",
    "UNLIMITED",
    "Books",
    "Emulator",
    "InjectedFault",
    "Task",
    "Terms",
]
