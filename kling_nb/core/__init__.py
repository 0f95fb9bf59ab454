"""Values and rules for all packages: errors, job states, money, budgets, formatting.

Must not depend on models, the service, users' files or notebooks. Standard library only, and pure,
except for `files`, `forks` and `console`, which contain the rules of the operating system.

Read first: `job_state` (the states of a job), `errors` (the exceptions), `poll_schedule`.

    from kling_nb.core.job_state import Stage
"""

from __future__ import annotations

__all__: list[str] = []
