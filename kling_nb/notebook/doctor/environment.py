"""Check this machine: Python, packages, folder, disk and notebook file.

Each check returns one finding, raises nothing and changes nothing.
"""

from __future__ import annotations

import errno
import importlib.metadata
import os
import platform
import re
import shutil
import signal
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from kling_nb.core.errors import ConfigurationError, InvalidInput
from kling_nb.display.html import Finding
from kling_nb.kie.network import Network
from kling_nb.notebook.archive.notebook_file import NotebookFile

PACKAGES = {
    "ipython": ("8.18", "%%kling cells"),
    "ipykernel": ("7.4", "clicks are handled while a cell waits"),
    "ipywidgets": ("8.1.4", "the panel"),
    "anywidget": ("0.9.20", "buttons, the panel and the gallery"),
    "httpx": ("0.28", "requests to the service"),
    "av": ("18.1", "reading and encoding clips"),
    "pillow": ("11.3", "reading images"),
}
"""The checked packages: the lowest version, as in `pyproject.toml`, and the purpose."""

_LOW_BYTES = 1_000_000_000
_TOO_LOW_BYTES = 50_000_000
"""A clip has 1 to 20 MB, and is on disk twice until its part file is renamed."""
_LARGEST_BYTES = 100_000_000
"""A larger notebook is not read: that would take seconds."""
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_OTHER_FOLDER = "choose another folder: argument `folder` or KLING_NB_FOLDER"


def check_python() -> Finding:
    """Return the version of Python and the platform."""
    message = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding("Python", "ok", message)


def check_interrupts() -> list[Finding]:
    """Warn if SIGINT, the signal of *Interrupt* and Ctrl+C, has no effect; else return nothing.

    A process that is started in the background (`&`, `nohup`) inherits SIGINT as ignored, and some
    service managers block it. Call this in the cell's thread: masks belong to a thread.
    """
    block = getattr(signal, "pthread_sigmask", None)  # not on Windows
    blocked = block(signal.SIG_BLOCK, ()) if block else ()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        state = "ignored"
        act = "`import signal; signal.signal(signal.SIGINT, signal.default_int_handler)`"
    elif signal.SIGINT in blocked:
        state = "blocked"
        act = "`import signal; signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})`"
    else:
        return []
    message = f"*Interrupt* cannot reach this kernel: SIGINT is {state}"
    fix = (
        "The kernel inherited this from a program that runs in the background (`&`, `nohup`). "
        f"Start that program in the foreground and restart the kernel. Until then run {act}."
    )
    return [Finding("Interrupt", "warn", message, fix)]


def check_packages(version_of: Callable[[str], str] = importlib.metadata.version) -> Finding:
    """Return the installed versions, and which are missing or too old.

    Args:
        version_of: Returns the installed version of a package.
    """
    found: list[str] = []
    problems: dict[str, str] = {}
    for name, (lowest, purpose) in PACKAGES.items():
        try:
            version = version_of(name)
        except importlib.metadata.PackageNotFoundError:
            problems[name] = f"{name} is missing ({purpose})"
            continue
        found.append(f"{name} {version}")
        if _numbers(version) < _numbers(lowest):
            problems[name] = f"{name} {version} is older than {lowest} ({purpose})"
    if not problems:
        return Finding("Packages", "ok", " · ".join(found))
    fix = f"`%pip install -U {' '.join(problems)}`, then restart the kernel."
    return Finding("Packages", "warn", "; ".join(problems.values()), fix)


def _numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version, to compare."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()


def check_network() -> Finding:
    """Check the proxies and certificates of the environment."""
    network = Network()
    try:
        network.check()
    except ConfigurationError as error:
        fix = "Correct this setting for live mode; the emulator works without it."
        return Finding("Network", "warn", str(error), fix)
    proxies = sorted({str(proxy) for proxy in network.proxies.values()})
    return Finding("Network", "ok", f"through {', '.join(proxies)}" if proxies else "no proxy")


def check_folder(folder: Path) -> Finding:
    """Check that clips can be written to the folder, or that it can be created."""
    existing = _existing(folder)
    try:
        # Permissions do not show a full or a read-only disk, so a file is written.
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(b"a clip could be here")
    except OSError as error:
        why = error.strerror or str(error)
        message = f"{_shown(folder)} cannot be written to: {why}"
        if existing != folder:
            place = f"cannot be created in {_shown(existing)}"
            message = f"{_shown(folder)} does not exist and {place}: {why}"
        act = "Free some space" if error.errno in _DISK_FULL else "Change its permissions"
        return Finding("Folder", "bad", message, f"{act}, or {_OTHER_FOLDER}.")
    state = "can be written to" if existing == folder else "will be created with the first clip"
    return Finding("Folder", "ok", f"{_shown(folder)} {state}")


