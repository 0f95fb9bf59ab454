"""The language of a request: parameters, rules, prices, validation and `%%kling` cell text.

Owns what a hosted model takes and costs; `catalog` has one `ModelSpec` literal for each. Pure: must
not know files, the service or the ledger.

Read first: `spec` (what a model is), `parameters` (kinds of values), `cell` (text of a cell).

    from kling_nb.models.catalog import CATALOGUE
"""

from __future__ import annotations

__all__: list[str] = []
