"""A kernel that may be killed at any instant.

Owns a process and its channels. Must not know what is run in it.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jupyter_client.manager import start_new_kernel

__all__ = ["Mortal", "Reply"]

GLANCE_S = 0.05


@dataclass(frozen=True, slots=True)
class Reply:
    """How a cell ended."""

    ok: bool
    text: str
    """The error's words; empty where all went well."""


class Mortal:
    """A kernel at work in a folder.

    Args:
        folder: Its working directory.
        env: Its environment.
    """

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.manager, self.client = start_new_kernel(
            kernel_name="python3",
            cwd=str(folder),
            env=dict(env),
            # With a full disk the history would fail first, and loudest.
            extra_arguments=["--HistoryManager.enabled=False"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.pid = int(getattr(self.manager.provisioner, "pid"))  # noqa: B009 - of local ones only

    @property
    def lives(self) -> bool:
        """Whether the process is there."""
        return bool(self.manager.is_alive())

    def send(self, cell: str) -> str:
        """Run a cell as an interactive front end does; gives the id of the request."""
        return str(self.client.execute(cell, allow_stdin=True, stop_on_error=False))

    def reply(self, request: str, patience_s: float) -> Reply | None:
        """How the cell ended; None if it has not, or the kernel has died."""
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            try:
                message = self.client.get_shell_msg(timeout=GLANCE_S)
            except queue.Empty:
                if not self.lives:
                    return None
                continue
            if message["parent_header"].get("msg_id") == request:
                return read_reply(message["content"])
        return None

    def do(self, cell: str, patience_s: float) -> Reply | None:
        """Run a cell to its end."""
        return self.reply(self.send(cell), patience_s)

    def kill(self) -> None:
        """`kill -9`, and bury what is left; nothing happens to one that is dead."""
        if self.lives:
            os.kill(self.pid, signal.SIGKILL)
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def read_reply(content: Mapping[str, object]) -> Reply:
    """The reply in a message."""
    if content["status"] == "ok":
        return Reply(ok=True, text="")
    return Reply(ok=False, text=f"{content.get('ename')}: {content.get('evalue')}")