def check_disk(
    folder: Path, free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free
) -> Finding:
    """Check the free space for clips.

    Args:
        folder: The folder of clips.
        free_bytes: Returns the free space on the disk of a path.
    """
    try:
        free = free_bytes(_existing(folder))
    except OSError as error:
        message = f"the free space is unknown: {error.strerror or error}"
        return Finding("Disk", "warn", message, f"Check the disk, or {_OTHER_FOLDER}.")
    fix = f"Free some space, or {_OTHER_FOLDER}. A clip of 5 s takes about 5 MB."
    if free < _TOO_LOW_BYTES:
        return Finding("Disk", "bad", f"{free / 1e6:,.0f} MB free: a clip may not fit", fix)
    message = f"{free / 1e9:,.1f} GB free"
    return (
        Finding("Disk", "warn", message, fix)
        if free < _LOW_BYTES
        else Finding("Disk", "ok", message)
    )


def _shown(path: Path) -> str:
    """Return a path with `~` for the home folder, as people publish what the doctor says."""
    home = Path(os.path.expanduser("~"))
    return f"~/{path.relative_to(home).as_posix()}" if path.is_relative_to(home) else str(path)


def _existing(folder: Path) -> Path:
    """Return the folder or its nearest parent that exists."""
    return next((each for each in (folder, *folder.parents) if each.exists()), folder)


def check_notebook(paths: Sequence[str], cwd: Path) -> Finding:
    """Check the notebook's file: its folder, and whether its outputs are trusted.

    Args:
        paths: The paths that the front end reports, the most reliable first.
        cwd: The kernel's working directory.
    """
    path = next((Path(name) for name in paths if os.path.isfile(name)), None)
    if path is None:
        fix = "Name it where a command needs it, e.g. `%kling pack NOTEBOOK.ipynb`."
        if paths:
            message = f"{paths[0]} does not exist; was it renamed?"
            return Finding("Notebook", "warn", message, fix)
        return Finding("Notebook", "ok", "the front end does not report its path", fix)
    home = path.absolute().parent
    if home.resolve() != cwd.resolve():
        message = f"{path.name} is in {home}, but this kernel works in {cwd}: links to clips fail"
        fix = f"`import os; os.chdir({str(home)!r})`, then run the cells again: 0 credits."
        return Finding("Notebook", "warn", message, fix)
    try:
        is_sanitized = _has_untrusted_html(path)
    except (InvalidInput, OSError) as error:
        return Finding("Notebook", "warn", str(error), "Save it again.")
    if is_sanitized:
        message = f"{path.name}: not trusted as saved, so Jupyter removes the styles of older cards"
        fix = (
            "Run its cells again, for 0 credits, and save it. Or, if you know where it comes from, "
            f"run `jupyter trust {path.name}` in a terminal, and reload the page."
        )
        return Finding("Notebook", "warn", message, fix)
    return Finding("Notebook", "ok", path.name)


def _has_untrusted_html(path: Path) -> bool:
    """Return whether a notebook has outputs that Jupyter sanitizes before it shows them."""
    if path.stat().st_size > _LARGEST_BYTES:
        return False
    book = NotebookFile.read(path)
    return not book.is_trusted and any("text/html" in bundle for bundle in book.bundles())


def check_links(folder: Path, root: Path | None) -> list[Finding]:
    """Warn if a page cannot open files of the folder; return nothing if it can or if unknown.

    Args:
        folder: The folder of clips.
        root: The root folder of the Jupyter server.
    """
    if root is None:
        return []
    try:
        parts = folder.resolve().relative_to(root.expanduser().resolve()).parts
    except ValueError:
        why = f"{folder} is not in {root}, the folder that Jupyter shows"
    else:
        hidden = [part for part in parts if part.startswith(".")]
        if not hidden:
            return []
        why = f"Jupyter shows no hidden files: {hidden[0]}"
    fix = "Choose a folder that the file browser shows: argument `folder` or KLING_NB_FOLDER."
    message = f"clips play in their cards, but links to their files do not open: {why}"
    return [Finding("Links", "warn", message, fix)]
