// The module of a kernel's hub: updates the containers and mounts of the hub on each page.
//
// A container has saved cards; below them are the actions that the kernel sends for their jobs. A
// mount has a saved view that a widget replaces while the kernel runs. A page may have several
// kernels, and a kernel several pages.

const COPIED_MS = 2000;
const PATIENCE_MS = 1200;
const KEYED = "button, summary, a[href], input, select, textarea, video, [tabindex]";

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

// Selects the text for the user to copy, if the page is not allowed to copy.
function selectText(button, text) {
  const record = button.closest(".kling-record");
  const fold = [...record.querySelectorAll(".kling-cell")].at(-1);
  const shown = [...record.querySelectorAll(".kling-code")];
  const target = text ? shown.find((each) => each.textContent === text) : fold?.lastElementChild;
  if (!target) return;
  if (!text) fold.open = true;
  getSelection().selectAllChildren(target);
}

class Page {
  constructor(model) {
    this.model = model;
    this.id = model.get("hub_id");
    this.selector = `[data-kling-hub="${CSS.escape(this.id)}"]`;
    this.mounts = new Mounts(model.widget_manager);
    this.places = new Containers(this.id, model.widget_manager, (content) => this.send(content));
    this.sender = new Sender(model, (text) => this.showSilence(text));
    this.pressed = [];
    this.observer = new MutationObserver((changes) => this.notice(changes));
    this.onClick = (event) => this.click(event);
  }

  // A front end also creates this model from the saved state of widgets. Then there is no kernel,
  // and the saved HTML is not changed.
  async open() {
    if (!(await this.isLive()) || this.closed) return;
    document.addEventListener("click", this.onClick);
    this.model.on("msg:custom", (message) => this.receive(message));
    this.model.on("comm_live_update", () => this.check());
    this.model.on("comm:close", () => this.close());
    const manager = this.model.widget_manager;
    this.ignoreEnd = onKernelEnd(manager.kernel, () => this.close());
    this.observer.observe(document.body, { childList: true, subtree: true });
    this.send({ do: "hello", page: pageFacts() });
    const places = findEarlier(manager, this.id);
    if (Object.keys(places).length) this.send({ do: "earlier", places });
    this.visit(document.querySelectorAll(this.selector));
  }

  async isLive() {
    const own = await this.model.widget_manager.get_model(this.id).catch(() => null);
    return own?.comm_live !== false;
  }

  send(content) {
    if (!this.closed) this.model.send(content);
  }

  // Runs synchronously, so that a redrawn card is never painted without its actions. Called for
  // each key typed on the page, so it visits only changed nodes of the hub.
  notice(changes) {
    if (this.closed) return;
    this.mounts.tidy();
    this.visit(this.touched(changes));
  }

  // Includes all ancestors, since a container may be in a mount.
  touched(changes) {
    const found = new Set();
    for (const { target, addedNodes } of changes) {
      let ancestor = target.closest(this.selector);
      for (; ancestor; ancestor = ancestor.parentElement?.closest(this.selector)) found.add(ancestor);
      for (const added of addedNodes) {
        if (added.matches?.(this.selector)) found.add(added);
        for (const node of added.querySelectorAll?.(this.selector) ?? []) found.add(node);
      }
    }
    return [...found].filter((node) => node.isConnected);
  }

  visit(nodes) {
    for (const node of nodes) {
      if (node.dataset.klingMount) {
        this.mounts.visit(node);
        this.places.anchors.watch(node);
      } else if (node.dataset.klingPlace) this.places.visit(node);
      // Without this attribute on the focused element, JupyterLab handles Enter and letters as
      // commands.
      for (const each of node.querySelectorAll(KEYED)) each.dataset.lmSuppressShortcuts = "true";
    }
    // Ignore our own changes, which could cause an endless loop.
    this.observer.takeRecords();
  }

  receive(message) {
    if (this.closed) return;
    if (message?.earlier) replaceEarlier(this.model.widget_manager, message.earlier, message.bundle);
    if (message?.place === undefined) return;
    this.pressed = this.pressed.filter(({ place }) => place !== message.place);
    if (!this.pressed.length) this.sender.receive();
    this.places.receive(message);
    const changes = this.observer.takeRecords(); // changes by others, which `visit` would discard
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
    // Disabled until the kernel sends new actions, so that a click counts once.
    const all = button.parentElement.querySelectorAll("button:not([data-kling-do=copy]):enabled");
    const { klingPlace } = place.dataset;
    button.closest(".kling-alive")?.querySelector(".kling-silence")?.remove();
    this.pressed.push({ place: klingPlace, button, label: button.textContent, others: [...all] });
    for (const other of all) other.disabled = true;
    setTimeout(() => {
      if (button.isConnected && button.disabled) button.textContent = "Waiting for the kernel…";
    }, PATIENCE_MS);
    this.sender.send({ do: klingDo, place: klingPlace, job: klingJob, turn: Number(klingTurn) });
  }

  // The buttons work again: a click that arrives late counts once.
  showSilence(text) {
    for (const { button, label, others } of this.pressed) {
      for (const other of others) other.disabled = false;
      button.textContent = label;
      this.places.showSilence(button, text);
    }
    this.pressed = [];
  }

  async copy(button, place) {
    const { klingText, klingJob } = button.dataset;
    const isDone = await copyText(klingText ?? this.places.cell(place.dataset.klingPlace, klingJob));
    button.dataset.klingLabel ??= button.textContent;
    button.textContent = isDone ? "Copied" : `Not copied: press ${COPY_KEYS}`;
    if (!isDone) selectText(button, klingText);
    setTimeout(() => {
      button.textContent = button.dataset.klingLabel;
    }, COPIED_MS);
  }

  // A restarted kernel has lost its comms, so the page must not look live.
  async check() {
    if (!(await this.isLive())) this.close();
  }

  close() {
    if (this.closed) return;
    this.closed = true;
    this.observer.disconnect();
    document.removeEventListener("click", this.onClick);
    this.ignoreEnd?.();
    this.sender.receive();
    this.mounts.close();
    this.places.close();
  }
}

function initialize({ model }) {
  const page = new Page(model);
  void page.open();
  return () => page.close();
}

// The view is empty; some front ends start the module only for a displayed view.
function render({ el }) {
  el.style.display = "none";
}

export default { initialize, render };
