// The films that this view has, as addresses of blobs: asked for once, kept while there is room.

const ROOM = 16;
// A large clip is made smaller first, and other clips may be before it.
const LIMIT_MS = 60000;
const SILENCE = "The kernel has not answered for a minute. Try again when it is free, or run this cell again: 0 credits.";

class Films {
  constructor(ask) {
    this.ask = ask;
    this.kept = new Map();
    this.waiting = new Map();
    this.held = new Set();
  }

  // The address of a clip's film, and whether it is a smaller copy.
  get(id) {
    const known = this.kept.get(id);
    if (known) {
      this.kept.delete(id);
      this.kept.set(id, known);
      return Promise.resolve(known);
    }
    if (!this.waiting.has(id)) {
      const wait = {};
      wait.promise = new Promise((resolve, reject) => Object.assign(wait, { resolve, reject }));
      wait.late = setTimeout(() => this.take({ id, fault: SILENCE }, []), LIMIT_MS);
      this.waiting.set(id, wait);
      this.ask({ do: "film", id });
    }
    return this.waiting.get(id).promise;
  }

  // One that comes when nobody waits for it any more is there for the next who asks.
  take({ id, fault, preview }, buffers) {
    const wait = this.waiting.get(id);
    this.waiting.delete(id);
    clearTimeout(wait?.late);
    if (fault || !buffers.length) return wait?.reject(new Error(fault ?? "There is no film."));
    if (!this.kept.has(id)) this.keep(id, buffers[0], preview);
    wait?.resolve(this.kept.get(id));
  }

  keep(id, content, preview) {
    const url = URL.createObjectURL(new Blob([content], { type: "video/mp4" }));
    this.kept.set(id, { url, preview });
    this.tidy();
  }

  // The ones on stage stay, whatever their age.
  hold(ids) {
    this.held = new Set(ids);
    this.tidy();
  }

  tidy() {
    const loose = [...this.kept.keys()].filter((id) => !this.held.has(id));
    for (const id of loose.slice(0, Math.max(0, loose.length - ROOM))) {
      URL.revokeObjectURL(this.kept.get(id).url);
      this.kept.delete(id);
    }
  }

  close() {
    for (const { url } of this.kept.values()) URL.revokeObjectURL(url);
    this.kept.clear();
    for (const id of [...this.waiting.keys()]) this.take({ id, fault: "The gallery was closed." }, []);
  }
}
