// One clip of the list: its poster, which plays on hover or focus, its facts and its controls.

const HOVER_MS = 120;

class Tile {
  constructor(clip, gallery) {
    this.clip = clip;
    this.gallery = gallery;
    this.video = null;
    this.isWanted = false;
    this.turn = 0;
    this.name = shorten(clip.title || clip.prompt, 80) || clip.id;
    this.url = gallery.stills.get(clip.id);
    this.el = element("li", "tile", { "data-kling-job": clip.id }, this.screen(), ...this.facts());
    this.mark(clip);
    this.choose(gallery.isChosen(clip.id));
  }

  shows(clip, url) {
    return url === this.url && JSON.stringify(clip) === JSON.stringify(this.clip);
  }

  screen() {
    const { clip } = this;
    const still = this.url ? element("img", "tile-still", { src: this.url, alt: "", decoding: "async" }) : "";
    const words = clip.fault ? "No file" : this.url ? "" : "No image";
    const empty = element("span", "tile-empty", { hidden: !words }, words);
    this.play = button("tile-play", still, () => this.toggle(), { "aria-label": `Play: ${this.name}` });
    this.play.disabled = Boolean(clip.fault);
    this.play.addEventListener("focus", () => this.play.matches(":focus-visible") && !isStill() && this.start());
    this.play.addEventListener("blur", () => this.stop());
    this.note = element("span", "tile-chip tile-note", { role: "status" });
    const screen = element("div", "tile-screen", {}, this.play, empty, this.note, this.marks(), this.length(), this.actions());
    screen.addEventListener("pointerenter", (event) => {
      if (event.pointerType !== "mouse" || isStill() || clip.fault) return;
      this.soon = setTimeout(() => this.start(), HOVER_MS);
    });
    screen.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && this.stop());
    return screen;
  }

  marks() {
    const badge = this.clip.emulated ? [element("span", "tile-chip tile-badge", {}, "Emulated")] : [];
    this.veil = element("span", "tile-chip tile-badge", {}, "Hidden");
    return element("span", "tile-marks", {}, ...badge, this.veil);
  }

  length() {
    return element("span", "tile-chip tile-length", {}, this.clip.length);
  }

  // On the image; visible on hover and focus.
  actions() {
    const { clip, gallery } = this;
    this.star = button("tile-chip tile-star", "☆", () => gallery.mark(this, "star", !isPressed(this.star)), {
      "aria-label": `Star: ${this.name}`, title: "Star",
    });
    this.hide = button("tile-chip tile-hide", "Hide", () => gallery.mark(this, "hide", !clip.hidden));
    this.pick = button("tile-chip tile-pick", "Compare", () => gallery.choose(this, !isPressed(this.pick)), {
      "aria-label": `Compare: ${this.name}`,
    });
    this.pick.disabled = Boolean(clip.fault);
    return element("div", "tile-controls", {}, this.star, this.hide, this.pick);
  }

  facts() {
    const { clip, gallery } = this;
    this.more = button("tile-more", "⋯", () => gallery.details.toggle(this), {
      "aria-expanded": "false", "aria-label": `Details: ${this.name}`, title: "Details",
    });
    this.fault = element("p", "tile-fault", { hidden: !clip.fault }, clip.fault);
    const about = element(
      "div", "tile-facts", {},
      element("p", "tile-price", { title: clip.price }, element("span", "", {}, clip.cost), " ", element("span", "tile-date", {}, clip.date)),
      element("p", "tile-about", {}, clip.about),
      this.more, this.fault,
    );
    return [element("p", "tile-prompt", { title: clip.prompt }, clip.title || clip.prompt || "No prompt"), about];
  }

  expand(isOn) {
    this.more.setAttribute("aria-expanded", String(isOn));
    this.el.classList.toggle("kling-tile-open", isOn);
  }

  // Takes the focus over from the tile that this one replaces.
  focusLike(old) {
    const name = ["play", "star", "hide", "pick", "more"].find((each) => old[each] === document.activeElement);
    if (name) this[name].focus({ preventScroll: true });
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

  // Marks the button as busy, and shows a note after a delay. Returns false if it is busy already.
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

  // Requests the video once, also if the pointer leaves and returns while it loads.
  async start() {
    if (this.isWanted) return;
    this.gallery.playing?.stop();
    this.gallery.playing = this;
    this.isWanted = true;
    const turn = ++this.turn;
    this.fault.hidden = true;
    this.wait(this.play);
    try {
      const { url } = await this.gallery.films.get(this.clip.id);
      if (turn !== this.turn) return;
      this.arrive(this.play);
      await this.show(url);
    } catch (error) {
      if (turn === this.turn && error.name !== "AbortError") this.showError(error.message);
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

  showError(text) {
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
    this.el.remove();
  }
}
