"""Make the saved files of one state of the package: `python make.py FOLDER`.

Runs two notebooks against a served emulator, with the package that the interpreter has installed.
FOLDER gets what README.md lists. Works with the commits 0c85936 to cd29a24: it uses names of the
package as they were there, and is not kept up to date with later ones.
"""

from __future__ import annotations

import copy
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from nbclient import NotebookClient
from PIL import Image

from kling_nb.emulator import KNOWN_FAULTS, Books
from kling_nb.ledger.migrations import MIGRATIONS

HOME = "/home/ann/film"
KEY = "sk-test-0123456789abcdef"
MANY = 10_000

QUICK = """
from kling_nb import pace, follower
pace.expected_s = lambda *given: 0.3
pace.retry_wait_s = lambda tries: 0.05
"""
SLOW_UPLOADS = """
import asyncio
from kling_nb.client import Client
async def upload(self, *given, **options):
    await asyncio.sleep(600)
Client.upload = upload
"""
LISTEN = """
import kling_nb as kling
from kling_nb.hearing import Listening
from kling_nb.jupyter_listener import note_door
hearing = kling.default_session().hearing
url = "http://127.0.0.1:9/kling/callback"
hearing.turn_to(Listening(hearing, url, stop=lambda: None, note=note_door))
"""
POST = """
import json
from kling_nb.doors import Doors
from kling_nb.porter import Porter
from kling_nb.reception import Heard, Posted
row = kling.default_session().ledger.row(waiting.id)
body = json.dumps({"code": 200, "data": {"taskId": row.task_id, "state": "success"}}).encode()
taken = Porter(Doors().find, None).take_in(Posted("POST", f"kling_nb={row.nonce}", {}, body))
assert isinstance(taken, Heard), taken
"""
LOSE = """
try:
    get_ipython().run_cell_magic("kling", "", "A letter that was lost")
except Exception as error:
    assert "was lost" in str(error), error
"""
FORGET = """
session = kling.default_session()
session.ledger.mark(saved.id, starred=True, hidden=True)
kling.forget(unknown.id, yes=True)
"""
STOPPED = """
import os, signal, threading
threading.Timer(2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    {call}
except KeyboardInterrupt:
    pass
{name} = kling.job(kling.default_session().jobs()[0].id)
"""
UNTIL = """
import time
deadline = time.monotonic() + 60
while type({name}.state).__name__.lower() != "{state}" and time.monotonic() < deadline:
    time.sleep(0.02)
assert type({name}.state).__name__.lower() == "{state}", {name}.state
time.sleep(0.3)
"""


class Scene(NamedTuple):
    """One card: the state it shows, the fault that leads there, its cell."""

    state: str
    faults: tuple[tuple[str, int, str], ...]
    cell: str
    then: str = ""
    """Run before the state is waited for; not saved."""
    shows_again: bool = False
    """Whether the card is displayed by a cell of its own: the first one shows an earlier state."""


HAS_TRICKLE = "download-trickle" in KNOWN_FAULTS
SLOW = ("download-trickle", MANY, "") if HAS_TRICKLE else ("download-slow", MANY, "20")
FOX = "%%kling -i fox.png -o {name}\n{prompt}"
ENDED = (
    Scene("saved", (), FOX.format(name="saved", prompt="A red fox shakes the snow off its coat")),
    Scene("failed", (("fail-policy", 1, ""),), "%%kling -o failed\nA wolf howls"),
    Scene("refused", (("refuse", 1, ""),), "%%kling -o refused\nAn owl turns its head"),
    Scene("unknown", (("lose-answer", 1, ""),), "%%kling --sound -o unknown\nA bear wakes"),
    Scene("vanished", (("vanish", 1, ""),), "%%kling -o vanished\nA ghost ship"),
    Scene("expired", (("download-404", MANY, ""),), "%%kling -o expired\nA melting candle"),
    Scene(
        "detached",
        (("poll-502", MANY, ""),),
        "%%kling -o detached\nA train leaves",
        UNTIL.format(name="detached", state="waiting") + "detached.detach()",
    ),
    Scene(
        "discarded",
        (("unreachable", MANY, "upload"),),
        "%%kling -i wolf.png -o discarded\nA wolf runs",
    ),
)
RUNNING = (
    Scene(
        "preparing",
        (),
        "%%kling -i owl.png -o uploading\nAn owl flies off",
    ),
    Scene(
        "uploading",
        (),
        "uploading",
        UNTIL.format(name="uploading", state="uploading"),
        shows_again=True,
    ),
    Scene(
        "waiting",
        (("poll-502", MANY, ""),),
        "%%kling -o waiting\nRain on a window",
        UNTIL.format(name="waiting", state="waiting") + POST,
    ),
    Scene(
        "outofsight",
        (("poll-502", MANY, ""),),
        "waiting",
        "pace._OUT_OF_SIGHT_S = 0.1" + UNTIL.format(name="waiting", state="outofsight"),
        shows_again=True,
    ),
    Scene(
        "downloading",
        (SLOW,),
        "downloading",
        "get_ipython().run_cell_magic('kling', '-o downloading', 'A river in spring')"
        + UNTIL.format(name="downloading", state="downloading"),
        shows_again=True,
    ),
    Scene(
        "sending",
        (("create-stall", 1, ""),),
        "sending",
        STOPPED.format(
            call="get_ipython().run_cell_magic('kling', '-o sending', 'A kite in the wind')",
            name="sending",
        )
        + UNTIL.format(name="sending", state="sending"),
        shows_again=True,
    ),
)
PAID = (
    "%load_ext kling_nb",
    "%kling budget 2000 --per folder",
    "%%kling -i fox.png --embed never -o paid\nThe fox looks up",
    "%%kling --take 2\nA lighthouse at night",
)


