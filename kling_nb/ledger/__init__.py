"""The ledger of one folder: what was intended, sent, accepted and saved, who owns it, what it cost.

`records` are the values, `database` is the file, `owners` are the locks that tell the living from
the dead, `accounts` holds the budgets and counts what is spent, `ledger` puts them together;
`inspection` tells whether a file is sound. Nothing here knows the service, a picture or a
notebook's file, and no key is ever given to it.
"""

from __future__ import annotations

from .accounts import Accounts
from .inspection import inspect
from .ledger import Ledger
from .records import Intent, Row

__all__ = ["Accounts", "Intent", "Ledger", "Row", "inspect"]
