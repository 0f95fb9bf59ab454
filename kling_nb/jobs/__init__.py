"""The engine: prepare, submit, poll and download; recovery, takes, sessions and settings.

Owns what happens to a request from a cell to a saved clip. Must not know HTML or IPython: `display`
observes jobs, and sets the renderer in `mimebundle`.

Read first: `session` (what programs call), `registry` (the jobs of a session), `poller`.

    from kling_nb.jobs.session import Session
"""

from __future__ import annotations

__all__: list[str] = []
