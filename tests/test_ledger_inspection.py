"""A ledger's file is told sound or damaged, and is left as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from kling_nb.errors import LedgerError
from kling_nb.ledger import Ledger, inspect


@pytest.fixture
def file(ledger: Ledger, tmp_path: Path) -> Path:
    """The file of a ledger with its tables."""
    ledger.open()
    ledger.close()
    return tmp_path / "ledger.sqlite3"


def test_a_sound_ledger_has_no_damage(file: Path) -> None:
    """And the file is the same byte for byte."""
    before = file.read_bytes()
    assert inspect(file.parent) == []
    assert file.read_bytes() == before


def test_damage_is_told(file: Path) -> None:
    """Pages that were overwritten are found, whether or not the file can still be opened."""
    data = bytearray(file.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    file.write_bytes(data)
    try:
        told = " ".join(inspect(file.parent))
    except LedgerError as error:
        told = str(error)
    assert told


def test_what_is_no_ledger_says_what_to_do(file: Path) -> None:
    """Another file under that name."""
    file.write_bytes(b"this is not a database, however long it is" * 100)
    with pytest.raises(LedgerError, match="move this one away"):
        inspect(file.parent)


def test_no_ledger_is_made(tmp_path: Path) -> None:
    """One in the place of a lost one would let everything be paid for again."""
    with pytest.raises(LedgerError):
        inspect(tmp_path)
    assert list(tmp_path.iterdir()) == []
