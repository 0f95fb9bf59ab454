"""The write-ahead ledger of one folder and the user-wide files beside it; the only user of sqlite3.

`job_record` has the values, `database` is the file, `migrations` make its tables, `session_lock`
tells living sessions from dead ones, `id_slots` keep task ids that the file cannot take, `spending`
holds budgets, `task_matching` finds the row of a task, `callback_store` keeps callbacks,
`upload_cache` remembers uploads, `user_index` knows what was paid across folders. Must not know the
service, a picture or a notebook, and no key is ever given to it.

Read first: `ledger`, `job_record`, `jobs_table`.

    from kling_nb.storage import Ledger
"""

from __future__ import annotations

from .callback_store import CallbackStore, StoredCallback
from .inspect import look_up
from .job_record import Intent, JobRecord
from .ledger import Ledger
from .spending import Accounts
from .upload_cache import Uploads

__all__ = [
    "Accounts",
    "CallbackStore",
    "Intent",
    "JobRecord",
    "Ledger",
    "StoredCallback",
    "Uploads",
    "look_up",
]
