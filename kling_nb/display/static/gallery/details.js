// The details of one clip, in a row of their own below the row of the clip.

class Details {
  constructor(gallery) {
    this.gallery = gallery;
    this.tile = null;
    this.deletion = null;
    this.box = element("div", "details-box", { role: "group", tabindex: -1 });
    this.el = element("li", "details", {}, this.box);
    this.watcher = new ResizeObserver(() => this.place());
  }

  holds(node) {
    return Boolean(this.tile) && (this.el.contains(node) || this.tile.el.contains(node));
  }

  toggle(tile) {
    if (this.tile === tile) return this.close();
    this.show(tile);
    this.box.focus({ preventScroll: true });
    this.el.scrollIntoView({ block: "nearest" });
  }

  // The focus stays in the details if another tile of the same clip replaces the first one.
  show(tile) {
    const hadFocus = this.el.contains(document.activeElement);
    this.tile?.expand(false);
    this.tile = tile;
    tile.expand(true);
    this.box.setAttribute("aria-label", `Details: ${tile.name}`);
    this.box.replaceChildren(...this.content(tile.clip));
    this.place();
    this.watcher.observe(this.gallery.list);
    if (hadFocus) this.box.focus({ preventScroll: true });
  }

  // A line breaks between two measurements, not between a number and its unit.
  content(clip) {
    const measured = clip.clip.split(" · ").map((part) => part.replaceAll(" ", "\u00a0")).join(" · ");
    const pairs = [["Price", clip.price], ["Clip", measured], ["File", clip.path], ["Job", clip.id], ["Task", clip.task]];
    const rows = pairs.flatMap(([name, value]) => [element("dt", "", {}, name), element("dd", "", {}, value)]);
    const open = element("a", "details-open", { target: "_blank", rel: "noopener", hidden: true }, "Open file");
    const copies = [button("", "Copy path", (event) => copyFrom(event.target, clip.path))];
    if (clip.cell) copies.unshift(button("", "Copy cell", (event) => copyFrom(event.target, clip.cell)));
    const close = button("", "Close", () => this.close());
    const cell = clip.cell ? [element("pre", "details-cell", { tabindex: 0, "aria-label": "Cell" }, clip.cell)] : [];
    this.deletion = new Deletion(this.tile);
    void this.address(clip, open);
    return [
      ...(clip.title ? [element("strong", "details-title", {}, clip.title)] : []),
      element("p", "details-prompt", {}, clip.prompt || "No prompt"),
      element("div", "details-actions", {}, ...copies, open),
      element("dl", "details-rows", {}, ...rows),
      ...cell,
      this.deletion.el,
      close,
    ];
  }

  // Only the server knows whether and where it serves the file.
  async address(clip, link) {
    const { resolve } = this.gallery;
    if (!clip.href || clip.fault || !resolve) return;
    const url = await resolve(clip.href).catch(() => "");
    if (!url || url === clip.href) return;
    link.href = url;
    link.hidden = false;
  }

  // Below the last tile of the row; again after each change of the tiles or of the width.
  place() {
    if (!this.tile) return;
    const { list, tiles } = this.gallery;
    const columns = this.gallery.columns();
    const row = Math.floor(tiles.indexOf(this.tile) / columns) + 1;
    const last = tiles[Math.min(row * columns, tiles.length) - 1].el;
    if (last.nextSibling !== this.el) {
      const held = this.el.contains(document.activeElement) ? document.activeElement : null;
      list.insertBefore(this.el, last.nextSibling);
      held?.focus({ preventScroll: true });
    }
    const { left, width } = this.tile.el.getBoundingClientRect();
    const center = left + width / 2 - this.box.getBoundingClientRect().left;
    this.box.style.setProperty("--kling-center", `${Math.round(center)}px`);
  }

  close() {
    if (!this.tile) return;
    const { tile } = this;
    const hadFocus = this.el.contains(document.activeElement);
    this.tile = this.deletion = null;
    this.watcher.disconnect();
    this.el.remove();
    tile.expand(false);
    if (hadFocus) tile.more.focus();
  }
}
