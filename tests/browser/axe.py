"""axe-core in the page: what keeps people from using a piece of it.

Knows the library and what is left out for the application's sake; which piece is judged, and in
which state, is the tests' business.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["AXE", "MISSING", "faults"]

VERSION = "4.14.1"
AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
MISSING = (
    f"needs axe-core: npm install --no-save --no-package-lock --prefix tests/browser "
    f"axe-core@{VERSION}"
)

JUPYTER_NODES = (
    # JupyterLab's prompt beside each output: empty, and clickable without a name.
    ".jp-OutputPrompt",
    ".jp-OutputArea-promptOverlay",
)
"""The application's own nodes, in which no fault is ours."""

# JupyterLab's body is 0 pixels high and cuts off what is outside it; what fills the window is
# placed without regard to that. axe would take every text for hidden and judge no colour.
PREPARE = "() => { document.body.style.minHeight = '100vh' }"

JUDGE = """
async ([root, left_out]) => {
  const found = await axe.run(
    { include: [[root]], exclude: left_out.map((node) => [node]) },
    { resultTypes: ["violations"] },
  );
  const told = found.violations.flatMap((rule) =>
    rule.nodes.map((node) => `${rule.id}: ${node.target.join(" ")}: ${node.failureSummary}`));
  return { told, passed: found.passes.map((rule) => rule.id) };
}
"""


def faults(page: Any, root: str) -> list[str]:
    """Every violation at or below the elements of a selector: rule, node and why.

    All rules count, those of WCAG at each level that axe knows and its best practices.

    Raises:
        AssertionError: There was nothing to judge.
    """
    if page.evaluate("() => typeof axe") == "undefined":
        # By the debugger's door and not as a script element, which a page's policy may forbid.
        page.evaluate(AXE.read_text(encoding="utf-8"))
        page.evaluate(PREPARE)
    assert page.locator(root).count() > 0, f"nothing on the page is {root}"
    judged = page.evaluate(JUDGE, [root, list(JUPYTER_NODES)])
    assert judged["passed"], f"no rule of axe applies to {root}"
    told: list[str] = judged["told"]
    return told
