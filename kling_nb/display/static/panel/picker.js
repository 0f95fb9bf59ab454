// Files by drop, paste, file dialog, path, URL or variable; what the service will get below.
// Files go to the kernel in pieces, so that neither the page nor the connection stands still.

const PIECE_BYTES = 1_000_000;

const WORDS = {
  image: { noun: "picture", give: "give a JPEG, PNG or WebP" },
  video: { noun: "video", give: "give an MP4 or MOV" },
  audio: { noun: "sound", give: "give an MP3, WAV or M4A" },
};

function wordsOf(model) {
  return WORDS[model.get("medium")] ?? WORDS.image;
}

function refusalOf(file, model) {
  const most = model.get("most_bytes");
  if (file.size > most) {
    const mb = (bytes) => `${(bytes / 1e6).toLocaleString("en", { maximumFractionDigits: 1 })} MB`;
    return `${file.name} has ${mb(file.size)}; give a file of more than ${mb(most)} as a path`;
  }
  if (file.type && !file.type.startsWith(`${model.get("medium")}/`)) {
    const { noun, give } = wordsOf(model);
    return `${file.name} is ${file.type} and no ${noun}; ${give}`;
  }
  return "";
}

function pause() {
  return new Promise((resolve) => setTimeout(resolve));
}

async function send(file, model, tell) {
  const refused = refusalOf(file, model);
  if (refused) throw new Error(refused);
  const key = newId();
  const pieces = Math.max(1, Math.ceil(file.size / PIECE_BYTES));
  for (let piece = 0; piece < pieces; piece += 1) {
    tell(`Reading ${file.name} … ${Math.round((100 * piece) / pieces)} %`);
    const begin = piece * PIECE_BYTES;
    const bytes = await file.slice(begin, begin + PIECE_BYTES).arrayBuffer();
    const isLast = piece + 1 === pieces;
    model.send({ do: "piece", key, name: file.name, last: isLast }, undefined, [bytes]);
    await pause();
  }
}

// What cannot be read is told, and the next file gets its turn.
async function read(file, model, tell) {
  try {
    await send(file, model, tell);
  } catch (error) {
    // A folder arrives as a file, and fails only now; so does a file that was deleted meanwhile.
    const isOurs = error.constructor === Error;
    const words = `${file.name} cannot be read; choose a ${wordsOf(model).noun} file and no folder`;
    model.send({ do: "refuse", words: isOurs ? error.message : words });
  }
}

// How a dragged link or the name of a file in a list arrives.
function linkIn(data) {
  const links = (data.getData("text/uri-list") || data.getData("text/plain") || "").split(/\r?\n/);
  return links.find((line) => line && !line.startsWith("#"))?.trim() ?? "";
}

function pictureOf(picture, medium) {
  if (picture.src) {
    const alt = `${medium === "video" ? "First frame of" : "Picture"} ${picture.name}`;
    const image = element("img", { src: picture.src, alt });
    // A still that stands for a video says so.
    return medium === "video" ? element("span", { class: "kling-still" }, image) : image;
  }
  return element("span", { class: `kling-medium kling-${medium}`, "aria-hidden": "true" });
}

// One file: what it is, and the buttons that move it or take it away.
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
    pictureOf(picture, model.get("medium")),
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
    // In the model at once, so that Generate has it; looked for when it is whole.
    input: () => model.set("value", text.value),
    change: () => give(text.value),
    keydown: (event) => {
      if (event.key === "Enter" && !several && !event.ctrlKey && !event.metaKey) give(text.value);
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

  const give = (value) => {
    text.value = value;
    model.set("value", value);
    model.save_changes();
  };
  const tell = (line) => {
    status.textContent = line;
    status.hidden = !line;
  };
  const take = async (files) => {
    if (!files.length) return;
    // The button that generates waits while this is set.
    model.set("arriving", true);
    try {
      for (const each of several ? files : files.slice(0, 1)) await read(each, model, tell);
    } finally {
      model.set("arriving", false);
      tell("");
    }
  };
  const drop = (event) => {
    event.preventDefault();
    event.stopPropagation();
    el.classList.remove("kling-over-zone");
    const files = [...event.dataTransfer.files];
    const link = linkIn(event.dataTransfer);
    if (files.length) void take(files);
    else if (link) give(several && text.value ? `${text.value}\n${link}` : link);
  };
  const hover = (event) => {
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    el.classList.add("kling-over-zone");
  };
  const leave = (event) => {
    if (!el.contains(event.relatedTarget)) el.classList.remove("kling-over-zone");
  };
  // A file may be pasted anywhere in the panel: into this field, or into the first for its like.
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
  // Where the focus goes once the kernel has done what was asked for.
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
    const { noun } = wordsOf(model);
    const paste = noun === "picture" ? ", paste it," : "";
    const first = `Drop a ${noun} here${paste} or choose a file`;
    words.textContent = number ? (several ? `Add a ${noun}` : "Replace") : first;
    // The line that says what may be given has made room for the picture.
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
  tell("");
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
