// The times at the feet of records. The style sheet makes bars and clocks move by themselves; here
// they are set: from the kernel's clock to the page's, once more after the machine has slept, and
// in words and steps for those who do not see them move.

const TICK_MS = 5000;
const DRIFT_MS = 1500;

class Clocks {
  constructor() {
    this.skew = Infinity;
    this.started = new WeakMap();
    this.timed = new Set();
  }

  // The kernel may be on another computer, whose clock is wrong, or ours is: the message that was
  // the quickest tells by how much.
  hear(html) {
    const madeAt = /data-kling-at="([\d.]+)"/.exec(html)?.[1];
    if (madeAt) this.skew = Math.min(this.skew, Date.now() - Number(madeAt) * 1000);
  }

  // The style sheet counts from the moment that this is drawn, which may be later than it was made.
  start(live) {
    for (const timed of live.querySelectorAll("[data-kling-at]")) {
      const skew = Number.isFinite(this.skew) ? this.skew : 0;
      shift(timed, Math.max(0, Date.now() - Number(timed.dataset.klingAt) * 1000 - skew));
      this.started.set(timed, now());
      this.timed.add(timed);
      tell(timed, passed(timed));
    }
    if (this.timed.size) this.ticking ??= setInterval(() => this.tick(), TICK_MS);
  }

  tick() {
    for (const timed of this.timed) {
      if (!timed.isConnected) {
        this.timed.delete(timed);
        continue;
      }
      const before = this.started.get(timed);
      const { wall, line } = now();
      // Animations stand still while a machine sleeps; the task does not.
      const slept = wall - before.wall - (line - before.line);
      if (Math.abs(slept) > DRIFT_MS) {
        shift(timed, slept);
        before.wall += slept;
      }
      tell(timed, passed(timed) + (line - before.line) / 1000);
    }
    if (!this.timed.size) this.close();
  }

  close() {
    clearInterval(this.ticking);
    this.ticking = undefined;
  }
}

function now() {
  return { wall: Date.now(), line: document.timeline.currentTime ?? performance.now() };
}

function shift(timed, late) {
  for (const name of ["--kling-passed", "--kling-left"]) {
    const given = parseFloat(timed.style.getPropertyValue(name));
    if (!Number.isNaN(given)) timed.style.setProperty(name, `${given - late / 1000}s`);
  }
}

function passed(timed) {
  return -parseFloat(timed.style.getPropertyValue("--kling-passed"));
}

// For screen readers, and as the bar's literal width, which is what shows with reduced motion.
function tell(timed, passedS) {
  const span = parseFloat(timed.style.getPropertyValue("--kling-span"));
  const bar = timed.querySelector("[role=progressbar]");
  if (!bar || Number.isNaN(passedS) || !span) return;
  const share = Math.round(Math.min(1, passedS / span) * 100);
  bar.setAttribute("aria-valuenow", String(share));
  bar.firstElementChild.style.width = `${Math.max(1, share)}%`;
  const { klingUsual, klingLate } = bar.dataset;
  if (!klingUsual) return;
  const parts = [`elapsed ${seconds(passedS)}`, passedS > span ? klingLate : "", klingUsual];
  const words = parts.filter(Boolean).join(" · ");
  bar.setAttribute("aria-valuetext", words);
  timed.querySelector(".kling-words").title = words;
  // What is read aloud there, and seen where the style sheet cannot count.
  timed.querySelector(".kling-clock").textContent = seconds(passedS);
}

function seconds(given) {
  const whole = Math.max(0, Math.round(given));
  const minutes = Math.floor(whole / 60);
  return minutes ? `${minutes} min ${whole % 60} s` : `${whole} s`;
}
