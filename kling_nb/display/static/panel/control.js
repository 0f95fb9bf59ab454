// The control of a parameter without files. Native elements, so that the Tab key, arrows and screen
// readers work; each key press updates the model.

function put(model, value) {
  model.set("value", value);
  // At once: an echo of an older value would overwrite a value not sent yet.
  model.save_changes();
}

function labelOf(model, id) {
  const label = element("label", { class: "kling-name", for: id }, model.get("label"));
  if (!model.get("required")) label.append(element("span", { class: "kling-small" }, " optional"));
  return label;
}

// Counts characters as the service does: code points, CRLF as one, without surrounding blanks.
function lengthOf(text) {
  return [...text.replaceAll(/\r\n?/g, "\n").trim()].length;
}

function textControl(model, frame) {
  const id = newId();
  const limit = model.get("limits")[1];
  const count = element("span", { class: "kling-count kling-small", id: newId() });
  const area = element("textarea", {
    id,
    rows: limit > 200 ? 3 : 1,
    placeholder: model.get("placeholder"),
    spellcheck: "true",
    input: () => {
      put(model, area.value);
      say();
    },
  });
  const say = () => {
    const length = lengthOf(area.value);
    count.textContent = `${length.toLocaleString("en")} / ${limit.toLocaleString("en")}`;
    count.classList.toggle("kling-over", length > limit);
  };
  frame.describe(area, count.id);
  return {
    parts: [element("div", { class: "kling-name-row" }, labelOf(model, id), count), area],
    draw: () => {
      const value = model.get("value") ?? "";
      if (area.value !== value) area.value = value;
      say();
    },
  };
}

function segmentControl(model, frame) {
  const name = newId();
  const title = element("span", { class: "kling-name", id: newId() }, model.get("label"));
  const inputs = model.get("options").map(([value]) =>
    element("input", { type: "radio", name, value, change: () => put(model, value) }),
  );
  const segments = model
    .get("options")
    .map(([, words], at) => element("label", {}, inputs[at], element("span", {}, words)));
  const group = element(
    "div",
    { class: "kling-segments", role: "radiogroup", "aria-labelledby": title.id },
    ...segments,
  );
  frame.describe(group);
  return {
    parts: [title, group],
    draw: () => inputs.forEach((input) => (input.checked = input.value === model.get("value"))),
  };
}

// Groups consecutive options with the same group name.
function optionsOf(model) {
  const parts = [];
  for (const [value, words, group = ""] of model.get("options")) {
    const [option, last] = [element("option", { value }, words), parts.at(-1)];
    if (!group) parts.push(option);
    else if (last?.tagName === "OPTGROUP" && last.label === group) last.append(option);
    else parts.push(element("optgroup", { label: group }, option));
  }
  return parts;
}

function listControl(model, frame) {
  const id = newId();
  const list = element("select", { id, change: () => put(model, list.value) }, ...optionsOf(model));
  frame.describe(list);
  return { parts: [labelOf(model, id), list], draw: () => (list.value = model.get("value") ?? "") };
}

// The text beside it shows the current value; screen readers announce on and off themselves.
function switchControl(model, frame) {
  const words = new Map(model.get("options"));
  const named = { class: "kling-name", for: newId(), id: newId() };
  const title = element("label", named, model.get("label"));
  const box = element("input", {
    id: title.htmlFor,
    type: "checkbox",
    role: "switch",
    "aria-labelledby": title.id,
    change: () => put(model, box.checked),
  });
  const state = element("span", { "aria-hidden": "true" });
  const label = element("label", { class: "kling-switch" }, box, state);
  frame.describe(box);
  return {
    parts: [title, label],
    draw: () => {
      box.checked = Boolean(model.get("value"));
      state.textContent = words.get(box.checked) ?? "";
    },
  };
}

function numberControl(model, frame) {
  const id = newId();
  const [min, max, step] = model.get("limits");
  const read = () => (box.value === "" ? null : box.valueAsNumber);
  const box = element("input", {
    id,
    type: "number",
    min,
    max,
    step,
    placeholder: model.get("placeholder"),
    // Invalid numbers are sent as text, which validation refuses.
    input: () => put(model, box.validity.badInput ? "the entry" : read()),
  });
  frame.describe(box);
  return {
    parts: [labelOf(model, id), box],
    draw: () => {
      const value = model.get("value");
      if (!box.validity.badInput && read() !== value) box.value = value ?? "";
    },
  };
}

const CONTROLS = {
  text: textControl,
  segments: segmentControl,
  list: listControl,
  switch: switchControl,
  number: numberControl,
};

function render({ model, el }) {
  const frame = fieldFrame(model, el);
  const control = CONTROLS[model.get("kind")](model, frame);
  el.append(...control.parts, frame.note, frame.problem);
  const stops = [frame.follow(), follow(model, ["value"], control.draw)];
  return () => stops.forEach((stop) => stop());
}

export default { render };
