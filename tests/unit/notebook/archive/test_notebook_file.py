"""Notebook files: the current one, reading, writing without loss, and the trust signature."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.sign import NotebookNotary

from kling_nb.display.front_end import reported_notebooks
from kling_nb.errors import InvalidInput
from kling_nb.notebook.archive.notebook_file import (
    WIDGET_STATE,
    WIDGET_VIEW,
    NotebookFile,
    current_notebook,
)


def with_outputs(outputs: object, **metadata: object) -> dict[str, Any]:
    """A notebook as JSON with these outputs, valid or not."""
    cell = {"cell_type": "code", "metadata": {}, "source": "x", "outputs": outputs}
    return {"metadata": metadata, "nbformat": 4, "nbformat_minor": 4, "cells": [cell]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A notebook with outputs of several kinds, as Jupyter saves it."""
    output, path = nbformat.v4.new_output, tmp_path / "film.ipynb"
    outputs = [
        output("stream", name="stdout", text="ä\n\u2028…\n"),
        output("display_data", data={"text/html": "<b>a</b>\n<i>b</i>", "text/plain": "a"}),
        output("execute_result", data={"application/json": {"a": [1.5, None, "é"]}}),
    ]
    cell = nbformat.v4.new_code_cell("x = 1\ny", outputs=outputs, metadata={"tags": ["t"]})
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    return path


# --- the saved state of widgets ----------------------------------------------------------------


def test_the_state_of_unshown_widgets_is_removed(path: Path) -> None:
    """The state of a shown widget stays, and that of each widget it refers to."""
    view = {"output_type": "display_data", "metadata": {}}
    view["data"] = {"text/plain": "x", WIDGET_VIEW: {"model_id": "shown"}}
    names = {"shown": ["IPY_MODEL_child"], "child": ["IPY_MODEL_style"], "style": [], "dead": []}
    state = {name: {"state": {"children": inside}} for name, inside in names.items()}
    widgets = {WIDGET_STATE: {"version_major": 2, "version_minor": 0, "state": state}}
    path.write_text(json.dumps(with_outputs([view], widgets=widgets)))
    file = NotebookFile.read(path)
    assert file.drop_unshown_widgets() == 1
    file.write(path, replace=True)
    kept = nbformat.read(path, 4).metadata.widgets[WIDGET_STATE].state
    assert set(kept) == {"shown", "child", "style"}
    assert NotebookFile.read(path).drop_unshown_widgets() == 0


@pytest.mark.parametrize("widgets", [[], {}, {WIDGET_STATE: {"state": 1}}])
def test_other_metadata_of_widgets_is_not_changed(path: Path, widgets: Any) -> None:
    """Other programs may write another form."""
    path.write_text(json.dumps(with_outputs([], widgets=widgets)))
    file = NotebookFile.read(path)
    assert file.drop_unshown_widgets() == 0
    file.write(path, replace=True)
    assert json.loads(path.read_bytes())["metadata"] == {"widgets": widgets}


def test_empty_widget_metadata_is_removed(path: Path) -> None:
    """Without any state the metadata goes, too."""
    path.write_text(json.dumps(with_outputs([], widgets={WIDGET_STATE: {"state": {"dead": {}}}})))
    file = NotebookFile.read(path)
    assert file.drop_unshown_widgets() == 1
    file.write(path, replace=True)
    assert json.loads(path.read_bytes())["metadata"] == {}


# --- writing -----------------------------------------------------------------------------------


def test_a_notebook_of_jupyter_is_written_byte_by_byte(path: Path, tmp_path: Path) -> None:
    """A notebook without changes is the same file."""
    NotebookFile.read(path).write(tmp_path / "copy.ipynb")
    assert (tmp_path / "copy.ipynb").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("minor", [0, 2, 4, 5])
@pytest.mark.parametrize("layout", [{}, {"indent": 4, "ensure_ascii": False}])
def test_no_content_is_lost(path: Path, tmp_path: Path, minor: int, layout: Any) -> None:
    """Minor version, unknown metadata and keys, attachments and cells without ids stay."""
    content = json.loads(path.read_text(encoding="utf-8"))
    content |= {"nbformat_minor": minor, "of another program": [1.5, None, {"ä": "\u2028"}]}
    content["metadata"]["unknown"] = {"deep": [{}]}
    attachments = {"fox.png": {"image/png": "iVBORw0KGgo=", "text/plain": ["a\n", "b"]}}
    text = {"cell_type": "markdown", "metadata": {}, "source": ["#"], "attachments": attachments}
    content["cells"].append(text)
    del content["cells"][0]["id"]
    path.write_text(json.dumps(content, **layout), encoding="utf-8")
    NotebookFile.read(path).write(tmp_path / "copy.ipynb")
    assert json.loads((tmp_path / "copy.ipynb").read_text(encoding="utf-8")) == content


