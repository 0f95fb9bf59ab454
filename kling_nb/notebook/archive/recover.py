"""Recover a lost ledger from the card metadata in saved notebooks.

For a lost disk or folder, if the notebooks were mailed, committed or backed up. Existing rows of
the ledger stay unchanged. A clip that is embedded as a whole is written to a file again; other
clips are requested from the service while it keeps them. Nothing here submits a request.
"""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from IPython.core.getipython import get_ipython

from kling_nb.core.budgets import name_notebook
from kling_nb.core.errors import InvalidInput, LedgerError, MediaError
from kling_nb.core.files import is_plain, open_plain
from kling_nb.core.formatting import counted
from kling_nb.core.job_state import FOLLOWED, ClipFacts, Stage
from kling_nb.display import html
from kling_nb.display.cards.metadata import (
    CARD_MIME,
    CardMetadata,
    bare_fingerprint,
    is_unproven,
    read_card,
)
from kling_nb.jobs.default_session import default_session
from kling_nb.jobs.session import Session
from kling_nb.media import clips
from kling_nb.media.unwrapping import SOURCE_LIMIT_BYTES, unwrap
from kling_nb.storage import JobRecord

from .card_to_record import CardEvidence, ended_without, fault_of, proves, row_of, weight_of
from .clip_finder import CLIP_BYTES, ClipFinder
from .notebook_file import NOTEBOOK_BYTES, NotebookFile, current_notebook, text_of
from .redraw import whole_clip

__all__ = ["Salvaged", "describe", "recover"]


@dataclass(slots=True)
class Salvaged:
    """What one notebook gave back."""

    notebook: Path
    recovered: list[JobRecord] = field(default_factory=list)
    """The rows that the ledger has from it now."""
    known: list[str] = field(default_factory=list)
    """The ids of jobs that the ledger had, or has from another notebook."""
    failed: list[str] = field(default_factory=list)
    """What could not be recovered, and why."""


def recover(*notebooks: str | Path) -> list[Salvaged]:
    """Rebuild the ledger of this folder from the cards of saved notebooks.

    What the ledger knows is never changed, so that a second time changes nothing. Each job is
    noted by itself: when the disk is full halfway, what was recovered until then stays, and the
    next time goes on from there. Running the cells of what was recovered costs nothing again.

    Args:
        notebooks: Paths, also with `*`; the current notebook where none is given.

    Returns:
        For each notebook what was recovered, known, and could not be.

    Raises:
        InvalidInput: No such notebook, and nothing was recovered; or the folder cannot be written
            to, and the rest was not.
        LedgerError: The ledger cannot be written to; the rest was not recovered.
    """
    done = _Salvage(default_session())
    for path in _paths([str(name) for name in notebooks]):
        done.read(path)
    return done.run()


def describe(done: Sequence[Salvaged]) -> list[str]:
    """What was done, in sentences for a person; the first is a title."""
    rows = [row for each in done for row in each.recovered]
    files = counted(len(done), "notebook")
    lines = [f"{counted(len(rows), 'job')} recovered from {files}"]
    lines += [_line(each) for each in done]
    lines += [f"Could not: {fault}" for each in done for fault in each.failed]
    if any(row.stage in FOLLOWED for row in rows):
        lines.append("The service is asked for what is not here: 0 credits. `%kling jobs` tells.")
    if lost := [row.id for row in rows if row.stage is Stage.UNKNOWN]:
        lines.append(
            f"Nobody knows whether these were paid: {', '.join(lost)}. `%kling adopt TASK_ID ID` "
            "if the service lists them, `%kling forget ID` if not."
        )
    if unproven := [row.id for row in rows if is_unproven(row.fingerprint)]:
        lines.append(
            f"For display only: {', '.join(unproven)}. Nothing here proves their requests, so "
            "their cells are paid for when they run again. To prevent that, put the input "
            "files of these cells beside the notebook and run `%kling recover` again."
        )
    if len(rows) > len(unproven):
        others = "their" if not unproven else "the other"
        lines.append(f"You can run {others} cells again for 0 credits; nothing is sent.")
    return lines


@dataclass(slots=True, eq=False)
class _Find:
    """A record that was found, where, and with which clip inside."""

    witness: CardEvidence
    section: html.Section
    source: Salvaged


