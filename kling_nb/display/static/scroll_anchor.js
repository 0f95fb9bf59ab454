// Keeps the scroll position when a card or a widget above it changes its height. JupyterLab disables
// the scroll anchoring of the browser for visible cells, so a new clip would push everything down.

class ScrollAnchors {
  constructor() {
    this.heights = new Map();
    this.keys = new WeakMap();
    this.scrolled = new WeakMap();
    this.observer = new ResizeObserver((entries) => this.settle(entries));
  }

  // A redrawn output is another node with the same container and output area.
  watch(node) {
    if (this.keys.has(node)) return;
    const place = node.dataset.klingPlace ?? node.dataset.klingMount;
    const area = node.closest(".jp-OutputArea") ?? node.parentElement;
    const known = [...this.heights.keys()];
    const key = known.find((each) => each.area === area && each.place === place);
    this.keys.set(node, key ?? { area, place });
    this.observer.observe(node);
    this.follow(scrollerOf(node));
  }

  // Records the scroll position; corrections by the browser fire an event one frame later.
  follow(scroller) {
    if (!scroller || this.scrolled.has(scroller)) return;
    const note = () => this.scrolled.set(scroller, scroller.scrollTop);
    scroller.addEventListener("scroll", note, { passive: true });
    note();
  }

  // Runs between layout and paint, so that no jump is visible. Several entries come at once after a
  // page was hidden or became narrower; they are handled from top to bottom, since each moves the
  // next.
  settle(entries) {
    const corrected = new Map();
    const nodes = downwards(entries.map((each) => each.target));
    for (const node of nodes) {
      const key = this.keys.get(node);
      const { top, height } = node.getBoundingClientRect();
      const before = this.heights.get(key)?.height ?? height;
      this.heights.set(key, { node, height });
      // A widget grows with the cards in it: the card is counted.
      const isOuter = nodes.some((each) => each !== node && node.contains(each));
      if (before !== height && !isOuter) this.hold(node, top + before, height - before, corrected);
    }
    // Forget removed nodes: they may come back after other nodes have moved.
    for (const [key, { node }] of [...this.heights]) {
      if (node.isConnected) continue;
      this.heights.delete(key);
      this.keys.delete(node);
      this.observer.unobserve(node);
    }
  }

  // `corrected` is the correction by the browser, for all nodes of a scroller together.
  hold(node, end, growth, corrected) {
    const scroller = scrollerOf(node);
    if (!this.scrolled.has(scroller)) return;
    const done = corrected.get(scroller) ?? scroller.scrollTop - this.scrolled.get(scroller);
    corrected.set(scroller, done);
    if (done * Math.sign(growth) >= Math.abs(growth) - 1) return;
    const screen = scroller.getBoundingClientRect();
    if (end > screen.top && !isTypedBelow(node, screen, growth)) return;
    scroller.scrollTop += growth;
  }

  close() {
    this.observer.disconnect();
  }
}

function downwards(nodes) {
  const topOf = (node) => node.getBoundingClientRect().top;
  return nodes.filter((node) => node.isConnected).sort((one, other) => topOf(one) - topOf(other));
}

// Whether the focused editor is visible below the node, before the move.
function isTypedBelow(node, screen, growth) {
  const typed = document.activeElement;
  if (!typed?.isContentEditable || node.contains(typed)) return false;
  const { top, bottom } = typed.getBoundingClientRect();
  const isBelow = node.compareDocumentPosition(typed) & Node.DOCUMENT_POSITION_FOLLOWING;
  return Boolean(isBelow) && top - growth < screen.bottom && bottom - growth > screen.top;
}
