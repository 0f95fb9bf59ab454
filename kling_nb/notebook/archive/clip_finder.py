"""Find the clip files of a notebook's cards by hash, in the ledger and the folders of clips.

Moves and deletes nothing; a clip that exists only in a notebook is saved to the folder of clips.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Final

from kling_nb.core.errors import InvalidInput, LedgerError
from kling_nb.core.files import create_file, is_plain, make_folder, new_file, open_plain
from kling_nb.core.formatting import replace_invisible
from kling_nb.display.cards.metadata import CardMetadata, bare_fingerprint
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger

CLIP_BYTES: Final = 2_000_000_000
"""Largest size of a clip; a download stops there too."""


class ClipFinder:
    """Finds the clips of a notebook's cards.

    Args:
        ledger: The ledger of the folder to which clips are saved.
        others: More folders with clips.
    """

    def __init__(self, ledger: Ledger, others: Sequence[Path] = ()) -> None:
        self._ledger = ledger
        self._folders = tuple(dict.fromkeys([ledger.folder, *others]))
        self._hashes: dict[Path, str] = {}

    def row(self, card: CardMetadata, prompt: str = "") -> JobRecord | None:
        """Return the ledger row of a card, if it has a clip.

        Another folder may have a job with the same id. So the fingerprint must match, or the
        clip's hash, or, in a card of a version without metadata, the prompt.

        Args:
            card: The metadata.
            prompt: As the card shows it.
        """
        row = self._row_by_id(card)
        if row is None or row.clip is None:
            return None
        if card.fingerprint:
            is_same = bare_fingerprint(card.fingerprint) == bare_fingerprint(row.fingerprint)
        elif card.sha256:
            is_same = card.sha256 == row.clip.sha256
        else:
            is_same = bool(prompt) and replace_invisible(row.prompt).strip() == prompt
        return row if is_same else None

    def is_unproven(self, card: CardMetadata, prompt: str = "") -> bool:
        """Return whether only the id of a card matches a job here."""
        has_no_proof = not card.fingerprint and not card.sha256
        return has_no_proof and bool(self._row_by_id(card)) and not self.row(card, prompt)

    def find(self, card: CardMetadata, row: JobRecord | None) -> Path | None:
        """Return the file of a card's clip, or None; see `with_clip` for the clip."""
        clip = with_clip(card, row)
        for path in self._candidates(clip, row):
            has_size = path.is_file() and path.stat().st_size == clip.size_bytes
            # Cards of earlier versions have no hash: then the name and the size decide.
            if has_size and (not clip.sha256 or self._hash(path) == clip.sha256):
                return path
        return None

    def put(self, name: str, content: bytes) -> tuple[Path, bool]:
        """Save a clip from a notebook to the folder of clips; overwrite nothing.

        Returns:
            The file, and whether it is new; a file with this content is used again.

        Raises:
            InvalidInput: The folder cannot be written to.
        """
        folder, digest = self._ledger.folder, hashlib.sha256(content).hexdigest()
        try:
            make_folder(folder)
            for path in _names(folder / name, digest):
                if is_plain(path, len(content)) and _digest(path) == digest:
                    return path, False
                if _write_new(path, content):
                    return path, True
        except OSError as error:
            value = f"{folder} cannot be written to ({error.strerror})"
            raise InvalidInput.of("folder", value, "free some space for the clips") from None
        raise AssertionError("unreachable: there is always one more name")

    def _row_by_id(self, card: CardMetadata) -> JobRecord | None:
        """Return the row with this id, if it has a clip."""
        try:
            row = self._ledger.row(card.id)
        except LedgerError:
            return None
        return row if row.id == card.id and row.clip else None

    def _candidates(self, clip: CardMetadata, row: JobRecord | None) -> Iterator[Path]:
        """Yield possible files, the most likely first; a hash is also looked for in all files."""
        if row and row.clip:
            yield Path(row.clip.path)
        if clip.file:
            yield from (folder / clip.file for folder in self._folders)
        if clip.size_bytes and clip.sha256:
            for folder in self._folders:
                yield from sorted(folder.glob("*.mp4"))

    def _hash(self, path: Path) -> str:
        if path not in self._hashes:
            self._hashes[path] = _digest(path)
        return self._hashes[path]


def with_clip(card: CardMetadata, row: JobRecord | None) -> CardMetadata:
    """Return the card with the name, hash and size of its clip, from its row if it has none.

    The card's own values win: the ledger's clip may be another one, downloaded again since.
    """
    if row is None or row.clip is None:
        return card
    return replace(
        card,
        file=card.file or Path(row.clip.path).name,
        sha256=card.sha256 or row.clip.sha256,
        size_bytes=card.size_bytes or row.clip.size_bytes,
    )


def _names(path: Path, digest: str) -> Iterator[Path]:
    """Yield the possible names of a file, the best first."""
    yield path
    for number in count(1):
        suffix = "" if number == 1 else f"-{number}"
        yield path.with_stem(f"{path.stem}-{digest[:8]}{suffix}")


def _write_new(path: Path, content: bytes) -> bool:
    """Write a whole file; return False if something has its name."""
    try:
        create_file(path).close()  # reserves the name for this process
    except FileExistsError:
        return False
    part = path.with_name(f"{path.name}.part")  # not the part file of a download
    try:
        with new_file(part) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        for made in (part, path):
            with suppress(OSError):
                made.unlink()
        raise
    return True


def _digest(path: Path) -> str:
    with open_plain(path, CLIP_BYTES) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