def test_bundles_are_changed_in_place(path: Path, tmp_path: Path) -> None:
    """Only the changed text differs in the file."""
    file = NotebookFile.read(path)
    first, second = file.bundles()
    assert second == {"application/json": {"a": [1.5, None, "é"]}}
    first["text/html"] = "<p>new</p>"
    size = file.write(tmp_path / "copy.ipynb")
    assert size == (tmp_path / "copy.ipynb").stat().st_size
    old, new = (nbformat.read(each, as_version=4) for each in (path, tmp_path / "copy.ipynb"))
    assert new.cells[0].outputs[1].data["text/html"] == "<p>new</p>"
    new.cells[0].outputs[1].data["text/html"] = old.cells[0].outputs[1].data["text/html"]
    assert new == old


def test_an_existing_file_is_not_overwritten_by_accident(path: Path, tmp_path: Path) -> None:
    """The error names the option that overwrites it."""
    other = tmp_path / "other.ipynb"
    other.write_text("mine")
    with pytest.raises(InvalidInput, match=r"other\.ipynb' exists; `--replace` overwrites it"):
        NotebookFile.read(path).write(other)
    assert other.read_text() == "mine"
    NotebookFile.read(path).write(other, replace=True)
    assert other.read_bytes() == path.read_bytes()


def test_a_full_disk_leaves_the_old_file(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No half notebook is left, and no part file."""
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InvalidInput, match=r"cannot be written \(No space left on device"):
        NotebookFile.read(path).write(path, replace=True)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.glob("*film*")] == ["film.ipynb"]


def test_a_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    """Its target is written."""
    link = tmp_path / "link.ipynb"
    link.symlink_to(path)
    file = NotebookFile.read(link)
    next(file.bundles())["text/html"] = "<p>new</p>"
    file.write(link, replace=True)
    assert link.is_symlink()
    assert "<p>new</p>" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("umask", [0o000, 0o027, 0o077])
@pytest.mark.parametrize("bits", [0o644, 0o600])
def test_permissions_are_those_of_the_original(
    path: Path, tmp_path: Path, umask: int, bits: int
) -> None:
    """A copy follows the umask, as with `cp`; a changed notebook keeps its bits."""
    target = tmp_path / "packed.ipynb"
    path.chmod(bits)
    file = NotebookFile.read(path)
    before = os.umask(umask)
    try:
        file.write(target)
        assert stat.S_IMODE(target.stat().st_mode) == bits & ~umask
        file.write(path, replace=True)
        assert stat.S_IMODE(path.stat().st_mode) == bits
    finally:
        os.umask(before)
    assert list(tmp_path.glob(".*")) == []


@pytest.mark.parametrize("is_same_size", [False, True])
def test_a_notebook_that_a_page_has_saved_is_not_overwritten(
    path: Path, tmp_path: Path, is_same_size: bool
) -> None:
    """The content decides, not size or time; no part file is left."""
    file, before = NotebookFile.read(path), path.stat()
    newer = path.read_bytes().replace(b"x = 1", b"x = 2")
    path.write_bytes(newer if is_same_size else newer + b"\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    (tmp_path / "link.ipynb").symlink_to(path)
    for target in (path, tmp_path / "link.ipynb"):
        with pytest.raises(InvalidInput, match="was saved by another program"):
            file.write(target, replace=True)
    assert b"x = 2" in path.read_bytes()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["film.ipynb", "link.ipynb"]


def test_half_characters_are_escaped(path: Path, tmp_path: Path) -> None:
    """JSON may hold half a surrogate pair, also after a backslash; UTF-8 has none."""
    source = "\u00e9 \\\ud83d"
    path.write_text(json.dumps(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])))
    NotebookFile.read(path).write(tmp_path / "copy.ipynb")
    assert list(NotebookFile.read(tmp_path / "copy.ipynb").sources()) == [source]


def test_a_notebook_that_cannot_be_written_is_one_error(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too deep nesting, or an output without its type; no file is made."""

    def too_deep(*_: object) -> str:
        raise RecursionError("maximum recursion depth exceeded")

    file = NotebookFile.read(path)
    with monkeypatch.context() as patch:
        patch.setattr("nbformat.v4.writes", too_deep)
        with pytest.raises(InvalidInput, match="cannot be written as a notebook"):
            file.write(tmp_path / "copy.ipynb")
    path.write_text(json.dumps(with_outputs([{}])))
    with pytest.raises(InvalidInput, match="cannot be written as a notebook"):
        NotebookFile.read(path).write(tmp_path / "copy.ipynb")
    assert not (tmp_path / "copy.ipynb").exists()


# --- reading -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "does not appear to be JSON"),
        (b"\xff\xfe", "invalid start byte"),
        (b"[]", "no attribute 'get'"),
        (b'{"metadata": {}, "nbformat": 4}', "missing an expected key: cells"),
        (b'{"metadata": {}, "nbformat": 4, "cells": 7}', "not iterable"),
        (b'{"metadata": {}, "nbformat": 4, "cells": [7]}', "not iterable"),
        (b'{"metadata": {}, "nbformat": 3, "worksheets": []}', "its format is 3, not 4"),
        (b'{"metadata": {}, "nbformat": 5}', "Unsupported nbformat version 5"),
        (b"[" * 100_000, "recursion"),
        (json.dumps(with_outputs(7)).encode(), "not iterable"),
        (json.dumps(with_outputs([7])).encode(), "no attribute 'get'"),
        (
            json.dumps(with_outputs([{"output_type": "display_data", "data": 7}])).encode(),
            "no attribute 'items'",
        ),
    ],
)
def test_a_file_that_is_no_notebook_is_one_error(path: Path, content: bytes, reason: str) -> None:
    """With the file's name and the reason; Jupyter cannot open it either."""
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=reason) as error:
        NotebookFile.read(path)
    assert "film.ipynb cannot be read as a notebook" in str(error.value)


