// Elements by their names. What a person or the service wrote comes in as text, never as markup.

function element(name, look, given = {}, ...children) {
  const made = document.createElement(name);
  if (look) made.className = look.split(" ").map((part) => `kling-${part}`).join(" ");
  for (const [key, value] of Object.entries(given)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== undefined) made.setAttribute(key, String(value));
  }
  made.append(...children);
  return made;
}

function button(look, text, onclick, given = {}) {
  return element("button", `gallery-button ${look}`.trim(), { type: "button", onclick, ...given }, text);
}

function press(made, isOn) {
  made.setAttribute("aria-pressed", String(isOn));
}

function isPressed(made) {
  return made.getAttribute("aria-pressed") === "true";
}

function shorten(text, limit) {
  const line = text.replace(/\s+/g, " ");
  return line.length <= limit ? line : `${line.slice(0, limit - 1)}…`;
}

async function copyFrom(made, text) {
  const before = made.dataset.label ?? made.textContent;
  made.dataset.label = before;
  made.textContent = (await copyText(text)) ? "Copied" : "Select it below";
  setTimeout(() => (made.textContent = before), 2000);
}

// How long the kernel may take before the page says that it waits, as below a card.
const PATIENCE_MS = 1200;
const WAITING = "Waiting for the kernel…";
const UNPLAYABLE = "This browser cannot play it.";

const isStill = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
