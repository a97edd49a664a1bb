// People and faces as points: turned, zoomed and searched, drawn by WebGL2 only when something has changed.
"use strict";

const page = document.getElementById("space");
const canvas = document.getElementById("space-points");
const names = document.getElementById("space-names");
const field = document.getElementById("space-search");
const found = document.getElementById("space-found");
const chosen = document.getElementById("space-chosen");
const wait = document.getElementById("space-wait");
const LABELS = 14; // names that are shown without pointing at anybody
const NEAR_PX = 14; // so near a pointer must come
const TURN = 0.09; // radians of an arrow key
const FIELD_OF_VIEW = 0.9; // radians, of the shorter side
const FRAME_MS = 12; // points that take longer leave faces out: showing a frame without a GPU takes several times that
const LEAST_SHARE = 0.04;
const STILL_MS = 180;
const START = { yaw: 0.6, pitch: 0.35, distance: 2.4, target: [0, 0, 0] };
const NOBODY = 0xffffffff;

const VERTEX = `#version 300 es
layout(location = 0) in vec3 place;
layout(location = 1) in uint person;
uniform mat4 view;
uniform float size;
uniform ivec2 counts;
uniform uint mine;
uniform vec3 colours[4];
out vec4 colour;
void main() {
  gl_Position = view * vec4(place, 1.0);
  bool isMine = person == mine && mine != ${NOBODY}u;
  int kind = gl_VertexID < counts.x ? 0 : gl_VertexID < counts.y ? 1 : 2;
  colour = vec4(colours[isMine ? 3 : kind], isMine ? 1.0 : kind == 0 ? 0.95 : kind == 1 ? 0.6 : 0.4);
  float scale = (kind == 0 ? 1.0 : 0.45) * (isMine ? 1.7 : 1.0);
  gl_PointSize = clamp(size * scale / gl_Position.w, 1.5, 40.0);
}`;
const FRAGMENT = `#version 300 es
precision mediump float;
in vec4 colour;
out vec4 shown;
void main() {
  vec2 from = gl_PointCoord - 0.5;
  if (dot(from, from) > 0.25) discard;
  shown = vec4(colour.rgb * colour.a, colour.a);
}`;

let camera = { ...START };
let people = []; // [id, name, photographs, faces, [place, cosine in percent, …]]
let keys = []; // names as they are searched
let points = new Float32Array(0);
let whose = new Uint32Array(0); // of named faces
let counts = [0, 0]; // where people end, where named faces end
let selected = null;
let hovered = null;
let listed = [];
let marked = -1;
let drawer = null;
let matrix = new Float32Array(16);
let isAsked = false;
let share = 1; // of the faces that are drawn while something moves
let rest = 0;

const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

function half(bits) {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const size = exponent === 0 ? fraction * 2 ** -24 : exponent === 31 ? 0 : (1 + fraction / 1024) * 2 ** (exponent - 15);
  return bits & 0x8000 ? -size : size;
}

function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  people = header.people;
  counts = [people.length, people.length + header.named];
  const total = counts[1] + header.unnamed;
  points = Float32Array.from(new Uint16Array(buffer, 4 + length, total * 3), half);
  whose = new Uint32Array(buffer, 4 + length + 4 * Math.ceil((total * 6) / 4), header.named);
  keys = people.map((person) => plain(person[1]));
  return header;
}

