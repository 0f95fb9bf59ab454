// The foot of the form: what it costs, Generate, Copy cell; and Ctrl+Enter anywhere in the panel.

const WAIT_MS = 60_000;

// A file that is still on its way to the kernel comes first.
function arrived(control) {
  if (!control.get("arriving")) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => !control.get("arriving") && resolve();
    control.on("change:arriving", done);
    setTimeout(resolve, WAIT_MS);
  });
}

// What the controls show now. The kernel may not have all of it yet while it is busy, and a clip is
// made of what stands on the screen.
async function heldBy(model) {
  const held = {};
  for (const [name, id] of Object.entries(model.get("controls"))) {
    if (!model.widget_manager.has_model(id)) continue; // of a form that has just gone
    const control = await model.widget_manager.get_model(id);
    await arrived(control);
    held[name] = control.get("value");
  }
  return held;
}

function render({ model, el }) {
  el.classList.add("kling-foot");
  const price = element("p", { class: "kling-cost", "aria-live": "polite" });
  const hint = element("p", { class: "kling-problem", role: "status" });
  const said = element("span", { class: "kling-small", role: "status" });
  const keys = /Mac|iPhone|iPad/.test(navigator.platform) ? "⌘ Enter" : "Ctrl Enter";
  const label = element("span");
  const generate = element(
    "button",
    { type: "button", class: "kling-primary", "aria-keyshortcuts": "Control+Enter Meta+Enter" },
    label,
  );
  const copyCell = element(
    "button",
    { type: "button", class: "kling-plain", title: "Copy the %%kling cell that asks for the same" },
    "Copy cell",
  );
  const cell = element("pre", { class: "kling-cell-text", tabindex: "0", "aria-label": "The cell" });
  const actions = element(
    "div",
    { class: "kling-actions" },
    generate,
    element("kbd", { "aria-hidden": "true" }, keys),
    said,
    copyCell,
  );
  el.append(price, actions, hint, cell);

  const panel = () => el.closest(".kling-panel");
  const press = async () => {
    if (generate.disabled) return;
    generate.disabled = true;
    model.send({ do: "generate", held: await heldBy(model) });
  };
  const onKey = (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    if (!panel()?.contains(event.target)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (!event.repeat) void press();
  };
  const receive = async (message) => {
    if (message.focus) {
      const field = panel()?.querySelector(`[data-kling-field="${CSS.escape(message.focus)}"]`);
      // Where it has several controls: the first of them that is wrong.
      const place = field?.querySelector(".kling-wrong") ?? field;
      place?.querySelector("textarea, input:not([hidden]), select, .kling-zone")?.focus();
    }
    if (message.copy !== undefined) {
      said.textContent = (await copyText(message.copy)) ? "Copied" : "Press Ctrl+C on the text below";
      setTimeout(() => (said.textContent = ""), 4000);
    }
  };
  generate.addEventListener("click", press);
  copyCell.addEventListener("click", async () => {
    model.send({ do: "copy", held: await heldBy(model) });
  });
  document.addEventListener("keydown", onKey, true);
  model.on("msg:custom", receive);
  const stops = [
    () => document.removeEventListener("keydown", onKey, true),
    () => model.off("msg:custom", receive),
    follow(model, ["price", "hint", "cell"], () => {
      price.textContent = model.get("price");
      hint.textContent = model.get("hint");
      hint.hidden = !hint.textContent;
      cell.textContent = model.get("cell");
      cell.hidden = !cell.textContent;
    }),
    follow(model, ["busy"], () => {
      generate.disabled = model.get("busy");
      label.textContent = model.get("busy") ? "Sending …" : "Generate";
    }),
  ];
  return () => stops.forEach((stop) => stop());
}

export default { render };
