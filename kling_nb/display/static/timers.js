// Times below cards. CSS animates bars and clocks; this script sets their start from the kernel's
// clock, corrects it after the machine has slept, and updates text and ARIA values.

const TICK_MS = 5000;
const DRIFT_MS = 1500;

class Timers {
  constructor() {
    this.skew = Infinity;
    this.started = new WeakMap();
    this.timed = new Set();
  }

  // The kernel may be on another computer with another clock: the fastest message gives the skew.
  adjustSkew(html) {
    const madeAt = /data-kling-at="([\d.]+)"/.exec(html)?.[1];
    if (madeAt) this.skew = Math.min(this.skew, Date.now() - Number(madeAt) * 1000);
  }

  // CSS counts from the time of drawing, which may be later than that of rendering.
  start(live) {
    for (const timed of live.querySelectorAll("[data-kling-at]")) {
      const skew = Number.isFinite(this.skew) ? this.skew : 0;
      shift(timed, Math.max(0, Date.now() - Number(timed.dataset.klingAt) * 1000 - skew));
      this.started.set(timed, now());
      this.timed.add(timed);
      update(timed, passed(timed));
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
      // Animations pause while a machine sleeps; the task does not.
      const slept = wall - before.wall - (line - before.line);
      if (Math.abs(slept) > DRIFT_MS) {
        shift(timed, slept);
        before.wall += slept;
      }
      update(timed, passed(timed) + (line - before.line) / 1000);
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
    const value = parseFloat(timed.style.getPropertyValue(name));
    if (!Number.isNaN(value)) timed.style.setProperty(name, `${value - late / 1000}s`);
  }
}

function passed(timed) {
  return -parseFloat(timed.style.getPropertyValue("--kling-passed"));
}

// Updates ARIA values, and the inline width of the bar, which is used with reduced motion.
function update(timed, passedS) {
  const span = parseFloat(timed.style.getPropertyValue("--kling-span"));
  const bar = timed.querySelector("[role=progressbar]");
  if (!bar || Number.isNaN(passedS) || !span) return;
  const share = Math.round(Math.min(1, passedS / span) * 100);
  bar.setAttribute("aria-valuenow", String(share));
  bar.firstElementChild.style.width = `${Math.max(1, share)}%`;
  const { klingUsual, klingLate } = bar.dataset;
  if (!klingUsual) return;
  const parts = [`elapsed ${seconds(passedS)}`, passedS > span ? klingLate : "", klingUsual];
  const text = parts.filter(Boolean).join(" · ");
  bar.setAttribute("aria-valuetext", text);
  timed.querySelector(".kling-words").title = text;
  // For screen readers, and for browsers in which CSS cannot count.
  timed.querySelector(".kling-clock").textContent = seconds(passedS);
}

function seconds(value) {
  const whole = Math.max(0, Math.round(value));
  const minutes = Math.floor(whole / 60);
  return minutes ? `${minutes} min ${whole % 60} s` : `${whole} s`;
}
