// Whether the kernel hears what is done here. While a cell of the user's runs it may hear nothing:
// then the panel says so, and does not look dead.

const BUSY_MS = 1500;
const ANSWER_MS = 1000;
const AGAIN_MS = 5000;
const DEAF_WORDS =
  "The kernel is busy with a cell: price, previews and Generate answer when it has ended. " +
  "You can go on here meanwhile.";
const GONE = new Set(["dead", "terminating", "restarting", "autorestarting"]);
const GONE_WORDS =
  "The kernel does not run. Start it again, then run this cell; " +
  "`%kling jobs` lists what was asked for.";

class Listener {
  constructor(model, tell) {
    this.model = model;
    this.tell = tell;
    this.kernel = model.widget_manager.kernel;
    this.look = () => this.follow();
    this.kernel?.statusChanged?.connect(this.look);
    tell("");
    this.follow();
  }

  // A cell that only awaits lets the kernel hear: busy alone says nothing, so it is asked.
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

  // One question at a time: all of them would be answered at the end of the cell.
  ask() {
    if (this.asking) return;
    this.asking = setTimeout(() => this.tell(this.why), ANSWER_MS);
    this.model.send({ do: "hear" });
  }

  hear() {
    clearTimeout(this.asking);
    this.asking = 0;
    if (!this.closed) this.tell("");
  }

  get why() {
    return GONE.has(this.kernel?.status) ? GONE_WORDS : DEAF_WORDS;
  }

  close() {
    this.closed = true;
    clearTimeout(this.soon);
    clearTimeout(this.asking);
    this.kernel?.statusChanged?.disconnect(this.look);
  }
}
