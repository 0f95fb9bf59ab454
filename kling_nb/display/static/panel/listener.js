// Detects whether the kernel processes messages. While a cell runs, it may not; the panel then says so.

const BUSY_MS = 1500;
const ANSWER_MS = 1000;
const AGAIN_MS = 5000;
const BUSY_MESSAGE =
  "The kernel is busy with a cell. Prices, previews, a change of the model and Generate wait until " +
  "the cell ends.";

class Listener {
  // `show` is called with what to say, and whether there will be no answer.
  constructor(model, show) {
    this.show = show;
    this.manager = model.widget_manager;
    this.kernel = this.manager.kernel;
    this.sender = new Sender(model, (text) => this.end(text));
    this.look = () => this.follow();
    this.kernel?.statusChanged?.connect(this.look);
    this.ignoreEnd = onKernelEnd(this.kernel, () => this.end(GONE));
    show("", false);
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
    this.asking = setTimeout(() => this.show(BUSY_MESSAGE, false), ANSWER_MS);
    this.sender.send({ do: "hear" });
  }

  // For a button whose message is not answered. Returns whether the kernel may run.
  check() {
    if (isGone(this.manager)) this.end(GONE);
    else if (this.kernel?.status === "unknown") this.ask();
    return !isGone(this.manager);
  }

  receive() {
    clearTimeout(this.asking);
    this.asking = 0;
    this.sender.receive();
    if (!this.closed) this.show("", false);
  }

  end(text) {
    clearTimeout(this.asking);
    this.asking = 0;
    if (!this.closed) this.show(text, true);
  }

  close() {
    this.closed = true;
    clearTimeout(this.soon);
    clearTimeout(this.asking);
    this.sender.receive();
    this.ignoreEnd();
    this.kernel?.statusChanged?.disconnect(this.look);
  }
}
