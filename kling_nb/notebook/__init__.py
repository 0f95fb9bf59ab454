"""`%%kling` and `%kling`: cell magics, commands, quotes, notebook files and the doctor."""

from __future__ import annotations

__all__: list[str] = []
