"""One Jupyter server on loopback, as a person of their own: home, settings and signatures.

It serves JupyterLab or Notebook 7, which have the same parts and commands and another frame.

Knows processes and settings files; neither the browser nor what is in a notebook.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, get_args

import httpx

__all__ = ["APPS", "App", "Lab", "free_port", "running_lab", "serve", "server_options"]

App = Literal["lab", "notebook"]
APPS: tuple[App, ...] = get_args(App)
"""JupyterLab and Notebook 7."""

ROOT = Path(__file__).parents[2]
PATIENCE_S = 120.0
EMULATOR_S = 2
"""How long clips take where a notebook does not say it."""
MODULES = {"lab": "jupyterlab", "notebook": "notebook"}
"""The Python module that is run."""
SETTINGS = {
    # No news, no updates, no question about either: nothing leaves loopback.
    "apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
    "docmanager-extension/plugin": {"autosave": False},
}


class Lab:
    """A server that runs.

    Args:
        url: Its address, with no token.
        home: Where its person lives.
        app: What it shows notebooks in.
    """

    def __init__(self, url: str, home: Path, app: App = "lab") -> None:
        self.url = url
        self.home = home
        self.app = app
        self.folder = home / "notebooks"
        """What it serves."""

    def address(self, notebook: str, workspace: str) -> str:
        """Where a notebook is shown; without `reset` old tabs would be restored over it."""
        if self.app == "notebook":
            return f"{self.url}/notebooks/{notebook}"
        return f"{self.url}/doc/workspaces/{workspace}/tree/{notebook}?reset"

    def trust(self, notebook: str) -> None:
        """Sign a notebook, so that its user's server trusts it."""
        subprocess.run(
            [sys.executable, "-m", "jupyter", "trust", str(self.folder / notebook)],
            env=environment(self.home),
            check=True,
            capture_output=True,
        )


@contextmanager
def running_lab(home: Path, app: App = "lab") -> Iterator[Lab]:
    """A server of a user with this home; it ends with the block.

    Two servers with two homes do not trust each other's notebooks. It serves a folder in the home,
    because the search for a folder of clips ends there.
    """
    port = free_port()
    lab = Lab(f"http://127.0.0.1:{port}", home, app)
    lab.folder.mkdir(parents=True, exist_ok=True)
    write_settings(home / "settings")
    with serve(command(port, lab.folder, app), lab.url, home, lab.folder):
        yield lab


@contextmanager
def serve(line: Sequence[str], url: str, home: Path, folder: Path) -> Iterator[int]:
    """Run a Jupyter server until the end of the block, and give its process id.

    Args:
        line: Its command line.
        url: Its address.
        home: The home of its user; it gets the log.
        folder: Its working directory.
    """
    with (home / "server.log").open("wb") as output:
        process = subprocess.Popen(
            line, cwd=folder, env=environment(home), stdout=output, stderr=subprocess.STDOUT
        )
        try:
            wait_until_up(url, process, home / "server.log")
            yield process.pid
        finally:
            stop(process)


def server_options(port: int, folder: Path) -> dict[str, str]:
    """Return the options of every server."""
    return {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": str(port),
        "ServerApp.port_retries": "0",
        "ServerApp.root_dir": str(folder),
        "ServerApp.allow_root": "True",
        "ServerApp.terminals_enabled": "False",
    }


def command(port: int, folder: Path, app: App) -> list[str]:
    """The server's command line."""
    options = server_options(port, folder) | {
        "IdentityProvider.token": "",
        "LabApp.news_url": "None",
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "LabApp.extension_manager": "readonly",
    }
    # Lets a test say "run all" and "save" by their names instead of by clicks on menus. A flag:
    # Notebook 7 loses the option of that name on its way through its shim for old settings.
    flags = ["--expose-app-in-browser", "--no-browser"]
    return [sys.executable, "-m", MODULES[app], *flags, *(f"--{k}={v}" for k, v in options.items())]


def environment(home: Path) -> dict[str, str]:
    """Everything a person keeps, in `home`; nothing of ours from outside, above all no key."""
    own: dict[str, object] = {
        "HOME": home,
        "IPYTHONDIR": home / "ipython",
        "JUPYTER_CONFIG_DIR": home / "config",
        "JUPYTER_DATA_DIR": home / "data",
        "JUPYTER_RUNTIME_DIR": home / "runtime",
        "JUPYTERLAB_SETTINGS_DIR": home / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": home / "workspaces",
        "XDG_CACHE_HOME": home / "cache",
        "XDG_CONFIG_HOME": home / "xdg-config",
        "XDG_DATA_HOME": home / "xdg-data",
        "XDG_STATE_HOME": home / "xdg-state",
    }
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("KLING_NB_", "KIE_", "JUPYTER", "XDG_"))
    }
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
    own |= {"PYTHONPATH": path, "KLING_NB_EMULATOR_SECONDS": EMULATOR_S}
    return kept | {name: str(value) for name, value in own.items()}


def write_settings(folder: Path) -> None:
    """The person's JupyterLab settings."""
    for name, values in SETTINGS.items():
        file = folder / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values), encoding="utf-8")


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_up(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when the server answers, also with a refusal; raise with its log if it does not."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(httpx.TransportError):
            httpx.get(f"{url}/api", timeout=5)
            return
        time.sleep(0.1)
    tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
    raise RuntimeError(f"The server did not come up on {url}; its log ends in:\n{tail}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the server, and with it the kernels it started."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