class Player:
    """A notebook that is run cell by cell as a browser does, and saved as it stands then."""

    def __init__(self, client: NotebookClient, books: Books) -> None:
        self.client, self.books = client, books
        self.saved: list[Any] = []

    def hidden(self, code: str) -> None:
        """Run code that is not saved."""
        self._run(code)

    def shown(self, code: str) -> None:
        """Run a cell and save it with its outputs."""
        self.saved.append(self._run(code))

    def play(self, scene: Scene) -> None:
        """Run the cells of a card and save it in its state."""
        self.books.clear_faults()
        for name, times, argument in scene.faults:
            self.books.inject(name, times=times, argument=argument)
        if scene.shows_again:
            self._run(scene.then)
            cell = self._run(scene.cell)
        else:
            cell = self._run(as_call(scene))
            cell.source = scene.cell
        self.saved.append(copy.deepcopy(cell))
        assert f'data-kling-state="{scene.state}"' in str(cell.outputs), scene

    # nbclient takes in only what is displayed in the name of the cell that runs.
    def _run(self, code: str) -> Any:
        cells = self.client.nb.cells
        cells.append(nbformat.v4.new_code_cell(code))
        return self.client.execute_cell(cells[-1], len(cells) - 1)


def as_call(scene: Scene) -> str:
    """Write a cell as code that waits for the state, so that the updates of its card come in."""
    line, _, body = scene.cell.removeprefix("%%kling ").partition("\n")
    name = line.split("-o ")[1].split()[0]
    call = f"get_ipython().run_cell_magic('kling', {line!r}, {body!r})"
    if scene.state == "preparing":
        return STOPPED.format(call=call, name=name)
    call += f"\n{scene.then}\n"
    if scene.state in {"refused", "discarded"}:
        return f"import time\ntry:\n    {call}\nexcept Exception:\n    time.sleep(1)\n"
    return call + UNTIL.format(name=name, state=scene.state)


def run_film(folder: Path, env: dict[str, str], books: Books) -> None:
    """Run `film.ipynb` and kill its kernel while jobs run."""
    client = new_client(folder, ())
    with client.setup_kernel(env=env):
        client.kc.allow_stdin = True  # as a front end that stays
        player = Player(client, books)
        player.shown("%load_ext kling_nb")
        player.hidden(QUICK)
        for scene in ENDED:
            if scene.state == "vanished":
                player.hidden("pace.GRACE_S = 0.2")
            player.play(scene)
            player.hidden("pace.GRACE_S = 90.0")
        player.hidden(LISTEN)
        player.hidden(FORGET)
        player.hidden(SLOW_UPLOADS)
        for scene in RUNNING:
            player.play(scene)
        write(player.saved, folder / "film.ipynb")
        os.kill(client.km.provisioner.process.pid, signal.SIGKILL)


def run_paid(folder: Path, env: dict[str, str]) -> None:
    """Run `paid.ipynb` headless, as nbconvert does."""
    client = new_client(folder, (PAID[0], QUICK + LOSE, *PAID[1:]))
    client.execute(env=env)
    del client.nb.cells[1]
    write(client.nb.cells, folder / "paid.ipynb")


