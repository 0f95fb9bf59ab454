"""Record the function calls of kling_nb, outside the emulator, in all threads."""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType

import kling_nb

__all__ = ["CallTrace"]

PACKAGE = Path(kling_nb.__file__).parent


class CallTrace:
    """The calls in kling_nb while `record` runs, in all threads that begin after `install`."""

    def __init__(self) -> None:
        self.codes: list[CodeType] = []
        self._is_recording = False

    def install(self) -> None:
        """Set the profile functions of this thread and of new ones."""
        threading.setprofile(self._note)
        sys.setprofile(self._note)

    @contextmanager
    def record(self) -> Iterator[None]:
        """Note the calls until the end of the block."""
        self._is_recording = True
        yield
        self._is_recording = False
        threading.setprofile(None)
        sys.setprofile(None)

    def modules(self) -> list[str]:
        """Return the module of each call as a path from the package, without `.py`."""
        return [
            Path(code.co_filename).relative_to(PACKAGE).with_suffix("").as_posix()
            for code in self.codes
        ]

    def _note(self, frame: FrameType, event: str, _arg: object) -> None:
        if self._is_recording and event == "call" and is_call(frame):
            self.codes.append(frame.f_code)


def is_call(frame: FrameType) -> bool:
    """Return whether a frame is a function of the package that starts, outside of an import."""
    code = frame.f_code
    return (
        is_ours(code)
        and not code.co_name.startswith("<")  # a lambda or a comprehension
        and bool(code.co_flags & inspect.CO_OPTIMIZED)  # else a module or the body of a class
        and code.co_code[frame.f_lasti + 1] & 3 == 0  # the argument of RESUME: 0 is a start
        and not is_importing(frame)
    )


def is_ours(code: CodeType) -> bool:
    """Return whether code is of kling_nb, without the emulator."""
    path = Path(code.co_filename)
    return path.is_relative_to(PACKAGE) and not path.is_relative_to(PACKAGE / "emulator")


def is_importing(frame: FrameType | None) -> bool:
    """Return whether a module of the package is being executed above a frame."""
    while frame := frame.f_back if frame else None:
        if frame.f_code.co_name == "<module>" and is_ours(frame.f_code):
            return True
    return False
