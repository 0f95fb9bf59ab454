// What a screen reader says when a job gets on. A live region is heard only where it was there
// before its words changed, and an output is drawn anew with each; so there is one for the page.

const PROMPT_CHARS = 60;

class Voice {
  constructor() {
    this.heard = new Map();
  }

  // Each change of what a place shows of a job, once; the first is no change. Another place may
  // show the same job as it was, and so may a second view of this one that is drawn a moment later.
  follow(place, version, record) {
    const key = `${place} ${record.dataset.klingJob}`;
    const label = record.getAttribute("aria-label");
    const before = this.heard.get(key);
    if (before && version < before.version) return;
    this.heard.set(key, { version, label });
    if (!label || !before || before.label === label) return;
    const prompt = record.querySelector(".kling-prompt, .kling-summary")?.textContent ?? "";
    this.say(`${label}: ${prompt.slice(0, PROMPT_CHARS)}`);
  }

  say(words) {
    if (!this.region?.isConnected) {
      this.region = document.createElement("div");
      this.region.className = "kling-voice";
      this.region.setAttribute("role", "status");
      document.body.append(this.region);
    }
    this.region.textContent = words;
  }

  close() {
    this.region?.remove();
  }
}