function makeDrawer() {
  const gl = canvas.getContext("webgl2", { antialias: false, alpha: true });
  if (!gl) return null;
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return null;
  gl.useProgram(program);
  gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ARRAY_BUFFER, points, gl.STATIC_DRAW);
  gl.enableVertexAttribArray(0);
  gl.vertexAttribPointer(0, 3, gl.FLOAT, false, 0, 0);
  const persons = new Uint32Array(points.length / 3).fill(NOBODY);
  for (let place = 0; place < counts[0]; place++) persons[place] = place;
  persons.set(whose, counts[0]);
  gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ARRAY_BUFFER, persons, gl.STATIC_DRAW);
  gl.enableVertexAttribArray(1);
  gl.vertexAttribIPointer(1, 1, gl.UNSIGNED_INT, 0, 0);
  gl.enable(gl.DEPTH_TEST);
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  const at = (name) => gl.getUniformLocation(program, name);
  const uniforms = { view: at("view"), size: at("size"), counts: at("counts"), mine: at("mine"), colours: at("colours") };
  return { gl, uniforms, text: names.getContext("2d") };
}

function look() {
  const { yaw, pitch, distance, target } = camera;
  const [sy, cy, sp, cp] = [Math.sin(yaw), Math.cos(yaw), Math.sin(pitch), Math.cos(pitch)];
  const right = [cy, 0, -sy];
  const up = [-sy * sp, cp, -cy * sp];
  const back = [sy * cp, sp, cy * cp];
  return { right, up, back, eye: target.map((value, axis) => value + back[axis] * distance) };
}

function viewMatrix() {
  const { right, up, back, eye } = look();
  const [width, height] = [canvas.width || 1, canvas.height || 1];
  const focal = 1 / Math.tan(FIELD_OF_VIEW / 2);
  const shorter = Math.min(width, height);
  const [fx, fy, near, far] = [(focal * shorter) / width, (focal * shorter) / height, 0.01, 50];
  const along = (axis) => -(axis[0] * eye[0] + axis[1] * eye[1] + axis[2] * eye[2]);
  const rows = [[...right, along(right)], [...up, along(up)], [...back, along(back)]];
  const [a, b] = [(far + near) / (near - far), (2 * far * near) / (near - far)];
  const result = new Float32Array(16);
  for (let column = 0; column < 4; column++) {
    result[4 * column] = fx * rows[0][column];
    result[4 * column + 1] = fy * rows[1][column];
    result[4 * column + 2] = a * rows[2][column] + (column === 3 ? b : 0);
    result[4 * column + 3] = -rows[2][column];
  }
  return result;
}

// Where a point is on the canvas, in CSS pixels, and how far away; null behind the camera.
function project(place) {
  const [x, y, z] = [points[3 * place], points[3 * place + 1], points[3 * place + 2]];
  const w = matrix[3] * x + matrix[7] * y + matrix[11] * z + matrix[15];
  if (w < 0.02) return null;
  const across = (matrix[0] * x + matrix[4] * y + matrix[8] * z + matrix[12]) / w;
  const down = (matrix[1] * x + matrix[5] * y + matrix[9] * z + matrix[13]) / w;
  return [((1 + across) * canvas.clientWidth) / 2, ((1 - down) * canvas.clientHeight) / 2, w];
}

function colours() {
  const style = getComputedStyle(page);
  const flat = ["people", "named", "unnamed", "mine"].flatMap((kind) => {
    const hex = parseInt(style.getPropertyValue(`--space-${kind}`).trim().slice(1), 16);
    return [(hex >> 16) / 255, ((hex >> 8) & 255) / 255, (hex & 255) / 255];
  });
  return { flat, text: style.getPropertyValue("--text").trim(), ground: style.getPropertyValue("--raised").trim() };
}

function ask() {
  if (isAsked || !drawer) return;
  isAsked = true;
  requestAnimationFrame(() => {
    isAsked = false;
    draw(share);
    clearTimeout(rest);
    if (share < 1) rest = setTimeout(() => draw(1), STILL_MS);
  });
}

// Without a GPU, faces are left out while something moves; all of them come when it rests.
function measure() {
  const { gl } = drawer;
  draw(1); // the first frame also compiles
  gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
  const began = performance.now();
  draw(1);
  gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4)); // waits until it is drawn
  share = Math.max(LEAST_SHARE, Math.min(1, FRAME_MS / (performance.now() - began)));
}

