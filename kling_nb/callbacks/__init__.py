"""Webhooks over HTTP: receive callbacks in a server in the kernel, or in Jupyter Server.

A callback is stored before it is answered. Its content is not trusted: it only makes the kernel
poll the service. Must not depend on cards or commands.

Read first: `listen` (the public function), `handler` (answers requests in both servers), `worker`
(processes stored callbacks).

    from kling_nb.callbacks.listen import listen
"""

from __future__ import annotations

__all__: list[str] = []
