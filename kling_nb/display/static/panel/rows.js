// Rows of controls: shots, elements. The controls in a row are widgets; this script adds the buttons
// to add, move and remove rows, and moves the focus.

const DRAWN_MS = 2000;
const FOCUSABLE = "textarea, input:not([hidden]), select, button";

function modelId(reference) {
  return String(reference).replace("IPY_MODEL_", "");
}

// Waits until a view has drawn its content.
async function drawn(node) {
  if (node.childElementCount) return;
  await new Promise((resolve) => {
    const watcher = new MutationObserver(() => {
      watcher.disconnect();
      resolve();
    });
    watcher.observe(node, { childList: true });
    setTimeout(resolve, DRAWN_MS);
  });
}

class Row {
  constructor(key, noun, act) {
    this.key = key;
    this.noun = noun;
    this.views = [];
    this.title = element("strong", { id: newId() });
    const button = (word, look, label = "") =>
      element(
        "button",
        { type: "button", class: `kling-plain ${look}`, click: () => act(this, word) },
        label,
      );
    this.buttons = {
      up: button("up", "kling-icon kling-up"),
      down: button("down", "kling-icon kling-down"),
      remove: button("remove", "", "Remove"),
    };
    this.fields = element("div", { class: "kling-row-fields" });
    const buttons = Object.values(this.buttons);
    const head = element("div", { class: "kling-row-head" }, this.title, ...buttons);
    const named = { class: "kling-row", role: "group", "aria-labelledby": this.title.id };
    this.el = element("div", named, head, this.fields);
  }

  async fill(manager, ids) {
    for (const id of ids) {
      const view = await manager.create_view(await manager.get_model(id));
      this.views.push(view);
      this.fields.append(view.el);
    }
    await Promise.all(this.views.map((view) => drawn(view.el)));
  }

  place(at, number) {
    const name = `${this.noun} ${at + 1}`;
    const words = { up: `Move ${name} up`, down: `Move ${name} down`, remove: `Remove ${name}` };
    this.at = at;
    this.title.textContent = `${this.noun[0].toUpperCase()}${this.noun.slice(1)} ${at + 1}`;
    for (const [word, button] of Object.entries(this.buttons)) {
      button.setAttribute("aria-label", words[word]);
      button.title = words[word];
    }
    this.buttons.up.disabled = at === 0;
    this.buttons.down.disabled = at === number - 1;
    this.buttons.up.hidden = this.buttons.down.hidden = number < 2;
  }

  // Focuses the first control when it is drawn, unless the person went elsewhere in the meantime.
  // The controls can be drawn in any order.
  focusFirst() {
    const before = document.activeElement;
    const [first] = this.views;
    const focus = () => {
      if (![before, document.body].includes(document.activeElement)) return true;
      const control = first.el.querySelector(FOCUSABLE);
      control?.focus({ preventScroll: true });
      if (!control || document.activeElement !== control) return false;
      this.el.scrollIntoView({ block: "nearest" });
      return true;
    };
    if (focus()) return;
    const watcher = new MutationObserver(() => focus() && watcher.disconnect());
    watcher.observe(this.fields, { childList: true, subtree: true });
  }

  close() {
    this.el.remove();
    for (const view of this.views) view.remove();
  }
}

function render({ model, el }) {
  const frame = fieldFrame(model, el);
  const noun = model.get("noun");
  const rows = new Map();
  let order = [];
  let then = () => {};
  let closed = false;

  const title = element("span", { class: "kling-name", id: newId() }, model.get("label"));
  if (!model.get("required")) title.append(element("span", { class: "kling-small" }, " optional"));
  const count = element("span", { class: "kling-count kling-small", role: "status" });
  const list = element("div", { class: "kling-rows" });
  const article = /^[aeiou]/i.test(noun) ? "an" : "a";
  const adder = element(
    "button",
    { type: "button", class: "kling-zone", click: () => add() },
    element("span", { class: "kling-plus", "aria-hidden": "true" }),
    element("span", {}, `Add ${article} ${noun}`),
  );
  const named = { class: "kling-records", role: "group", "aria-labelledby": title.id };
  const group = element("div", named, list, adder);
  frame.describe(adder);

  const add = () => {
    const known = new Set(rows.keys());
    then = () => {
      const made = order.find((row) => !known.has(row.key));
      if (!made) return false;
      made.focusFirst();
      return true;
    };
    model.send({ do: "add" });
  };
  const act = (row, word) => {
    // A second click must not remove the next row.
    if (row.isLeaving) return;
    if (word === "remove") {
      row.isLeaving = true;
      then = () => {
        if (order.includes(row)) return false;
        const next = order[Math.min(row.at, order.length - 1)];
        (next?.buttons.remove ?? adder).focus();
        return true;
      };
      model.send({ do: "remove", at: row.at });
      return;
    }
    const to = row.at + (word === "up" ? -1 : 1);
    then = () => {
      if (row.at !== to) return false;
      const { up, down } = row.buttons;
      const [same, other] = word === "up" ? [up, down] : [down, up];
      (same.disabled ? other : same).focus();
      return true;
    };
    model.send({ do: "move", at: row.at, to });
  };

  const draw = async () => {
    const ids = model.get("children").map(modelId);
    const size = model.get("columns");
    const wanted = [];
    for (let at = 0; at < ids.length; at += size) wanted.push(ids.slice(at, at + size));
    for (const columns of wanted) {
      if (rows.has(columns[0])) continue;
      const row = new Row(columns[0], noun, act);
      rows.set(row.key, row);
      await row.fill(model.widget_manager, columns);
    }
    if (closed) return;
    const present = new Set(wanted.map((columns) => columns[0]));
    order = wanted.map((columns) => rows.get(columns[0]));
    // Only rows in another position are moved, so that a focused field keeps its focus.
    order.forEach((row, at) => {
      if (list.children[at] !== row.el) list.insertBefore(row.el, list.children[at] ?? null);
      row.place(at, order.length);
    });
    list.hidden = !order.length;
    const most = model.get("most");
    adder.disabled = order.length >= most;
    count.textContent = `${order.length} of ${most}`;
    // Before a focused row is removed, since the browser would reset the focus.
    if (then()) then = () => {};
    for (const [key, row] of [...rows]) {
      if (present.has(key)) continue;
      rows.delete(key);
      row.close();
    }
  };
  let drawing = Promise.resolve();
  const later = () => {
    drawing = drawing
      .then(() => closed || draw())
      .catch((error) => console.warn("[kling_nb] a row could not be shown:", error));
  };

  const head = element("div", { class: "kling-name-row" }, title, count);
  el.append(head, group, frame.note, frame.problem);
  const stops = [frame.follow(), follow(model, ["children"], later)];
  return () => {
    closed = true;
    stops.forEach((stop) => stop());
    for (const row of rows.values()) row.close();
  };
}

export default { render };