def test_a_missing_notebook_is_an_error(tmp_path: Path) -> None:
    """With the reason of the file system."""
    with pytest.raises(InvalidInput, match="No such file"):
        NotebookFile.read(tmp_path / "none.ipynb")


def test_the_text_of_code_cells(path: Path) -> None:
    """As one text or as lines; other cells are left out."""
    cells = [
        {"cell_type": "code", "source": ["a\n", "b"]},
        {"cell_type": "markdown", "source": "# no"},
        {"cell_type": "code", "source": "c"},
        {"cell_type": "code", "source": 7},
        {"cell_type": "raw", "outputs": [7, {"data": 7}]},
    ]
    book = with_outputs([]) | {"cells": [{"metadata": {}} | cell for cell in cells]}
    path.write_text(json.dumps(book), encoding="utf-8")
    assert list(NotebookFile.read(path).sources()) == ["a\nb", "c", ""]
    assert list(NotebookFile.read(path).bundles()) == []


# --- trust -------------------------------------------------------------------------------------


@pytest.fixture
def jupyter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of a user without signatures."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    (tmp_path / "jupyter").mkdir()
    return tmp_path / "jupyter"


@pytest.mark.parametrize("trusted", [True, False])
def test_a_copy_is_trusted_like_its_original(
    path: Path, tmp_path: Path, jupyter: Path, trusted: bool
) -> None:
    """A slimmed notebook keeps its styles; another user's notebook stays untrusted."""
    with NotebookNotary(data_dir=str(jupyter)) as notary:
        signed = path if trusted else tmp_path / "other.ipynb"
        nbformat.write(nbformat.v4.new_notebook(), tmp_path / "other.ipynb")
        notary.sign(nbformat.read(signed, as_version=4))
        file = NotebookFile.read(path)
        next(file.bundles())["text/html"] = "<p>new</p>"
        file.write(tmp_path / "copy.ipynb")
        copy = nbformat.read(tmp_path / "copy.ipynb", as_version=4)
        assert notary.check_signature(copy) == trusted


def test_without_jupyter_nothing_is_signed(path: Path, tmp_path: Path, jupyter: Path) -> None:
    """No secret and no database are made."""
    NotebookFile.read(path).write(tmp_path / "copy.ipynb")
    assert list(jupyter.iterdir()) == []


# --- the current notebook ----------------------------------------------------------------------


def test_the_front_end_reports_the_notebook(path: Path) -> None:
    """Jupyter Server in an environment variable, VS Code in the namespace.

    A renamed notebook keeps the name with which its kernel started; a console has none.
    """
    assert current_notebook({}, {"JPY_SESSION_NAME": str(path)}) == path
    assert current_notebook({"__vsc_ipynb_file__": str(path)}, {}) == path
    environ = {"JPY_SESSION_NAME": "/gone/b.ipynb"}
    paths = reported_notebooks({"__vsc_ipynb_file__": "a.ipynb"}, environ)
    assert paths == ["a.ipynb", "/gone/b.ipynb"]
    assert reported_notebooks({}, {"JPY_SESSION_NAME": "console-1"}) == []


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({}, "the front end does not report its path"),
        ({"JPY_SESSION_NAME": "/somewhere/Console 1"}, "the front end does not report its path"),
        ({"JPY_SESSION_NAME": "/nowhere/film.ipynb"}, r"does not exist; was it renamed\?"),
    ],
)
def test_an_unknown_notebook_must_be_named(environ: dict[str, str], reason: str) -> None:
    """The error has an example."""
    with pytest.raises(InvalidInput, match=reason) as error:
        current_notebook({}, environ)
    assert "`%kling pack NOTEBOOK.ipynb`" in str(error.value)
