"""The panel: a form for a model, its price, and below it the clips made with it.

`widgets` are the controls; `fields`, `file_field` and `records_field` connect them to parameters;
`form` combines and validates them; `header` is title, model and price; `results` are the cards;
`saved_view` is the part saved in the notebook. `panel` connects them to a session. No module names
a parameter.
"""

from __future__ import annotations

__all__: list[str] = []
