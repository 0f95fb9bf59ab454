// Files by drop, paste, file dialog, path, URL or variable, with a preview of what is sent.
// Files are sent to the kernel in pieces, so that neither the page nor the connection blocks.

const PIECE_BYTES = 1_000_000;

const MEDIA = {
  image: { noun: "an image", allowed: "use a JPEG, PNG or WebP" },
  video: { noun: "a video", allowed: "use an MP4 or MOV" },
  audio: { noun: "an audio file", allowed: "use an MP3, WAV or M4A" },
};

function mediumOf(model) {
  return MEDIA[model.get("medium")] ?? MEDIA.image;
}

function errorOf(file, model) {
  const most = model.get("most_bytes");
  if (file.size > most) {
    const mb = (bytes) => `${(bytes / 1e6).toLocaleString("en", { maximumFractionDigits: 1 })} MB`;
    return `${file.name} is ${mb(file.size)}; for files over ${mb(most)}, enter a path`;
  }
  if (file.type && !file.type.startsWith(`${model.get("medium")}/`)) {
    const { noun, allowed } = mediumOf(model);
    return `${file.name} is ${file.type}, not ${noun}; ${allowed}`;
  }
  return "";
}

function pause() {
  return new Promise((resolve) => setTimeout(resolve));
}

async function send(file, model, showStatus) {
  const problem = errorOf(file, model);
  if (problem) throw new Error(problem);
  const key = newId();
  const pieces = Math.max(1, Math.ceil(file.size / PIECE_BYTES));
  for (let piece = 0; piece < pieces; piece += 1) {
    showStatus(`Reading ${file.name} … ${Math.round((100 * piece) / pieces)} %`);
    const begin = piece * PIECE_BYTES;
    const bytes = await file.slice(begin, begin + PIECE_BYTES).arrayBuffer();
    const isLast = piece + 1 === pieces;
    model.send({ do: "piece", key, name: file.name, last: isLast }, undefined, [bytes]);
    await pause();
  }
}

// Reports a file that cannot be read; the next file is still sent.
async function read(file, model, showStatus) {
  try {
    await send(file, model, showStatus);
  } catch (error) {
    // A folder looks like a file and fails only here; so does a deleted file.
    const isOurs = error.constructor === Error;
    const words = `${file.name} cannot be read; choose a file, not a folder`;
    model.send({ do: "refuse", words: isOurs ? error.message : words });
  }
}

// Returns a dragged link, or the name of a file dragged from a list.
function linkIn(data) {
  const links = (data.getData("text/uri-list") || data.getData("text/plain") || "").split(/\r?\n/);
  return links.find((line) => line && !line.startsWith("#"))?.trim() ?? "";
}

function imageOf(picture, medium) {
  if (picture.src) {
    const alt = `${medium === "video" ? "First frame of" : "Image"} ${picture.name}`;
    const image = element("img", { src: picture.src, alt });
    // The frame is marked as a video.
    return medium === "video" ? element("span", { class: "kling-still" }, image) : image;
  }
  return element("span", { class: `kling-medium kling-${medium}`, "aria-hidden": "true" });
}

// One file: its facts, and buttons to move or remove it.
function preview(model, at, act) {
  const pictures = model.get("pictures");
  const picture = pictures[at];
  const role = model.get("roles")[at] ?? "";
  const facts = [picture.facts, picture.how].filter(Boolean).join(" · ");
  const lines = [
    ...(role ? [element("span", { class: "kling-role" }, role)] : []),
    element("strong", {}, picture.name),
    ...(facts ? [element("span", {}, tied(facts))] : []),
  ];
  const button = (word, label, title, disabled) =>
    element(
      "button",
      {
        type: "button",
        class: title ? "kling-plain" : `kling-plain kling-icon kling-${word}`,
        "aria-label": label,
        title: label,
        "data-do": word,
        disabled,
        click: () => act(at, word),
      },
      title,
    );
  const number = pictures.length;
  const moves = number < 2 ? [] : [
    button("up", `Move ${picture.name} up`, "", at === 0),
    button("down", `Move ${picture.name} down`, "", at === number - 1),
  ];
  const isCounted = number > 1 && !role;
  const order = isCounted ? [element("span", { class: "kling-order" }, String(at + 1))] : [];
  const taking = button("remove", `Remove ${picture.name}`, "Remove");
  return element(
    "li",
    {},
    ...order,
    imageOf(picture, model.get("medium")),
    element(
      "div",
      { class: "kling-lines" },
      ...lines,
      element("div", { class: "kling-moves" }, ...moves, taking),
    ),
  );
}

