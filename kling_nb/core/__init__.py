"""Values and rules that every package needs: errors, job states, money, budgets, formatting.

Must not know models, the service, files of users or notebooks. Standard library only, and pure: the
exceptions are `files`, `forks` and `console`, which keep rules of the operating system in one
place.

Read first: `job_state` (what a job can be), `errors` (what can go wrong), `poll_schedule`.

    from kling_nb.core.job_state import Stage
"""

from __future__ import annotations

__all__: list[str] = []
