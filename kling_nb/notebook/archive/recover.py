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
from kling_nb.core.formatting import format_count
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
from kling_nb.storage.job_record import JobRecord

from .card_to_record import (
    CardEvidence,
    check_card,
    has_no_clip,
    is_proven,
    precedence_of,
    row_of,
)
from .clip_finder import CLIP_BYTES, ClipFinder
from .notebook_file import NOTEBOOK_BYTES, NotebookFile, current_notebook, text_of
from .redraw import whole_clip


@dataclass(slots=True)
class _Recovered:
    """What was recovered from one notebook."""

    notebook: Path
    recovered: list[JobRecord] = field(default_factory=list)
    """The new rows of the ledger."""
    known: list[str] = field(default_factory=list)
    """The ids of jobs that the ledger has already, or from another notebook."""
    failed: list[str] = field(default_factory=list)
    """Why a card or the notebook could not be recovered."""


def recover(*notebooks: str | Path) -> list[_Recovered]:
    """Rebuild the ledger of this folder from the cards of saved notebooks.

    Existing rows are never changed, so a second run changes nothing. Each job is recovered
    separately: if the disk is full halfway, the next run continues from there. Running the cells
    of recovered jobs again costs nothing.

    Args:
        notebooks: Paths, also with `*`; by default the current notebook.

    Returns:
        For each notebook the recovered and the known jobs, and the failures.

    Raises:
        InvalidInput: There is no such notebook, and nothing was recovered; or the folder cannot be
            written to, and the rest was not recovered.
        LedgerError: The ledger cannot be written to; the rest was not recovered.
    """
    recovery = _CardRecovery(default_session())
    for path in _paths([str(name) for name in notebooks]):
        recovery.read(path)
    return recovery.run()


def describe(done: Sequence[_Recovered]) -> list[str]:
    """Return a summary for people; the first line is a title."""
    rows = [row for each in done for row in each.recovered]
    lines = [
        f"{format_count(len(rows), 'job')} recovered from {format_count(len(done), 'notebook')}"
    ]
    lines += [_describe_notebook(each) for each in done]
    lines += [f"Failed: {reason}" for each in done for reason in each.failed]
    if any(row.stage in FOLLOWED for row in rows):
        lines.append("Missing clips are requested from the service: 0 credits; see `%kling jobs`.")
    if unknown := [row.id for row in rows if row.stage is Stage.UNKNOWN]:
        lines.append(
            f"May have been paid for: {', '.join(unknown)}. `%kling adopt TASK_ID ID` "
            "if the service lists the task, `%kling forget ID` if not."
        )
    if unproven := [row.id for row in rows if is_unproven(row.fingerprint)]:
        lines.append(
            f"For display only: {', '.join(unproven)}. Their requests cannot be confirmed, "
            "so running their cells again costs credits. To prevent that, put the input "
            "files of these cells beside the notebook and run `%kling recover` again."
        )
    if len(rows) > len(unproven):
        others = "their" if not unproven else "the other"
        lines.append(f"You can run {others} cells again for 0 credits; nothing is sent.")
    return lines


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate(CardEvidence):
    """A card that may become a row of the ledger."""

    section: html.Section
    source: _Recovered


