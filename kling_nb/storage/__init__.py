"""The write-ahead ledger of one folder (SQLite), and the user-wide files beside it.

`job_record` defines the values, `database` opens the file, `migrations` creates its tables,
`session_lock` distinguishes live sessions from dead ones, `id_slots` saves task ids if the
database cannot be written, `spending` stores budgets, `task_matching` finds the row of a task,
`callback_store` stores callbacks, `upload_cache` has the URLs of uploads, `user_index` lists paid
requests across folders. Must not depend on the service, images or notebooks, and never receives a
key. The only user of sqlite3 besides the emulator and `kie/slots`.

Read first: `ledger`, `job_record`, `jobs_table`.

    from kling_nb.storage.ledger import Ledger
"""
