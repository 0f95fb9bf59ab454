// Detects whether the kernel processes messages. While a cell runs, it may not; the panel then says so.

const BUSY_MS = 1500;
const ANSWER_MS = 1000;
const AGAIN_MS = 5000;
const BUSY_MESSAGE =
  "The kernel is busy with a cell. Prices, previews, a change of the model and Generate wait until " +
  "the cell ends.";
const GONE = new Set(["dead", "terminating", "restarting", "autorestarting"]);
const DEAD_MESSAGE =
  "The kernel is not running. Start it again, then run this cell; " +
  "`%kling jobs` lists your jobs.";

class Listener {
  constructor(model, show) {
    this.model = model;
    this.show = show;
    this.kernel = model.widget_manager.kernel;
    this.look = () => this.follow();
    this.kernel?.statusChanged?.connect(this.look);
    show("");
    this.follow();
  }

  // A busy kernel processes messages while a cell awaits; so send it one.
  follow() {
    const isBusy = this.kernel?.status === "busy";
    if (!isBusy) {
      clearTimeout(this.soon);
      this.soon = 0;
    } else if (!this.soon) {
      this.soon = setTimeout(() => this.again(), BUSY_MS);
    }
  }

  again() {
    this.soon = 0;
    if (this.closed || this.kernel?.status !== "busy") return;
    this.ask();
    this.soon = setTimeout(() => this.again(), AGAIN_MS);
  }

  // One message at a time: the kernel would answer all of them at the end of the cell.
  ask() {
    if (this.asking) return;
    this.asking = setTimeout(() => this.show(this.message), ANSWER_MS);
    this.model.send({ do: "hear" });
  }

  receive() {
    clearTimeout(this.asking);
    this.asking = 0;
    if (!this.closed) this.show("");
  }

  get message() {
    return GONE.has(this.kernel?.status) ? DEAD_MESSAGE : BUSY_MESSAGE;
  }

  close() {
    this.closed = true;
    clearTimeout(this.soon);
    clearTimeout(this.asking);
    this.kernel?.statusChanged?.disconnect(this.look);
  }
}