function draw(part) {
  const { gl, uniforms } = drawer;
  const ratio = Math.min(devicePixelRatio || 1, part < 1 ? 1 : 2); // coarser where faces are left out
  const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
  for (const one of [canvas, names]) {
    if (one.width !== width || one.height !== height) [one.width, one.height] = [width, height];
  }
  matrix = viewMatrix();
  const shown = colours();
  gl.viewport(0, 0, width, height);
  gl.clearColor(0, 0, 0, 0);
  gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
  gl.uniformMatrix4fv(uniforms.view, false, matrix);
  gl.uniform1f(uniforms.size, 0.026 * Math.min(width, height));
  gl.uniform2i(uniforms.counts, counts[0], counts[1]);
  gl.uniform1ui(uniforms.mine, selected ?? NOBODY);
  gl.uniform3fv(uniforms.colours, shown.flat);
  gl.drawArrays(gl.POINTS, 0, counts[0] + Math.ceil(part * (counts[1] - counts[0])));
  gl.drawArrays(gl.POINTS, counts[1], Math.ceil(part * (points.length / 3 - counts[1])));
  writeNames(drawer.text, shown, ratio);
}

function writeNames(text, shown, ratio) {
  text.setTransform(ratio, 0, 0, ratio, 0, 0);
  text.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
  text.font = "13px system-ui, sans-serif";
  text.lineJoin = "round";
  const seen = [];
  for (let place = 0; place < counts[0]; place++) {
    const at = project(place);
    if (at && at[0] > 0 && at[0] < canvas.clientWidth && at[1] > 0 && at[1] < canvas.clientHeight) seen.push([place, at]);
  }
  seen.sort((one, other) => one[1][2] - other[1][2]);
  const wanted = [selected, hovered].filter((place) => place !== null && place < counts[0]);
  const first = wanted.map((place) => [place, project(place)]).filter(([, at]) => at);
  const taken = [];
  for (const [place, [x, y]] of [...first, ...seen]) {
    if (taken.length >= LABELS + first.length) break;
    const isWanted = wanted.includes(place);
    const width = text.measureText(people[place][1]).width;
    const left = Math.max(2, Math.min(x + 8, canvas.clientWidth - width - 2));
    if (taken.some(([l, t, w]) => left < l + w && l < left + width && Math.abs(t - y) < 16)) continue;
    taken.push([left, y, width]);
    text.lineWidth = 4;
    text.strokeStyle = shown.ground;
    text.strokeText(people[place][1], left, y + 4);
    text.fillStyle = shown.text;
    text.globalAlpha = isWanted ? 1 : 0.8;
    text.fillText(people[place][1], left, y + 4);
    text.globalAlpha = 1;
  }
}

// The point under the pointer: people go before faces. null is none.
function pick(x, y) {
  let best = null;
  let least = NEAR_PX ** 2;
  for (let place = 0; place < points.length / 3; place++) {
    if (place === counts[0] && best !== null) break;
    const at = project(place);
    const apart = at ? (at[0] - x) ** 2 + (at[1] - y) ** 2 : Infinity;
    if (apart < least) [best, least] = [place, apart];
  }
  return best;
}

const personOf = (place) => (place < counts[0] ? place : place < counts[1] ? whose[place - counts[0]] : null);

function element(tag, words, className = "") {
  const made = document.createElement(tag);
  made.textContent = words;
  made.className = className;
  return made;
}

const addressOf = (place) => page.dataset.person.replace(/0$/, String(people[place][0]));

