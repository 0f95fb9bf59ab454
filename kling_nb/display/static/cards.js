// The records of jobs, and what is drawn at their feet.

const LOST_MS = 1500;

// A bar belongs below a record that waits, and what can be done next below one that has ended. Which
// of the two is the newer one comes a moment before the other, and is drawn with it.
function fits(told, foot) {
  return told.html.includes('class="kling-live"') === foot.classList.contains("kling-room");
}

class Places {
  constructor(hub, manager, send) {
    this.hub = hub;
    this.manager = manager;
    this.send = send;
    this.known = new Map();
    this.asked = new Set();
    this.drawn = new WeakMap();
    this.players = new Map();
    this.drawnHere = new WeakSet();
    this.anchors = new Anchors();
    this.clocks = new Clocks();
    this.voice = new Voice();
  }

  visit(node) {
    const id = node.dataset.klingPlace;
    const place = this.known.get(id);
    this.anchors.watch(node);
    if (!place) {
      this.ask(id);
      return;
    }
    if (Number(node.dataset.klingVersion) < place.version) this.renew(node, place);
    for (const record of node.querySelectorAll(".kling-record")) {
      this.draw(record, place);
      this.keepPlaying(id, record);
      this.voice.follow(id, Number(node.dataset.klingVersion), record);
    }
    if (place.isMissed) this.sayMissed(node, place.missed);
  }

  // All that one look at the page finds unknown goes into one question to the kernel.
  ask(id) {
    if (this.asked.has(id)) return;
    this.asked.add(id);
    if (this.asking) return;
    this.asking = setTimeout(() => {
      this.asking = 0;
      const places = {};
      for (const node of document.querySelectorAll(`[data-kling-hub="${this.hub}"]`)) {
        const { klingPlace, klingVersion } = node.dataset;
        if (klingPlace && !this.known.has(klingPlace)) places[klingPlace] = Number(klingVersion);
      }
      this.send({ do: "seen", places });
    }, 0);
  }

  // After a reload of the page updates of an output get lost. What is still behind after a moment
  // is asked for, and drawn from here whenever the old one comes back.
  renew(node, place) {
    if (place.bundle && place.bundleVersion === place.version) {
      const markup = place.bundle["text/html"];
      const fresh = document.createRange().createContextualFragment(markup).firstElementChild;
      node.replaceChildren(...fresh.childNodes);
      node.dataset.klingVersion = fresh.dataset.klingVersion;
      resolveLinks(node, this.manager);
      this.drawnHere.add(node);
      this.keepLater(node.dataset.klingPlace, place);
      return;
    }
    if (place.renewing) return;
    const id = node.dataset.klingPlace;
    place.renewing = setTimeout(() => {
      place.renewing = 0;
      // Not this node alone: it may have been drawn anew meanwhile.
      const isBehind = (each) => Number(each.dataset.klingVersion) < place.version;
      if (this.nodes(id).some(isBehind)) this.send({ do: "show", place: id });
    }, LOST_MS);
  }

  nodes(id) {
    const all = document.querySelectorAll(`[data-kling-hub="${this.hub}"]`);
    return [...all].filter((node) => node.dataset.klingPlace === id);
  }

  // Not at once: the update of the output may still be on its way, and then nothing was missed.
  keepLater(id, place) {
    if (place.keeping) return;
    place.keeping = setTimeout(() => {
      place.keeping = 0;
      const isMissed = this.nodes(id).some((node) => this.drawnHere.has(node));
      if (this.closed || !isMissed || place.bundleVersion !== place.version) return;
      place.isMissed = keep(this.manager, id, place.version, place.bundle) === null;
      for (const node of this.nodes(id)) this.visit(node);
    }, LOST_MS);
  }

  // Once in a place, whatever it holds.
  sayMissed(node, words) {
    if (node.lastElementChild?.classList.contains("kling-missed")) return;
    const said = document.createElement("p");
    said.className = "kling-missed";
    said.setAttribute("role", "status");
    said.textContent = words;
    node.append(said);
  }

  draw(record, place) {
    const foot = record.querySelector(".kling-foot");
    const told = place.feet[record.dataset.klingJob];
    if (!foot || told === undefined || !fits(told, foot)) return;
    const before = this.drawn.get(foot);
    if (before?.told === told && before.live.isConnected) return;
    const live = before?.live ?? document.createElement("div");
    const focused = live.contains(document.activeElement) && document.activeElement.dataset.klingDo;
    live.className = "kling-alive";
    live.innerHTML = told.html;
    this.clocks.start(live);
    resolveLinks(live, this.manager);
    if (!live.isConnected) foot.append(live);
    foot.classList.add("kling-lives");
    this.drawn.set(foot, { told, live });
    if (focused) {
      live.querySelector(`[data-kling-do="${focused}"]:enabled`)?.focus({ preventScroll: true });
    }
  }

  // A clip that plays goes on when a record beside it is drawn anew.
  keepPlaying(id, record) {
    const video = record.querySelector("video");
    const key = `${id} ${record.dataset.klingJob}`;
    const before = this.players.get(key);
    if (!video || before === video) return;
    if (before && !before.isConnected && before.src === video.src) video.replaceWith(before);
    else this.players.set(key, video);
  }

  take(message) {
    const place = this.known.get(message.place) ?? { version: 0, feet: {}, cells: {} };
    this.known.set(message.place, place);
    place.version = Math.max(place.version, message.version ?? 0);
    if (message.bundle !== undefined) {
      place.bundle = message.bundle;
      place.bundleVersion = message.version;
      place.missed = message.missed;
    }
    for (const [job, html] of Object.entries(message.feet ?? {})) {
      this.clocks.hear(html);
      place.feet[job] = { html };
    }
    Object.assign(place.cells, message.cells ?? {});
  }

  cell(place, job) {
    return this.known.get(place)?.cells[job] ?? "";
  }

  close() {
    this.closed = true;
    this.anchors.close();
    this.clocks.close();
    this.voice.close();
    const said = document.querySelectorAll(`[data-kling-hub="${this.hub}"] > .kling-missed`);
    for (const each of said) each.remove();
    for (const live of document.querySelectorAll(`[data-kling-hub="${this.hub}"] .kling-alive`)) {
      live.parentElement.classList.remove("kling-lives");
      live.remove();
    }
  }
}
