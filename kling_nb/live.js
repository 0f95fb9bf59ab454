// The live part of a job's card: what moves, and the buttons. The record above it is plain HTML.

const RECORD = ".jp-OutputArea-child, .output_area";

function recordsOf(el, job) {
  const area = el.closest(".jp-OutputArea, .output");
  return area ? [...area.querySelectorAll(`.kling-record[data-kling-job="${job}"]`)] : [];
}

// The style sheet counts from the moment the HTML was made. A view that is made later (the page
// was reloaded, the theme was changed) has to go on from there and not begin anew.
function catchUp(body) {
  const live = body.querySelector("[data-kling-at]");
  if (!live) return;
  const late = Math.max(0, Date.now() / 1000 - Number(live.dataset.klingAt));
  for (const name of ["--kling-passed", "--kling-left"]) {
    const given = parseFloat(live.style.getPropertyValue(name));
    if (!Number.isNaN(given)) live.style.setProperty(name, `${given - late}s`);
  }
}

function render({ model, el }) {
  el.classList.add("kling-live-root");
  const body = document.createElement("div");
  const bar = document.createElement("div");
  bar.className = "kling-buttons";
  const detach = document.createElement("button");
  detach.type = "button";
  detach.className = "kling-button";
  detach.textContent = "Detach";
  detach.title = "Stop following here. The task goes on; %kling resume takes it up again.";
  detach.addEventListener("click", () => {
    detach.disabled = true;
    model.send({ do: "detach" });
  });
  bar.append(detach);
  el.append(body, bar);

  let drawnAt = 0;
  const draw = () => {
    drawnAt = performance.now();
    body.innerHTML = model.get("html");
    catchUp(body);
  };
  // An update of the record takes its style sheet away and back, and the clock would begin anew.
  body.addEventListener("animationstart", (event) => {
    if (event.animationName === "kling-minutes" && performance.now() - drawnAt > 500) draw();
  });
  const settle = () => {
    if (!model.get("ended")) return;
    bar.hidden = true;
    // The kernel replaces this output when the page has not been reloaded since it was made. If
    // it is still here after a moment, that update was lost: ask for the finished card.
    setTimeout(() => {
      if (el.isConnected) model.send({ do: "show" });
    }, 1500);
  };
  const receive = (message) => {
    if (message.card === undefined) return;
    for (const record of recordsOf(el, model.get("job_id"))) {
      const output = record.closest(RECORD);
      if (output && !output.contains(el)) output.style.display = "none";
    }
    el.classList.add("kling-done");
    body.innerHTML = message.card;
  };
  model.on("change:html", draw);
  model.on("change:ended", settle);
  model.on("msg:custom", receive);
  draw();
  settle();
  return () => {
    model.off("change:html", draw);
    model.off("change:ended", settle);
    model.off("msg:custom", receive);
  };
}

export default { render };
