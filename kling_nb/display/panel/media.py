"""The field of pictures, a video or a sound: path, URL, variable, or a file; shown as it is sent.

Files are read beside the kernel, which stays free. What is wrong with one is the field's `fault`;
whether one must be there is the validator's matter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from itertools import zip_longest

from kling_nb.core.errors import MediaError, Problem
from kling_nb.core.formatting import one_line
from kling_nb.jobs.background_loop import portal
from kling_nb.models.kinds import Media, Medium
from kling_nb.models.spec import Parameter

from .chosen import Chosen, Surroundings, chosen_from
from .fields import Field, words_of
from .previews import Preview, preview
from .widgets import Picker

__all__ = ["MediaField"]

_ROLES = re.compile(r"\bfirst\b.*\blast\b", re.IGNORECASE)
"""How the help of a pair says which of the two is which."""


class MediaField(Field):
    """One file or several of one medium.

    Args:
        parameter: What it is for.
        kind: What the service takes. Source: `ModelSpec`.
        around: What a name may mean.
        remarks: What the model's rules say of it.
    """

    control: Picker

    def __init__(
        self, parameter: Parameter, kind: Media, around: Surroundings, remarks: Sequence[str] = ()
    ) -> None:
        self.reading: Future[None] | None = None
        """The last reading of what is there; it never raises."""
        self.length_s: float | None = None
        """How long what is there is together, where that was read."""
        self.sizes_px: tuple[tuple[int, int], ...] = ()
        """Width and height of each image and video that was read."""
        self._fault = ""
        self._kind, self._around = kind, around
        self._held: tuple[Chosen, ...] = ()
        self._turn = 0
        several = kind.max_count > 1
        what = parameter.help.partition(":")[0]
        super().__init__(
            parameter,
            Picker(
                **words_of(parameter, "; ".join(filter(None, (what, kind.allowed, *remarks)))),
                medium=kind.medium,
                several=several,
                roles=_roles(parameter, kind),
                placeholder="path, URL or variable" + (", one a line" * several),
                accept="image/*" if kind.medium == "image" else ",".join(kind.mime_types),
            ),
        )
        self.control.observe(self._take_text, "value")
        self.control.on_file = self._take_file
        self.control.on_refusal = self._take_refusal
        self.control.on_remove = self._remove
        self.control.on_move = self._move

    @property
    def given(self) -> object | None:
        """The file, or a list of several; None while there is none."""
        values = [chosen.value for chosen in self.chosen]
        return values[0] if len(values) == 1 else values or None

    @property
    def written(self) -> object | None:
        """The file as it is written in a cell, or a list of several."""
        words = [chosen.written for chosen in self.chosen]
        return words[0] if len(words) == 1 else words or None

    @property
    def kept(self) -> tuple[Chosen, ...]:
        """The files as they were chosen."""
        return self.chosen

    @property
    def fault(self) -> str:
        """What is wrong with a file that is there."""
        return self._fault

    @property
    def medium(self) -> Medium:
        """What it holds: `image`, `video` or `audio`."""
        return self._kind.medium

    @property
    def chosen(self) -> tuple[Chosen, ...]:
        """The files: those that are held, then those that are named in the line of text."""
        lines = [line.strip() for line in str(self.control.value).splitlines()]
        return (*self._held, *(self._around.named(line) for line in lines if line))

    def give(self, value: object, written: object = None) -> None:
        """Hold this file: text goes into the line of text, objects are kept."""
        items, words = _items(value), _items(written)
        if all(isinstance(item, Chosen) for item in items):
            self.take(tuple(item for item in items if isinstance(item, Chosen)))
        elif all(isinstance(item, str) or hasattr(item, "__fspath__") for item in items):
            self._held = ()
            self.control.value = "\n".join(map(str, items))
        else:
            texts = [str(word or "") for word in words] if len(words) == len(items) else []
            pairs = zip_longest(items, texts, fillvalue="")
            self.take(tuple(chosen_from(item, text, self.medium) for item, text in pairs))

    def hold(self, shown: Mapping[str, object]) -> None:
        """Hold the line of text that a page shows."""
        text = shown.get(self.parameter.name)
        if isinstance(text, str):
            self.control.value = text

    def take(self, chosen: tuple[Chosen, ...]) -> None:
        """Hold these files and no others."""
        self._held = chosen
        if self.control.value:
            self.control.value = ""  # which looks, too
        else:
            self._look()

    def clear(self) -> None:
        """Hold no file."""
        self.take(())

    def blame(self, problem: Problem) -> None:
        """Hear what is wrong with the file that is there."""
        if self.given is not None:
            self._fault = f"{problem.given}; {problem.allowed}"

    def shows(self, problem: Problem) -> bool:
        """Whether a person is to see it now: what is wrong with a file that is there, always."""
        return super().shows(problem) or bool(self.fault)

    def close(self) -> None:
        """Take the field away; a reading that still runs shows nothing any more."""
        self._turn += 1
        super().close()

    def _take_text(self, _: object) -> None:
        # Where one file is wanted the last way to give it counts.
        if self.control.value.strip() and self._kind.max_count == 1:
            self._held = ()
        self._look()

    def _take_file(self, name: str, content: bytes) -> None:
        given = replace(chosen_from(content, medium=self.medium), name=one_line(name, 80))
        if self._kind.max_count == 1:
            self.take((given,))
        else:
            self._held = (*self._held, given)
            self._look()

    def _take_refusal(self, words: str) -> None:
        self._fault = one_line(words, 300)
        self.changed()

    def _remove(self, at: int) -> None:
        held = len(self._held)
        if at < held:
            self._held = tuple(each for place, each in enumerate(self._held) if place != at)
            self._look()
        else:
            left = [line for line in str(self.control.value).split("\n") if line.strip()]
            self.control.value = "\n".join(left[: at - held] + left[at - held + 1 :])

    def _move(self, at: int, to: int) -> None:
        chosen = list(self.chosen)
        if 0 <= at < len(chosen) and 0 <= to < len(chosen):
            chosen.insert(to, chosen.pop(at))
            self.take(tuple(chosen))

    def _look(self) -> None:
        """Read what is there now; an earlier reading that still runs shows nothing any more."""
        self._turn += 1
        self._fault, self.length_s, self.sizes_px = "", None, ()
        chosen = self.chosen
        if not chosen:
            self.control.pictures = []
        self.changed()
        if chosen:
            self.reading = portal().submit(self._read(self._turn, chosen))

    async def _read(self, turn: int, chosen: tuple[Chosen, ...]) -> None:
        fault, shown = "", []
        for one in chosen:
            try:
                shown.append(await preview(one, self._kind, self._around))
            except MediaError as error:
                fault = fault or str(error)
                shown.append(Preview(one))
        if turn == self._turn:
            self._fault = fault
            self._held = tuple(each.chosen for each in shown[: len(self._held)])
            lengths = [each.length_s for each in shown if each.length_s is not None]
            self.length_s = sum(lengths) if len(lengths) == len(shown) else None
            self.sizes_px = tuple(each.size_px for each in shown if each.size_px is not None)
            self.control.pictures = [each.words for each in shown]
            self.changed()


def _items(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _roles(parameter: Parameter, kind: Media) -> list[str]:
    """What each of a pair is, in the words of its help: the first frame and the last."""
    is_pair = kind.max_count == 2 and _ROLES.search(parameter.help)
    return ["First frame", "Last frame"] if is_pair else []