def new_client(folder: Path, cells: tuple[str, ...]) -> NotebookClient:
    """Make a client for cells that run in a folder."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in cells])
    return NotebookClient(book, timeout=60, resources={"metadata": {"path": str(folder)}})


def write(cells: list[Any], path: Path) -> None:
    """Save cells as a notebook without the times of execution."""
    for cell in cells:
        cell.metadata.pop("execution", None)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)


def keep(work: Path, home: Path, target: Path) -> None:
    """Copy what a user has on disk, without a path of this machine."""
    shutil.rmtree(target, ignore_errors=True)
    (target / "clips").mkdir(parents=True)
    clips = work / "kling_clips"
    for path in sorted(clips.rglob("*")):
        place = target / "clips" / path.relative_to(clips)
        if path.is_file() and path.suffix not in {".part", ".sqlite3"}:
            place.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, place)
    copy_database(clips / "ledger.sqlite3", target / "clips" / "ledger.sqlite3", str(work))
    for name in ("film.ipynb", "paid.ipynb", "fox.png"):
        shutil.copyfile(work / name, target / name)
    for name in ("paid.sqlite3", "doors.sqlite3"):
        copy_database(home / "data" / "kling_nb" / name, target / name, str(work))
    for version in range(1, len(MIGRATIONS)):
        made = target / f"ledger-{version}.sqlite3"
        make_version(version, target / "clips" / "ledger.sqlite3", made)


def copy_database(source: Path, target: Path, work: str) -> None:
    """Copy a database, with a journal that a killed kernel left taken in."""
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
        for table in tables_of(new):
            if "folder" in {column[1] for column in new.execute(f"PRAGMA table_info({table})")}:
                new.execute(f"UPDATE {table} SET folder = replace(folder, ?, ?)", (work, HOME))
        new.commit()
        new.execute("VACUUM")


def tables_of(connection: sqlite3.Connection) -> list[str]:
    """List the tables of the main file."""
    query = "SELECT name FROM main.sqlite_master WHERE type = 'table'"
    return [name for (name,) in connection.execute(query)]


def make_version(version: int, source: Path, target: Path) -> None:
    """Make a ledger of an earlier schema: its own migrations, then rows of the real ledger."""
    with closing(sqlite3.connect(target, isolation_level=None)) as new:
        for migrate in MIGRATIONS[:version]:
            migrate(new)
        new.execute(f"PRAGMA user_version = {version}")
        new.execute("ATTACH ? AS source", (str(source),))
        for table in tables_of(new):
            names = [column[1] for column in new.execute(f"PRAGMA main.table_info({table})")]
            columns = ", ".join(f'"{name}"' for name in names)
            rows = f"SELECT {columns} FROM source.{table}"
            new.execute(f"INSERT INTO main.{table} ({columns}) {rows}")
        new.execute("UPDATE main.jobs SET thumbnail = x'' WHERE number > 2")
        new.execute("DETACH source")
        new.execute("VACUUM")


def main(target: Path) -> None:
    """Make all files."""
    with tempfile.TemporaryDirectory() as place:
        home, work, served = Path(place), Path(place) / "film", Path(place) / "emulator"
        work.mkdir()
        for name, colour in (("fox", "firebrick"), ("wolf", "slategrey"), ("owl", "tan")):
            Image.new("RGB", (320, 180), colour).save(work / f"{name}.png")
        with serve(served) as url:
            env = environment(home, url)
            books = Books(served)
            books.inject("lose-answer")
            run_paid(work, env | {"KLING_NB_MODE": "live", "KIE_API_KEY": KEY})
            run_film(work, env | {"KLING_NB_MODE": "emulator"}, books)
        keep(work, home, target)


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve an emulator in a process of its own; give its URL."""
    line = [sys.executable, "-m", "kling_nb", "emulator", "--port", "0", "--folder", str(folder)]
    options = ["--render", "canned", "--seconds", "0.3", "--unlimited"]
    with subprocess.Popen([*line, *options], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[3]
        finally:
            process.terminate()


def environment(home: Path, url: str) -> dict[str, str]:
    """Give the environment of a person without settings."""
    foreign = ("KIE_", "KLING_", "XDG_", "IPYTHON", "JUPYTER_", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return kept | {
        "HOME": str(home),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_STATE_HOME": str(home / "state"),
        "IPYTHONDIR": str(home / "ipython"),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        "KLING_NB_API_URL": url,
        "KLING_NB_UPLOAD_URL": url,
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
