// Shared by all controls of the panel. Part of each module. Inserts text only, never HTML.

const KEYED = new Set(["button", "input", "select", "textarea", "pre"]);

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  // Without this attribute on the focused element, JupyterLab handles arrows and letters as
  // commands.
  if (KEYED.has(name)) made.setAttribute("data-lm-suppress-shortcuts", "");
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

// Allows line breaks after dots, but not around arrows.
function tied(line) {
  return line.replaceAll(" · ", "\u00a0· ").replaceAll(" → ", "\u00a0→\u00a0");
}

function newId() {
  return `kling-${Math.random().toString(36).slice(2)}`;
}

// Calls `draw` now and after each change of these traits; returns a function that stops it.
function follow(model, traits, draw) {
  const events = traits.map((trait) => `change:${trait}`).join(" ");
  model.on(events, draw);
  draw();
  return () => model.off(events, draw);
}

// The note and the problem of a field. `describe` links an element to them.
function fieldFrame(model, el) {
  const note = element("p", { class: "kling-small kling-note", id: newId() });
  const problem = element("p", { class: "kling-problem", role: "alert", id: newId() });
  const described = [];
  el.classList.add("kling-field", `kling-field-${model.get("kind")}`);
  el.dataset.klingField = model.get("name");
  const draw = () => {
    const wrong = model.get("problem");
    note.textContent = model.get("note");
    // The problem says what is allowed, too.
    note.hidden = !note.textContent || Boolean(wrong);
    if (problem.textContent !== wrong) problem.textContent = wrong;
    el.classList.toggle("kling-wrong", Boolean(wrong));
    for (const [target, more] of described) {
      const ids = [wrong && problem.id, !note.hidden && note.id, more].filter(Boolean);
      target.setAttribute("aria-describedby", ids.join(" "));
      if (!ids.length) target.removeAttribute("aria-describedby");
      if (target.tagName !== "BUTTON") target.setAttribute("aria-invalid", String(Boolean(wrong)));
    }
  };
  return {
    note,
    problem,
    describe: (target, more = "") => described.push([target, more]),
    follow: () => follow(model, ["problem", "note"], draw),
  };
}
