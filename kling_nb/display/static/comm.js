// One module for a whole kernel: brings the places and mounts of its hub to life, on each page.
//
// A place holds records, plain HTML that the notebook keeps; at their feet comes what the kernel
// sends for their jobs. A mount holds a saved form that gives way to a widget while the kernel
// lives. Several kernels may be on one page, and one kernel on several pages.

const SAID_MS = 2000;
const PATIENCE_MS = 1200;
const KEYED = "button, summary, a[href], input, select, textarea, video, [tabindex]";
const ENDS = ["restarting", "autorestarting", "terminating", "dead"];

function pageFacts() {
  const video = document.createElement("video");
  const facts = {
    front_end: "",
    version: "",
    h264: video.canPlayType('video/mp4; codecs="avc1.42E01E"'),
    aac: video.canPlayType('video/mp4; codecs="avc1.42E01E, mp4a.40.2"'),
    reduced_motion: matchMedia("(prefers-reduced-motion: reduce)").matches,
    agent: navigator.userAgent,
  };
  try {
    const config = JSON.parse(document.getElementById("jupyter-config-data").textContent);
    facts.front_end = String(config.appName ?? "");
    facts.version = String(config.appVersion ?? "");
  } catch {
    const isCode = document.body.dataset.vscodeThemeKind || "acquireVsCodeApi" in window;
    facts.front_end = isCode ? "VS Code" : "";
  }
  return facts;
}

// Where no page may copy, what was meant is marked, so that a key press takes it.
function selectText(button, text) {
  const record = button.closest(".kling-record");
  const fold = [...record.querySelectorAll(".kling-cell")].at(-1);
  const shown = [...record.querySelectorAll(".kling-code")];
  const meant = text ? shown.find((each) => each.textContent === text) : fold?.lastElementChild;
  if (!meant) return;
  if (!text) fold.open = true;
  getSelection().selectAllChildren(meant);
}

class Page {
  constructor(model) {
    this.model = model;
    this.id = model.get("hub_id");
    this.selector = `[data-kling-hub="${CSS.escape(this.id)}"]`;
    this.mounts = new Mounts(model.widget_manager);
    this.places = new Places(this.id, model.widget_manager, (content) => this.send(content));
    this.observer = new MutationObserver((changes) => this.notice(changes));
    this.onClick = (event) => this.click(event);
    this.onStatus = (_, status) => this.check(status);
  }

  // A notebook may hold the state of its widgets. A front end makes this model of it, too, and then
  // no kernel is there: what is saved stays as it is.
  async open() {
    if (!(await this.isLive()) || this.closed) return;
    document.addEventListener("click", this.onClick);
    this.model.on("msg:custom", (message) => this.receive(message));
    this.model.on("comm_live_update", () => this.check());
    this.model.on("comm:close", () => this.close());
    this.kernel = this.model.widget_manager.kernel;
    this.kernel?.statusChanged?.connect(this.onStatus);
    this.observer.observe(document.body, { childList: true, subtree: true });
    this.send({ do: "hello", page: pageFacts() });
    this.visit(document.querySelectorAll(this.selector));
  }

  async isLive() {
    const own = await this.model.widget_manager.get_model(this.id).catch(() => null);
    return own?.comm_live !== false;
  }

  send(content) {
    if (!this.closed) this.model.send(content);
  }

  // In the observer's own turn: a record that is drawn anew is never seen without its foot. Each
  // key that is typed anywhere comes here, so that only what is ours and has changed is looked at.
  notice(changes) {
    if (this.closed) return;
    this.mounts.tidy();
    this.visit(this.touched(changes));
  }

  // A place may stand in a mount: both.
  touched(changes) {
    const found = new Set();
    for (const { target, addedNodes } of changes) {
      let around = target.closest(this.selector);
      for (; around; around = around.parentElement?.closest(this.selector)) found.add(around);
      for (const added of addedNodes) {
        if (added.matches?.(this.selector)) found.add(added);
        for (const node of added.querySelectorAll?.(this.selector) ?? []) found.add(node);
      }
    }
    return [...found].filter((node) => node.isConnected);
  }

  visit(nodes) {
    for (const node of nodes) {
      if (node.dataset.klingMount) this.mounts.visit(node);
      else if (node.dataset.klingPlace) this.places.visit(node);
      // Else JupyterLab takes Enter and letters for commands; it looks for this mark from what has
      // the focus upwards only until its own rule fits: at once.
      for (const each of node.querySelectorAll(KEYED)) each.dataset.lmSuppressShortcuts = "true";
    }
    // What was drawn here is no reason to look again: it would never end where two differ.
    this.observer.takeRecords();
  }

  receive(message) {
    if (message?.place === undefined || this.closed) return;
    this.places.take(message);
    const changes = this.observer.takeRecords(); // of others, which a visit would forget
    this.visit([...this.touched(changes), ...this.places.nodes(message.place)]);
  }

  click(event) {
    const button = event.target.closest?.("button[data-kling-do]");
    const place = button?.closest(this.selector);
    if (!place || button.disabled) return;
    const { klingDo, klingJob, klingTurn } = button.dataset;
    if (klingDo === "copy") {
      void this.copy(button, place);
      return;
    }
    // One click is one wish: the kernel draws the foot anew when it has heard it.
    const others = button.parentElement.querySelectorAll("button:not([data-kling-do=copy])");
    for (const other of others) other.disabled = true;
    setTimeout(() => {
      if (button.isConnected && button.disabled) button.textContent = "Waiting for the kernel…";
    }, PATIENCE_MS);
    this.send({ do: klingDo, place: place.dataset.klingPlace, job: klingJob, turn: Number(klingTurn) });
  }

  async copy(button, place) {
    const { klingText, klingJob } = button.dataset;
    const isDone = await copyText(klingText ?? this.places.cell(place.dataset.klingPlace, klingJob));
    button.dataset.klingLabel ??= button.textContent;
    button.textContent = isDone ? "Copied" : `Not copied: press ${COPY_KEYS}`;
    if (!isDone) selectText(button, klingText);
    setTimeout(() => {
      button.textContent = button.dataset.klingLabel;
    }, SAID_MS);
  }

  // A kernel that restarts takes its comms along: nothing on screen may look alive then.
  async check(status) {
    if (ENDS.includes(status)) {
      this.close();
      return;
    }
    if (!(await this.isLive())) this.close();
  }

  close() {
    if (this.closed) return;
    this.closed = true;
    this.observer.disconnect();
    document.removeEventListener("click", this.onClick);
    this.kernel?.statusChanged?.disconnect(this.onStatus);
    this.mounts.close();
    this.places.close();
  }
}

function initialize({ model }) {
  const page = new Page(model);
  void page.open();
  return () => page.close();
}

// Where a widget lives only if it is displayed, its view takes no room.
function render({ el }) {
  el.style.display = "none";
}

export default { initialize, render };
