"""The language of a request: parameters, rules, prices, validation and `%%kling` cell text.

Pure: nothing here does I/O. Each hosted model is a literal in `catalog`.
"""

from __future__ import annotations

__all__: list[str] = []
