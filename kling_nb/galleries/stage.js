// The chosen clips, large and side by side: one button, one scrubber, and one sound at a time.

const FRAME_S = 0.04;

class Stage {
  constructor(films, onClose) {
    this.films = films;
    this.onClose = onClose;
    this.step = null;
    this.turn = 0;
    this.play = button("primary", "Play", () => this.toggle());
    this.range = element("input", "scrubber", {
      type: "range", min: 0, max: 1, value: 0, step: FRAME_S, "aria-label": "Position",
      oninput: () => void this.step?.seek(Number(this.range.value)),
    });
    this.clock = element("span", "clock-text");
    this.note = element("p", "gallery-note");
    this.panes = element("div", "panes");
    const close = button("", "Close", () => this.close());
    this.el = element(
      "section", "stage", { "aria-label": "Side by side", hidden: true, tabindex: -1 },
      this.panes,
      element("div", "transport", {}, this.play, this.range, this.clock, close),
      this.note,
    );
    this.el.addEventListener("keydown", (event) => this.key(event));
  }

  async open(clips) {
    const turn = ++this.turn;
    this.step?.close();
    this.step = null;
    this.el.hidden = false;
    this.el.setAttribute("aria-label", clips.length > 1 ? "Side by side" : "Large");
    this.films.hold(clips.map((clip) => clip.id));
    this.panes.dataset.count = clips.length;
    this.panes.replaceChildren();
    this.play.disabled = this.range.disabled = true;
    this.note.textContent = "Loading …";
    this.clock.textContent = "";
    // Upright and wide ones together: a square wastes least of both.
    const isMixed = new Set(clips.map((clip) => clip.ratio.toFixed(1))).size > 1;
    const panes = clips.map((clip) => this.pane(clip, isMixed ? 1 : clip.ratio));
    this.el.focus({ preventScroll: true });
    this.el.scrollIntoView({ block: "nearest" });
    const found = await Promise.all(panes);
    if (turn !== this.turn) return;
    const videos = found.filter(Boolean);
    this.note.textContent = videos.length ? this.lengths(videos) : "None of them can be played.";
    if (!videos.length) return;
    this.step = new Step(videos, () => this.tell());
    this.play.disabled = this.range.disabled = false;
    this.range.max = this.step.length;
    if (!isStill()) void this.step.play();
    this.tell();
  }

  // One clip: its video once it can be played, and null where it cannot.
  async pane(clip, ratio) {
    const screen = element("div", "pane-screen", {}, "Loading …");
    screen.style.aspectRatio = String(Math.min(2.4, Math.max(0.5, ratio)));
    const sound = clip.sound
      ? button("", "Sound", () => this.hear(sound), { "aria-label": `Sound of ${shorten(clip.prompt, 60)}` })
      : element("span", "gallery-note", {}, "silent");
    if (clip.sound) press(sound, false);
    const words = element("span", "pane-words", { title: clip.prompt }, shorten(clip.prompt, 90));
    const facts = element("span", "gallery-note", {}, `${clip.about} · ${clip.length} · ${clip.price}`);
    const caption = element("figcaption", "pane-caption", {}, element("div", "pane-text", {}, words, facts), sound);
    this.panes.append(element("figure", "pane", {}, screen, caption));
    const late = setTimeout(() => (screen.textContent = WAITING), PATIENCE_MS);
    try {
      const { url, preview } = await this.films.get(clip.id).finally(() => clearTimeout(late));
      const video = element("video", "pane-video", { playsinline: true, preload: "auto", "aria-label": clip.prompt });
      video.muted = true;
      video.src = url;
      video.sound = sound;
      await new Promise((resolve, reject) => {
        video.addEventListener("canplay", resolve, { once: true });
        video.addEventListener("error", () => reject(new Error(UNPLAYABLE)), { once: true });
      });
      screen.replaceChildren(video);
      if (preview) facts.textContent += " · shown smaller, the file is whole";
      return video;
    } catch (error) {
      screen.textContent = error.message;
      return null;
    }
  }

  lengths(videos) {
    const lengths = videos.map((video) => video.duration);
    const areEqual = Math.max(...lengths) - Math.min(...lengths) < 0.2;
    return areEqual ? "" : "The shorter clips wait at their last picture; all begin again together.";
  }

  // One at a time is heard; the same button again is silence.
  hear(chosen) {
    const isOn = !isPressed(chosen);
    for (const video of this.step?.videos ?? []) {
      const isHeard = video.sound === chosen && isOn;
      video.muted = !isHeard;
      if (video.sound.tagName === "BUTTON") press(video.sound, isHeard);
    }
  }

  toggle() {
    if (!this.step) return;
    void (this.step.isPlaying ? this.step.pause() : this.step.play());
    this.tell();
  }

  tell() {
    const { time, length, isPlaying } = this.step;
    const words = `${time.toFixed(1)} of ${length.toFixed(1)} s`;
    this.play.textContent = isPlaying ? "Pause" : "Play";
    this.clock.textContent = words;
    this.range.value = time;
    this.range.setAttribute("aria-valuetext", words);
  }

  key(event) {
    if (event.key !== " " || event.target.tagName === "BUTTON") return;
    event.preventDefault();
    this.toggle();
  }

  close() {
    this.turn += 1;
    this.step?.close();
    this.step = null;
    this.panes.replaceChildren();
    this.films.hold([]);
    if (!this.el.hidden) {
      this.el.hidden = true;
      this.onClose();
    }
  }
}
