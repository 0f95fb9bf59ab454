// The gallery: filter, list of clips, and the stage above it. The kernel sends the clips, and those
// that change while it runs.

const TYPING_MS = 200;
const MOST = 6;
const MORE = 48;
const CHECK_MS = 2000;

class GalleryView {
  constructor(model, el) {
    this.model = model;
    this.view = Math.random().toString(36).slice(2);
    this.turn = 0;
    this.tiles = [];
    this.stills = new Map();
    this.chosen = new Map();
    this.playing = null;
    this.sender = new Sender(model, (text) => this.showSilence(text));
    this.filmSender = new Sender(model, (text) => this.films.giveUp(text));
    this.films = new VideoCache((content) => this.ask(content));
    this.stage = new Stage(this.films, () => this.start.focus());
    this.details = new Details(this);
    const manager = model.widget_manager;
    this.resolve = manager?.resolveUrl ? (href) => manager.resolveUrl(href) : null;
    el.classList.add("kling-gallery-root");
    el.dataset.lmSuppressShortcuts = "true";
    this.el = element("div", "gallery-sheet", { role: "group", "aria-label": "Gallery of clips" });
    this.el.append(this.finder(), this.tray(), this.stage.el, ...this.shelf());
    this.el.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.escape(event.target)) event.preventDefault();
    });
    el.append(this.el);
    this.onFocus = () => this.isSeen && this.check();
    window.addEventListener("focus", this.onFocus);
    this.watcher = new IntersectionObserver((entries) => {
      this.isSeen = entries.at(-1).isIntersecting;
      this.onFocus();
    });
    this.watcher.observe(this.el);
  }

  // Closes the details that have the focus, else the stage.
  escape(target) {
    const open = this.details.holds(target) ? this.details : this.stage;
    if (open === this.stage && this.stage.el.hidden) return false;
    open.close();
    return true;
  }

  // A video may take long, and has a limit of its own.
  ask(content) {
    const sent = { ...content, view: this.view };
    if (content.do === "film") this.filmSender.send(sent, Infinity);
    else this.sender.send(sent);
  }

  // Marks and the list can be requested again.
  showSilence(text) {
    clearTimeout(this.late);
    if (this.count.textContent === WAITING) this.count.textContent = "";
    for (const tile of this.tiles) for (const made of [tile.star, tile.hide]) tile.arrive(made);
    this.details.deletion?.release();
    this.say(text);
  }

  finder() {
    const asked = this.model.get("asked");
    this.words = element("input", "gallery-words", {
      type: "search", placeholder: "Filter by words", "aria-label": "Filter by prompt, title, model, file or job id",
      value: asked.words, oninput: () => this.type(),
    });
    this.models = element("select", "gallery-models", { "aria-label": "Model", onchange: () => this.look() });
    this.starred = this.filter("★ Starred", asked.starred);
    this.hidden = this.filter("Show hidden", asked.hidden);
    this.count = element("span", "gallery-count", { role: "status" });
    const refresh = button("", "Refresh", () => this.reload());
    this.offer(asked.model ? [asked.model] : [], asked.model);
    return element("div", "finder", {}, this.words, this.models, this.starred, this.hidden, refresh, this.count);
  }

  filter(text, isOn) {
    const made = button("", text, () => (press(made, !isPressed(made)), this.look()));
    press(made, isOn);
    return made;
  }

  // The selection to compare is kept when the filter changes.
  tray() {
    this.start = button("primary", "Play side by side", () => void this.stage.open([...this.chosen.values()]));
    this.chosenCount = element("span", "gallery-note", { role: "status" });
    const clear = button("", "Clear", () => this.clear());
    this.trayBar = element("div", "tray", { hidden: true }, this.start, clear, this.chosenCount);
    return this.trayBar;
  }

  shelf() {
    this.list = element("ul", "tiles", { role: "list", "aria-label": "Clips" });
    this.list.addEventListener("keydown", (event) => this.moveFocus(event));
    this.nothing = element("div", "gallery-nothing", { hidden: true });
    this.more = button("", "Show more", () => this.reload(MORE), { hidden: true });
    this.said = element("p", "gallery-said", { role: "status" });
    return [this.said, this.list, this.nothing, this.more];
  }

  selection() {
    const [words, model] = [this.words.value, this.models.value];
    return { words, model, starred: isPressed(this.starred), hidden: isPressed(this.hidden) };
  }

  type() {
    this.say("");
    clearTimeout(this.typing);
    this.typing = setTimeout(() => this.look(), TYPING_MS);
  }

  look(count = 0, goesOn = false) {
    this.turn += 1;
    this.goesOn = goesOn;
    clearTimeout(this.late);
    this.late = setTimeout(() => (this.count.textContent = WAITING), PATIENCE_MS);
    this.askList({ do: "list", count });
  }

  askList(content) {
    this.isAsking = true;
    const known = [...this.stills.keys()];
    this.ask({ ...content, turn: this.turn, known, ...this.selection() });
  }

  // Changes by other kernels are not sent by themselves. The kernel looks at the file's date first.
  check() {
    const now = Date.now();
    if (this.isAsking || document.hidden || now - (this.checkedAt ?? 0) < CHECK_MS) return;
    this.checkedAt = now;
    this.askList({ do: "check", count: this.tiles.length });
  }

  // Requests the whole list: with pages, a clip added or removed meanwhile would be shown twice or
  // not at all.
  reload(more = 0) {
    this.look(this.tiles.length + more, more > 0);
  }

  receive(message, buffers = []) {
    if (message.view === this.view) (message.do === "film" ? this.filmSender : this.sender).receive();
    if (this.said.textContent === SILENT) this.say("");
    if (message.do === "star" || message.do === "hide") this.marked(message);
    if (message.do === "delete") this.deleted(message);
    if (message.do === "change") this.change(message, buffers);
    if (message.view !== this.view) return;
    if (message.do === "film") this.films.take(message, buffers);
    if ((message.do === "list" || message.do === "check") && message.turn === this.turn) {
      this.isAsking = false;
      if (!message.same) this.fill(message, buffers);
    }
  }

  fill(message, stills) {
    clearTimeout(this.late);
    if (message.fault) return this.say(message.fault);
    message.framed.forEach((id, index) => this.frame(id, stills[index]));
    const shown = this.tiles.length;
    this.showTiles(message.clips);
    if (this.goesOn) this.tiles[shown]?.play.focus();
    this.goesOn = false;
    this.showCounts(message);
    this.count.title = message.folder;
    this.offer(message.models, this.models.value);
    this.showEmpty(message.nothing);
  }

  // Shows a clip that is new, different or gone. The others stay, and so does the scroll position.
  change({ id, clip, views }, [still]) {
    const view = views[this.view];
    if (!view) return;
    const isNew = !this.stills.has(id);
    if (isNew && still) this.frame(id, still);
    const clips = this.tiles.map((tile) => tile.clip).filter((each) => each.id !== id);
    const isListed = clips.length < this.tiles.length;
    const at = clips.findIndex((each) => each.number < clip.number);
    // An older one than those on show comes with the next of them.
    const fits = view.fits && (isListed || at >= 0 || this.more.hidden);
    if (fits) clips.splice(at < 0 ? clips.length : at, 0, clip);
    const isEmptied = this.tiles.length > 0 && clips.length === 0;
    if (!clip.id && this.chosen.delete(id)) this.updateTray(); // its file was deleted
    this.holdStill(() => this.showTiles(clips));
    this.showCounts(view);
    if (fits) this.offer([...new Set([...this.names, clip.model])].sort(), this.models.value);
    // The list has the text of an empty gallery, and the image of an older clip.
    if (isEmptied || (fits && isNew && !still)) this.reload();
    else if (clips.length) this.showEmpty([]);
  }

  // Keeps the tiles on screen where they are if the change is above them.
  holdStill(act) {
    const scroller = scrollerOf(this.el) ?? document.scrollingElement;
    const top = Math.max(0, scroller.getBoundingClientRect().top);
    const topOf = (node) => node.getBoundingClientRect().top;
    const isAbove = topOf(this.list) < top;
    const nodes = [...this.list.children];
    const first = isAbove ? nodes.find((node) => node.getBoundingClientRect().bottom > top) : null;
    const before = first && topOf(first);
    act();
    if (first?.isConnected) scroller.scrollTop += topOf(first) - before;
  }

  showCounts({ matching, heading }) {
    const left = matching - this.tiles.length;
    this.more.hidden = left <= 0;
    this.more.textContent = `Show ${Math.min(MORE, left)} more of ${left}`;
    this.count.textContent = heading;
  }

  // Kept as long as the view: later lists contain only new posters.
  frame(id, still) {
    URL.revokeObjectURL(this.stills.get(id));
    this.stills.set(id, URL.createObjectURL(new Blob([still], { type: "image/jpeg" })));
  }

  // Unchanged clips keep their tile, which may be playing or focused.
  showTiles(clips) {
    const before = this.tiles;
    const old = new Map(before.map((tile) => [tile.clip.id, tile]));
    const focused = before.findIndex((tile) => tile.el.contains(document.activeElement));
    this.tiles = clips.map((clip) => {
      const tile = old.get(clip.id);
      return tile?.shows(clip, this.stills.get(clip.id)) ? tile : new Tile(clip, this);
    });
    this.arrange();
    const { tile: detailed } = this.details;
    if (focused >= 0) this.moveFocusFrom(before[focused], focused);
    for (const tile of before) if (!this.tiles.includes(tile)) tile.close();
    if (detailed && !this.tiles.includes(detailed)) this.redetail(detailed, before.indexOf(detailed));
    this.details.place();
  }

  // Puts the tiles in order; a tile that is in its place is not moved.
  arrange() {
    const known = new Set(this.tiles.map((tile) => tile.el));
    let next = this.list.firstChild;
    for (const { el } of this.tiles) {
      while (next && !known.has(next)) next = next.nextSibling;
      if (next === el) next = el.nextSibling;
      else this.list.insertBefore(el, next);
    }
  }

  moveFocusFrom(tile, at) {
    if (this.tiles.includes(tile)) return;
    const same = this.tiles.find((each) => each.clip.id === tile.clip.id);
    if (same) same.focusLike(tile);
    else this.focusNear(at);
  }

  // The place of a clip that is gone has another clip now, or none.
  focusNear(at) {
    ((this.tiles[at] ?? this.tiles.at(-1))?.play ?? this.words).focus({ preventScroll: true });
  }

  redetail(tile, at) {
    const same = this.tiles.find((each) => each.clip.id === tile.clip.id);
    if (same) return this.details.show(same);
    const hadFocus = this.details.el.contains(document.activeElement);
    this.details.close();
    if (hadFocus) this.focusNear(at);
  }

  columns() {
    return getComputedStyle(this.list).gridTemplateColumns.split(" ").length;
  }

  offer(names, chosen) {
    this.names = names;
    const all = names.includes(chosen) || !chosen ? names : [...names, chosen];
    const options = all.map((name) => element("option", "", { value: name }, name));
    this.models.replaceChildren(element("option", "", { value: "" }, "All models"), ...options);
    this.models.value = chosen;
    this.models.hidden = all.length < 2 && !chosen;
  }

  showEmpty([title, ...lines]) {
    this.nothing.hidden = !title;
    this.nothing.replaceChildren();
    if (!title) return;
    const said = lines.map((line) => {
      const parts = line.split("`").map((part, odd) => (odd % 2 ? element("code", "", {}, part) : part));
      return element("p", "", {}, ...parts);
    });
    this.nothing.append(element("strong", "", {}, title), ...said);
  }

  isChosen(id) {
    return this.chosen.has(id);
  }

  choose(tile, isOn) {
    if (isOn && this.chosen.size >= MOST) return this.say(`At most ${MOST} clips side by side; deselect one first.`);
    if (isOn) this.chosen.set(tile.clip.id, tile.clip);
    else this.chosen.delete(tile.clip.id);
    tile.choose(isOn);
    this.say("");
    this.updateTray();
  }

  clear() {
    this.chosen.clear();
    for (const tile of this.tiles) tile.choose(false);
    this.stage.close();
    this.updateTray();
    this.words.focus();
  }

  updateTray() {
    const count = this.chosen.size;
    this.trayBar.hidden = count === 0;
    this.el.classList.toggle("kling-picking", count > 0);
    this.start.textContent = count === 1 ? "Play large" : "Play side by side";
    this.chosenCount.textContent = count === 1 ? "1 selected; select another to compare" : `${count} selected`;
  }

  // A click counts once, however long the kernel takes.
  mark(tile, word, on) {
    if (tile.wait(tile[word])) this.ask({ do: word, id: tile.clip.id, on });
  }

  marked(message) {
    const tile = this.tiles.find((each) => each.clip.id === message.id);
    if (message.view === this.view) this.showAnswer(message, tile);
    if (message.fault || !tile) return;
    tile.mark(message);
    if (message.do === "hide" && message.hidden && !isPressed(this.hidden)) this.hideTile(tile);
  }

  deleted(message) {
    const tile = this.tiles.find((each) => each.clip.id === message.id);
    if (message.view === this.view && this.details.tile === tile) this.details.deletion?.answer(message);
    if (tile && message.deleted) this.removeTile(tile, `Deleted: ${tile.name}. ${message.said}`);
  }

  // The message about a hidden clip is removed when the clip is shown again.
  showAnswer({ do: word, fault, hidden }, tile) {
    tile?.arrive(tile[word]);
    if (fault || (word === "hide" && !hidden)) this.say(fault);
  }

  // Removes the clip at once, with an Undo button.
  hideTile(tile) {
    const undo = button("", "Undo", () => {
      undo.disabled = true;
      setTimeout(() => (undo.textContent = WAITING), PATIENCE_MS);
      this.ask({ do: "hide", id: tile.clip.id, on: false });
      this.reload();
    });
    this.removeTile(tile, `Hidden: ${tile.name} `, undo);
  }

  // The focus goes to the next clip.
  removeTile(tile, ...said) {
    const at = this.tiles.indexOf(tile);
    const hadFocus = this.details.holds(document.activeElement) || tile.el.contains(document.activeElement);
    if (this.details.tile === tile) this.details.close();
    this.tiles.splice(at, 1);
    tile.close();
    this.details.place();
    if (this.chosen.delete(tile.clip.id)) this.updateTray();
    this.reload();
    this.say(...said);
    if (hadFocus) ((this.tiles[at] ?? this.tiles[at - 1])?.hide ?? this.words).focus({ focusVisible: true });
  }

  say(...parts) {
    this.said.replaceChildren(...parts.filter(Boolean));
  }

  // Arrow keys move from clip to clip, up and down by rows.
  moveFocus(event) {
    const at = this.tiles.findIndex((tile) => tile.play === event.target);
    if (at < 0) return;
    const wide = this.columns();
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: wide, ArrowUp: -wide, Home: -at, End: this.tiles.length - 1 - at };
    const next = this.tiles[at + (steps[event.key] ?? NaN)];
    if (!next) return;
    event.preventDefault();
    next.play.focus();
  }

  close() {
    clearTimeout(this.typing);
    clearTimeout(this.late);
    window.removeEventListener("focus", this.onFocus);
    this.watcher.disconnect();
    this.details.close();
    this.stage.close();
    for (const tile of this.tiles) tile.close();
    for (const url of this.stills.values()) URL.revokeObjectURL(url);
    this.films.close();
    this.ask({ do: "leave" });
    // It is not answered: nothing waits for an answer any more.
    this.sender.receive();
    this.filmSender.receive();
  }
}

function render({ model, el }) {
  const gallery = new GalleryView(model, el);
  const receive = (message, buffers) => gallery.receive(message, buffers);
  model.on("msg:custom", receive);
  const first = model.get("first");
  gallery.fill(first, first.stills);
  // Request changes since then, e.g. before a reload of the page; without a note that it waits.
  gallery.look();
  clearTimeout(gallery.late);
  return () => {
    model.off("msg:custom", receive);
    gallery.close();
  };
}

export default { render };
