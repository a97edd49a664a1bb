// Plays a media with boxes that follow the faces. Videos tell their time. Animations do not: where the browser can decode
// them one by one (ImageDecoder), they are drawn frame by frame; elsewhere the picture runs by itself, and boxes show the
// moment that is chosen below it.
"use strict";

const player = document.querySelector(".player");
if (player) start(player);

function start(root) {
  const tracks = JSON.parse(root.dataset.tracks);
  const duration = Number(root.dataset.duration);
  const shown = root.querySelector(".shown");
  const canvas = root.querySelector("canvas");
  const seek = document.querySelector("[data-seek]");
  const play = document.querySelector("[data-play]");
  const clock = document.querySelector("[data-clock]");
  const withBoxes = document.querySelector("[data-boxes]");
  const note = document.querySelector("[data-note]");
  const colours = Array.from({ length: 8 }, (_, i) => getComputedStyle(root).getPropertyValue(`--face-${i}`).trim());
  let frames = null; // of an animation: [{bitmap, from, to}]
  let now = 0;
  let since = 0;
  let isPlaying = false;

  const isVideo = root.dataset.video === "1";
  const size = () => [shown.videoWidth || shown.naturalWidth || 1, shown.videoHeight || shown.naturalHeight || 1];

  shown.addEventListener(isVideo ? "loadedmetadata" : "load", draw);
  if (isVideo ? shown.error : shown.complete && !shown.naturalWidth) tellWhy(); // before anybody listened
  else shown.addEventListener("error", tellWhy);
  if (!isVideo && shown.complete) draw();
  withBoxes.addEventListener("change", draw);
  const withCaptions = document.querySelector("[data-captions]");
  if (withCaptions) withCaptions.addEventListener("change", () => {
    shown.textTracks[0].mode = withCaptions.checked ? "showing" : "disabled";
  });
  new ResizeObserver(draw).observe(shown);
  seek.addEventListener("input", () => go(Number(seek.value)));
  play.addEventListener("click", () => (isPlaying ? pause() : run()));
  for (const button of document.querySelectorAll("[data-to]")) {
    button.addEventListener("click", () => go(Number(button.dataset.to)));
  }
  if (!isVideo) decode();

  function tell(words) {
    note.textContent = words;
    note.hidden = false;
  }

  // The server says why in a page of its own. Only a request of this kind may read that: text is not made into a page here.
  function tellWhy() {
    const asked = new XMLHttpRequest();
    asked.open("GET", root.dataset.source);
    asked.responseType = "document";
    asked.addEventListener("readystatechange", () => {
      if (asked.readyState === XMLHttpRequest.HEADERS_RECEIVED && asked.status < 400) asked.abort();  // the media itself
    });
    asked.addEventListener("loadend", () => {
      const why = asked.status >= 400 && asked.response ? asked.response.querySelector("h1 + p") : null;
      tell(`This media cannot be shown here; who is in it, and when, is told all the same. ${why ? why.textContent.trim() : ""}`);
    });
    asked.send();
  }

  async function decode() {
    if (!("ImageDecoder" in window)) {
      play.disabled = true;
      tell("This browser does not tell where it is in an animation: boxes show the moment that you choose.");
      return;
    }
    try {
      const answer = await fetch(root.dataset.source);
      const decoder = new ImageDecoder({ data: answer.body, type: answer.headers.get("Content-Type") });
      await decoder.completed;
      const track = decoder.tracks.selectedTrack;
      if (track.frameCount < 2) {
        play.disabled = true;
        return;
      }
      const read = [];
      let at = 0;
      // Large animations would take all memory as bitmaps: they are decoded again while they play.
      for (let i = 0; i < track.frameCount; i += 1) {
        const { image } = await decoder.decode({ frameIndex: i });
        const length = Math.round((image.duration || 100000) / 1000);
        read.push({ from: at, to: at + length });
        at += length;
        image.close();
      }
      frames = { decoder, read, length: at, last: -1, image: null };
      run();
    } catch {
      play.disabled = true;
      if (!shown.naturalWidth) return; // it cannot be shown at all, which is told already
      tell("This animation runs by itself here: boxes show the moment that you choose.");
    }
  }

  function run() {
    isPlaying = true;
    if (isVideo) shown.play();
    since = performance.now() - now;
    told();
    requestAnimationFrame(step);
  }

  function pause() {
    isPlaying = false;
    if (isVideo) shown.pause();
    told();
  }

  function told() {
    play.textContent = isPlaying ? "Pause" : "Play";
    play.setAttribute("aria-pressed", String(isPlaying));
  }

  function step() {
    if (!isPlaying) return;
    now = isVideo ? shown.currentTime * 1000 : (performance.now() - since) % (frames ? frames.length : duration);
    seek.value = String(now);
    draw();
    requestAnimationFrame(step);
  }

  function go(time) {
    now = time;
    since = performance.now() - now;
    seek.value = String(time);
    if (isVideo) shown.currentTime = time / 1000;
    draw();
  }

  function draw() {
    const [width, height] = size();
    const scale = shown.clientWidth / width;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.max(1, Math.round(shown.clientWidth * ratio));
    canvas.height = Math.max(1, Math.round(shown.clientHeight * ratio));
    clock.textContent = words(now);
    const pen = canvas.getContext("2d");
    pen.setTransform(scale * ratio, 0, 0, scale * ratio, 0, 0);
    if (frames) paint(pen);
    if (withBoxes.checked) for (const track of tracks) outline(pen, track, 1 / scale);
  }

  // The frame of an animation at this moment; while the next one is decoded, the last one stays.
  function paint(pen) {
    const index = Math.max(0, frames.read.findIndex((frame) => now < frame.to));
    if (index !== frames.last) {
      frames.last = index;
      frames.decoder.decode({ frameIndex: index }).then(({ image }) => {
        if (frames.image) frames.image.close();
        frames.image = image;
        if (!isPlaying) draw();
      }, () => {});
    }
    if (frames.image) pen.drawImage(frames.image, 0, 0, ...size());
  }

  function outline(pen, track, px) {
    if (now < track.start || now >= track.end) return;
    const box = boxAt(track.boxes, now);
    const colour = colours[track.colour];
    pen.lineWidth = 3 * px;
    pen.strokeStyle = colour;
    pen.strokeRect(box[0], box[1], box[2] - box[0], box[3] - box[1]);
    const label = track.confidence === null ? track.name : `${track.name} ${track.confidence}`;
    pen.font = `600 ${13 * px}px system-ui, sans-serif`;
    const wide = pen.measureText(label).width + 10 * px;
    const left = Math.max(0, Math.min(box[0], size()[0] - wide));
    const top = box[1] > 20 * px ? box[1] - 20 * px : box[3];
    pen.fillStyle = colour;
    pen.fillRect(left, top, wide, 20 * px);
    pen.fillStyle = "#10211b";
    pen.fillText(label, left + 5 * px, top + 14.5 * px);
  }

  // Between two samples the box glides.
  function boxAt(boxes, time) {
    let next = boxes.findIndex((box) => box[0] > time);
    if (next === 0) return boxes[0].slice(1);
    if (next < 0) return boxes[boxes.length - 1].slice(1);
    const [before, after] = [boxes[next - 1], boxes[next]];
    const share = (time - before[0]) / (after[0] - before[0]);
    return [1, 2, 3, 4].map((i) => before[i] + (after[i] - before[i]) * share);
  }

  function words(ms) {
    const tenths = Math.floor(ms / 100);
    const seconds = Math.floor(tenths / 10);
    return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}.${tenths % 10}`;
  }
}
