// Recent clips of this folder to start from: a row of posters, each a button with two actions.

function render({ model, el }) {
  el.classList.add("kling-recents");
  const title = element("p", { class: "kling-name", id: newId() }, "Start from a recent clip");
  const row = element("ul", { "aria-labelledby": title.id });
  const ways = element("div", { class: "kling-ways" });
  let selected = "";

  const go = (word) => () => {
    model.send({ do: word, id: selected });
    select("");
  };
  const lastFrame = element(
    "button",
    { type: "button", class: "kling-plain", click: go("frame") },
    "Use its last frame as image",
  );
  const settings = element(
    "button",
    { type: "button", class: "kling-plain", click: go("settings") },
    "Use its settings",
  );
  const prompt = element("p", { class: "kling-small" });
  ways.append(prompt, lastFrame, settings);

  const select = (id) => {
    selected = id;
    const clip = model.get("clips").find((each) => each.id === id);
    ways.hidden = !clip;
    prompt.textContent = clip?.prompt ?? "";
    lastFrame.hidden = !model.get("takes_pictures");
    for (const button of row.querySelectorAll("button")) {
      button.setAttribute("aria-expanded", String(button.dataset.id === id));
    }
  };
  const open = (id) => {
    select(id);
    if (selected) (lastFrame.hidden ? settings : lastFrame).focus();
  };
  const item = (clip) => {
    const button = element(
      "button",
      {
        type: "button",
        title: clip.prompt,
        "data-id": clip.id,
        "aria-expanded": "false",
        click: () => open(selected === clip.id ? "" : clip.id),
      },
      element("img", { src: clip.src, alt: `Clip: ${clip.prompt}` }),
    );
    return element("li", {}, button);
  };
  const space = () =>
    element("li", { "aria-hidden": "true" }, element("span", { class: "kling-recent-space" }));
  const escape = (event) => {
    if (event.key !== "Escape" || !selected) return;
    const button = row.querySelector(`[data-id="${CSS.escape(selected)}"]`);
    select("");
    button?.focus();
  };
  el.append(title, row, ways);
  el.addEventListener("keydown", escape);
  return follow(model, ["clips", "expected", "takes_pictures"], () => {
    const clips = model.get("clips");
    // Their place is kept until they are read, so that the form below does not move.
    const spaces = clips.length ? [] : Array.from({ length: model.get("expected") }, space);
    const focused = row.contains(document.activeElement) ? document.activeElement.dataset.id : "";
    row.replaceChildren(...clips.map(item), ...spaces);
    el.hidden = !row.childElementCount;
    select(clips.some((clip) => clip.id === selected) ? selected : "");
    row.querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus();
  });
}

export default { render };
