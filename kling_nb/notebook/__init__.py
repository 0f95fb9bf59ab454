"""`%%kling` and `%kling`: cell magics, commands, quotes, notebook files and the doctor.

Read first: `extension` (what `%load_ext` registers), `magics`, `commands`, `archive/recover`.

    from kling_nb.notebook.extension import load
"""

from __future__ import annotations

__all__: list[str] = []
