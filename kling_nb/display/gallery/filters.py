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
    """What to show of the clips of a folder."""

    words: str = ""
    """Each of them is in the prompt, the model, the file's name, the job's id, or `emulated`."""
    model: str = ""
    """The service's name of it; empty for all."""
    starred: bool = False
    """Only these."""
    hidden: bool = False
    """These too."""

    def admits(self, row: JobRecord) -> bool:
        """Whether a clip is shown."""
        if (row.hidden and not self.hidden) or (self.starred and not row.starred):
            return False
        if self.model not in ("", row.model):
            return False
        file = PurePath(row.clip.path).name if row.clip else ""
        mode = "emulated" if row.service == "emulator" else ""
        text = f"{row.values.get('prompt', '')} {row.model} {file} {row.id} {mode}".casefold()
        return all(word in text for word in self.words.casefold().split())

    def of(self, rows: Sequence[JobRecord]) -> list[JobRecord]:
        """The rows that are shown, in their order."""
        return [row for row in rows if self.admits(row)]


def parse_selection(sent: Mapping[str, object]) -> Selection:
    """What a page asks for; whatever is not of the right type counts as not asked for."""
    words, model = sent.get("words"), sent.get("model")
    return Selection(
        words=words if isinstance(words, str) else "",
        model=model if isinstance(model, str) else "",
        starred=sent.get("starred") is True,
        hidden=sent.get("hidden") is True,
    )
