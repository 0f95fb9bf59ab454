// Sends the messages of buttons, and reports a kernel that does not run or does not answer.

const GONE = "The kernel is not running. Run the cell again.";
const SILENT = "The kernel does not answer. If it is not running, run the cell again.";
const ENDS = new Set(["restarting", "autorestarting", "terminating", "dead"]);
const LOOK_MS = 1000;
const SILENCE_MS = 10_000;

// Whether the kernel of a widget manager cannot answer. A manager without `kernel` does not tell.
function isGone(manager) {
  const kernel = manager?.kernel;
  if (kernel === undefined) return false;
  return kernel === null || Boolean(kernel.isDisposed) || ENDS.has(kernel.status);
}

// Calls `end` when the kernel ends; returns a function that stops this. JupyterLab's *Shut Down
// Kernel* disposes of the kernel without another status.
function onKernelEnd(kernel, end) {
  const look = (_, status) => ENDS.has(status) && end();
  kernel?.statusChanged?.connect(look);
  kernel?.disposed?.connect(end);
  return () => {
    kernel?.statusChanged?.disconnect(look);
    kernel?.disposed?.disconnect(end);
  };
}

class Sender {
  // `report` is called with a message when there will be no answer, or none for a while.
  constructor(model, report) {
    this.model = model;
    this.report = report;
  }

  send(content, silenceMs = SILENCE_MS) {
    this.silentMs = 0;
    this.silenceMs = silenceMs;
    this.looking ??= setInterval(() => this.look(), LOOK_MS);
    if (isGone(this.model.widget_manager)) return this.end(GONE);
    try {
      this.model.send(content);
    } catch (error) {
      console.warn("[kling_nb] a message could not be sent:", error);
      this.end(GONE);
    }
  }

  // A kernel that runs a cell answers later.
  look() {
    const manager = this.model.widget_manager;
    this.silentMs = manager?.kernel?.status === "busy" ? 0 : this.silentMs + LOOK_MS;
    if (isGone(manager)) this.end(GONE);
    else if (this.silentMs >= this.silenceMs) this.end(SILENT);
  }

  receive() {
    clearInterval(this.looking);
    this.looking = undefined;
  }

  end(text) {
    this.receive();
    this.report(text);
  }
}
