// Creates elements. Texts of users and of the service are inserted as text, never as HTML.

function element(name, classes, attributes = {}, ...children) {
  const made = document.createElement(name);
  if (classes) made.className = classes.split(" ").map((part) => `kling-${part}`).join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== undefined) made.setAttribute(key, String(value));
  }
  made.append(...children);
  return made;
}

function button(classes, text, onclick, attributes = {}) {
  return element("button", `gallery-button ${classes}`.trim(), { type: "button", onclick, ...attributes }, text);
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
  made.textContent = (await copyText(text)) ? "Copied" : "Not copied: select it below";
  setTimeout(() => (made.textContent = before), 2000);
}

// Delay before the page shows that it waits for the kernel.
const PATIENCE_MS = 1200;
const WAITING = "Waiting for the kernel…";
const UNPLAYABLE = "This browser cannot play it.";

const isStill = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