class _CardRecovery:
    """Recovers several notebooks into one ledger."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._ledger = session.ledger
        self._finder = ClipFinder(session.ledger)
        self._now = datetime.now(UTC)
        self._done: list[_Recovered] = []
        self._candidates: list[_Candidate] = []

    def read(self, path: Path) -> None:
        """Find the cards of a notebook."""
        done = _Recovered(path)
        self._done.append(done)
        try:
            if path.is_symlink() and not is_plain(path, NOTEBOOK_BYTES):
                value = f"{str(path)!r} is a link to another folder, or to no notebook"
                raise InvalidInput.of("notebook", value, "give the path of the notebook itself")
            book = NotebookFile.read(path)
        except InvalidInput as error:
            done.failed.append(str(error))
            return
        name = name_notebook(book.path.resolve(), self._ledger.folder.resolve())
        for card, section in _cards(book):
            if reason := check_card(card):
                done.failed.append(reason)
            else:
                evidence = (card, section.prompt, name, book.saved_at)
                self._candidates.append(_Candidate(*evidence, section, done))

    def run(self) -> list[_Recovered]:
        """Recover the best card of each request, then the others, both the oldest first."""
        best: dict[str, _Candidate] = {}
        for each in sorted(self._candidates, key=lambda each: -precedence_of(each.card)):
            best.setdefault(each.card.fingerprint, each)
        self._candidates.sort(key=lambda each: (each not in best.values(), each.card.created_at))
        for candidate in self._candidates:
            self._recover(candidate)
        rows = [row for done in self._done for row in done.recovered]
        if any(row.stage in FOLLOWED and row.service == self._session.service for row in rows):
            self._session.resume()
        for done in self._done:
            new = {row.id for row in done.recovered}
            done.known[:] = [job_id for job_id in dict.fromkeys(done.known) if job_id not in new]
        return self._done

    def _recover(self, candidate: _Candidate) -> None:
        """Add a card to the ledger, and write its clip if the job is not known."""
        card = candidate.card
        proven = self._is_proven(candidate)
        known = self._ledger.blocking(card.fingerprint) or self._ledger.by_task(
            card.task_id, card.service
        )
        clip = None if known else self._clip(candidate)
        row = self._session.import_record(row_of(candidate, clip, self._now, is_proven=proven))
        if row is None:
            candidate.source.known.append(card.id)
        else:
            candidate.source.recovered.append(row)

    def _is_proven(self, candidate: _Candidate) -> bool:
        """Return whether the card belongs to its stated request: a notebook may be forged.

        The ledger has this job with that fingerprint, or the user's index knows that this folder
        has paid for that request, or the request that the cell states has that fingerprint.
        """
        card, folder = candidate.card, candidate.source.notebook.parent
        fingerprint = bare_fingerprint(card.fingerprint)
        if any(row.id == card.id for row in self._ledger.with_fingerprint(fingerprint)):
            return True  # a second row would duplicate the job
        if card.service == "live" and self._session.has_paid(fingerprint):
            return True
        return is_proven(candidate, lambda name: _source_hash(folder, name))

    def _clip(self, candidate: _Candidate) -> ClipFacts | None:
        """Return the clip of a card: its file in the folder, or one written from the notebook."""
        card = candidate.card
        path = self._finder.find(card, None) if card.state == "saved" else None
        for each in [path, *self._later_files(card)]:
            facts = _probe(each) if each else None
            if facts and card.sha256 in ("", facts.sha256):
                return facts
        return self._write(candidate)

    def _later_files(self, card: CardMetadata) -> list[Path]:
        """Return clips made after the notebook was saved: their names end in the job's id."""
        if has_no_clip(card):
            return []
        try:
            self._ledger.row(card.id)
        except LedgerError:
            return sorted(self._ledger.folder.glob(f"*-{card.id}.mp4"))
        return []  # the clip of another job with the same id

    def _write(self, candidate: _Candidate) -> ClipFacts | None:
        """Write the embedded clip of a card to a file, if it is the whole clip."""
        card = candidate.card
        content = whole_clip(candidate.section, card) if card.state == "saved" else b""
        if not content:
            return None
        path, is_new = self._finder.put(card.file or f"{card.id}.mp4", content)
        facts = _probe(path)
        if facts is None and is_new:
            path.unlink(missing_ok=True)
        return facts


def _cards(book: NotebookFile) -> Iterator[tuple[CardMetadata, html.Section]]:
    """Yield the metadata and the HTML of every card of a notebook."""
    for bundle in book.bundles():
        sections = {each.job_id: each for each in html.find_sections(text_of(bundle, "text/html"))}
        for card in read_card(bundle.get(CARD_MIME)):
            yield card, sections.get(card.id, html.Section("", card.id, ""))


def _paths(names: Sequence[str]) -> list[Path]:
    """Return the named notebooks without duplicates, in their order."""
    if not names:
        variables = getattr(get_ipython(), "user_ns", {})
        return [current_notebook(variables, os.environ)]
    found: list[Path] = []
    for name in names:
        path = os.path.expanduser(name)
        matches = [path] if os.path.isfile(path) else sorted(glob.glob(path, recursive=True))
        files = [Path(each) for each in matches if each.endswith(".ipynb")]
        if not files:
            value = f"no .ipynb file matches {name!r}"
            raise InvalidInput.of("notebook", value, "e.g. `%kling recover *.ipynb`")
        found += files
    return list(dict.fromkeys(found))


def _probe(path: Path) -> ClipFacts | None:
    try:
        return clips.probe_clip(path) if is_plain(path, CLIP_BYTES) else None
    except (MediaError, OSError):
        return None


def _source_hash(folder: Path, name: str) -> str:
    """Return the SHA-256 of a file in a cell, by the kernel's path; empty if there is none."""
    try:
        source = unwrap(name)
        if isinstance(source, bytes):
            return hashlib.sha256(source).hexdigest()
        with open_plain(folder / Path(str(source)).expanduser(), SOURCE_LIMIT_BYTES) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (MediaError, OSError, ValueError, RuntimeError):
        return ""


def _describe_notebook(done: _Recovered) -> str:
    stages = [str(row.stage) for row in done.recovered]
    kinds = ", ".join(f"{stages.count(stage)} {stage}" for stage in dict.fromkeys(stages))
    recovered = f"{format_count(len(stages), 'job')} recovered" + (f" ({kinds})" if kinds else "")
    return f"{done.notebook.name}: {recovered}, {len(done.known)} known, {len(done.failed)} failed"
