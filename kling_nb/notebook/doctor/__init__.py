"""The doctor: checks of installation, front end, playback, key, ledger and disk, each with a fix.

`environment` checks this machine, `folder` the folder of clips, `service` the balance, `browser`
the page; `report` collects and shows the findings, and `bug_report` writes them to a file. No check
changes or locks a file, or shows a key.
"""
