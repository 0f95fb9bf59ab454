"""What holds for each module and no library checks: a light import, names, and sizes.

Which package may import which is `lint-imports`, see `pyproject.toml`.
"""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

from tests.support.scripts import run_script

PACKAGE = Path(__file__).parents[2] / "kling_nb"

MAX_LINES = 450


HEAVY = (
    "IPython", "ipywidgets", "httpx", "av", "PIL", "starlette", "tornado", "anywidget",
    "nest_asyncio",
)  # fmt: skip


def dotted(path: Path) -> str:
    """A file's module name inside the package, e.g. `ledger.table`; a package is `ledger`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


MODULES = {dotted(path): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def is_package(module: str) -> bool:
    """Whether a module is the `__init__` of a package."""
    return MODULES[module].name == "__init__.py"


EACH_MODULE = pytest.mark.parametrize("module", MODULES)


def exported(module: str) -> list[str] | None:
    """The `__all__` of a module, None where there is none."""
    for node in TREES[module].body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if node.value and ast.unparse(target) == "__all__":
                return list(ast.literal_eval(node.value))
    return None


# --- import ---------------------------------------------------------------------------------------


def test_importing_is_light_and_patches_nothing() -> None:
    """`import kling_nb` loads no front end, no network, no codec, and leaves asyncio alone."""
    printed = run_script(f"""
        import asyncio, sys
        names = ("run", "Task", "Future", "get_event_loop")
        before = {{name: getattr(asyncio, name) for name in names}}
        import kling_nb
        print([name for name in {HEAVY} if name in sys.modules])
        print([name for name, value in before.items() if getattr(asyncio, name) is not value])
        print(hasattr(asyncio, "_nest_patched"))
    """)
    assert printed == "[]\n[]\nFalse\n"


LOADED_LATER = (
    "PIL", "anyio", "anywidget", "av", "filelock", "httpx", "ipywidgets", "jsonschema", "keyring",
    "nbformat", "nest_asyncio", "numpy", "platformdirs", "psygnal", "sqlite3", "ssl", "stamina",
    "starlette", "tornado", "kling_nb.models", "kling_nb.storage", "kling_nb.media",
    "kling_nb.emulator", "kling_nb.jobs.session", "kling_nb.display.comm",
)  # fmt: skip

LOAD_EXTENSION = f"""
    import os, sys
    for name in [name for name in os.environ if name.startswith(("KIE_", "KLING_"))]:
        del os.environ[name]
    os.environ |= {{"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}}
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell.instance(config=config)
    before = set(sys.modules)
    events, loaded_at_update = [], []
    sys.addaudithook(lambda event, _: events.append(event))

    class Publisher(type(shell.display_pub)):
        def publish(self, data, *args, update=False, **kwargs):
            if update:
                loaded_at_update.append(set(sys.modules))
            else:
                new = sys.modules.keys() - before
                print(data["text/plain"])
                print([name for name in {LOADED_LATER} if name in new])
                print([e for e in events if e.startswith(("socket", "sqlite3", "subprocess"))])
                print(os.listdir())

    shell.display_pub = Publisher()
    shell.run_line_magic("load_ext", "kling_nb")
"""


def test_the_extension_shows_its_line_before_it_loads_or_opens_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`%load_ext` shows the line with no library loaded, and no keyring, file or socket opened."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(PACKAGE.parent))
    assert run_script(LOAD_EXTENSION) == "kling_nb · clips in kling_clips\n[]\n[]\n[]\n"


def test_the_extension_imports_the_rest_in_a_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it completes the line: a session or a cell after that competes with no import."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(PACKAGE.parent))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    printed = run_script(f"""{LOAD_EXTENSION}
    import threading
    for thread in threading.enumerate():
        if thread.name == "kling_nb status update":
            thread.join()
    [loaded] = loaded_at_update
    print([name for name in ("kling_nb.notebook.magics", "ipywidgets") if name not in loaded])
    print([name for name in sys.modules.keys() - loaded if name.startswith("kling_nb.")])
    """)
    assert printed.endswith("\n[]\n[]\n")


PLACEHOLDER = f"""
    import os, sys
    from types import SimpleNamespace
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell.instance(config=config)
    shell.kernel = SimpleNamespace(get_parent=lambda _: {{}})
    before = set(sys.modules)

    class Publisher(type(shell.display_pub)):
        def publish(self, data, *args, **kwargs):
            print(data["text/plain"])
            print([name for name in {LOADED_LATER} if name in sys.modules.keys() - before])
            sys.stdout.flush()
            os._exit(0)

    shell.display_pub = Publisher()
    from kling_nb.notebook.extension import extension_of
    extension_of(shell).register()
    shell.run_cell("%%kling -m 3.0/video -i fox.png\\nA red fox")
"""


def test_a_cell_shows_a_placeholder_before_it_loads_anything(tmp_path: Path) -> None:
    """The page is not blank while the first cell of a kernel loads its libraries."""
    shown = "Preparing · 3.0/video\nA red fox\nNothing has been sent yet.\n[]\n"
    assert run_script(PLACEHOLDER) == shown


USED_LATER = (
    "IPython", "PIL", "anywidget", "av", "ipywidgets", "keyring", "nbformat",
    "nest_asyncio", "numpy", "python_multipart", "starlette.applications",
    "kling_nb.callbacks", "kling_nb.display", "kling_nb.emulator.backend", "kling_nb.notebook",
)  # fmt: skip


def test_opening_a_session_loads_nothing_that_is_used_later(tmp_path: Path) -> None:
    """Neither codecs nor front ends; the first request loads the emulator's app, in a worker."""
    printed = run_script(f"""
        import sys, threading
        from pathlib import Path

        class Finder:
            @staticmethod
            def find_spec(name, *_):
                if name == "kling_nb.emulator.backend":
                    print(threading.current_thread().name)

        sys.meta_path.insert(0, Finder)
        from kling_nb import Session
        session = Session(mode="emulator", folder=Path({str(tmp_path)!r}))
        session.jobs()
        print([name for name in {USED_LATER} if name in sys.modules])
        session.balance()
    """)
    assert printed == "[]\nkling_nb work_0\n"


LIGHT = ("core", "models", "storage", "kie.wire", "kie.webhooks", "display.html", "emulator.faults")


def test_a_part_loads_only_what_it_needs() -> None:
    """What is pure, stores or renders loads neither network nor codecs, nor does its package."""
    parts = [m for m in MODULES if any(m == each or m.startswith(f"{each}.") for each in LIGHT)]
    printed = run_script(f"""
        import importlib, sys
        for part in {parts}:
            importlib.import_module("kling_nb." + part)
        heavy = ("httpx", "PIL", "av", "IPython", "tornado")
        print([name for name in heavy if name in sys.modules])
    """)
    assert printed == "[]\n"


# --- names -------------------------------------------------------------------------------------


@EACH_MODULE
def test_only_packages_list_their_exports(module: str) -> None:
    """A package's `__all__` names what exists; in a module an underscore marks what is private."""
    names = exported(module)
    if MODULES[module].name != "__init__.py" and module != "core.errors":  # users import that one
        assert names is None
    elif module != "__init__":  # its names load everything; they are tested where they are used
        package = importlib.import_module(f"kling_nb.{module}")
        assert [name for name in names or () if not hasattr(package, name)] == []


@pytest.mark.parametrize(
    "package", [name for name in MODULES if MODULES[name].name == "__init__.py"]
)
def test_the_import_line_of_a_package_works(package: str) -> None:
    """The docstring of a package ends with the line that others import."""
    for line in (ast.get_docstring(TREES[package]) or "").splitlines():
        if re.match(r" *from kling_nb\.", line):
            exec(line.strip(), {})


@EACH_MODULE
def test_private_names_stay_in_their_module(module: str) -> None:
    """A leading underscore is private, everywhere."""
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.ImportFrom) and (node.level or "kling_nb" in str(node.module)):
            private = [each.name for each in node.names if re.match("_(?!_)", each.name)]
            assert not private, f"{module}:{node.lineno}"


@EACH_MODULE
def test_modules_are_named_for_what_they_are(module: str) -> None:
    """One noun, no drawer for odds and ends, no leading underscore."""
    name = module.rpartition(".")[2]
    assert name in {"__init__", "__main__"} or not name.startswith("_")
    assert name not in {"utils", "util", "helpers", "common", "base", "manager", "misc"}


# --- sizes -------------------------------------------------------------------------------------


@EACH_MODULE
def test_files_are_short(module: str) -> None:
    """A file of more than 450 lines has two subjects."""
    path = MODULES[module]
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES


@EACH_MODULE
def test_sql_numbers_no_placeholder(module: str) -> None:
    """Python 3.12 deprecates `?1` with a sequence, and Python 3.14 refuses it."""
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not re.search(r"\?[0-9]", node.value), f"{module}:{node.lineno}"


@EACH_MODULE
def test_scaling_has_no_threads_of_its_own(module: str) -> None:
    """With PyAV 19 a forked child would wait for ever for the threads of a scaler."""
    for node in ast.walk(TREES[module]):
        function = node.func if isinstance(node, ast.Call) else None
        if isinstance(function, ast.Attribute) and function.attr in {"reformat", "to_image"}:
            given = {keyword.arg for keyword in node.keywords}
            assert "threads" in given, f"{module}:{node.lineno}"
