"""The pages that show a gallery: the filter of each, and its numbers of clips as clips change."""

from __future__ import annotations

from dataclasses import dataclass

from kling_nb.storage.clip_events import ClipChange
from kling_nb.storage.clip_search import ClipFilter, fits, is_kept
from kling_nb.storage.job_record import JobRecord

from .html.gallery import format_count

MOST_VIEWS = 16
"""A page that was reloaded does not say that its view is gone, so older ones are dropped."""


@dataclass(slots=True)
class View:
    """One page with a list of clips.

    A change is counted without a query: the work does not grow with the number of clips.
    """

    wanted: ClipFilter
    """Its filter."""
    listed: dict[str, JobRecord]
    """The clips that were sent to it, by job."""
    matching: int
    kept: int
    """The numbers of clips; see `ClipPage`."""
    stamp: str
    """The folder and its `Ledger.file_stamp` before the clips were read."""

    @property
    def heading(self) -> str:
        """Return the numbers of clips in words."""
        return format_count(self.matching, self.matching, self.kept)

    def count(self, change: ClipChange) -> bool:
        """Count a change, and return whether the changed clip matches the filter."""
        # The list may have the change already: it may have been read between commit and report.
        before, after = self.listed.get(change.after.id, change.before), change.after
        is_match = fits(after, self.wanted)
        self.matching += is_match - fits(before, self.wanted)
        self.kept += is_kept(after, self.wanted) - is_kept(before, self.wanted)
        self.listed[after.id] = after
        return is_match


class Views:
    """The views of one gallery."""

    def __init__(self) -> None:
        self._views: dict[str, View] = {}

    def __bool__(self) -> bool:
        return bool(self._views)

    def find(self, name: object) -> View | None:
        """Return the view with a name that a page chose."""
        return self._views.get(name) if isinstance(name, str) else None

    def add(self, name: object, view: View) -> None:
        """Add a view, or replace the one with this name; ignore another type of name."""
        if not isinstance(name, str):
            return
        self.remove(name)
        self._views[name] = view
        for oldest in list(self._views)[:-MOST_VIEWS]:
            del self._views[oldest]

    def remove(self, name: object) -> None:
        """Remove a view."""
        if isinstance(name, str):
            self._views.pop(name, None)

    def count(self, change: ClipChange) -> dict[str, dict[str, object]]:
        """Count a change in each view; return what it changes there, by name."""
        return {
            name: {"fits": view.count(change), "matching": view.matching, "heading": view.heading}
            for name, view in self._views.items()
        }
