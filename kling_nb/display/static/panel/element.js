// What every control of the panel shares; each module has it in front of its own text.
// Text only ever becomes text: nothing here writes markup.

const KEYED = new Set(["button", "input", "select", "textarea", "pre"]);

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  // JupyterLab takes arrows and letters from whatever has the focus in a notebook, and looks for
  // this mark from there upwards only until its own rule fits: at once.
  if (KEYED.has(name)) made.setAttribute("data-lm-suppress-shortcuts", "");
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

// A line of facts breaks behind its dots, and nowhere around an arrow.
function tied(line) {
  return line.replaceAll(" · ", "\u00a0· ").replaceAll(" → ", "\u00a0→\u00a0");
}

function newId() {
  return `kling-${Math.random().toString(36).slice(2)}`;
}

// Call `draw` now and after each change of these traits; gives back what stops it.
function follow(model, traits, draw) {
  const events = traits.map((trait) => `change:${trait}`).join(" ");
  model.on(events, draw);
  draw();
  return () => model.off(events, draw);
}

// The root of a field and what stands below its control. `describe` ties an element to them.
function fieldFrame(model, el) {
  const note = element("p", { class: "kling-small kling-note", id: newId() });
  const problem = element("p", { class: "kling-problem", role: "alert", id: newId() });
  const described = [];
  el.classList.add("kling-field", `kling-field-${model.get("kind")}`);
  el.dataset.klingField = model.get("name");
  const draw = () => {
    const wrong = model.get("problem");
    note.textContent = model.get("note");
    // What is wrong says what is allowed, too.
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
