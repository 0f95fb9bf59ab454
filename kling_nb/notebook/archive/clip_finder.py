"""Find the clip files of a notebook's cards by hash, in the ledger and the folders of clips.

Compares the metadata of a card with the ledger and the files. Moves and deletes nothing; a clip
that exists only in a notebook is saved to the folder of clips.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final

from kling_nb.core.errors import InvalidInput, LedgerError
from kling_nb.core.files import create_file, is_plain, make_folder, new_file, open_plain
from kling_nb.core.formatting import visible
from kling_nb.display.cards.metadata import CardMetadata, bare_fingerprint
from kling_nb.storage import JobRecord, Ledger

__all__ = ["CLIP_BYTES", "ClipFinder", "clip_name", "sha256_of", "size_of"]

CLIP_BYTES: Final = 2_000_000_000
"""Largest size of a clip; a download stops there too."""


class ClipFinder:
    """Where the clips of a notebook are looked for.

    Args:
        ledger: Of the folder that clips are put into.
        others: More folders with clips.
    """

    def __init__(self, ledger: Ledger, others: Sequence[Path] = ()) -> None:
        self._ledger = ledger
        self._folders = tuple(dict.fromkeys([ledger.folder, *others]))
        self._hashes: dict[Path, str] = {}

    def row(self, receipt: CardMetadata, prompt: str = "") -> JobRecord | None:
        """The ledger's row of a card, if it has a clip; ids of another folder are told apart.

        An id is no evidence: a card shows that it is of the same job by its fingerprint, by the
        clip's hash or, where it was saved before there were records, by the prompt.

        Args:
            receipt: What the card records.
            prompt: As the card shows it.
        """
        row = self._named(receipt)
        if row is None or row.clip is None:
            return None
        if receipt.fingerprint:
            is_same = bare_fingerprint(receipt.fingerprint) == bare_fingerprint(row.fingerprint)
            return row if is_same else None
        if receipt.sha256:
            return row if receipt.sha256 == row.clip.sha256 else None
        shown = visible(row.prompt).strip()
        return row if shown and shown == prompt else None

    def is_unproven(self, receipt: CardMetadata, prompt: str = "") -> bool:
        """Whether a card only has the id of a job here, and shows by nothing that it is that."""
        is_silent = not receipt.fingerprint and not receipt.sha256
        return is_silent and bool(self._named(receipt)) and not self.row(receipt, prompt)

    def find(self, receipt: CardMetadata, row: JobRecord | None) -> Path | None:
        """The file of a card's clip: the bytes that the card, or else the ledger, names by hash."""
        sha256, size_bytes = sha256_of(receipt, row), size_of(receipt, row)
        for path in self._candidates(receipt, row, size_bytes):
            is_alike = path.is_file() and path.stat().st_size == size_bytes
            # What was saved before hashes were kept is known by its name and size alone.
            if is_alike and (not sha256 or self._hash(path) == sha256):
                return path
        return None

    def put(self, name: str, content: bytes) -> tuple[Path, bool]:
        """Keep a clip that a notebook holds; whatever has its name already stays as it is.

        Returns:
            The file, and whether it was made now; it was not where these very bytes lay there.

        Raises:
            InvalidInput: The folder cannot be written to.
        """
        folder, digest = self._ledger.folder, hashlib.sha256(content).hexdigest()
        try:
            make_folder(folder)
            for place in _names(folder / name, digest):
                if is_plain(place, len(content)) and _digest(place) == digest:
                    return place, False
                if _write_new(place, content):
                    return place, True
        except OSError as error:
            given = f"{folder} cannot be written to ({error.strerror})"
            raise InvalidInput.of("folder", given, "make room: the clip is kept there") from None
        raise AssertionError("unreachable: there is always one more name")

    def _named(self, receipt: CardMetadata) -> JobRecord | None:
        """The row of that very id, if it has a clip."""
        try:
            row = self._ledger.row(receipt.id)
        except LedgerError:
            return None
        return row if row.id == receipt.id and row.clip else None

    def _candidates(
        self, receipt: CardMetadata, row: JobRecord | None, size_bytes: int
    ) -> Iterator[Path]:
        """Where the file may be, the likely places first; for a hash also under other names."""
        if row and row.clip:
            yield Path(row.clip.path)
        name = clip_name(receipt, row)
        if name:
            yield from (folder / name for folder in self._folders)
        if size_bytes and sha256_of(receipt, row):
            for folder in self._folders:
                yield from sorted(folder.glob("*.mp4"))

    def _hash(self, path: Path) -> str:
        if path not in self._hashes:
            self._hashes[path] = _digest(path)
        return self._hashes[path]


def sha256_of(receipt: CardMetadata, row: JobRecord | None) -> str:
    """The hash of a card's clip; empty where it was saved before hashes were kept.

    The card's own goes first: the ledger's clip may have been fetched again since, and be another.
    """
    return receipt.sha256 or (row.clip.sha256 if row and row.clip else "")


def size_of(receipt: CardMetadata, row: JobRecord | None) -> int:
    """The size of a card's clip in bytes; 0 where nobody knows it."""
    return receipt.size_bytes or (row.clip.size_bytes if row and row.clip else 0)


def clip_name(receipt: CardMetadata, row: JobRecord | None) -> str:
    """The name of a card's clip; empty where nobody knows it."""
    return receipt.file or (Path(row.clip.path).name if row and row.clip else "")


def _names(place: Path, digest: str) -> Iterator[Path]:
    """The names that a file may get, best first."""
    yield place
    for number in count(1):
        again = "" if number == 1 else f"-{number}"
        yield place.with_stem(f"{place.stem}-{digest[:8]}{again}")


def _write_new(place: Path, content: bytes) -> bool:
    """Write a file whole, unless anything has its name."""
    try:
        create_file(place).close()  # the name is ours from here on, in every process
    except FileExistsError:
        return False
    part = place.with_name(f"{place.name}.part")  # not that of a download
    try:
        with new_file(part) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(place)
    except BaseException:
        for made in (part, place):
            with suppress(OSError):
                made.unlink()
        raise
    return True


def _digest(path: Path) -> str:
    with open_plain(path, CLIP_BYTES) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
