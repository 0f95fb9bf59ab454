// Below the form: price, Generate and Copy cell; and Ctrl+Enter anywhere in the panel.

const WAIT_MS = 60_000;
const SOON_MS = 3000;

// Waits until a file has reached the kernel.
function arrived(control) {
  if (!control.get("arriving")) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => !control.get("arriving") && resolve();
    control.on("change:arriving", done);
    setTimeout(resolve, WAIT_MS);
  });
}

// Returns the values of the controls. A busy kernel may not have received all of them, and a request
// must match the screen.
async function valuesOf(model) {
  const held = {};
  for (const [name, id] of Object.entries(model.get("controls"))) {
    if (!model.widget_manager.has_model(id)) continue; // of a closed form
    const control = await model.widget_manager.get_model(id);
    await arrived(control);
    held[name] = control.get("value");
  }
  return held;
}

// Emphasizes the amount in the line.
function priceParts(line, amount) {
  const at = amount ? line.indexOf(amount) : -1;
  if (at < 0) return [tied(line)];
  const [before, after] = [line.slice(0, at), line.slice(at + amount.length)];
  return [tied(before), element("strong", {}, amount), tied(after)];
}

// The cell of the same request, after Copy cell.
function cellBox(model) {
  const status = element("p", { class: "kling-small", role: "status" });
  const named = { class: "kling-cell-text", tabindex: "0", "aria-label": "The cell" };
  const text = element("pre", named);
  const hide = () => {
    model.set("cell", "");
    model.save_changes();
  };
  const hider = element("button", { type: "button", class: "kling-plain", click: hide }, "Hide");
  const head = element("div", { class: "kling-name-row" }, status, hider);
  const box = element("div", { class: "kling-cell" }, head, text);
  return {
    box,
    draw: () => {
      text.textContent = model.get("cell");
      box.hidden = !text.textContent;
      status.textContent = "This cell makes the same request:";
    },
    copied: (isDone) => {
      status.textContent = isDone ? "Copied" : `Not copied. The cell is selected: press ${COPY_KEYS}`;
      if (isDone) return;
      text.focus();
      getSelection().selectAllChildren(text);
    },
  };
}

// After Ctrl+Enter, the new card may be outside of the window.
async function scrollToCard(panel, job) {
  const until = performance.now() + SOON_MS;
  const card = () => panel?.querySelector(`.kling-record[data-kling-job="${CSS.escape(job)}"]`);
  while (!card() && performance.now() < until) await new Promise(requestAnimationFrame);
  const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
  card()?.scrollIntoView({ block: "nearest", behavior: isStill ? "auto" : "smooth" });
}

// Blocks the fields until the kernel shows those of the chosen model: input into the earlier form
// would be lost, and so would the focus. Returns a function that stops this.
async function blockEarlierForm(model, panel, listener) {
  const choice = await model.widget_manager.get_model(model.get("controls").model);
  const draw = () => {
    const fields = panel()?.querySelector(".kling-fields");
    if (!fields) return;
    fields.inert = choice.get("value") !== model.get("form_of");
    if (fields.inert) listener.ask();
  };
  const stops = [follow(choice, ["value"], draw), follow(model, ["form_of"], draw)];
  return () => stops.forEach((stop) => stop());
}

function render({ model, el }) {
  el.classList.add("kling-foot");
  const price = element("p", { class: "kling-cost", "aria-live": "polite" });
  const warnings = element("div", { class: "kling-warnings", role: "status" });
  const hint = element("p", { class: "kling-problem", role: "status" });
  const waiting = element("p", { class: "kling-small", role: "status" });
  const keys = IS_MAC ? "⌘ ↵" : "Ctrl ↵";
  const label = element("span");
  const generate = element(
    "button",
    { type: "button", class: "kling-primary", "aria-keyshortcuts": "Control+Enter Meta+Enter" },
    label,
    element("span", { class: "kling-keys", "aria-hidden": "true" }, keys),
  );
  const copyCell = element(
    "button",
    { type: "button", class: "kling-plain", title: "Copy the %%kling cell of the same request" },
    "Copy cell",
  );
  const cell = cellBox(model);
  el.append(
    price,
    warnings,
    element("div", { class: "kling-actions" }, generate, copyCell),
    hint,
    waiting,
    cell.box,
  );

  let isSilent = false; // the kernel has ended, or does not answer
  const drawButton = () => {
    const isBusy = model.get("busy") && !isSilent;
    generate.disabled = isBusy;
    label.textContent = isBusy ? "Sending …" : "Generate";
  };
  const listener = new Listener(model, (why, isEnd) => {
    waiting.hidden = !why;
    waiting.textContent = why;
    isSilent = isEnd;
    if (isEnd) drawButton();
    else if (why && generate.disabled) label.textContent = "Waiting …";
  });
  const panel = () => el.closest(".kling-panel");
  const press = async () => {
    if (generate.disabled || !listener.check()) return;
    generate.disabled = true;
    if (!waiting.hidden) label.textContent = "Waiting …";
    const held = await valuesOf(model);
    listener.sender.send({ do: "generate", held });
    listener.ask();
  };
  const onKey = (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    if (!panel()?.contains(event.target)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (!event.repeat) void press();
  };
  // The other buttons of the panel, which have modules of their own; cards say it themselves.
  const onClick = ({ target }) => {
    const button = target.closest?.("button:not([data-kling-do])");
    if (button && button !== generate && button !== copyCell && panel()?.contains(button)) {
      listener.check();
    }
  };
  const receive = async (message) => {
    if (message.here) {
      listener.receive();
      drawButton();
    }
    if (message.show) void scrollToCard(panel(), message.show);
    if (message.focus) {
      const field = panel()?.querySelector(`[data-kling-field="${CSS.escape(message.focus)}"]`);
      // With several controls, the first invalid one.
      const target = field?.querySelector(".kling-wrong") ?? field;
      target?.querySelector("textarea, input:not([hidden]), select, .kling-zone")?.focus();
    }
    if (message.copy !== undefined) cell.copied(await copyText(message.copy));
  };
  generate.addEventListener("click", press);
  copyCell.addEventListener("click", async () => {
    if (!listener.check()) return;
    const held = await valuesOf(model);
    listener.sender.send({ do: "copy", held });
    listener.ask();
  });
  document.addEventListener("keydown", onKey, true);
  document.addEventListener("click", onClick, true);
  model.on("msg:custom", receive);
  const stops = [
    () => listener.close(),
    () => document.removeEventListener("keydown", onKey, true),
    () => document.removeEventListener("click", onClick, true),
    () => model.off("msg:custom", receive),
    follow(model, ["price", "amount"], () => {
      price.replaceChildren(...priceParts(model.get("price"), model.get("amount")));
    }),
    follow(model, ["warnings"], () => {
      warnings.replaceChildren(...model.get("warnings").map((text) => element("p", {}, text)));
      warnings.hidden = !warnings.childElementCount;
    }),
    follow(model, ["hint"], () => {
      hint.textContent = model.get("hint");
      hint.hidden = !hint.textContent;
    }),
    follow(model, ["cell"], cell.draw),
    follow(model, ["busy"], drawButton),
  ];
  const blocking = blockEarlierForm(model, panel, listener);
  return () => {
    stops.forEach((stop) => stop());
    void blocking.then((stop) => stop());
  };
}

export default { render };
