// Resolves links in HTML drawn by scripts. A front end resolves only links in outputs; unresolved
// links lead to a page of the server instead of the file.

const RELATIVE = /^(?![a-z][a-z\d+.-]*:|[/#?])./i;

function resolveLinks(root, manager) {
  if (!manager.resolveUrl) return;
  for (const link of root.querySelectorAll("a[href]")) {
    const href = link.getAttribute("href");
    if (!RELATIVE.test(href) || link.dataset.klingHref === href) continue;
    link.dataset.klingHref = href;
    manager.resolveUrl(href).then(
      (address) => link.getAttribute("href") === href && link.setAttribute("href", address),
      (error) => console.warn("[kling_nb] a link could not be resolved:", error),
    );
  }
}
