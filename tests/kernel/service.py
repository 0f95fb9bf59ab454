"""The served emulator as kernels meet it: where it is, how long it takes, what has arrived."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kling_nb.emulator import EmulatedAccount
from tests.support.service import CREATE, RECORD, serve

__all__ = ["Service", "open_service"]


@dataclass(frozen=True, slots=True)
class Service:
    """An emulator whose account outlive any kernel."""

    url: str
    account: EmulatedAccount
    seconds: float
    """How long a clip takes."""

    def settings(self) -> dict[str, object]:
        """The variables that lead a kernel here."""
        return {
            "KLING_NB_MODE": "emulator",
            "KLING_NB_API_URL": self.url,
            "KLING_NB_UPLOAD_URL": self.url,
            "KLING_NB_EMULATOR_SECONDS": self.seconds,
        }

    @property
    def creations(self) -> int:
        """How many requests for a new task have arrived."""
        return self.account.requests(CREATE)

    @property
    def questions(self) -> int:
        """How many questions about tasks have arrived."""
        return self.account.requests(RECORD)


@contextmanager
def open_service(folder: Path, seconds: float) -> Iterator[Service]:
    """Serve an emulator until the block is left."""
    with serve(folder, "--seconds", str(seconds)) as served:
        yield Service(served.url, served.account, seconds)
