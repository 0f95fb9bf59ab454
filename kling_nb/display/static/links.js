// Links in what we draw ourselves. A front end resolves those of an output, and knows nothing of
// these; without it they lead to a page of the server instead of to the file.

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