function render({ model, el }) {
  const frame = fieldFrame(model, el);
  const several = model.get("several");
  el.dataset.klingMedium = model.get("medium");
  el.classList.add(several ? "kling-several" : "kling-one");
  const title = element("span", { class: "kling-name", id: newId() }, model.get("label"));
  if (!model.get("required")) title.append(element("span", { class: "kling-small" }, " optional"));
  const file = element("input", {
    type: "file",
    accept: model.get("accept"),
    multiple: several,
    hidden: true,
    change: () => {
      void take([...file.files]);
      file.value = "";
    },
  });
  const words = element("span");
  const zone = element(
    "button",
    { type: "button", class: "kling-zone", click: () => file.click() },
    element("span", { class: "kling-plus", "aria-hidden": "true" }),
    words,
  );
  const textId = newId();
  const text = element(several ? "textarea" : "input", {
    id: textId,
    rows: several && 2,
    type: several ? null : "text",
    placeholder: model.get("placeholder"),
    spellcheck: "false",
    autocomplete: "off",
    "aria-label": `${model.get("label")}: ${model.get("placeholder")}`,
    // `input` sets the model for Generate; `change` sends it to the kernel.
    input: () => model.set("value", text.value),
    change: () => setText(text.value),
    keydown: (event) => {
      if (event.key === "Enter" && !several && !event.ctrlKey && !event.metaKey) setText(text.value);
    },
  });
  const shown = element("ul", { class: "kling-pictures" });
  const status = element("p", { class: "kling-small", role: "status" });
  const box = element(
    "div",
    { class: "kling-picker", role: "group", "aria-labelledby": title.id },
    shown,
    element("div", { class: "kling-source-row" }, zone, text),
  );
  frame.describe(zone);
  frame.describe(text);

  const setText = (value) => {
    text.value = value;
    model.set("value", value);
    model.save_changes();
  };
  const showStatus = (line) => {
    status.textContent = line;
    status.hidden = !line;
  };
  const take = async (files) => {
    if (!files.length) return;
    // Generate waits while this is set.
    model.set("arriving", true);
    try {
      for (const each of several ? files : files.slice(0, 1)) await read(each, model, showStatus);
    } finally {
      model.set("arriving", false);
      showStatus("");
    }
  };
  const drop = (event) => {
    event.preventDefault();
    event.stopPropagation();
    el.classList.remove("kling-over-zone");
    const files = [...event.dataTransfer.files];
    const link = linkIn(event.dataTransfer);
    if (files.length) void take(files);
    else if (link) setText(several && text.value ? `${text.value}\n${link}` : link);
  };
  const hover = (event) => {
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    el.classList.add("kling-over-zone");
  };
  const leave = (event) => {
    if (!el.contains(event.relatedTarget)) el.classList.remove("kling-over-zone");
  };
  // A file pasted anywhere in the panel goes into the focused field, or the first of its medium.
  const paste = (event) => {
    const panel = el.closest(".kling-panel");
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length || event.defaultPrevented || !panel?.contains(event.target)) return;
    const place = event.target.closest(".kling-field-picture");
    const medium = CSS.escape(files[0].type.split("/")[0] || "image");
    const first = panel.querySelector(`.kling-field-picture[data-kling-medium="${medium}"]`);
    if (el !== (place ?? first)) return;
    event.preventDefault();
    void take(files);
  };
  // The element to focus after the kernel has moved a file.
  let wanted = null;
  const act = (at, word) => {
    if (word === "remove") {
      zone.focus();
      model.send({ do: "remove", at });
      return;
    }
    const to = at + (word === "up" ? -1 : 1);
    wanted = { at: to, word };
    model.send({ do: "move", at, to });
  };
  const draw = () => {
    const number = model.get("pictures").length;
    const { activeElement } = document;
    const at = [...shown.children].findIndex((each) => each.contains(activeElement));
    if (at >= 0) wanted ??= { at, word: activeElement.dataset.do };
    shown.replaceChildren(...model.get("pictures").map((_, at) => preview(model, at, act)));
    shown.hidden = !number;
    el.classList.toggle("kling-filled", number > 0);
    const { noun } = mediumOf(model);
    const paste = model.get("medium") === "image" ? ", paste it," : "";
    const first = `Drop ${noun} here${paste} or choose a file`;
    words.textContent = number ? (several ? `Add ${noun}` : "Replace") : first;
    // The image replaces the note, so the title shows it.
    zone.title = number && !several ? model.get("note") : "";
    const item = shown.children[wanted?.at];
    const button = item?.querySelector(`[data-do="${wanted.word}"]:enabled`);
    (button ?? item?.querySelector('[data-do="up"]:enabled, [data-do="down"]:enabled'))?.focus();
    wanted = null;
  };
  el.append(title, file, box, status, frame.note, frame.problem);
  el.addEventListener("dragover", hover);
  el.addEventListener("dragleave", leave);
  el.addEventListener("drop", drop);
  document.addEventListener("paste", paste);
  showStatus("");
  const stops = [
    frame.follow(),
    follow(model, ["pictures", "roles"], draw),
    follow(model, ["value"], () => {
      if (text.value !== model.get("value")) text.value = model.get("value");
    }),
    () => document.removeEventListener("paste", paste),
  ];
  return () => stops.forEach((stop) => stop());
}

export default { render };
