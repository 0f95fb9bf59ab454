"""Webhooks over HTTP: receive callbacks in a server of the kernel's, or in Jupyter's.

A callback is stored before it is answered, and only makes the kernel ask the service. Must not know
cards or commands.

Read first: `listen` (the public function), `receive` (judging a request), `worker` (acting on it).

    from kling_nb.callbacks.listen import listen
"""

from __future__ import annotations

__all__: list[str] = []
