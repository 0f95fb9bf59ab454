"""The engine: prepare, submit, poll and download; recovery, takes, sessions and settings.

Handles a request from a cell to a saved clip. Must not depend on HTML or IPython: `display`
observes jobs, and the renderers are set in `mimebundle`.

Read first: `session` (the API for programs), `registry` (the jobs of a session), `poller`.

    from kling_nb.jobs.session import Session
"""

from __future__ import annotations

__all__: list[str] = []
