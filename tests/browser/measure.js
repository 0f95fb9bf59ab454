// What the tests measure in the page; `window.kling` is ours alone.

const RUNNING = ["preparing", "uploading", "sending", "waiting", "downloading"];

window.kling = {
  heights: [],

  notebook() {
    return window.jupyterapp.shell.currentWidget.content;
  },

  model(cell) {
    return this.notebook().widgets[cell].model.sharedModel;
  },

  executionCounts() {
    const cells = this.notebook().model.sharedModel.toJSON().cells;
    return cells.filter((cell) => cell.cell_type === "code").map((cell) => cell.execution_count);
  },

  command(name, given = {}) {
    return window.jupyterapp.commands.execute(name, given);
  },

  isQuiet() {
    return !document.querySelector(".kling-live");
  },

  // Two frames after a change of theme or width, with every picture decoded.
  async isDrawn() {
    await nextFrame();
    await nextFrame();
    await Promise.all([...document.images].map((image) => image.decode().catch(() => null)));
    return true;
  },

  isInSight(selector) {
    const place = document.querySelector(selector)?.getBoundingClientRect();
    return Boolean(place) && place.top >= 0 && (place.top + place.bottom) / 2 <= innerHeight;
  },

  restart() {
    return window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart();
  },

  // As the menu does it.
  shutDown() {
    return window.jupyterapp.shell.currentWidget.sessionContext.shutdown();
  },

  // As another program does it: this page is not told.
  async endKernel() {
    const { id, serverSettings } = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
    const xsrf = /_xsrf=([^;]+)/.exec(document.cookie)?.[1] ?? "";
    const given = { method: "DELETE", headers: { "X-XSRFToken": xsrf } };
    const answer = await fetch(`${serverSettings.baseUrl}api/kernels/${id}`, given);
    if (!answer.ok) throw new Error(`the kernel could not be ended: ${answer.status}`);
  },

  beginCell(cell) {
    this.notebook().activeCellIndex = cell;
    void this.command("notebook:run-cell");
  },

  errors() {
    const cells = this.notebook().model.sharedModel.toJSON().cells;
    const outputs = cells.flatMap((cell) => cell.outputs ?? []);
    return outputs.filter((output) => output.output_type === "error").map((output) => output.evalue);
  },

  scrollTo(cell) {
    return this.notebook().scrollToItem(cell, "start");
  },

  // Empty until the cell is drawn: JupyterLab leaves out what is far from the screen.
  words(cell) {
    return this.notebook().widgets[cell].outputArea.node.innerText.trim();
  },

  videos(cell) {
    return [...this.notebook().widgets[cell].node.querySelectorAll("video")];
  },

  // Plays without sound, which a browser allows without a click, until a moment has passed.
  async play(cell) {
    const video = this.videos(cell)[0];
    video.muted = true;
    await video.play();
    const begin = video.currentTime;
    while (video.currentTime <= begin) await nextFrame();
    const { readyState, duration, currentTime, videoWidth } = video;
    video.pause();
    return { readyState, duration, currentTime, videoWidth };
  },

  // The clock is drawn by the style sheet: what it shows is in a registered property.
  elapsedSeconds(cell) {
    const clock = this.notebook().widgets[cell].node.querySelector(".kling-clock");
    return Number(getComputedStyle(clock, "::after").getPropertyValue("--kling-seconds"));
  },

  // While the job runs: at its end the record becomes a clip, which has a height of its own.
  watchHeight(cell) {
    const area = this.notebook().widgets[cell].outputArea.node;
    this.heights = [];
    const look = () => {
      const words = area.querySelector(".kling-live .kling-words")?.textContent;
      const state = area.querySelector(".kling-record")?.dataset.klingState;
      if (words && RUNNING.includes(state)) {
        const height = Math.round(area.getBoundingClientRect().height);
        const last = this.heights.at(-1);
        if (last?.height !== height || last.words !== words || last.state !== state) {
          this.heights.push({ height, state, words });
        }
      }
      requestAnimationFrame(look);
    };
    look();
  },

  // Where the sheet of a panel and each of its fields and buttons is, in the order of the Tab key.
  boxes(sheet) {
    const parts = sheet.querySelectorAll("[data-kling-field], .kling-actions button");
    const named = [...parts].map((part) => [part.dataset.klingField ?? part.innerText, boxOf(part)]);
    return { sheet: boxOf(sheet), ...Object.fromEntries(named) };
  },

  // What sticks out of it, or of the row that it is in.
  cut(sheet) {
    const right = (node) => node.getBoundingClientRect().right;
    return [...sheet.querySelectorAll("*")]
      .filter((each) => each.checkVisibility())
      .filter((each) => right(each) > right(each.closest(".kling-row") ?? sheet))
      .map((each) => each.outerHTML.slice(0, 99));
  },

  faintTexts(cell, least) {
    const area = this.notebook().widgets[cell].node.querySelector(".jp-Cell-outputArea");
    const found = [];
    for (const element of area.querySelectorAll(".kling-root *, .kling-gallery-root *")) {
      const texts = [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE);
      const text = texts.map((node) => node.textContent).join("").trim();
      if (!text || element.tagName === "STYLE" || !element.checkVisibility()) continue;
      const back = backOf(element);
      const ink = over(colourOf(getComputedStyle(element).color), back);
      const contrast = contrastOf(ink, back);
      if (contrast < least) found.push({ text, contrast, ink, back, look: element.className });
    }
    return found;
  },
};

function boxOf(node) {
  const { top, left, right, bottom, width, height } = node.getBoundingClientRect();
  const sides = Object.entries({ top, left, right, bottom, width, height });
  return Object.fromEntries(sides.map(([side, length]) => [side, Math.round(length)]));
}

function nextFrame() {
  return new Promise((resolve) => requestAnimationFrame(resolve));
}

function colourOf(css) {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d");
  canvas.fillStyle = css;
  canvas.fillRect(0, 0, 1, 1);
  const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
  return [red, green, blue, alpha / 255];
}

function over(top, below) {
  const mixed = [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
  return [...mixed, 1];
}

function backOf(element) {
  const own = colourOf(getComputedStyle(element).backgroundColor);
  if (own[3] === 1) return own;
  return over(own, element.parentElement ? backOf(element.parentElement) : [255, 255, 255, 1]);
}

function luminanceOf(colour) {
  const [red, green, blue] = colour.slice(0, 3).map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrastOf(ink, back) {
  const [dark, light] = [luminanceOf(ink), luminanceOf(back)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}
