"""Pack a notebook: write a copy with every clip embedded; slim replaces clips with posters.

A clip is a file with a known hash, so embedding or removing it never loses it: `pack` embeds whole
files, `slim` removes only clips that are in the folder of clips, or saves them there first.
Everything in the notebook except the cards stays unchanged.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

from IPython.core.getipython import get_ipython

from kling_nb.core.errors import InvalidInput
from kling_nb.core.formatting import format_bytes, format_count
from kling_nb.display import html
from kling_nb.display.cards.metadata import CARD_MIME, CardMetadata, Embedded, join_cards, read_card
from kling_nb.display.links import relative_link
from kling_nb.jobs.default_session import default_session
from kling_nb.jobs.settings import find_folder

from .clip_finder import ClipFinder, with_clip
from .notebook_file import NotebookFile, check_place, current_notebook, text_of
from .redraw import RedrawnCard, redraw_card, whole_clip

_Verb = Literal["pack", "slim"]

_NAMES: Final = {"pack": "packed", "slim": "slim"}
_LARGEST_BYTES: Final = 500_000_000
"""The largest notebook that Jupyter accepts; a browser's limit for one text is similar."""


@dataclass(slots=True)
class _Packed:
    """The result of `pack` or `slim`."""

    notebook: Path
    """The notebook that was read."""
    saved_at: datetime
    """When it was saved: the copy does not contain later changes."""
    path: Path
    """The notebook that was written."""
    size_before_bytes: int
    size_after_bytes: int = 0
    clips: list[str] = field(default_factory=list)
    """The clips that are embedded whole, or as posters."""
    previews: list[str] = field(default_factory=list)
    """Clips that are embedded as previews, since some browsers cannot play them."""
    widgets: int = 0
    """Number of widgets with a saved state that no output shows; `slim` has removed it."""
    missing: list[str] = field(default_factory=list)
    """The clips without a file; their cards did not change."""
    restored: list[str] = field(default_factory=list)
    """The clips that were only in the notebook, and were saved to the folder of clips."""
    unproven: list[str] = field(default_factory=list)
    """Jobs of which only the id matches a card; the card did not change."""


def pack(notebook: str | Path = "", *, to: str | Path = "", replace: bool = False) -> _Packed:
    """Write a copy of a notebook with every saved clip embedded, to mail or to archive.

    Args:
        notebook: The notebook, as it is saved on disk; by default the current one.
        to: The path of the copy; by default `NAME.packed.ipynb` beside the notebook.
        replace: Overwrite an existing file.

    Raises:
        InvalidInput: There is no such notebook, it has no card, the copy exists, or it is larger
            than a browser can open.
    """
    book, target = _open(notebook, to, "pack", replace=replace)
    return _Packing(book, target, "pack").run(replace=replace)


def slim(
    notebook: str | Path = "",
    *,
    to: str | Path = "",
    replace: bool = False,
    in_place: bool = False,
) -> _Packed:
    """Write a copy of a notebook with posters instead of clips; the clips stay as files.

    A clip that is only in the notebook is first saved to the folder of clips. A preview without
    its file stays in the notebook.

    Args:
        notebook: The notebook, as it is saved on disk; by default the current one.
        to: The path of the copy; by default `NAME.slim.ipynb` beside the notebook.
        replace: Overwrite an existing file.
        in_place: Change the notebook itself.

    Raises:
        InvalidInput: There is no such notebook, it has no card, or the copy exists.
    """
    if in_place and to:
        raise InvalidInput.of("to", repr(str(to)), "give either --to or --in-place")
    replace = replace or in_place
    book, target = _open(notebook, to, "slim", replace=replace, in_place=in_place)
    return _Packing(book, target, "slim").run(replace=replace)


def describe(verb: _Verb, done: _Packed) -> list[str]:
    """Return a summary for people; the first line is a title."""
    saved = done.saved_at.astimezone()
    before, after = format_bytes(done.size_before_bytes), format_bytes(done.size_after_bytes)
    clips = format_count(len(done.clips), "clip")
    change = f"{clips} embedded" if verb == "pack" else f"posters instead of {clips}"
    lines = [
        f"{done.path.name}: {change}",
        f"{before} before, {after} now",
        f"From {done.notebook.name} as saved on {saved.day} {saved:%B at %H:%M:%S}; "
        "later changes are not included.",
    ]
    if done.previews:
        lines.append(
            "Some browsers cannot play these clips, so the notebook has H.264 previews (or "
            f"posters). Send these files too: {', '.join(done.previews)}"
        )
    if done.widgets:
        widgets = format_count(done.widgets, "widget")
        lines.append(f"Removed the saved state of {widgets} that no output shows")
    if done.restored:
        lines.append(f"Saved from the notebook to the folder of clips: {', '.join(done.restored)}")
    if done.missing:
        lines.append(
            f"No file found, cards unchanged: {', '.join(done.missing)}. Run their cells again "
            "to download the clips while the service keeps them: 0 credits."
        )
    if done.unproven:
        lines.append(
            "These cards have the ids of jobs in this folder, but may be of other jobs: "
            f"{', '.join(done.unproven)}. They were not changed. To identify them, run their cells "
            "once: 0 credits if the jobs are the same."
        )
    if done.path == done.notebook:
        lines.append("If the notebook is open, reload it from disk before you save it.")
    return lines


