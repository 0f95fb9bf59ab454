// Caches videos as blob URLs: each is requested once.

const MOST_VIDEOS = 16;
// The kernel may have to make a preview, and to send other clips first.
const LIMIT_MS = 60000;
const NO_ANSWER = "The kernel has not answered for a minute. Try again when it is free, or run this cell again: 0 credits.";

class VideoCache {
  constructor(ask) {
    this.ask = ask;
    this.kept = new Map();
    this.waiting = new Map();
    this.held = new Set();
  }

  // Returns the URL of a clip's video, and whether it is a preview.
  get(id) {
    const known = this.kept.get(id);
    if (known) {
      this.kept.delete(id);
      this.kept.set(id, known);
      return Promise.resolve(known);
    }
    let wait = this.waiting.get(id);
    if (!wait) {
      wait = {};
      wait.promise = new Promise((resolve, reject) => Object.assign(wait, { resolve, reject }));
      wait.late = setTimeout(() => this.take({ id, fault: NO_ANSWER }, []), LIMIT_MS);
      this.waiting.set(id, wait);
      this.ask({ do: "film", id });
    }
    return wait.promise;
  }

  // Also caches a video that nothing waits for any more.
  take({ id, fault, preview }, buffers) {
    const wait = this.waiting.get(id);
    this.waiting.delete(id);
    clearTimeout(wait?.late);
    if (fault || !buffers.length) return wait?.reject(new Error(fault ?? "There is no video."));
    if (!this.kept.has(id)) this.keep(id, buffers[0], preview);
    wait?.resolve(this.kept.get(id));
  }

  keep(id, content, preview) {
    const url = URL.createObjectURL(new Blob([content], { type: "video/mp4" }));
    this.kept.set(id, { url, preview });
    this.tidy();
  }

  // Keeps the videos on the stage.
  hold(ids) {
    this.held = new Set(ids);
    this.tidy();
  }

  tidy() {
    const loose = [...this.kept.keys()].filter((id) => !this.held.has(id));
    for (const id of loose.slice(0, Math.max(0, loose.length - MOST_VIDEOS))) {
      URL.revokeObjectURL(this.kept.get(id).url);
      this.kept.delete(id);
    }
  }

  close() {
    for (const { url } of this.kept.values()) URL.revokeObjectURL(url);
    this.kept.clear();
    this.giveUp("The gallery was closed.");
  }

  giveUp(fault) {
    for (const id of [...this.waiting.keys()]) this.take({ id, fault }, []);
  }
}
