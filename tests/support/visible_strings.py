"""Print every text that a person reads, with its place: `path:line: text`.

    python -m tests.support.visible_strings [--docstrings] [PATH…]

PATH is a file or a folder; without one, `kling_nb`, `notebooks` and `README.md` of the current
folder are read. Listed are

* of Python files: messages, labels, help, HTML and log messages from level warning, and the
  docstrings of commands and of the public API; with `--docstrings` all docstrings. Expressions in
  f-strings are shown as `{…}`;
* of JavaScript files: texts in strings; of style sheets: texts of `content`;
* of notebooks and Markdown files: the text, and the comments in code.

A string is a text if it has a space and a lower-case word, is one capitalized word, or is passed as
`help`, `label`, `note` or `title`. SQL, patterns, keys of dictionaries, annotations and compared
strings are left out. Some other strings for programs are listed. Texts of one word in lower case,
such as the headers of tables, are not.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

__all__ = ["find_texts", "main"]

Text = tuple[int, str]
"""The number of a line and the text that begins there."""

DEFAULT_PATHS = ("kling_nb", "notebooks", "README.md")
API_FILES = ("kling_nb/__init__.py", "kling_nb/core/errors.py")
"""The files with an `__all__` of names for users."""

HOLE = "{…}"
LABEL_ARGUMENTS = frozenset({"help", "label", "note", "title"})
SILENT_FIELDS = frozenset({"annotation", "keys", "pattern", "patterns", "returns", "slice"})
"""Fields of syntax nodes with strings for programs."""

LETTER = re.compile(r"[^\W\d_]")
LABEL = re.compile(r"[A-Z][a-z]+[…:]?")
WORD = re.compile(r"""(?:^|[\s("'“‘])[a-z]{2,}(?=[.,;:!?)"'”’…]*(?:\s|$))""")
SQL = re.compile(
    r"\b(?:SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|PRAGMA|BEGIN|FROM|WHERE|ORDER BY|VALUES"
    r"|AND|OR|NOT NULL|IS NULL|SAVEPOINT|ROLLBACK|RELEASE)\b|\bIN \(|= [?:]"
)
TAG = re.compile(r"<[/a-zA-Z][^<>]*>")
READ_ATTRIBUTE = re.compile(r'(?:alt|aria-label|placeholder|title)="([^"]*)"')
SCRIPT_TOKEN = re.compile(
    r"""//[^\n]*|/\*.*?\*/|(?P<compared>[!=]==\s*)?(?P<quote>["'`])(?P<text>(?:\\.|(?!(?P=quote)).)*)"""
    r"(?P=quote)",
    re.DOTALL,
)
STYLE_CONTENT = re.compile(r"(?<![\w-])content:([^;}]*)")
COMMENT = re.compile(r"(?:^|\s)#\s+(.*)")


def is_text(string: str) -> bool:
    """Return whether a string looks as if a person reads it."""
    read = TAG.sub(lambda tag: f" {' '.join(READ_ATTRIBUTE.findall(tag[0]))} ", string).strip()
    if LABEL.fullmatch(read):
        return True
    return " " in read and bool(WORD.search(read)) and not SQL.search(read)


# --- Python ---------------------------------------------------------------------------------------


def python_texts(source: str, names: frozenset[str] | None) -> Iterator[Text]:
    """Yield the texts of a module.

    Args:
        source: The module.
        names: The public names, for their docstrings; None yields all docstrings.
    """
    tree = ast.parse(source)
    yield from all_docstrings(tree) if names is None else public_docstrings(tree, names)
    labels = label_nodes(tree)
    for node in string_nodes(tree):
        text = string_of(node) or ""
        if is_text(text) or (node in labels and LETTER.search(text)):
            yield node.lineno, text


def string_of(node: ast.AST) -> str | None:
    """Return the string of a literal, an f-string or a sum with either; None for other nodes."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return join_strings(parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right) if string_of(left) or string_of(right):
            return join_strings([left, right])
    return None


def join_strings(nodes: Iterable[ast.AST]) -> str:
    """Return the strings of nodes, and `HOLE` for each other node."""
    found = map(string_of, nodes)
    return "".join(HOLE if text is None else text for text in found)


def string_nodes(node: ast.AST) -> Iterator[ast.expr]:
    """Yield the outermost nodes that are strings, and those in the holes of f-strings."""
    if is_silent(node):
        return
    is_string = string_of(node) is not None
    if is_string and isinstance(node, ast.expr):
        yield node
    for child in holes(node) if is_string else spoken_children(node):
        yield from string_nodes(child)


def holes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the parts of a string that are no strings."""
    for child in ast.iter_child_nodes(node):
        if string_of(child) is None:
            yield child
        else:
            yield from holes(child)


def spoken_children(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the children of a node, without those for programs."""
    for name, value in ast.iter_fields(node):
        if name not in SILENT_FIELDS:
            children = value if isinstance(value, list) else [value]
            yield from (each for each in children if isinstance(each, ast.AST))


def is_silent(node: ast.AST) -> bool:
    """Return whether a node has no texts: docstrings are read elsewhere, patterns never."""
    match node:
        case ast.Expr(value=ast.Constant()) | ast.Compare():
            return True
        case ast.Call(func=ast.Attribute(value=ast.Name(id="re"))):
            return True
        case ast.Call(func=ast.Attribute(attr="debug" | "info")):
            return True
        case ast.Assign(targets=[ast.Name(id="__all__")]):
            return True
    return False


def label_nodes(tree: ast.AST) -> set[ast.AST]:
    """Return the values of arguments that a person reads, however short."""
    keywords = (node for node in ast.walk(tree) if isinstance(node, ast.keyword))
    return {each.value for each in keywords if each.arg in LABEL_ARGUMENTS}


def all_docstrings(tree: ast.AST) -> Iterator[Text]:
    """Yield every docstring of a module, also those of its attributes."""
    return (found for node in ast.walk(tree) for found in docstring_of(node))


def public_docstrings(scope: ast.AST, names: frozenset[str]) -> Iterator[Text]:
    """Yield the docstrings of commands, and of public classes, their members and functions."""
    for node in getattr(scope, "body", ()):
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(scope, ast.Module) and node.name in names:
            yield from member_docstrings(node)
        elif is_command(node):
            yield from body_docstrings(node)
        else:
            yield from public_docstrings(node, names)


def member_docstrings(node: ast.AST) -> Iterator[Text]:
    """Yield the docstrings of a public function, or of a class and its public members."""
    yield from body_docstrings(node)
    for child in node.body if isinstance(node, ast.ClassDef) else ():
        if not getattr(child, "name", "_").startswith("_"):
            yield from member_docstrings(child)


def body_docstrings(node: ast.AST) -> Iterator[Text]:
    """Yield the docstrings directly in the body of a node."""
    return (found for child in getattr(node, "body", ()) for found in docstring_of(child))


def docstring_of(node: ast.AST) -> Iterator[Text]:
    """Yield the text of a statement that is only a string."""
    match node:
        case ast.Expr(value=ast.Constant(value=str(text))):
            yield node.lineno, text


def is_command(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return whether a function is a `%kling` command: its docstring is the help."""
    return any(ast.unparse(each).startswith("command(") for each in node.decorator_list)


def public_names() -> frozenset[str]:
    """Return the names in `__all__` of the API files in the current folder."""
    files = (Path(name) for name in API_FILES)
    trees = (ast.parse(file.read_text(encoding="utf-8")) for file in files if file.exists())
    return frozenset(name for tree in trees for name in exported_names(tree))


def exported_names(tree: ast.Module) -> Iterator[str]:
    """Yield the names in a module's `__all__`."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                yield from ast.literal_eval(value)


# --- other files ----------------------------------------------------------------------------------


def script_texts(source: str) -> Iterator[Text]:
    """Yield the texts in strings of a JavaScript file."""
    for found in SCRIPT_TOKEN.finditer(source):
        text = re.sub(r"\$\{[^}]*\}", HOLE, found["text"] or "")
        if not found["compared"] and is_text(text):
            yield line_at(source, found.start("text")), text


def style_texts(source: str) -> Iterator[Text]:
    """Yield the texts that a style sheet inserts."""
    for found in STYLE_CONTENT.finditer(source):
        text = " ".join(re.findall(r'"([^"]*)"', found[1]))
        if LETTER.search(text):
            yield line_at(source, found.start()), text


def line_at(source: str, position: int) -> int:
    """Return the number of the line at a position."""
    return source.count("\n", 0, position) + 1


def markdown_texts(source: str) -> Iterator[Text]:
    """Yield the lines of a Markdown text; of code blocks only comments."""
    is_code = False
    for number, line in enumerate(source.splitlines(), 1):
        if line.lstrip().startswith("```"):
            is_code = not is_code
            continue
        text = comment_of(line) if is_code else line
        if LETTER.search(text):
            yield number, text


def code_texts(source: str) -> Iterator[Text]:
    """Yield the comments of a code cell; the body of a cell magic has none."""
    if not source.startswith("%%"):
        lines = enumerate(map(comment_of, source.splitlines()), 1)
        yield from ((number, text) for number, text in lines if text)


def comment_of(line: str) -> str:
    """Return the comment at the end of a line of code."""
    found = COMMENT.search(line)
    return found[1] if found else ""


def notebook_texts(source: str) -> Iterator[Text]:
    """Yield the texts of the cells of a notebook, with lines of the notebook's file."""
    file_lines = [line.strip().removesuffix(",") for line in source.splitlines()]
    start = 0
    for cell in json.loads(source)["cells"]:
        numbers = locate_lines(cell["source"], file_lines, start)
        start = max(numbers, default=start)
        read = markdown_texts if cell["cell_type"] == "markdown" else code_texts
        for number, text in read("".join(cell["source"])):
            yield numbers[number - 1], text


def locate_lines(lines: Sequence[str], file_lines: Sequence[str], start: int) -> list[int]:
    """Return the line in the file of each line of a cell, which follows a line of the file."""
    numbers = []
    for line in lines:
        start = file_lines.index(json.dumps(line, ensure_ascii=False), start) + 1
        numbers.append(start)
    return numbers


# --- files ----------------------------------------------------------------------------------------


def find_texts(paths: Iterable[str], *, docstrings: bool = False) -> Iterator[tuple[Path, Text]]:
    """Yield the texts of files and folders, in the order of files and lines.

    Args:
        paths: Files and folders.
        docstrings: Whether all docstrings are texts.
    """
    readers: dict[str, Callable[[str], Iterator[Text]]] = {
        ".css": style_texts,
        ".ipynb": notebook_texts,
        ".js": script_texts,
        ".md": markdown_texts,
        ".py": partial(python_texts, names=None if docstrings else public_names()),
    }
    for file in files_of(paths):
        if file.suffix in readers:
            texts = readers[file.suffix](file.read_text(encoding="utf-8"))
            yield from ((file, text) for text in sorted(texts))


def files_of(paths: Iterable[str]) -> Iterator[Path]:
    """Yield the files, and those in the folders without hidden ones."""
    for path in map(Path, paths):
        found = path.rglob("*") if path.is_dir() else [path]
        yield from sorted(file for file in found if not is_hidden(file.relative_to(path)))


def is_hidden(path: Path) -> bool:
    """Return whether a file or one of its folders has a name that begins with a dot."""
    return any(part.startswith(".") for part in path.parts)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the texts, each on one line."""
    parser = argparse.ArgumentParser(description="print every text that a person reads")
    parser.add_argument("--docstrings", action="store_true", help="list all docstrings")
    parser.add_argument("paths", metavar="PATH", nargs="*", default=DEFAULT_PATHS)
    options = parser.parse_args(arguments)
    for file, (line, text) in find_texts(options.paths, docstrings=options.docstrings):
        print(f"{file}:{line}: {' '.join(text.split())}")


if __name__ == "__main__":
    main()
