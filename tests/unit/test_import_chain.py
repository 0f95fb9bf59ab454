"""The longest chain of imports, on a package made for the test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.import_chain import main

MODULES = {
    "made_up/__init__.py": "from .low.names import first",
    "made_up/top.py": "def later():\n    from made_up.low import names",
    "made_up/low/__init__.py": "",
    "made_up/low/names.py": "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    from . import kinds",
    "made_up/low/kinds.py": "import made_up.alone\nimport made_up",
    "made_up/alone.py": "import json",
}


def write(folder: Path, **changed: str) -> None:
    """Write the modules, some of them with another content."""
    for name, text in (
        MODULES | {f"made_up/{name}.py": text for name, text in changed.items()}
    ).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def test_every_import_statement_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Imports in functions and for types are links; the package's own `__init__` is none."""
    write(tmp_path)
    main(str(tmp_path), "made_up")
    lines = capsys.readouterr().out.split()
    names = ["made_up.top", "made_up.low.names", "made_up.low.kinds", "made_up.alone"]
    assert lines == ["4", "links", *names]


def test_a_cycle_is_one_link(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Modules that import each other are printed together."""
    write(tmp_path, alone="import made_up.low.names")
    main(str(tmp_path), "made_up")
    assert capsys.readouterr().out.splitlines() == [
        "2 links",
        "  made_up.top",
        "  made_up.alone + made_up.low.kinds + made_up.low.names",
    ]
