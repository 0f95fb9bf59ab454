"""Front ends are detected by what they leave in a kernel."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from kling_nb.display.front_end import cell_id, front_end, present_front_end
from tests.support.shells import open_shell


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that another front end left."""
    monkeypatch.delenv("VSCODE_PID", raising=False)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)


@pytest.mark.parametrize("place", ["terminal", "headless", "notebook", "VS Code"])
def test_front_ends_are_told_apart(place: str) -> None:
    """By the kernel, by whether a person can be asked a question, by a name in the namespace."""
    with open_shell(place) as shell:  # type: ignore[arg-type]
        assert front_end(shell) == place
        assert present_front_end() == place


def test_colab_is_known_by_its_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """It imports `google.colab` into each kernel."""
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    with open_shell("notebook") as shell:
        assert front_end(shell) == "Colab"


def test_code_starts_kernels_with_its_process_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless a Jupyter server that was started in its terminal stands between."""
    shell = SimpleNamespace(kernel=SimpleNamespace(get_parent=lambda _: {}), user_ns={})
    monkeypatch.setenv("VSCODE_PID", "1")
    assert front_end(shell) == "VS Code"
    monkeypatch.setenv("JPY_SESSION_NAME", "/home/ada/first.ipynb")
    assert front_end(shell) == "notebook"


@pytest.mark.parametrize(
    ("metadata", "found"),
    [({"cellId": "b1a5"}, "b1a5"), ({}, ""), ({"cellId": 7}, "")],
    ids=["JupyterLab", "none", "another type"],
)
def test_the_running_cell_is_known_by_its_id(metadata: dict[str, object], found: str) -> None:
    """As the front end sends it; a terminal has no cells."""
    message = {"metadata": metadata}
    shell = SimpleNamespace(kernel=SimpleNamespace(get_parent=lambda _: message))
    assert cell_id(shell) == found
    assert cell_id(SimpleNamespace()) == cell_id(None) == ""
