"""Values and rules that every part needs: errors, job states, money, budgets, formatting.

Standard library only. Apart from `files`, `forks` and `console`, which keep the operating system's
rules in one place, nothing here does I/O.
"""

from __future__ import annotations

__all__: list[str] = []
