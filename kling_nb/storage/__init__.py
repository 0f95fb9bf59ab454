"""The ledger of one folder: what was intended, sent, accepted and saved, who owns it, what it cost.

`records` are the values, `database` is the file and `migrations` its tables, `owners` are the locks
that tell the living from the dead, `id_slots` keep task ids that the file cannot take, `accounts`
holds the budgets and counts what is spent,
`adoptions` find the row that a task belongs to, `ledger` puts them together; `inspection` only
looks; `mailbox` keeps notifications for sessions, `uploads` where contents are.
Nothing here knows the service, a picture or a notebook's file, and no key is ever given to it.
"""

from __future__ import annotations

from .callback_store import Letter, Mailbox
from .inspect import look_up
from .job_record import Intent, Row
from .ledger import Ledger
from .spending import Accounts
from .upload_cache import Uploads

__all__ = [
    "Accounts",
    "Intent",
    "Ledger",
    "Letter",
    "Mailbox",
    "Row",
    "Uploads",
    "look_up",
]
