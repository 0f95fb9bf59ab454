"""The language of a request: parameters, rules, prices, validation and `%%kling` cell text.

Defines the options and the prices of a hosted model; `catalog` has one `ModelSpec` literal for
each. Pure: must not depend on files, the service or the ledger.

Read first: `spec` (the description of a model), `parameters` (kinds of values), `cell` (text of a
cell).

    from kling_nb.models.catalog import CATALOGUE
"""

from __future__ import annotations

__all__: list[str] = []