class _Packing:
    """Packs or slims one notebook."""

    def __init__(self, book: NotebookFile, target: Path, verb: _Verb) -> None:
        self._book = book
        self._verb = verb
        ledger = default_session().ledger
        self._finder = ClipFinder(ledger, [find_folder(book.path.parent)])
        self._done = _Packed(book.path, book.saved_at, target, book.size_bytes)
        self._drawn_bytes = 0

    def run(self, *, replace: bool) -> _Packed:
        """Redraw every card and write the notebook."""
        done = self._done
        for bundle in self._book.bundles():
            self._redraw(bundle)
        if self._verb == "slim":
            done.widgets = self._book.drop_unshown_widgets()
        for names in (done.clips, done.previews, done.missing, done.restored, done.unproven):
            names[:] = dict.fromkeys(names)
        if not (done.clips or done.previews or done.missing or done.unproven or done.widgets):
            value = f"{done.notebook.name} as saved has no clip of kling_nb"
            raise InvalidInput.of("notebook", value, "nothing was written; run it and save it")
        done.size_after_bytes = self._book.write(done.path, replace=replace)
        return done

    def _redraw(self, bundle: dict[str, Any]) -> None:
        """Redraw the cards of one output; change nothing else."""
        new = text_of(bundle, "text/html")
        sections = html.find_sections(new)
        if not sections:
            return
        cards = {card.id: card for card in read_card(bundle.get(CARD_MIME))}
        drawn = []
        for section in sections:
            card = cards.get(section.job_id, CardMetadata(section.job_id, state=section.state))
            drawn.append(self._redrawn(section, card))
            new = new.replace(section.markup, drawn[-1].markup, 1)
        if self._done.path != self._book.path:
            new = html.without_hub_ids(new)
        bundle["text/html"] = new
        self._drawn_bytes += len(new)
        if self._verb == "pack" and self._drawn_bytes > _LARGEST_BYTES:
            value = f"{self._book.path.name} with its clips is larger than 500 MB"
            allowed = (
                "nothing was written, since no browser can open it; split the notebook, or send "
                "the copy of `%kling slim` and the folder of clips"
            )
            raise InvalidInput.of("notebook", value, allowed)
        if CARD_MIME not in bundle:
            return  # the text may describe more than cards
        bundle[CARD_MIME] = join_cards(*(each.metadata for each in drawn))
        if all(each.text for each in drawn):
            bundle["text/plain"] = "\n\n".join(each.text for each in drawn)

    def _redrawn(self, section: html.Section, card: CardMetadata) -> RedrawnCard:
        """Return a card with its clip or a poster, or unchanged if there is neither."""
        row = self._finder.row(card, section.prompt)
        unchanged = RedrawnCard(section.markup, {"cards": [asdict(card)]})
        if self._finder.is_unproven(card, section.prompt):
            self._done.unproven.append(card.id)
            return unchanged
        if row is None and card.state != "saved":
            return unchanged
        clip, is_pack = with_clip(card, row), self._verb == "pack"
        embedded = whole_clip(section, clip)
        path = self._finder.find(card, row)
        if path is None and not is_pack and embedded:
            path = self._save(clip, embedded)
        if path is None and not embedded:
            card = CardMetadata(card.id)  # the clip may have been downloaded again
            path = self._finder.find(card, row)
        drawn = redraw_card(section, card, row, path, whole=is_pack) if path else None
        amount: Embedded = drawn.embedded if drawn else "whole" if is_pack and embedded else ""
        self._count(clip.file or f"job {card.id}", amount)
        return self._with_link(drawn, path) if drawn and path else unchanged

    def _count(self, name: str, embedded: Embedded) -> None:
        """Count a clip by its embedded form."""
        done = self._done
        if embedded == "preview" or (embedded == "poster" and self._verb == "pack"):
            done.previews.append(name)
        else:
            (done.clips if embedded else done.missing).append(name)

    def _save(self, clip: CardMetadata, content: bytes) -> Path:
        """Save a clip that only the notebook has."""
        path, is_new = self._finder.put(clip.file or f"{clip.id}.mp4", content)
        if is_new:
            self._done.restored.append(path.name)
        return path

    def _with_link(self, drawn: RedrawnCard, path: Path) -> RedrawnCard:
        """Return the card with a link relative to the new notebook, not to the kernel's folder."""
        old, new = relative_link(path), relative_link(path, self._done.path.parent)
        old, new = f'href="{html.escape(old)}"', f'href="{html.escape(new)}"'
        return replace(drawn, markup=drawn.markup.replace(old, new))


def _open(
    notebook: str | Path, to: str | Path, verb: _Verb, *, replace: bool, in_place: bool = False
) -> tuple[NotebookFile, Path]:
    """Return the notebook and the path of the new one; check the path first."""
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