function select(place, isFlown = true) {
  selected = place;
  chosen.hidden = place === null;
  if (place === null) return ask();
  const [id, name, photographs, faces, alike] = people[place];
  history.replaceState(null, "", `#${id}`);
  const link = element("a", "Open the page", "button");
  link.href = addressOf(place);
  const list = document.createElement("ol");
  for (let at = 0; at < alike.length; at += 2) {
    const other = element("button", people[alike[at]][1], "plain");
    other.type = "button";
    other.addEventListener("click", () => select(alike[at]));
    const row = document.createElement("li");
    row.append(other, element("span", (alike[at + 1] / 100).toFixed(2), "quiet"));
    list.append(row);
  }
  const told = `${photographs.toLocaleString("en")} photographs, ${faces.toLocaleString("en")} of the faces shown`;
  const parts = [element("h2", name), element("p", told, "quiet"), link];
  if (alike.length) parts.push(element("h2", "Most alike, in all dimensions"), list);
  chosen.replaceChildren(...parts);
  if (isFlown) fly([...points.slice(3 * place, 3 * place + 3)]);
  ask();
}

function fly(target) {
  const [from, distance] = [camera.target, camera.distance];
  const nearer = Math.min(distance, 1.3);
  const began = performance.now();
  const takes = matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 450;
  const step = () => {
    const part = takes ? Math.min(1, (performance.now() - began) / takes) : 1;
    const eased = 1 - (1 - part) ** 3;
    camera.target = from.map((value, axis) => value + (target[axis] - value) * eased);
    camera.distance = distance + (nearer - distance) * eased;
    ask();
    if (part < 1) requestAnimationFrame(step);
  };
  step();
}

function turn(yaw, pitch) {
  camera.yaw += yaw;
  camera.pitch = Math.max(-1.55, Math.min(1.55, camera.pitch + pitch));
  ask();
}

function zoom(factor) {
  camera.distance = Math.max(0.08, Math.min(12, camera.distance * factor));
  ask();
}

function move(across, up) {
  const axes = look();
  camera.target = camera.target.map((value, axis) => value + camera.distance * (across * axes.right[axis] + up * axes.up[axis]));
  ask();
}

function press(key, isShifted) {
  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  if (key in arrows) {
    const [x, y] = arrows[key];
    if (isShifted) move(0.06 * x, 0.06 * y);
    else turn(TURN * x, TURN * y);
  } else if (key === "+" || key === "=") zoom(0.85);
  else if (key === "-") zoom(1 / 0.85);
  else if (key === "Home") {
    camera = { ...START };
    ask();
  } else if (key === "Enter" && selected !== null) location.assign(addressOf(selected));
  else if (key === "Escape") select(null);
  else return false;
  return true;
}

function listen() {
  const held = new Map(); // pointers that are down: where they are
  let travelled = 0;
  canvas.addEventListener("keydown", (event) => {
    if (!event.ctrlKey && !event.metaKey && !event.altKey && press(event.key, event.shiftKey)) event.preventDefault();
  });
  for (const button of page.querySelectorAll("[data-key]")) {
    button.addEventListener("click", (event) => press(button.dataset.key, event.shiftKey));
  }
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) * 0.003));
  }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    if (!held.size) travelled = 0;
    held.set(event.pointerId, [event.clientX, event.clientY]);
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = held.get(event.pointerId);
    if (!before) return hover(event);
    const [x, y] = [event.clientX - before[0], event.clientY - before[1]];
    const apart = () => {
      const [one, other] = [...held.values()];
      return Math.hypot(one[0] - other[0], one[1] - other[1]);
    };
    const width = held.size === 2 ? apart() : 0;
    held.set(event.pointerId, [event.clientX, event.clientY]);
    travelled += Math.abs(x) + Math.abs(y);
    if (held.size === 2) {
      zoom(Math.max(0.5, Math.min(2, width / Math.max(1, apart()))));
      move(-x / canvas.clientHeight / 2, y / canvas.clientHeight / 2);
    } else if (event.shiftKey || event.buttons === 2) move(-x / canvas.clientHeight, y / canvas.clientHeight);
    else turn(-x * 0.006, y * 0.006);
  });
  const release = (event) => held.delete(event.pointerId);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerup", (event) => {
    release(event);
    if (held.size || travelled > 6) return;
    const place = pick(event.offsetX, event.offsetY);
    const person = place === null ? null : personOf(place);
    if (person === null) return select(null);
    if (person === selected && place === person) location.assign(addressOf(person));
    else select(person, false);
  });
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("pointerleave", () => point(null));
  new ResizeObserver(ask).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", ask);
  canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
  canvas.addEventListener("webglcontextrestored", () => {
    drawer = makeDrawer();
    ask();
  });
}

