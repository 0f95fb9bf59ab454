// Tests whether this page decodes and plays the video and audio of a clip.

const PATIENCE_MS = 6000;

function withPatience(promise, what) {
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`${what} did not start within ${PATIENCE_MS / 1000} s`)), PATIENCE_MS);
  });
  return Promise.race([promise, late]);
}

async function playVideo(bytes) {
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;
  video.loop = true;
  const failed = new Promise((_, reject) => {
    video.addEventListener("error", () => reject(new Error(video.error?.message || "not decoded")));
  });
  const address = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
  try {
    video.src = address;
    await withPatience(Promise.race([video.play(), failed]), "the clip");
    if (!video.videoWidth) throw new Error("no image was decoded");
    return `${video.videoWidth}×${video.videoHeight} decoded and played`;
  } finally {
    video.pause();
    video.removeAttribute("src");
    URL.revokeObjectURL(address);
  }
}

// Decoding needs no click and no loudspeaker; the samples show whether the audio is silent.
async function decodeAudio(bytes) {
  const context = new OfflineAudioContext(1, 44100, 44100);
  const audio = await withPatience(context.decodeAudioData(bytes.slice(0)), "the audio");
  const loudest = audio.getChannelData(0).reduce((most, each) => Math.max(most, Math.abs(each)), 0);
  if (loudest < 0.001) throw new Error("the decoded audio is silent");
  return `${audio.duration.toFixed(1)} s of audio decoded`;
}

async function report(trial) {
  try {
    return { plays: true, said: await trial() };
  } catch (error) {
    return { plays: false, said: String(error?.message ?? error) };
  }
}

async function initialize({ model }) {
  const view = model.get("clip");
  const bytes = view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
  model.send({
    pictures: await report(() => playVideo(bytes)),
    sound: await report(() => decodeAudio(bytes)),
    scripts: globalThis.klingScriptRan === true,
  });
}

// The view is empty; some front ends start the module only for a displayed view.
function render({ el }) {
  el.style.display = "none";
}

export default { initialize, render };