class _Salvage:
    """Notebooks on their way into one ledger."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._ledger = session.ledger
        self._shelf = ClipFinder(session.ledger)
        self._now = datetime.now(UTC)
        self._done: list[Salvaged] = []
        self._finds: list[_Find] = []

    def read(self, path: Path) -> None:
        """Find the records of a notebook."""
        done = Salvaged(path)
        self._done.append(done)
        try:
            check_plain(path)
            book = NotebookFile.read(path)
        except InvalidInput as error:
            done.failed.append(str(error))
            return
        name = name_notebook(book.path.resolve(), self._ledger.folder.resolve())
        for receipt, section in _cards(book):
            if fault := fault_of(receipt):
                done.failed.append(fault)
            else:
                witness = CardEvidence(receipt, section.prompt, name, book.saved_at)
                self._finds.append(_Find(witness, section, done))

    def run(self) -> list[Salvaged]:
        """Bring in what is not known, the oldest first, and have the rest asked for."""
        best: dict[str, _Find] = {}
        for find in self._finds:
            known = best.setdefault(find.witness.receipt.fingerprint, find)
            if _weight(find) > _weight(known):
                best[find.witness.receipt.fingerprint] = find
        rest = [find for find in self._finds if find not in best.values()]
        for find in [*sorted(best.values(), key=_age), *sorted(rest, key=_age)]:
            self._bring(find)
        rows = [row for each in self._done for row in each.recovered]
        if any(row.stage in FOLLOWED and row.service == self._session.service for row in rows):
            self._session.resume()
        for each in self._done:
            each.known[:] = [
                job_id
                for job_id in dict.fromkeys(each.known)
                if job_id not in {row.id for row in each.recovered}
            ]
        return self._done

    def _bring(self, find: _Find) -> None:
        """One record into the ledger; no file is written for what is known."""
        receipt = find.witness.receipt
        is_proven = self._is_proven(find)
        known = self._ledger.blocking(receipt.fingerprint) or self._ledger.by_task(
            receipt.task_id, receipt.service
        )
        clip = None if known else self._clip(find)
        row = self._session.bring(row_of(find.witness, clip, self._now, is_proven=is_proven))
        if row is None:
            find.source.known.append(receipt.id)
        else:
            find.source.recovered.append(row)

    def _is_proven(self, find: _Find) -> bool:
        """Return whether the record belongs to its stated request: a notebook may be forged.

        The ledger has this job with that fingerprint, or the user's index knows that this folder
        has paid for that request, or the request that the cell states has that fingerprint.
        """
        receipt, folder = find.witness.receipt, find.source.notebook.parent
        name = bare_fingerprint(receipt.fingerprint)
        if any(row.id == receipt.id for row in self._ledger.of_request(name)):
            return True  # the ledger has the job: a second row would be its double
        is_live = receipt.service == "live"
        if is_live and self._session.has_paid(name):
            return True
        return proves(find.witness, lambda given: _source_hash(folder, given))

    def _clip(self, find: _Find) -> ClipFacts | None:
        """The clip of a record: its file in the folder, or one made from the notebook."""
        receipt = find.witness.receipt
        path = self._shelf.find(receipt, None) if receipt.state == "saved" else None
        for each in [path, *self._later_files(receipt)]:
            facts = _probed(each) if each else None
            if facts and receipt.sha256 in ("", facts.sha256):
                return facts
        return self._written(find)

    def _later_files(self, receipt: CardMetadata) -> list[Path]:
        """A clip that came after the notebook was saved: its name ends in the job's id."""
        if ended_without(receipt):
            return []
        try:
            self._ledger.row(receipt.id)
        except LedgerError:
            return sorted(self._ledger.folder.glob(f"*-{receipt.id}.mp4"))
        return []  # it is the clip of another job, which has the id by chance

    def _written(self, find: _Find) -> ClipFacts | None:
        receipt = find.witness.receipt
        content = whole_clip(find.section, receipt, None) if receipt.state == "saved" else b""
        if not content:
            return None
        path, is_new = self._shelf.put(receipt.file or f"{receipt.id}.mp4", content)
        facts = _probed(path)
        if facts is None and is_new:
            path.unlink(missing_ok=True)
        return facts


def _cards(book: NotebookFile) -> Iterator[tuple[CardMetadata, html.Section]]:
    """Every record of a notebook, with the card that it stands beside."""
    for data in book.bundles():
        sections = {each.job_id: each for each in html.find_sections(text_of(data, "text/html"))}
        for receipt in read_card(data.get(CARD_MIME)):
            yield receipt, sections.get(receipt.id, html.Section("", receipt.id, ""))


def _paths(names: Sequence[str]) -> list[Path]:
    """The notebooks that are named, each once, in their order."""
    if not names:
        variables = getattr(get_ipython(), "user_ns", {})
        return [current_notebook(variables, os.environ)]
    found: list[Path] = []
    for name in names:
        path = os.path.expanduser(name)
        matches = [path] if os.path.isfile(path) else sorted(glob.glob(path, recursive=True))
        files = [Path(each) for each in matches if each.endswith(".ipynb")]
        if not files:
            raise InvalidInput.of(
                "notebook", f"{name!r} names no .ipynb file", "e.g. `%kling recover *.ipynb`"
            )
        found += files
    return list(dict.fromkeys(found))


def check_plain(path: Path) -> None:
    """Check that a notebook is a file in its own folder; the reader checks its size.

    Raises:
        InvalidInput: It is a link that leads elsewhere.
    """
    if path.is_symlink() and not is_plain(path, NOTEBOOK_BYTES):
        given = f"{str(path)!r} is a link that does not point to a notebook in its own folder"
        raise InvalidInput.of("notebook", given, "give the path of the notebook itself")


def _probed(path: Path) -> ClipFacts | None:
    try:
        return clips.probe_clip(path) if is_plain(path, CLIP_BYTES) else None
    except (MediaError, OSError):
        return None


def _source_hash(folder: Path, name: str) -> str:
    """Return the SHA-256 of a file in a cell, by the kernel's path; empty if there is none."""
    try:
        named = unwrap(name)
        if isinstance(named, bytes):
            return hashlib.sha256(named).hexdigest()
        with open_plain(folder / Path(str(named)).expanduser(), SOURCE_LIMIT_BYTES) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (MediaError, OSError, ValueError, RuntimeError):
        return ""


def _weight(find: _Find) -> int:
    return weight_of(find.witness.receipt)


def _age(find: _Find) -> str:
    return find.witness.receipt.created_at


def _line(done: Salvaged) -> str:
    stages = [str(row.stage) for row in done.recovered]
    kinds = ", ".join(f"{stages.count(stage)} {stage}" for stage in dict.fromkeys(stages))
    parts = [f"{counted(len(stages), 'job')} recovered" + (f" ({kinds})" if kinds else "")]
    parts.append(f"{len(done.known)} known")
    return f"{done.notebook.name}: {', '.join(parts)}, {len(done.failed)} could not be"
