"""The ledger of one folder: what was intended, sent, accepted and saved, who owns it, what it cost.

`records` are the values, `database` is the file, `owners` are the locks that tell the living from
the dead, `ledger` puts them together. Nothing here knows the service, a picture or a notebook,
and no key is ever given to it.
"""

from __future__ import annotations

from .ledger import Ledger
from .records import Intent, Row, Spent

__all__ = ["Intent", "Ledger", "Row", "Spent"]
