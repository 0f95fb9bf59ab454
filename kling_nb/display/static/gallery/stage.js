// Plays the selected clips side by side: one button, one scrubber, and audio of one clip at a time.

const FRAME_S = 0.04;
const GAP_PX = 12;
const CAPTION_PX = 68;
const TRANSPORT_PX = 110;
// Below this width two clips are larger one below the other.
const NARROW_PX = 480;
const TALLEST_PX = 720;
const UPRIGHT = 0.55;
const WIDE = 2.4;

// Returns the largest common height of several videos in the available space.
function heightOf(ratios, width, height) {
  const fewest = Math.min(ratios.length, width < NARROW_PX ? 1 : 2);
  let best = 0;
  for (let columns = fewest; columns <= ratios.length; columns += 1) {
    const lines = Math.ceil(ratios.length / columns);
    const free = width - GAP_PX * (columns - 1);
    let tall = height / lines - CAPTION_PX;
    for (let at = 0; at < ratios.length; at += columns) {
      const sum = ratios.slice(at, at + columns).reduce((all, ratio) => all + ratio, 0);
      tall = Math.min(tall, free / sum);
    }
    best = Math.max(best, Math.floor(tall));
  }
  return best;
}

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
    this.wide = button("", "Full screen", () => this.widen(), { hidden: !document.fullscreenEnabled });
    const close = button("", "Close", () => this.close());
    this.el = element(
      "div", "stage", { role: "group", "aria-label": "Side by side", hidden: true, tabindex: -1 },
      this.panes,
      element("div", "transport", {}, this.play, this.range, this.clock, this.wide, close),
      this.note,
    );
    this.el.addEventListener("keydown", (event) => this.key(event));
    this.el.addEventListener("fullscreenchange", () => this.widened());
    this.watcher = new ResizeObserver(() => this.arrange());
    this.ratios = [];
  }

  get isFull() {
    return document.fullscreenElement === this.el;
  }

  widen() {
    const asked = this.isFull ? document.exitFullscreen() : this.el.requestFullscreen();
    asked.catch(() => (this.wide.hidden = true));
  }

  widened() {
    this.wide.textContent = this.isFull ? "Leave full screen" : "Full screen";
    this.arrange();
  }

  // All have the same height: wide and upright clips at the same scale.
  arrange() {
    const width = this.panes.clientWidth;
    if (!width || !this.ratios.length) return;
    const full = innerHeight - TRANSPORT_PX;
    const tall = heightOf(this.ratios, width, this.isFull ? full : Math.min(TALLEST_PX, full));
    [...this.panes.children].forEach((pane, at) => {
      pane.style.width = `${Math.floor(this.ratios[at] * tall)}px`;
      pane.firstChild.style.height = `${tall}px`;
    });
  }

  async open(clips) {
    const turn = ++this.turn;
    this.step?.close();
    this.step = null;
    this.el.hidden = false;
    this.el.setAttribute("aria-label", clips.length > 1 ? "Side by side" : "Large");
    this.films.hold(clips.map((clip) => clip.id));
    this.panes.replaceChildren();
    this.play.disabled = this.range.disabled = true;
    this.note.textContent = "Loading …";
    this.clock.textContent = "";
    this.ratios = clips.map(({ ratio }) => Math.min(WIDE, Math.max(UPRIGHT, ratio)));
    const panes = clips.map((clip) => this.pane(clip));
    this.watcher.observe(this.el);
    this.arrange();
    this.el.focus({ preventScroll: true });
    this.el.scrollIntoView({ block: "nearest" });
    const found = await Promise.all(panes);
    if (turn !== this.turn) return;
    const videos = found.filter(Boolean);
    this.note.textContent = videos.length ? this.lengths(videos) : "None of these clips can be played.";
    if (!videos.length) return;
    this.step = new Step(videos, () => this.tell());
    this.play.disabled = this.range.disabled = false;
    this.range.max = this.step.length;
    if (!isStill()) void this.step.play();
    this.tell();
  }

  // Returns the video of one clip once it can be played, or null.
  async pane(clip) {
    const screen = element("div", "pane-screen", {}, "Loading …");
    const sound = clip.sound
      ? button("", "Sound", () => this.hear(sound), { "aria-label": `Sound of ${shorten(clip.title || clip.prompt, 60)}` })
      : element("span", "gallery-note", {}, "silent");
    if (clip.sound) press(sound, false);
    const words = element("span", "pane-words", { title: clip.prompt }, shorten(clip.title || clip.prompt, 90));
    const facts = element("span", "gallery-note", {}, `${clip.about} · ${clip.length} · ${clip.cost}`);
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
      if (preview) facts.textContent += " · preview; the file has the original";
      return video;
    } catch (error) {
      screen.textContent = error.message;
      return null;
    }
  }

  lengths(videos) {
    const lengths = videos.map((video) => video.duration);
    const areEqual = Math.max(...lengths) - Math.min(...lengths) < 0.2;
    return areEqual ? "" : "Shorter clips hold their last frame; all restart together.";
  }

  // Plays the audio of one clip; the same button mutes it.
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
    this.watcher.disconnect();
    if (this.isFull) void document.exitFullscreen();
    // Only if the focus is still in the stage.
    const hadFocus = this.el.contains(document.activeElement);
    this.panes.replaceChildren();
    this.films.hold([]);
    this.el.hidden = true;
    if (hadFocus) this.onClose();
  }
}
