// Synchronizes several videos. They follow the longest: the playback rate corrects small
// differences; after a large one all wait for each other. A shorter video stays at its last frame
// until the longest ends; then all restart together.

const NEAR_S = 0.008;
const FAR_S = 0.12;
const CALM_MS = 700;
const END_S = 0.06;
const LAST_S = 0.02;
// Halves a difference in about a sixth of a second; a larger value would oscillate.
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
    // A hidden page draws no frames, and the browser may pause silent videos.
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

  // Seeks all to the same time before any of them plays.
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
      // Paused by a media key or the browser.
      if (this.lead.paused) return void this.pause().then(this.onTime);
      for (const each of this.videos) if (each !== this.lead) this.follow(each);
      // With slow decoding, a single video would lag again after a seek.
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

  // Seeks, and keeps playing or paused; at the very end it pauses.
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
