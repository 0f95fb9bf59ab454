"""The panel: the form of a model, its price, and the clips it made below it.

`widgets` are the controls, `fields`, `file_field` and `records_field` tie them to parameters,
`form` puts them together and validates, `results` are the cards, `saved_view` is what stays in the
notebook. `panel` joins them to a session. It names no parameter.
"""

from __future__ import annotations

__all__: list[str] = []
