// Announces state changes of jobs to screen readers. A live region must exist before its text
// changes, but each change redraws its output; so the page has one region outside of them.

class Announcer {
  constructor() {
    this.announced = new Map();
  }

  // Announces each change of a job in a container once. Other containers, and another view of the
  // same one that is drawn later, may show an older state.
  follow(container, version, record) {
    const key = `${container} ${record.dataset.klingJob}`;
    const label = record.getAttribute("aria-label");
    const before = this.announced.get(key);
    if (before && version < before.version) return;
    this.announced.set(key, { version, label });
    if (!label || !before || before.label === label) return;
    this.say(label);
  }

  say(text) {
    if (!this.region?.isConnected) {
      this.region = document.createElement("div");
      this.region.className = "kling-voice";
      this.region.setAttribute("role", "status");
      document.body.append(this.region);
    }
    this.region.textContent = text;
  }

  close() {
    this.region?.remove();
  }
}
