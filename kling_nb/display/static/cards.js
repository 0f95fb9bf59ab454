// Saved cards, and the actions drawn below them.

const LOST_MS = 1500;

// Whether actions belong to the saved card: progress to a running job, buttons to an ended one. Card
// and actions arrive one after the other, and are drawn together.
function belongs(actions, foot) {
  return actions.html.includes('class="kling-live"') === foot.classList.contains("kling-room");
}

class Containers {
  constructor(hub, manager, send) {
    this.hub = hub;
    this.manager = manager;
    this.send = send;
    this.known = new Map();
    this.asked = new Set();
    this.drawn = new WeakMap();
    this.players = new Map();
    this.drawnHere = new WeakSet();
    this.anchors = new ScrollAnchors();
    this.timers = new Timers();
    this.announcer = new Announcer();
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
      this.announcer.follow(id, Number(node.dataset.klingVersion), record);
    }
    if (place.isMissed) this.showMissed(node, place.missed);
  }

  // Requests all unknown containers of the page with one message.
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

  // After a reload of the page, updates of an output are lost. A container that is still outdated
  // after a moment is requested, and redrawn here whenever the old one returns.
  renew(node, place) {
    if (place.bundle && place.bundleVersion === place.version) {
      const markup = place.bundle["text/html"];
      const fresh = document.createRange().createContextualFragment(markup).firstElementChild;
      node.replaceChildren(...fresh.childNodes);
      node.dataset.klingVersion = fresh.dataset.klingVersion;
      resolveLinks(node, this.manager);
      this.drawnHere.add(node);
      this.saveLater(node.dataset.klingPlace, place);
      return;
    }
    if (place.renewing) return;
    const id = node.dataset.klingPlace;
    place.renewing = setTimeout(() => {
      place.renewing = 0;
      // All nodes of the container, since this one may have been replaced.
      const isBehind = (each) => Number(each.dataset.klingVersion) < place.version;
      if (this.nodes(id).some(isBehind)) this.send({ do: "show", place: id });
    }, LOST_MS);
  }

  nodes(id) {
    const all = document.querySelectorAll(`[data-kling-hub="${this.hub}"]`);
    return [...all].filter((node) => node.dataset.klingPlace === id);
  }

  // Delayed, since the update of the output may still arrive.
  saveLater(id, place) {
    if (place.keeping) return;
    place.keeping = setTimeout(() => {
      place.keeping = 0;
      const isMissed = this.nodes(id).some((node) => this.drawnHere.has(node));
      if (this.closed || !isMissed || place.bundleVersion !== place.version) return;
      place.isMissed = updateOutputs(this.manager, id, place.version, place.bundle) === null;
      for (const node of this.nodes(id)) this.visit(node);
    }, LOST_MS);
  }

  // Shown once in a container.
  showMissed(node, text) {
    if (node.lastElementChild?.classList.contains("kling-missed")) return;
    const notice = document.createElement("p");
    notice.className = "kling-missed";
    notice.setAttribute("role", "status");
    notice.textContent = text;
    node.append(notice);
  }

  // Until the next click, or until the kernel sends new actions.
  showSilence(button, text) {
    const notice = document.createElement("p");
    notice.className = "kling-sorry kling-silence";
    notice.setAttribute("role", "status");
    notice.textContent = text;
    button.closest(".kling-alive")?.append(notice);
  }

  draw(record, place) {
    const foot = record.querySelector(".kling-foot");
    const actions = place.feet[record.dataset.klingJob];
    if (!foot || actions === undefined || !belongs(actions, foot)) return;
    const before = this.drawn.get(foot);
    if (before?.actions === actions && before.live.isConnected) return;
    const live = before?.live ?? document.createElement("div");
    const focused = live.contains(document.activeElement) && document.activeElement.dataset.klingDo;
    live.className = "kling-alive";
    live.innerHTML = actions.html;
    this.timers.start(live);
    resolveLinks(live, this.manager);
    if (!live.isConnected) foot.append(live);
    foot.classList.add("kling-lives");
    this.drawn.set(foot, { actions, live });
    if (focused) {
      live.querySelector(`[data-kling-do="${focused}"]:enabled`)?.focus({ preventScroll: true });
    }
  }

  // A playing clip continues when its card is redrawn.
  keepPlaying(id, record) {
    const video = record.querySelector("video");
    const key = `${id} ${record.dataset.klingJob}`;
    const before = this.players.get(key);
    if (!video || before === video) return;
    if (before && !before.isConnected && before.src === video.src) video.replaceWith(before);
    else this.players.set(key, video);
  }

  receive(message) {
    const place = this.known.get(message.place) ?? { version: 0, feet: {}, cells: {} };
    this.known.set(message.place, place);
    place.version = Math.max(place.version, message.version ?? 0);
    if (message.bundle !== undefined) {
      place.bundle = message.bundle;
      place.bundleVersion = message.version;
      place.missed = message.missed;
    }
    for (const [job, html] of Object.entries(message.feet ?? {})) {
      this.timers.adjustSkew(html);
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
    this.timers.close();
    this.announcer.close();
    const notice = document.querySelectorAll(`[data-kling-hub="${this.hub}"] > .kling-missed`);
    for (const each of notice) each.remove();
    for (const live of document.querySelectorAll(`[data-kling-hub="${this.hub}"] .kling-alive`)) {
      live.parentElement.classList.remove("kling-lives");
      live.remove();
    }
  }
}
