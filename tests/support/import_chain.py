"""Print the longest chain of imports between the modules of a package.

    python -m tests.support.import_chain [FOLDER] [PACKAGE]

FOLDER is a checkout (the current folder by default), so that another commit can be measured from a
`git worktree` of it. Counts every import statement, also in functions and under TYPE_CHECKING. The
`__init__` of a subpackage is a module of the chain. The package's own is left out: it only lists
public names, and a module that imports it for its version would be in a cycle with all others. A
cycle counts as one link.

    the flat layout, commit 0c85936              29
    the flat layout before the move, 01052fd     30
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter

import grimp

__all__ = ["longest_chain", "read_imports"]

Link = frozenset[str]
"""One module, or the modules of a cycle."""


def read_imports(folder: str, package: str) -> dict[str, set[str]]:
    """Return the modules that each module of a package imports, without the package itself."""
    sys.path.insert(0, folder)
    try:
        graph = grimp.build_graph(package, cache_dir=None)
    finally:
        sys.path.remove(folder)
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    return {name: found - {package} for name, found in imports.items() if name != package}


def longest_chain(imports: Mapping[str, set[str]]) -> tuple[Link, ...]:
    """Return the longest chain, from the importing module to the imported one."""
    links = collapse_cycles(imports)
    following = {
        link: {links[name] for module in link for name in imports[module]} - {link}
        for link in links.values()
    }

    @cache
    def chain_from(link: Link) -> tuple[Link, ...]:
        return link, *max(map(chain_from, following[link]), key=rank, default=())

    return max(map(chain_from, following), key=rank)


def collapse_cycles(imports: Mapping[str, set[str]]) -> dict[str, Link]:
    """Return the link of each module."""
    links = {name: frozenset([name]) for name in imports}
    while cycle := find_cycle(imports, links):
        merged = frozenset().union(*cycle)
        links |= dict.fromkeys(merged, merged)
    return links


def find_cycle(imports: Mapping[str, set[str]], links: Mapping[str, Link]) -> list[Link]:
    """Return the links of one cycle; none if there is no cycle."""
    sorter: TopologicalSorter[Link] = TopologicalSorter()
    for name, found in imports.items():
        sorter.add(links[name], *({links[each] for each in found} - {links[name]}))
    try:
        sorter.prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def rank(chain: tuple[Link, ...]) -> tuple[int, list[str]]:
    """Return the sort key of a chain: its length, then its names, so that ties have an order."""
    return len(chain), list(describe(chain))


def describe(chain: tuple[Link, ...]) -> Iterator[str]:
    """Return a line of text for each link."""
    return (" + ".join(sorted(link)) for link in chain)


def main(folder: str = ".", package: str = "kling_nb") -> None:
    """Print the chain of a checkout."""
    chain = longest_chain(read_imports(folder, package))
    print(f"{len(chain)} links", *describe(chain), sep="\n  ")


if __name__ == "__main__":
    main(*sys.argv[1:])
