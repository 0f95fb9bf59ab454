"""Build the docs site and check it: `python .ci/docs/build.py FOLDER`, with the extra `docs`.

Sphinx reads one source folder, so the documents are copied from the repository to a temporary one.
A warning of Sphinx or a finding of `check_site` ends the build with an error.
"""

from __future__ import annotations

import inspect
import json
import os
import posixpath
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

PROJECT_URL = ""
"""The address at which this site is published, with `/` at its end. While it is empty, all links to
pages are relative, and `pyproject.toml` has no `[project.urls]`."""

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGES = {
    "README.md": "index.md",
    "kling_nb/README.md": "package.md",
    ".github/CHANGELOG.md": "changelog.md",
    ".github/CONTRIBUTING.md": "contributing.md",
    "cassettes/README.md": "cassettes.md",
    "notebooks/PICTURES.md": "pictures.md",
}
"""The page of each Markdown file. The part of README below *Reference* is `reference.md`."""
OTHER_SITES = (
    "https://kie.ai",
    "https://keepachangelog.com/",
    "https://vcrpy.readthedocs.io",
    # the footer of the theme
    "https://www.sphinx-doc.org/",
    "https://github.com/pradyunsg/furo",
    "https://pradyunsg.me",
)
"""The absolute URLs that pages may link to begin like this."""
LOADED = {"audio", "embed", "iframe", "img", "object", "script", "source", "track", "video"}
"""The elements whose URLs a browser loads without a click; so does `link`."""


def write_sources(folder: Path) -> None:
    """Write the source folder of Sphinx."""
    shutil.copytree(ROOT / "notebooks" / "images", folder / "notebooks" / "images")
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        shutil.copy(notebook, folder / "notebooks")
    for source, page in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        (folder / page).write_text(move_links(text, posixpath.dirname(source)), encoding="utf-8")
    index = folder / "index.md"
    start, heading, reference = index.read_text(encoding="utf-8").partition("\n# Reference\n")
    contents = (HERE / "contents.md").read_text(encoding="utf-8")
    contents = contents.replace("TUTORIALS", "\n".join(_tutorials(start)))
    index.write_text(f"{start}\n{contents}", encoding="utf-8")
    (folder / "reference.md").write_text(heading + reference, encoding="utf-8")
    shutil.copy(HERE / "api.md", folder)


def _tutorials(readme: str) -> list[str]:
    """Return all notebooks, those that README links first and in its order."""
    linked = re.findall(r"\]\((notebooks/\w+)\.ipynb\)", readme)
    others = sorted(f"notebooks/{path.stem}" for path in (ROOT / "notebooks").glob("*.ipynb"))
    return list(dict.fromkeys(linked + others))


def move_links(text: str, base: str) -> str:
    """Let the links of a Markdown file in the folder `base` lead to pages."""

    def move(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(base, link[1]))
        return f"]({PAGES.get(target, link[1])}"

    return re.sub(r"\]\(([^)#]+)", move, text)


class _Page(HTMLParser):
    """The ids, the links, the loaded URLs and the number of videos of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.videos = 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids.add(values.get("id", ""))
        urls = [values[name] for name in ("href", "src", "data", "poster") if name in values]
        if tag in LOADED or (tag == "link" and values.get("rel") != "canonical"):
            self.loaded += urls
        else:
            self.links += urls
        self.videos += tag == "video" and values.get("src", "").startswith("data:video/")


def check_site(site: Path) -> Iterator[str]:
    """Yield what is wrong with the built pages."""
    pages = {path: _Page(path) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        name = path.relative_to(site)
        yield from (f"{name} loads {url}" for url in page.loaded if _host(url))
        for url in page.links:
            if problem := _problem_of_link(url, path, pages):
                yield f"{name}: {problem}"
    for style in sorted(site.rglob("*.css")):
        for url in re.findall(r"(?:url\(|@import)\s*[\"']?([^\"')\s]+)", style.read_text("utf-8")):
            if _host(url):
                yield f"{style.relative_to(site)} loads {url}"
    yield from _missing_notebooks(site, pages)
    api = pages.get(site / "api.html")
    yield from (
        f"api.html lacks {name}" for name in public_names() if not api or name not in api.ids
    )


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _problem_of_link(url: str, path: Path, pages: dict[Path, _Page]) -> str:
    parts = urlsplit(url)
    if parts.netloc or parts.scheme:
        allowed = (*OTHER_SITES, PROJECT_URL) if PROJECT_URL else OTHER_SITES
        return "" if url.startswith(allowed) else f"absolute URL {url}"
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.is_file():
        return f"no file {url}"
    if parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
        return f"no anchor {url}"
    return ""


def _missing_notebooks(site: Path, pages: dict[Path, _Page]) -> Iterator[str]:
    """Compare each notebook with its page: the page has as many clips that play."""
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        page = pages.get(site / "notebooks" / f"{notebook.stem}.html")
        outputs = [
            "".join(output.get("data", {}).get("text/html", ""))
            for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]
            for output in cell.get("outputs", ())
        ]
        clips = "".join(outputs).count('src="data:video/')
        if not page:
            yield f"no page for {notebook.name}"
        elif page.videos != clips:
            yield f"{notebook.name} has {clips} clips, its page {page.videos}"


def public_names() -> list[str]:
    """Return the anchors of all public names of the package and of their public attributes."""
    import kling_nb

    names = [f"kling_nb.{name}" for name in kling_nb.__all__ if name != "errors"]
    names += [f"kling_nb.errors.{name}" for name in kling_nb.errors.__all__]
    names += [
        f"kling_nb.{name}.{attribute}"
        for name in kling_nb.__all__
        if name[0].isupper() and inspect.isclass(value := getattr(kling_nb, name))
        for attribute in dir(value)
        if not attribute.startswith("_") and hasattr(value, attribute)
    ]
    return names


def main(site: Path) -> int:
    """Build the site in a folder and return the exit status: 0 without problems."""
    with tempfile.TemporaryDirectory() as temporary:
        sources = Path(temporary, "sources")
        sources.mkdir()
        write_sources(sources)
        options = ["-q", "-E", "-W", "--keep-going", "-D", f"html_baseurl={PROJECT_URL}"]
        folders = ["-c", HERE, "-d", Path(temporary, "doctrees"), sources, site]
        # `kling_nb.generate` is a method of the default session, which needs no key here
        environment = {**os.environ, "KLING_NB_MODE": "emulator"}
        command = [sys.executable, "-m", "sphinx", *options, *folders]
        status = subprocess.run(command, env=environment, check=False).returncode
    problems = list(check_site(site.resolve()))
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{site}: {len(list(site.rglob('*.html')))} pages, {len(problems)} problems")
    return status or bool(problems)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1])))
