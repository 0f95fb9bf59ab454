"""The panel: the form that a `ModelSpec` describes, its price, and the clips it made below it.

`controls` are the widgets, `fields`, `media` and `rows` tie them to parameters, `form` puts them
together and judges them, `results` are the cards, `recents` are clips to start from, and
`keepsake` is what stays in the notebook. The panel joins them to a session. It names no parameter.
"""

from __future__ import annotations

__all__: list[str] = []
