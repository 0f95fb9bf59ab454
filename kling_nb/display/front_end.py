"""Detect the front end that shows the output of a shell, as far as a kernel can.

Defines the marks that distinguish front ends. Must not depend on outputs.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Literal

from IPython.core.getipython import get_ipython

from kling_nb.core.forks import renew_in_child

__all__ = ["FrontEnd", "front_end", "present_front_end"]

FrontEnd = Literal["terminal", "headless", "notebook", "VS Code", "Colab"]


_is_child = False


def _start_child() -> None:
    global _is_child  # noqa: PLW0603 - a fact of the process
    _is_child = True


renew_in_child(_start_child)


def front_end(shell: Any) -> FrontEnd:
    """What shows the output of this shell.

    A headless run (nbclient, papermill, nbconvert) sends `allow_stdin: false` with each request;
    nothing that arrives after a cell has ended is saved there. VS Code and Colab are known by
    what they leave in a kernel, as their extensions are written; neither was tried. What a forked
    child of a kernel shows is headless: pages answer the parent.
    """
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return "terminal"
    content = kernel.get_parent("shell").get("content", {})
    if _is_child or not content.get("allow_stdin", True):
        return "headless"
    if "google.colab" in sys.modules:
        return "Colab"
    # A server that was started in VS Code's terminal passes its environment on to its kernels,
    # with the name of the notebook that only a Jupyter server knows.
    started_by_code = "VSCODE_PID" in os.environ and "JPY_SESSION_NAME" not in os.environ
    is_code = "__vsc_ipynb_file__" in getattr(shell, "user_ns", {}) or started_by_code
    return "VS Code" if is_code else "notebook"


def present_front_end() -> FrontEnd:
    """What shows the output of the present shell."""
    return front_end(get_ipython())
