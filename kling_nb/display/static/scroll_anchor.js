// Whoever reads or types below a card stays where they are when its clip arrives. JupyterLab turns
// the browser's own scroll anchoring off for the cells on the screen, so that a card above it would
// push everything down by the height of the clip.

class Anchors {
  constructor() {
    this.heights = new Map();
    this.keys = new WeakMap();
    this.scrolled = new WeakMap();
    this.observer = new ResizeObserver((entries) => this.settle(entries));
  }

  // An output that is drawn anew is another node, for the same place of the same area.
  watch(node) {
    if (this.keys.has(node)) return;
    const place = node.dataset.klingPlace;
    const area = node.closest(".jp-OutputArea") ?? node.parentElement;
    const known = [...this.heights.keys()];
    const key = known.find((each) => each.area === area && each.place === place);
    this.keys.set(node, key ?? { area, place });
    this.observer.observe(node);
    this.follow(scrollerOf(node));
  }

  // Where a person has scrolled to; what the browser corrects by itself is told of a frame later.
  follow(scroller) {
    if (!scroller || this.scrolled.has(scroller)) return;
    const note = () => this.scrolled.set(scroller, scroller.scrollTop);
    scroller.addEventListener("scroll", note, { passive: true });
    note();
  }

  // Between layout and paint: nobody sees the page where it would have jumped to. Several come at
  // once where a page was hidden for a while, or became narrower: from above, since each moves the
  // next.
  settle(entries) {
    const corrected = new Map();
    for (const node of downwards(entries.map((each) => each.target))) {
      const key = this.keys.get(node);
      const { top, height } = node.getBoundingClientRect();
      const before = this.heights.get(key)?.height ?? height;
      this.heights.set(key, { node, height });
      if (before !== height) this.hold(node, top + before, height - before, corrected);
    }
    // What is not drawn anew at once may come back after much else has moved.
    for (const [key, { node }] of [...this.heights]) {
      if (node.isConnected) continue;
      this.heights.delete(key);
      this.keys.delete(node);
      this.observer.unobserve(node);
    }
  }

  // `corrected` is what the browser did by itself: for all of them together, or for none.
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

// An output's own frame could scroll, too, and never has anything to.
function scrollerOf(node) {
  for (let each = node.parentElement; each; each = each.parentElement) {
    const isFull = each.scrollHeight > each.clientHeight + 1;
    if (isFull && /auto|scroll/.test(getComputedStyle(each).overflowY)) return each;
  }
  return null;
}

// By where the cursor was before all of it moved.
function isTypedBelow(node, screen, growth) {
  const typed = document.activeElement;
  if (!typed?.isContentEditable || node.contains(typed)) return false;
  const { top, bottom } = typed.getBoundingClientRect();
  const isBelow = node.compareDocumentPosition(typed) & Node.DOCUMENT_POSITION_FOLLOWING;
  return Boolean(isBelow) && top - growth < screen.bottom && bottom - growth > screen.top;
}
