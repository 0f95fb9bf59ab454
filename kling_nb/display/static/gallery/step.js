// Several videos as one. The longest leads and is followed: small differences are evened out by
// the speed; after a large one all wait for each other. A shorter one waits at its last picture
// until the longest is over; then all begin again together.

const NEAR_S = 0.008;
const FAR_S = 0.12;
const CALM_MS = 700;
const END_S = 0.06;
const LAST_S = 0.02;
// A difference is halved in about a sixth of a second; more would swing.
const PULL = 4;
const SLOWEST = 0.6;
const FASTEST = 1.5;

class Step {
  constructor(videos, onTime) {
    this.videos = videos;
    this.onTime = onTime;
    this.lead = videos.reduce((best, each) => (each.duration > best.duration ? each : best));
    this.isPlaying = false;
    this.turn = 0;
    for (const each of videos) each.playsInline = each.muted = true;
    // A page out of sight draws no frame, and the browser may stop what has no sound.
    this.onSight = () => this.isPlaying && !document.hidden && void this.begin(this.time);
    document.addEventListener("visibilitychange", this.onSight);
  }

  get length() {
    return this.lead.duration;
  }

  get time() {
    return this.lead.currentTime;
  }

  play() {
    return this.begin(this.time >= this.length - END_S ? 0 : this.time);
  }

  // All stand at one time before any of them runs.
  async begin(time) {
    const turn = ++this.turn;
    this.isPlaying = true;
    this.begunAt = performance.now();
    for (const each of this.videos) each.pause();
    await this.stand(time);
    if (turn !== this.turn) return;
    for (const each of this.videos) this.run(each, time);
    const look = () => {
      if (turn !== this.turn) return;
      if (this.lead.ended || this.time >= this.length - LAST_S) return void this.begin(0);
      // Stopped by somebody else: a key for media, or the browser.
      if (this.lead.paused) return void this.pause().then(this.onTime);
      for (const each of this.videos) if (each !== this.lead) this.follow(each);
      // A jump of one alone would land behind again where decoding is slow.
      if (this.isApart() && performance.now() - this.begunAt > CALM_MS) return void this.begin(this.time);
      this.onTime();
      requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  }

  pause(time = this.time) {
    this.turn += 1;
    this.isPlaying = false;
    for (const each of this.videos) each.pause();
    return this.stand(time);
  }

  // Jump, and go on as before, running or not; who pulls to the very end wants to see that.
  async seek(time) {
    const goesOn = this.isPlaying && time < this.length - END_S;
    await (goesOn ? this.begin(time) : this.pause(time));
    this.onTime();
  }

  run(video, time) {
    video.playbackRate = 1;
    if (time < video.duration - END_S) video.play().catch(() => undefined);
  }

  stand(time) {
    return Promise.all(this.videos.map((each) => this.place(each, time)));
  }

  place(video, time) {
    const target = Math.max(0, Math.min(time, video.duration - END_S));
    if (Math.abs(video.currentTime - target) < 0.001 && !video.seeking) return null;
    return new Promise((resolve) => {
      const late = setTimeout(resolve, 1500);
      video.addEventListener("seeked", () => (clearTimeout(late), resolve()), { once: true });
      video.currentTime = target;
    });
  }

  follow(video) {
    if (this.time >= video.duration - END_S) {
      if (!video.paused) video.pause();
      return;
    }
    if (video.paused) video.play().catch(() => undefined);
    const ahead = video.currentTime - this.time;
    const isNear = Math.abs(ahead) < NEAR_S;
    video.playbackRate = isNear ? 1 : Math.min(FASTEST, Math.max(SLOWEST, 1 - PULL * ahead));
  }

  isApart() {
    const isFar = (each) => Math.abs(each.currentTime - Math.min(this.time, each.duration - END_S)) > FAR_S;
    return this.videos.some(isFar);
  }

  close() {
    document.removeEventListener("visibilitychange", this.onSight);
    this.turn += 1;
    this.isPlaying = false;
    for (const each of this.videos) each.pause();
  }
}
