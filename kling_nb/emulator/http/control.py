"""Control of a served emulator: what a test or a lesson may ask and change from outside.

Served on this machine only, never under the service's own host names.
"""

from __future__ import annotations

import dataclasses

from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from kling_nb.emulator.account.account import Books
from kling_nb.emulator.account.callback_queue import Outbox

from .routes import Call, route

__all__ = ["Control"]


class Control:
    """The endpoints below `/emulator/`."""

    def __init__(self, books: Books) -> None:
        """Show and change these books."""
        self.books = books

    def routes(self) -> list[BaseRoute]:
        """The control paths."""
        return [
            route("/emulator/books", "GET", self.show_books),
            route("/emulator/faults", "POST", self.add_fault),
        ]

    def show_books(self, _call: Call) -> Response:
        """Counts, balance, leaks, waiting faults and callbacks as JSON."""
        return JSONResponse(
            {
                "tasks": self.books.count_tasks(),
                "balance": self.books.balance(),
                "requests": self.books.all_requests(),
                "leaks": self.books.leaks(),
                "faults": [dataclasses.asdict(fault) for fault in self.books.faults()],
                "callbacks": [dataclasses.asdict(post) for post in Outbox(self.books).posts()],
            }
        )

    def add_fault(self, call: Call) -> Response:
        """Inject a fault: `{"name": …, "times": 1, "argument": ""}`."""
        body = call.json()
        wish = body if isinstance(body, dict) else {}
        try:
            self.books.inject(
                str(wish.get("name", "")),
                times=int(wish.get("times", 1)),
                argument=str(wish.get("argument", "")),
            )
        except (TypeError, ValueError) as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        return self.show_books(call)