let isHovering = false;

function hover(event) {
  const [x, y] = [event.offsetX, event.offsetY];
  if (isHovering) return;
  isHovering = true;
  requestAnimationFrame(() => {
    isHovering = false;
    point(pick(x, y));
  });
}

function point(place) {
  const person = place === null ? null : personOf(place);
  canvas.title = place === null ? "" : person === null ? "unknown" : people[person][1];
  if (person === hovered) return;
  hovered = person;
  ask();
}

function search() {
  const words = plain(field.value.trim()).split(/\s+/).filter(Boolean);
  const most = drawer ? 8 : 300;
  listed = [];
  if (words.length || !drawer) {
    for (let place = 0; place < keys.length && listed.length < most; place++) {
      if (words.every((word) => keys[place].includes(word))) listed.push(place);
    }
  }
  marked = -1;
  found.replaceChildren(...listed.map((place, at) => {
    const row = element("li", people[place][1]);
    row.id = `space-found-${at}`;
    row.setAttribute("role", "option");
    row.addEventListener("click", () => choose(at));
    return row;
  }));
  showMarked();
}

function showMarked() {
  found.hidden = !listed.length;
  field.setAttribute("aria-expanded", String(listed.length > 0));
  [...found.children].forEach((row, at) => row.setAttribute("aria-selected", String(at === marked)));
  if (marked >= 0) {
    field.setAttribute("aria-activedescendant", `space-found-${marked}`);
    found.children[marked].scrollIntoView({ block: "nearest" });
  } else field.removeAttribute("aria-activedescendant");
}

function clearList() {
  listed = [];
  marked = -1;
  found.replaceChildren();
  showMarked();
}

function choose(at) {
  const place = listed[at];
  if (place === undefined) return;
  if (drawer) {
    field.value = people[place][1];
    clearList();
  }
  select(place, Boolean(drawer));
}

function listenToField() {
  field.addEventListener("input", search);
  field.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" && listed.length) marked = (marked + 1) % listed.length;
    else if (event.key === "ArrowUp" && listed.length) marked = (marked <= 0 ? listed.length : marked) - 1;
    else if (event.key === "Enter") return choose(Math.max(0, marked));
    else if (event.key === "Escape") return clearList();
    else return;
    event.preventDefault();
    showMarked();
  });
}

async function begin() {
  const answer = await fetch(page.dataset.points);
  if (!answer.ok) throw new Error("The points cannot be loaded: load the page again.");
  const header = unpack(await answer.arrayBuffer());
  drawer = makeDrawer();
  const share = Math.round(100 * header.explained.reduce((sum, one) => sum + one, 0));
  const faces = (header.named + header.unnamed).toLocaleString("en");
  document.getElementById("space-about").textContent =
    `${people.length.toLocaleString("en")} people of ${header.model} and ${faces} faces, as of ${header.made_at.slice(0, 10)}. ` +
    `The picture holds ${share}\u00a0% of what distinguishes people: who is near here may be far apart otherwise.`;
  listenToField();
  wait.hidden = true;
  if (drawer) {
    measure();
    listen();
  } else {
    page.classList.add("space-flat");
    search();
  }
  const place = people.findIndex((person) => `#${person[0]}` === location.hash);
  if (place >= 0) select(place, Boolean(drawer));
  page.dataset.state = drawer ? "drawn" : "listed";
  ask();
}

begin().catch((error) => {
  wait.textContent = error.message;
});
