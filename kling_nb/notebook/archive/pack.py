"""Pack a notebook: write a copy with every clip embedded; slim replaces clips with posters.

A clip is a file with a known hash, so embedding or removing it never loses it: `pack` embeds whole
files, `slim` removes only clips that are in the folder of clips, or saves them there first.
Everything in the notebook except the cards stays unchanged.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

from IPython.core.getipython import get_ipython

from kling_nb.core.errors import InvalidInput
from kling_nb.core.formatting import byte_words, counted
from kling_nb.display import html
from kling_nb.display.cards.metadata import CARD_MIME, CardMetadata, Embedded, join_cards, read_card
from kling_nb.display.links import relative_link
from kling_nb.jobs.default_session import default_session
from kling_nb.jobs.settings import find_folder
from kling_nb.storage import JobRecord

from .clip_finder import ClipFinder, clip_name
from .notebook_file import NotebookFile, check_place, current_notebook, text_of
from .redraw import Amount, Replica, draw_replica, same_card, whole_clip

__all__ = ["Packed", "describe", "pack", "read_order", "slim"]

Verb = Literal["pack", "slim"]

_AMOUNTS: Final[dict[Verb, Amount]] = {"pack": "whole", "slim": "poster"}
_NAMES: Final = {"pack": "packed", "slim": "slim"}
_LARGEST_BYTES: Final = 500_000_000
"""What Jupyter takes as one notebook, and about as much as a browser holds as one text."""
_OPTIONS: Final = {"pack": ("--to", "--replace"), "slim": ("--to", "--in-place", "--replace")}


@dataclass(slots=True)
class Packed:
    """What was done to a notebook."""

    notebook: Path
    """The notebook as it was found on disk."""
    saved_at: datetime
    """When it was saved there: later changes are not in the copy."""
    path: Path
    """The notebook that was written."""
    size_before_bytes: int
    size_after_bytes: int = 0
    clips: list[str] = field(default_factory=list)
    """The clips that are now inside whole, or as posters."""
    previews: list[str] = field(default_factory=list)
    """Clips that are embedded as previews, since some browsers cannot play them."""
    widgets: int = 0
    """Number of widgets with a saved state that no output shows; `slim` has removed it."""
    missing: list[str] = field(default_factory=list)
    """The clips whose files are not there; their cards stay as they were."""
    restored: list[str] = field(default_factory=list)
    """The clips that were only in the notebook, and are files again."""
    unproven: list[str] = field(default_factory=list)
    """Jobs whose id a card has, and nothing shows that it is theirs; left as they were."""


@dataclass(frozen=True, slots=True)
class PackOptions:
    """What a command line asks for."""

    notebook: str = ""
    to: str = ""
    replace: bool = False
    in_place: bool = False


def pack(notebook: str | Path = "", *, to: str | Path = "", replace: bool = False) -> Packed:
    """Write a copy of a notebook with every saved clip inside, to be mailed or archived.

    Args:
        notebook: The notebook, as it is saved on disk; the current one where it is not given.
        to: Where the copy goes; `NAME.packed.ipynb` beside it where it is not given.
        replace: Overwrite a file that is there.

    Raises:
        InvalidInput: There is no such notebook, no card in it, a file in the way, or more than a
            browser can open.
    """
    book, target = _opened(notebook, to, "pack", replace=replace)
    return _Packing(book, target, "pack", replace=replace).run()


def slim(
    notebook: str | Path = "",
    *,
    to: str | Path = "",
    replace: bool = False,
    in_place: bool = False,
) -> Packed:
    """Write a copy of a notebook with posters in place of clips; the clips stay as files.

    A clip that is only in the notebook is first put into the folder of clips; what is not whole
    there and not on disk stays in the notebook.

    Args:
        notebook: The notebook, as it is saved on disk; the current one where it is not given.
        to: Where the copy goes; `NAME.slim.ipynb` beside it where it is not given.
        replace: Overwrite a file that is there.
        in_place: Change the notebook itself.

    Raises:
        InvalidInput: There is no such notebook, no card in it, or a file in the way.
    """
    if in_place and to:
        raise InvalidInput.of("to", repr(str(to)), "give either --to or --in-place")
    book, target = _opened(notebook, to, "slim", replace=replace or in_place, in_place=in_place)
    return _Packing(book, target, "slim", replace=replace or in_place).run()


def read_order(verb: Verb, words: Sequence[str]) -> PackOptions:
    """The words behind `%kling pack` or `%kling slim`.

    Raises:
        InvalidInput: There is a word too many, one too few, or an unknown option.
    """
    order, left = PackOptions(), list(words)
    while left:
        match left.pop(0):
            case "--to" if left:
                order = replace(order, to=left.pop(0))
            case "--replace":
                order = replace(order, replace=True)
            case "--in-place" if verb == "slim":
                order = replace(order, in_place=True)
            case word if word.startswith("-") or order.notebook:
                allowed = f"allowed: one notebook, {', '.join(_OPTIONS[verb])}; `--to` takes a file"
                raise InvalidInput.of(verb, repr(word), allowed)
            case word:
                order = replace(order, notebook=word)
    return order


def describe(verb: Verb, done: Packed) -> list[str]:
    """What was done, in sentences for a person; the first is a title."""
    saved = done.saved_at.astimezone()
    before, after = byte_words(done.size_before_bytes), byte_words(done.size_after_bytes)
    inside = "inside, whole" if verb == "pack" else "as posters; the clips are files"
    lines = [
        f"{done.path.name}: {counted(len(done.clips), 'clip')} {inside}",
        f"{before} before, {after} now",
        f"From {done.notebook.name} as it was saved on {saved.day} {saved:%B at %H:%M:%S}; "
        "what is not saved is not in it.",
    ]
    if done.previews:
        lines.append(
            "Some browsers cannot play these clips, so the notebook holds H.264 previews (or "
            f"posters). Send these files too: {', '.join(done.previews)}"
        )
    if done.widgets:
        lines.append(
            f"Removed the saved state of {counted(done.widgets, 'widget')} that no output shows"
        )
    if done.restored:
        lines.append(f"Only in the notebook, now files again: {', '.join(done.restored)}")
    if done.missing:
        lines.append(
            f"Not found as files, left as they were: {', '.join(done.missing)}. Running their "
            "cells again fetches them while the service has them: 0 credits."
        )
    if done.unproven:
        lines.append(
            f"Nothing in these cards shows that they are of the jobs here that have their ids: "
            f"{', '.join(done.unproven)}. They were left as they were; running their cells once, "
            "for 0 credits, says whose they are."
        )
    if done.path == done.notebook:
        lines.append("If it is open, load it from disk again before you save it.")
    return lines


class _Packing:
    """One notebook on its way from file to file."""

    def __init__(self, book: NotebookFile, target: Path, verb: Verb, *, replace: bool) -> None:
        self._book = book
        self._verb = verb
        self._replace = replace
        self._in_place = target == book.path
        ledger = default_session().ledger
        self._shelf = ClipFinder(ledger, [find_folder(book.path.parent)])
        self._done = Packed(book.path, book.saved_at, target, book.size_bytes)
        self._drawn_bytes = 0

    def run(self) -> Packed:
        """Redraw every card, write the notebook, tell what was done."""
        done = self._done
        for data in self._book.bundles():
            self._redraw(data)
        if self._verb == "slim":
            done.widgets = self._book.drop_unshown_widgets()
        for names in (done.clips, done.previews, done.missing, done.restored, done.unproven):
            names[:] = dict.fromkeys(names)
        if not (done.clips or done.previews or done.missing or done.unproven or done.widgets):
            given = f"{done.notebook.name} shows no clip of kling_nb, as it was saved"
            raise InvalidInput.of("notebook", given, "nothing was written; save it, or run it")
        done.size_after_bytes = self._book.write(done.path, replace=self._replace)
        return done

    def _redraw(self, data: dict[str, Any]) -> None:
        """The cards of one display; anything else is left as it is."""
        old = text_of(data, "text/html")
        sections = html.find_sections(old)
        if not sections:
            return
        known = {receipt.id: receipt for receipt in read_card(data.get(CARD_MIME))}
        drawn, new = [], old
        for section in sections:
            receipt = known.get(section.job_id, CardMetadata(section.job_id, state=section.state))
            drawn.append(self._drawn(section, receipt))
            new = new.replace(section.markup, drawn[-1].markup, 1)
        if not self._in_place:
            new = html.unplaced(new)
        data["text/html"] = new
        self._drawn_bytes += len(new)
        if self._verb == "pack" and self._drawn_bytes > _LARGEST_BYTES:
            given = f"{self._book.path.name} with its clips inside has more than 500 MB"
            allowed = (
                "nothing was written, as no browser opens that; split the notebook, or send "
                "`%kling slim`'s copy and the folder of clips"
            )
            raise InvalidInput.of("notebook", given, allowed)
        if CARD_MIME not in data:
            return  # the words may tell of more than cards
        data[CARD_MIME] = join_cards(*(each.record for each in drawn))
        if all(each.text for each in drawn):
            data["text/plain"] = "\n\n".join(each.text for each in drawn)

    def _drawn(self, section: html.Section, receipt: CardMetadata) -> Replica:
        """One card with its clip inside or with a poster; as it was where neither can be."""
        row = self._shelf.row(receipt, section.prompt)
        same = same_card(section, receipt)
        if self._shelf.is_unproven(receipt, section.prompt):
            self._done.unproven.append(receipt.id)
            return same
        if row is None and receipt.state != "saved":
            return same
        name = clip_name(receipt, row) or f"job {receipt.id}"
        is_inside = self._verb == "pack" and bool(whole_clip(section, receipt, row))
        path = self._shelf.find(receipt, row) or self._rescued(section, receipt, row)
        if path is None and not is_inside:
            receipt = CardMetadata(receipt.id)  # its clip was fetched again, perhaps: another file
            path = self._shelf.find(receipt, row)
        drawn = draw_replica(section, receipt, row, path, _AMOUNTS[self._verb]) if path else None
        self._count(name, drawn.embedded if drawn else "whole" if is_inside else "")
        return replace(drawn, markup=self._linked(drawn.markup, path)) if drawn else same

    def _count(self, name: str, embedded: Embedded) -> None:
        """Note the form of an embedded clip."""
        done = self._done
        if embedded == "preview" or (embedded == "poster" and self._verb == "pack"):
            done.previews.append(name)
        else:
            (done.clips if embedded else done.missing).append(name)

    def _rescued(
        self, section: html.Section, receipt: CardMetadata, row: JobRecord | None
    ) -> Path | None:
        """The file of a clip that is whole in the notebook and nowhere else, made anew to slim."""
        content = whole_clip(section, receipt, row) if self._verb == "slim" else b""
        if not content:
            return None
        path, is_new = self._shelf.put(clip_name(receipt, row) or f"{receipt.id}.mp4", content)
        if is_new:
            self._done.restored.append(path.name)
        return path

    def _linked(self, markup: str, path: Path | None) -> str:
        """The link to the file as it is from the new notebook, not from this kernel's folder."""
        if path is None:
            return markup
        here, there = relative_link(path), relative_link(path, self._done.path.parent)
        return markup.replace(f'href="{html.escape(here)}"', f'href="{html.escape(there)}"')


def _opened(
    notebook: str | Path, to: str | Path, verb: Verb, *, replace: bool, in_place: bool = False
) -> tuple[NotebookFile, Path]:
    """The notebook, and where the other one goes; refused before anything is done."""
    if not notebook:
        variables = getattr(get_ipython(), "user_ns", {})
        notebook = current_notebook(variables, os.environ)
    book = NotebookFile.read(Path(notebook).expanduser())
    if in_place:
        return book, book.path
    target = Path(to or book.path.parent).expanduser().absolute()
    if target.is_dir():
        target = target / f"{book.path.stem}.{_NAMES[verb]}{book.path.suffix}"
    if target.exists() and target.samefile(book.path):
        raise InvalidInput.of("to", f"{target.name} is the notebook itself", "name another file")
    check_place(target, replace=replace)
    return book, target
