"""The checks of the docs site find what must not be published."""

from __future__ import annotations

import importlib.util
import json
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
VIDEO = '<video src="data:video/mp4;base64,AA"></video>'
SITE = {
    "index.html": '<a href="notebooks/quick.html#start">Start</a> <a href="https://kie.ai/">kie</a>',
    "api.html": '<dt id="kling_nb.run">run</dt>',
    "notebooks/quick.html": f'<h1 id="start">Quick</h1>{VIDEO}',
    "_static/site.css": "a { background: url('data:image/png;base64,AA') }",
}


def _load_build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_build", ROOT / ".ci" / "docs" / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build = _load_build()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The built site of a repository with one notebook, which has one clip."""
    notebook = tmp_path / "notebooks" / "quick.ipynb"
    notebook.parent.mkdir()
    cells = [{}, {"outputs": [{"data": {"text/html": VIDEO}}]}]
    notebook.write_text(json.dumps({"cells": cells}))
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "public_names", lambda: ["kling_nb.run"])
    for name, text in SITE.items():
        path = tmp_path / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "site"


def test_a_complete_site_has_no_problem(site: Path) -> None:
    """Relative links, links to the service, and embedded data are allowed."""
    assert list(build.check_site(site)) == []


@pytest.mark.parametrize(
    ("page", "text", "problem"),
    [
        ("index.html", '<a href="gone.html">', "index.html: no file gone.html"),
        ("index.html", '<a href="api.html#gone">', "index.html: no anchor api.html#gone"),
        ("index.html", '<a href="#gone">', "index.html: no anchor #gone"),
        (
            "index.html",
            '<a href="https://a.example/">',
            "index.html: absolute URL https://a.example/",
        ),
        (
            "index.html",
            '<link rel="canonical" href="https://a/">',
            "index.html: absolute URL https://a/",
        ),
        ("index.html", '<script src="https://a/x.js">', "index.html loads https://a/x.js"),
        ("index.html", '<script src="//a/x.js">', "index.html loads //a/x.js"),
        ("index.html", '<link rel="stylesheet" href="//a/x.css">', "index.html loads //a/x.css"),
        ("index.html", '<img src="https://kie.ai/x.png">', "index.html loads https://kie.ai/x.png"),
        (
            "_static/site.css",
            '@import "https://a/x.css";',
            "_static/site.css loads https://a/x.css",
        ),
        ("_static/site.css", "a { src: url(//a/f.woff) }", "_static/site.css loads //a/f.woff"),
        ("notebooks/quick.html", VIDEO, "quick.ipynb has 1 clips, its page 2"),
    ],
)
def test_what_a_page_must_not_have(site: Path, page: str, text: str, problem: str) -> None:
    """Broken links, absolute URLs and what a browser would load from other hosts."""
    (site / page).write_text(SITE[page] + text)
    assert list(build.check_site(site)) == [problem]


@pytest.mark.parametrize(
    ("page", "text", "problem"),
    [
        ("api.html", "", "api.html lacks kling_nb.run"),
        ("notebooks/quick.html", '<h1 id="start">', "quick.ipynb has 1 clips, its page 0"),
    ],
)
def test_what_a_page_must_have(site: Path, page: str, text: str, problem: str) -> None:
    """Each public name, and each clip of a notebook."""
    (site / page).write_text(text)
    assert list(build.check_site(site)) == [problem]


def test_each_notebook_has_a_page(site: Path) -> None:
    """A notebook without a page is named."""
    (site / "notebooks" / "quick.html").unlink()
    assert "no page for quick.ipynb" in list(build.check_site(site))


def test_public_names_are_functions_methods_fields_and_errors() -> None:
    """Of the package, of its classes and of its errors."""
    names = set(build.public_names())
    assert names > {"kling_nb.generate", "kling_nb.Session.generate", "kling_nb.Clip.path"}
    assert names > {"kling_nb.CATALOGUE", "kling_nb.Clip.task_id", "kling_nb.errors.NotSent"}
    assert not [name for name in names if "._" in name]


def test_sources_have_every_document(tmp_path: Path) -> None:
    """README is two pages; the contents list all notebooks, in the order in which it links them."""
    build.write_sources(tmp_path)
    index = (tmp_path / "index.md").read_text(encoding="utf-8")
    assert "# Reference" not in index
    assert (tmp_path / "reference.md").read_text(encoding="utf-8").startswith("\n# Reference\n")
    listed = [line for line in index.splitlines() if line.startswith("notebooks/")]
    assert listed[0] == "notebooks/quickstart"
    assert sorted(listed) == sorted(f"notebooks/{p.stem}" for p in ROOT.glob("notebooks/*.ipynb"))
    assert all((tmp_path / f"{name}.ipynb").is_file() for name in listed)


@pytest.mark.parametrize(
    ("base", "link", "moved"),
    [
        ("", "kling_nb/README.md", "package.md"),
        ("", ".github/CONTRIBUTING.md#rules", "contributing.md#rules"),
        ("kling_nb", "../README.md", "index.md"),
        ("", "notebooks/money.ipynb", "notebooks/money.ipynb"),
        ("", "https://kie.ai", "https://kie.ai"),
    ],
)
def test_links_lead_to_pages(base: str, link: str, moved: str) -> None:
    """Links to Markdown files of the repository are moved; all others stay."""
    assert build.move_links(f"see [this]({link}).", base) == f"see [this]({moved})."


def test_the_project_has_one_address() -> None:
    """`[project.urls]` has the address of the site, or is missing while the address is empty."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    url = build.PROJECT_URL
    assert project.get("urls", {}) == ({"Documentation": url} if url else {})


def test_the_address_may_be_linked(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it is set, as in the canonical URL of each page."""
    text = '<link rel="canonical" href="https://a.example/index.html">'
    (site / "index.html").write_text(text)
    assert list(build.check_site(site)) != []
    monkeypatch.setattr(build, "PROJECT_URL", "https://a.example/")
    assert list(build.check_site(site)) == []
