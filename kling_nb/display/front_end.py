"""Detect the front end of a shell, as far as a kernel can, and the notebooks that it reports.

Contains the marks that distinguish front ends. Must not depend on outputs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, Literal

from IPython.core.getipython import get_ipython

from kling_nb.core.forks import renew_in_child

FrontEnd = Literal["terminal", "headless", "notebook", "VS Code", "Colab"]


_is_child = False


def _start_child() -> None:
    global _is_child  # noqa: PLW0603 - a fact of the process
    _is_child = True


renew_in_child(_start_child)


def front_end(shell: Any) -> FrontEnd:
    """Return the front end that shows the output of this shell.

    A headless run (nbclient, papermill, nbconvert) sends `allow_stdin: false` with each request;
    output that arrives after the end of a cell is not saved there. VS Code and Colab are detected
    by what their extensions add to a kernel (from their sources; not tested). A forked child of a
    kernel counts as headless, since pages are connected to the parent.
    """
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return "terminal"
    content = kernel.get_parent("shell").get("content", {})
    if _is_child or not content.get("allow_stdin", True):
        return "headless"
    if "google.colab" in sys.modules:
        return "Colab"
    # A Jupyter server started in VS Code's terminal inherits its environment; only a Jupyter
    # server sets the name of the notebook.
    started_by_code = "VSCODE_PID" in os.environ and "JPY_SESSION_NAME" not in os.environ
    is_code = "__vsc_ipynb_file__" in getattr(shell, "user_ns", {}) or started_by_code
    return "VS Code" if is_code else "notebook"


def cell_id(shell: Any) -> str:
    """Return the id of the running cell in its notebook; empty if the front end does not send it.

    It is saved in the notebook, so it is the same in the next kernel.
    """
    kernel = getattr(shell, "kernel", None)
    metadata = {} if kernel is None else kernel.get_parent("shell").get("metadata", {})
    found = metadata.get("cellId", "")
    return found if isinstance(found, str) else ""


def present_front_end() -> FrontEnd:
    """Return the front end of the current shell."""
    return front_end(get_ipython())


def reported_notebooks(variables: Mapping[str, object], environ: Mapping[str, str]) -> list[str]:
    """Return the paths that the front end reports, existing or not, the most reliable first."""
    paths = [str(variables.get("__vsc_ipynb_file__", "")), environ.get("JPY_SESSION_NAME", "")]
    return [path for path in paths if path.endswith(".ipynb")]
