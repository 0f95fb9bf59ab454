"""The first minutes of a new user, with a stopwatch: README's first command to the first clip.

    python -m tests.browser.first_hour [--user NAME] [--dark]

It clones the last commit into a new folder, runs README's first command literally there, as a shell
would, clicks *Run → Run All Cells* in Chromium and waits until the first clip plays. As root it
adds `--allow-root`, as README says; `--user` names the ordinary user whose shell runs the command
instead. `--dark` chooses JupyterLab's dark theme before the page opens. The cards that the notebook
was saved with do not count. The steps are printed with their times, and photographed into
tests/screenshots/.
"""

from __future__ import annotations

import argparse
import json
import os
import pwd
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from .look import SCREENSHOTS
from .notebook import ARGUMENTS, CARD, CHROMIUM, THEMES

ROOT = Path(__file__).parents[2]
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/lab\S+token=\w+")
NOTEBOOK = "notebooks/quickstart.ipynb"
INSTALL_S = 600.0
KEPT = re.compile(r"PATH$|PYENV_VERSION$|PIP_|HTTPS?_PROXY$", re.IGNORECASE)
"""Variables that a user of this machine has, too: which Python, and where packages come from."""
VIEWPORT = {"width": 1280, "height": 900}
PATIENCE_MS = 120_000
JOB = r"job ([0-9a-f]{8})"
NEW = f"""(saved) => [...document.querySelectorAll("{CARD}")].filter((card) => {{
  const [, id] = card.textContent.match(/{JOB}/) ?? [];
  return id && !saved.includes(id);
}})"""
"""The cards of jobs that the notebook was not saved with."""
IS_SHOWN = f"(saved) => ({NEW})(saved).length > 0"
SHOW = f"(saved) => ({NEW})(saved)[0].scrollIntoView()"
PLAYS = f"""(saved) => ({NEW})(saved).some((card) => {{
  const video = card.querySelector("video");
  if (!video) return false;
  video.muted = true;
  video.play();
  return video.currentTime > 0;
}})"""


def main() -> None:
    """Walk the path in a new clone."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--user", default="", help="the user whose shell runs the command")
    parser.add_argument("--dark", action="store_true", help="in JupyterLab's dark theme")
    given = parser.parse_args()
    user = given.user
    SCREENSHOTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        home = Path(place, "home")
        clone = home / "kling_nb"
        home.mkdir()
        subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
        if user:
            Path(place).chmod(0o755)
            subprocess.run(["chown", "-R", user, home], check=True)
        walk(home, clone, user, given.dark)


def walk(home: Path, clone: Path, user: str, dark: bool) -> None:
    """Go from the command to a clip that plays."""
    command = first_command(clone / "README.md")
    if not user and os.geteuid() == 0:
        command += " --allow-root"
    saved = re.findall(JOB, (clone / NOTEBOOK).read_text(encoding="utf-8"))
    watch = Stopwatch("dark" if dark else "light")
    with running(command, home, clone, user) as address:
        watch.lap("JupyterLab answers (installed)")
        if dark:
            choose_dark(address)
        with page_of(address) as page:
            page.locator(".jp-Cell").first.wait_for()
            page.get_by_role("menuitem", name="Run", exact=True).wait_for()
            # JupyterLab runs no cell before its kernel is ready.
            page.get_by_text("| Idle").wait_for()
            watch.lap("the notebook is on screen", page)
            choose(page, "Run", "Run All Cells")
            watch.lap("Run All Cells is clicked")
            page.wait_for_function(IS_SHOWN, arg=saved)
            page.evaluate(SHOW, saved)  # Run All scrolls to the last cell
            watch.lap("the first card is on screen", page)
            page.wait_for_function(PLAYS, arg=saved)
            watch.lap("the first clip plays", page)


def choose_dark(address: str) -> None:
    """Set the theme as *Settings → Theme* does, through the server's settings."""
    lab, _, token = address.partition("?token=")
    url = f"{lab.partition('/lab')[0]}/lab/api/settings/@jupyterlab/apputils-extension:themes"
    settings = {"raw": json.dumps({"theme": THEMES["dark"]})}
    headers = {"Authorization": f"token {token}"}
    httpx.put(url, json=settings, headers=headers, trust_env=False).raise_for_status()


def choose(page: Any, *items: str) -> None:
    """Click through a menu."""
    for item in items:
        page.get_by_role("menuitem", name=item, exact=True).click()


class Stopwatch:
    """Prints what has happened, and how long it took."""

    def __init__(self, theme: str) -> None:
        self._theme = theme
        self._began_s = self._last_s = time.monotonic()
        self._laps = 0

    def lap(self, event: str, page: Any = None) -> None:
        """Print the seconds since the last event and since the start; photograph the page."""
        now_s = time.monotonic()
        step_s, total_s = now_s - self._last_s, now_s - self._began_s
        print(f"{event:32} {step_s:6.1f} s {total_s:6.1f} s", flush=True)
        self._last_s = now_s
        if page:
            self._laps += 1
            page.screenshot(path=SCREENSHOTS / f"first-hour-{self._laps}-{self._theme}.png")


def first_command(readme: Path) -> str:
    """Return the first line of the first shell block."""
    found = re.search(r"```bash\n(.+)\n```", readme.read_text(encoding="utf-8"))
    assert found
    return found[1]


@contextmanager
def running(command: str, home: Path, clone: Path, user: str) -> Iterator[str]:
    """Run the command until the end of the block, and give the address that Jupyter prints."""
    name = user or pwd.getpwuid(os.geteuid()).pw_name
    environment = {
        "HOME": str(home),
        "USER": name,
        "LANG": "C.UTF-8",
        # No terminal browser may be opened in place of ours.
        "BROWSER": "true",
        **{word: value for word, value in os.environ.items() if KEPT.match(word)},
    }
    line = ["bash", "-c", command]
    if user:
        line = ["runuser", "-u", user, "--", *line]
    log = clone.parent / "jupyter.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            line,
            cwd=clone,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield wait_for_address(process, log)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def wait_for_address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Return the address with its token; raise with the log if the command ends."""
    deadline = time.monotonic() + INSTALL_S
    while time.monotonic() < deadline and process.poll() is None:
        found = ADDRESS.search(log.read_text(encoding="utf-8", errors="replace"))
        if found:
            return found[0]
        time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text(errors='replace')[-2000:]}")


@contextmanager
def page_of(address: str) -> Iterator[Any]:
    """Open a page in a new headless browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        page = browser.new_page(viewport=VIEWPORT)
        page.set_default_timeout(PATIENCE_MS)
        page.goto(address)
        yield page
        browser.close()


if __name__ == "__main__":
    main()
