"""How things stand: what is installed, what shows it, whether clips play, the key and the disk.

`checks` look at this machine, `contents` at what the folder of clips holds, `notebook` at the
notebook's file; `service` asks for the balance, `page` asks the browser, `report` puts the findings
together and shows them. Nothing is changed anywhere, nothing is locked, and no key is ever shown.
"""

from __future__ import annotations

from .report import examine, show_report

__all__ = ["examine", "show_report"]
