// Shows views of widgets in place of their saved views.

const RETRY_MS = 250;
const SLOWEST_RETRY_MS = 10_000;
const GONE_MS = 60_000;

class Mounts {
  constructor(manager) {
    this.manager = manager;
    this.shown = new Map();
    this.busy = new Set();
    this.watched = new WeakSet();
  }

  visit(node) {
    if (this.shown.has(node)) {
      resolveLinks(node, this.manager); // links of the widget
      return;
    }
    if (this.busy.has(node)) return;
    this.busy.add(node);
    this.mount(node)
      .catch((error) => console.warn("[kling_nb] a widget could not be shown:", error))
      .finally(() => this.busy.delete(node));
  }

  // No `await` for an existing view, so that it moves without flicker.
  async mount(node) {
    const id = node.dataset.klingMount;
    const kept = this.orphan(id);
    const view = kept ? kept.view : await this.make(id, node);
    if (!view || this.closed) return;
    const saved = document.createDocumentFragment();
    saved.append(...node.childNodes);
    this.shown.set(node, { id, view, saved, focus: kept?.focus ?? null, goneAt: 0 });
    node.classList.add("kling-mounted");
    this.attach(view, node, Boolean(kept));
    this.watch(node);
    resolveLinks(node, this.manager);
    if (kept?.focus && document.activeElement === document.body) {
      kept.focus.focus({ preventScroll: true });
    }
  }

  watch(node) {
    if (this.watched.has(node)) return;
    this.watched.add(node);
    node.addEventListener("focusin", (event) => this.remember(node, event.target));
    // Also fired when the node is replaced, so the focus is checked after that.
    node.addEventListener("focusout", () => {
      setTimeout(() => {
        if (!node.contains(document.activeElement)) this.remember(node, null);
      }, 0);
    });
  }

  // A cell outside of the window is detached and returns; the output of an earlier run does not.
  tidy(now = Date.now()) {
    for (const [node, entry] of [...this.shown]) {
      if (node.isConnected) entry.goneAt = 0;
      else if (!entry.goneAt) entry.goneAt = now;
      else if (now - entry.goneAt > GONE_MS) this.dismount(entry.view);
    }
  }

  remember(node, element) {
    const entry = this.shown.get(node);
    if (entry) entry.focus = element;
  }

  // A redrawn output is another node: the view moves there.
  orphan(id) {
    for (const [node, entry] of this.shown) {
      if (entry.id === id && !node.isConnected) {
        this.shown.delete(node);
        node.append(entry.saved);
        return entry;
      }
    }
    return null;
  }

  // After a reload of the page the manager restores models one by one. A closed widget never
  // returns: it is checked less and less often, and only while its node is on the page.
  async make(id, node) {
    for (let pause = RETRY_MS; !this.manager.has_model(id); pause *= 1.2) {
      if (this.closed || !node.isConnected) return null;
      const wait = Math.min(pause, SLOWEST_RETRY_MS);
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
    const child = await this.manager.get_model(id);
    const view = await this.manager.create_view(child);
    // `listenTo` ends with the view.
    view.listenTo?.(child, "destroy", () => this.dismount(view));
    return view;
  }

  attach(view, node, isMoved) {
    const lumino = view.luminoWidget ?? view.pWidget;
    const attach = lumino?.constructor?.attach;
    if (!isMoved && attach && node.isConnected) attach.call(lumino.constructor, lumino, node);
    else node.append(lumino?.node ?? view.el);
  }

  dismount(view) {
    for (const [node, entry] of this.shown) {
      if (entry.view !== view) continue;
      this.shown.delete(node);
      // Lumino detaches only widgets that are attached to the page.
      const shelter = document.createElement("div");
      shelter.hidden = true;
      document.body.append(shelter);
      if (!node.isConnected) shelter.append(...node.childNodes);
      try {
        view.remove();
      } catch (error) {
        console.warn("[kling_nb] a widget could not be removed:", error);
      }
      shelter.remove();
      node.classList.remove("kling-mounted");
      node.replaceChildren(entry.saved);
    }
  }

  close() {
    this.closed = true;
    for (const { view } of [...this.shown.values()]) this.dismount(view);
  }
}
