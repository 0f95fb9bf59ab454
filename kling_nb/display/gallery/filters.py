"""Filter the clips of the gallery: by text, by model, starred only, with hidden clips.

Pure: ledger rows in, ledger rows out. The page sends a selection as a plain mapping.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from kling_nb.storage import JobRecord

__all__ = ["Selection", "parse_selection"]


@dataclass(frozen=True, slots=True)
class Selection:
    """A filter for the clips of a folder."""

    words: str = ""
    """Each must be in the prompt, model, file name, job id, or `emulated`."""
    model: str = ""
    """Name of the model; empty for all."""
    starred: bool = False
    """Only starred clips."""
    hidden: bool = False
    """Hidden clips, too."""

    def matches(self, row: JobRecord) -> bool:
        """Whether a clip matches."""
        if (row.hidden and not self.hidden) or (self.starred and not row.starred):
            return False
        if self.model not in ("", row.model):
            return False
        file = PurePath(row.clip.path).name if row.clip else ""
        mode = "emulated" if row.service == "emulator" else ""
        text = f"{row.values.get('prompt', '')} {row.model} {file} {row.id} {mode}".casefold()
        return all(word in text for word in self.words.casefold().split())

    def apply(self, rows: Sequence[JobRecord]) -> list[JobRecord]:
        """Return the rows that match, in order."""
        return [row for row in rows if self.matches(row)]


def parse_selection(sent: Mapping[str, object]) -> Selection:
    """Parse the filter of a page; values of another type are ignored."""
    words, model = sent.get("words"), sent.get("model")
    return Selection(
        words=words if isinstance(words, str) else "",
        model=model if isinstance(model, str) else "",
        starred=sent.get("starred") is True,
        hidden=sent.get("hidden") is True,
    )
