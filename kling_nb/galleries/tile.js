// One clip of the list: its still, which plays while it is looked at, its facts and its controls.

const HOVER_MS = 120;

class Tile {
  constructor(clip, still, room) {
    this.clip = clip;
    this.room = room;
    this.video = null;
    this.isWanted = false;
    this.turn = 0;
    this.name = shorten(clip.prompt, 80) || clip.id;
    this.url = still?.byteLength ? URL.createObjectURL(new Blob([still], { type: "image/jpeg" })) : "";
    this.el = element("li", "tile", { "data-kling-job": clip.id }, this.screen(), ...this.facts(), this.actions(), this.details());
    this.mark(clip);
    this.choose(room.isChosen(clip.id));
  }

  screen() {
    const { clip } = this;
    const still = this.url ? element("img", "tile-still", { src: this.url, alt: "", decoding: "async" }) : "";
    const words = clip.fault ? "No file" : this.url ? "" : "No picture";
    const empty = element("span", "tile-empty", { hidden: !words }, words);
    this.play = button("tile-play", still, () => this.toggle(), { "aria-label": `Play: ${this.name}` });
    this.play.disabled = Boolean(clip.fault);
    this.play.addEventListener("focus", () => this.play.matches(":focus-visible") && !isStill() && this.start());
    this.play.addEventListener("blur", () => this.stop());
    this.star = button("tile-star", "☆", () => this.room.mark(this, "star", !isPressed(this.star)), {
      "aria-label": `Star: ${this.name}`, title: "Star",
    });
    const length = element("span", "tile-length", { "aria-hidden": "true" }, clip.length);
    this.note = element("span", "tile-note", { role: "status" });
    const screen = element("div", "tile-screen", {}, this.play, empty, this.note, length, this.star);
    screen.addEventListener("pointerenter", (event) => {
      if (event.pointerType !== "mouse" || isStill() || clip.fault) return;
      this.soon = setTimeout(() => this.start(), HOVER_MS);
    });
    screen.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && this.stop());
    return screen;
  }

  facts() {
    const { clip } = this;
    const badge = clip.emulated ? [element("span", "tile-badge", {}, "Emulated")] : [];
    this.veil = element("span", "tile-badge", {}, "Hidden");
    const lines = [
      element("p", "tile-prompt", { title: clip.prompt }, clip.prompt || "No prompt"),
      element("p", "tile-price", {}, clip.price),
      element("p", "tile-about", {}, ...badge, this.veil, element("span", "tile-date", {}, clip.date)),
      element("p", "tile-about", {}, clip.about),
    ];
    this.fault = element("p", "tile-fault", { hidden: !clip.fault }, clip.fault);
    return [...lines, this.fault];
  }

  actions() {
    this.pick = button("", "Compare", () => this.room.choose(this, !isPressed(this.pick)), {
      "aria-label": `Compare: ${this.name}`,
    });
    this.pick.disabled = Boolean(this.clip.fault);
    this.hide = button("", "Hide", () => this.room.mark(this, "hide", !this.clip.hidden));
    this.more = button("", "Details", () => this.unfold(), { "aria-expanded": "false", "aria-label": `Details: ${this.name}` });
    return element("div", "tile-actions", {}, this.pick, this.hide, this.more);
  }

  details() {
    this.fold = element("div", "tile-details", { hidden: true });
    return this.fold;
  }

  // Written when it is opened first: most are never.
  unfold() {
    this.fold.hidden = !this.fold.hidden;
    this.more.setAttribute("aria-expanded", String(!this.fold.hidden));
    if (this.fold.childElementCount) return;
    const { clip } = this;
    const pairs = [["Clip", clip.clip], ["File", clip.path], ["Job", clip.id], ["Task", clip.task]];
    const rows = pairs.flatMap(([name, value]) => [element("dt", "", {}, name), element("dd", "", {}, value)]);
    this.open = element("a", "tile-open", { target: "_blank", rel: "noopener", hidden: true }, "Open file");
    const copies = [button("", "Copy path", (event) => copyFrom(event.target, clip.path))];
    if (clip.cell) copies.unshift(button("", "Copy cell", (event) => copyFrom(event.target, clip.cell)));
    const cell = clip.cell ? [element("pre", "tile-cell", { tabindex: 0 }, clip.cell)] : [];
    this.fold.append(element("div", "tile-actions", {}, ...copies, this.open), element("dl", "tile-rows", {}, ...rows), ...cell);
    void this.address();
  }

  // Only the server knows whether it serves the file, and where.
  async address() {
    const { clip, room } = this;
    if (!clip.href || clip.fault || !room.resolve) return;
    const url = await room.resolve(clip.href).catch(() => "");
    if (!url || url === clip.href) return;
    this.open.href = url;
    this.open.hidden = false;
  }

  mark({ starred, hidden }) {
    Object.assign(this.clip, { starred, hidden });
    press(this.star, starred);
    this.star.textContent = starred ? "★" : "☆";
    this.veil.hidden = !hidden;
    this.hide.textContent = hidden ? "Show" : "Hide";
    this.hide.setAttribute("aria-label", `${this.hide.textContent}: ${this.name}`);
    this.el.classList.toggle("kling-tile-hidden", hidden);
  }

  // Seen at once at what was pressed, and in words once it takes long. False where it waits already.
  wait(made) {
    if (made.ariaBusy) return false;
    made.ariaBusy = "true";
    clearTimeout(this.late);
    this.late = setTimeout(() => (this.note.textContent = WAITING), PATIENCE_MS);
    return true;
  }

  arrive(made) {
    made.ariaBusy = null;
    if (this.el.querySelector("[aria-busy]")) return;
    clearTimeout(this.late);
    this.note.textContent = "";
  }

  choose(isOn) {
    press(this.pick, isOn);
    this.el.classList.toggle("kling-tile-chosen", isOn);
  }

  toggle() {
    if (this.video) this.stop();
    else this.start();
  }

  // Who leaves and comes back while the film is on its way has asked twice and gets one video.
  async start() {
    if (this.isWanted) return;
    this.room.playing?.stop();
    this.room.playing = this;
    this.isWanted = true;
    const turn = ++this.turn;
    this.fault.hidden = true;
    this.wait(this.play);
    try {
      const { url } = await this.room.films.get(this.clip.id);
      if (turn !== this.turn) return;
      this.arrive(this.play);
      await this.show(url);
    } catch (error) {
      if (turn === this.turn && error.name !== "AbortError") this.complain(error.message);
    }
  }

  async show(url) {
    this.video = element("video", "tile-video", { loop: true, playsinline: true, tabindex: -1 });
    this.video.muted = true;
    this.video.src = url;
    this.play.append(this.video);
    this.play.setAttribute("aria-label", `Stop: ${this.name}`);
    await this.video.play().catch((error) => {
      throw error.name === "NotSupportedError" ? new Error(UNPLAYABLE) : error;
    });
  }

  complain(text) {
    this.stop();
    this.fault.textContent = text;
    this.fault.hidden = false;
  }

  stop() {
    clearTimeout(this.soon);
    this.isWanted = false;
    this.turn += 1;
    this.arrive(this.play);
    if (!this.video) return;
    this.video.pause();
    this.video.removeAttribute("src");
    this.video.remove();
    this.video = null;
    this.play.setAttribute("aria-label", `Play: ${this.name}`);
  }

  close() {
    this.stop();
    clearTimeout(this.late);
    if (this.url) URL.revokeObjectURL(this.url);
    this.el.remove();
  }
}
