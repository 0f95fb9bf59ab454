"""`%%kling` and `%kling`: cell magics, commands, quotes, notebook files and the doctor.

Read first: `magics` (what `%load_ext` registers), `commands`, `archive/recover`.

    from kling_nb.notebook.magics import load
"""

from __future__ import annotations

__all__: list[str] = []
