"""Injecting faults: what a wish for one means, and which fault meets the next request.

Owns the rows of waiting faults. Must not know what a fault does.
"""

from __future__ import annotations

import dataclasses
import difflib
import sqlite3
from typing import get_args

from .catalog import KNOWN_FAULTS, Fault
from .effects import Effect, Endpoint, Errand, Fate, Slow

__all__ = ["InjectedFault", "add_fault", "find_fault", "take_fault", "waiting_faults"]


@dataclasses.dataclass(frozen=True, slots=True)
class InjectedFault:
    """A fault that waits for its request."""

    name: str
    times_left: int
    argument: str

    @property
    def effect(self) -> Effect:
        """What it does, with the argument it was injected with."""
        fault = KNOWN_FAULTS[self.name]
        effect = fault.choices.get(self.argument, fault.effect)
        if isinstance(effect, Slow | Errand | Fate) and self.argument:
            return dataclasses.replace(effect, seconds=float(self.argument))
        return effect


def find_fault(name: str) -> Fault:
    """The fault of that name.

    Raises:
        ValueError: there is none; the message names the nearest.
    """
    if name in KNOWN_FAULTS:
        return KNOWN_FAULTS[name]
    nearest = difflib.get_close_matches(name, KNOWN_FAULTS, n=1, cutoff=0.0)[0]
    raise ValueError(
        f"fault: {name!r} is not known; nearest is {nearest!r}. Known: {', '.join(KNOWN_FAULTS)}"
    )


def endpoint_for(fault: Fault, argument: str) -> str:
    """The endpoint that a fault waits for when it is injected with that argument.

    Raises:
        ValueError: the argument means nothing to this fault.
    """
    if fault.name == "unreachable" and argument:
        if argument not in get_args(Endpoint):
            known = ", ".join(get_args(Endpoint))
            raise ValueError(f"argument: {argument!r} is no endpoint; use one of {known}")
        return argument
    if fault.choices and argument:
        if argument not in fault.choices:
            known = ", ".join(fault.choices)
            raise ValueError(f"argument: {argument!r} is unknown; use one of {known}")
        return fault.endpoint
    if takes_seconds(fault.effect) and argument:
        seconds = argument.replace(".", "", 1)
        if not seconds.isdecimal():
            raise ValueError(f"argument: {argument!r} is no number of seconds; try '2.5'")
    elif argument:
        raise ValueError(f"argument: {fault.name} takes none, but was given {argument!r}")
    return fault.endpoint


def takes_seconds(effect: Effect) -> bool:
    """Whether the effect may be given another length."""
    match effect:
        case Slow() | Errand(how="late") | Fate(ending="unseen"):
            return True
    return False


def add_fault(connection: sqlite3.Connection, name: str, times: int, argument: str) -> None:
    """Let the next `times` requests that match meet the fault.

    Raises:
        ValueError: no fault has that name, `times` is below 1, or the argument means nothing.
    """
    fault = find_fault(name)
    if times < 1:
        raise ValueError(f"times: {times} is not allowed; use 1 or more")
    connection.execute(
        "INSERT INTO faults (name, endpoint, times_left, argument) VALUES (?, ?, ?, ?)",
        (name, endpoint_for(fault, argument), times, argument),
    )


def waiting_faults(connection: sqlite3.Connection) -> list[InjectedFault]:
    """The faults that still wait, first injected first."""
    query = "SELECT name, times_left, argument FROM faults ORDER BY id"
    return [InjectedFault(*row) for row in connection.execute(query)]


def take_fault(connection: sqlite3.Connection, endpoint: Endpoint) -> InjectedFault | None:
    """Use up the oldest fault that waits for that endpoint."""
    query = "SELECT id, name, times_left, argument FROM faults WHERE endpoint = ? ORDER BY id"
    row = connection.execute(query, (endpoint,)).fetchone()
    if row is None:
        return None
    connection.execute("UPDATE faults SET times_left = times_left - 1 WHERE id = ?", (row["id"],))
    connection.execute("DELETE FROM faults WHERE times_left = 0")
    return InjectedFault(row["name"], row["times_left"] - 1, row["argument"])
