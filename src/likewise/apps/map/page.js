// The map: points on a canvas, a legend that hides classes, and a grid that shows what is selected.
"use strict";

// ---- What was embedded -------------------------------------------------------------------------------------------

const find = (id) => document.getElementById(id);

function take(id) {
  const text = atob(find(id).textContent);
  find(id).remove(); // the text is not needed twice
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

const data = JSON.parse(find("data").textContent);
const points = new Float32Array(take("points").buffer); // N x dimensions, of the time that is shown
const classOf = new Int32Array(take("class-of").buffer);
const N = classOf.length;
const solid = data.dimensions === 3;
const at = (i, axis) => (axis < data.dimensions ? points[i * data.dimensions + axis] : 0);

// Where the items are at several times (T x N x dimensions), what is said of each then, and where that is wrong.
const times = data.times && {
  ...data.times,
  points: new Float32Array(take("time-points").buffer),
  said: new Int32Array(take("time-said").buffer),
  wrong: take("time-wrong"),
  shown: data.times.names.length - 1,
};

const colours = data.classes.map(({ colour }) => [1, 3, 5].map((k) => parseInt(colour.slice(k, k + 2), 16)));
const hidden = new Uint8Array(data.classes.length);
let selected = null; // item numbers, or null
let isSelected = null; // the same as one byte per item
let hovered = -1;

document.title = data.title;
find("title").textContent = data.title;
function caption() {
  find("caption").textContent = [times ? times.captions[times.shown] : data.caption, ...data.notes].join(" · ");
}
caption();

// ---- Media: what an item looks like, one row per kind --------------------------------------------------------------

const MEDIA = {
  none: { element: () => null },
  picture: {
    start() {
      createImageBitmap(new Blob([take("sheet")], { type: "image/jpeg" })).then((sheet) => {
        this.sheet = sheet;
        fillGrid();
      });
    },
    element(i, longest) {
      const { size, cell, columns, every } = data.media;
      if (!this.sheet || i % every) return null;
      const place = i / every, scale = longest / Math.max(...size);
      const canvas = document.createElement("canvas");
      [canvas.style.width, canvas.style.height] = size.map((length) => `${Math.round(length * scale)}px`);
      [canvas.width, canvas.height] = size.map((length) => Math.round(length * scale * density()));
      const pen = canvas.getContext("2d");
      pen.imageSmoothingQuality = "high";
      const x = (place % columns) * cell[0], y = Math.floor(place / columns) * cell[1];
      pen.drawImage(this.sheet, x, y, ...size, 0, 0, canvas.width, canvas.height);
      return canvas;
    },
  },
};
const media = MEDIA[data.media.kind];

// ---- Sounds: what is pointed at is heard, once the page has been clicked, as browsers ask ------------------------------

const sound = data.clips && { ...data.clips, code: take("clips"), context: null, playing: null };

function hear(i) {
  sound.playing?.stop();
  sound.playing = null;
  if (i < 0 || i % sound.every || !navigator.userActivation?.hasBeenActive) return;
  sound.context ??= new AudioContext();
  const buffer = sound.context.createBuffer(1, sound.samples, sound.rate), samples = buffer.getChannelData(0);
  const first = (i / sound.every) * sound.samples;
  for (let k = 0; k < sound.samples; k++) {
    const y = (sound.code[first + k] - 127.5) / 127.5; // mu-law
    samples[k] = (Math.sign(y) * (256 ** Math.abs(y) - 1)) / 255;
  }
  sound.playing = sound.context.createBufferSource();
  sound.playing.buffer = buffer;
  sound.playing.connect(sound.context.destination);
  sound.playing.start();
}

const density = () => Math.min(2, window.devicePixelRatio || 1);

// ---- From the data's space to the canvas ---------------------------------------------------------------------------

const canvas = find("map");
const pen = canvas.getContext("2d", { alpha: false });
const view = { scale: 1, x: 0, y: 0, yaw: 0.6, pitch: 0.4 }; // x, y: where the middle of the data lies, in CSS pixels
const screenX = new Float32Array(N), screenY = new Float32Array(N), depth = new Float32Array(N);
const order = Uint32Array.from({ length: N }, (_, i) => i);
let image = null, background = [255, 255, 255], ink = "#000", smallest = 1;

const middle = [0, 0, 0], extent = [0, 0, 0];
for (let axis = 0; axis < 3 && N; axis++) {
  let low = Infinity, high = -Infinity;
  for (let i = 0; i < N; i++) { low = Math.min(low, at(i, axis)); high = Math.max(high, at(i, axis)); }
  for (let k = axis; times && axis < data.dimensions && k < times.points.length; k += data.dimensions) {
    low = Math.min(low, times.points[k]); // at every time it keeps inside
    high = Math.max(high, times.points[k]);
  }
  middle[axis] = (low + high) / 2;
  extent[axis] = (high - low) / 2;
}
if (solid) { // however it is turned, the map keeps inside this sphere
  let reach = 0;
  for (let i = 0; i < N; i++) reach = Math.max(reach, Math.hypot(...middle.map((m, axis) => at(i, axis) - m)));
  extent.fill(reach);
}

let state = 1; // a fixed shuffle, so that no class lies on top of all others
for (let i = N - 1; i > 0; i--) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  const j = Math.floor((state / 2 ** 32) * (i + 1));
  [order[i], order[j]] = [order[j], order[i]];
}

function whole() {
  const { clientWidth: width, clientHeight: height } = canvas;
  const room = Math.min(width / (extent[0] || 1e-6), height / (extent[1] || 1e-6));
  smallest = view.scale = Math.min((room * 0.92) / 2, 1e9);
  view.x = width / 2;
  view.y = height / 2;
}

// Returns [x, y, depth] in CSS pixels; depth grows towards the reader.
function project(x, y, z) {
  x -= middle[0]; y -= middle[1]; z -= middle[2];
  if (solid) {
    const { yaw, pitch } = view;
    [x, z] = [Math.cos(yaw) * x + Math.sin(yaw) * z, Math.cos(yaw) * z - Math.sin(yaw) * x];
    [y, z] = [Math.cos(pitch) * y - Math.sin(pitch) * z, Math.cos(pitch) * z + Math.sin(pitch) * y];
  }
  return [view.x + view.scale * x, view.y - view.scale * y, z];
}

function place() {
  for (let i = 0; i < N; i++) {
    if (solid) [screenX[i], screenY[i], depth[i]] = project(at(i, 0), at(i, 1), at(i, 2));
    else {
      screenX[i] = view.x + view.scale * (points[2 * i] - middle[0]);
      screenY[i] = view.y - view.scale * (points[2 * i + 1] - middle[1]);
    }
  }
  if (solid) order.sort((a, b) => depth[a] - depth[b]);
}

// ---- Drawing: every point is stamped into one pixel buffer, which is fast whatever the graphics card -----------------

let waiting = false;
function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; draw(); });
}

function radius() {
  const zoomed = Math.pow(view.scale / smallest, 0.3);
  const room = Math.min(1.3, Math.sqrt(canvas.clientWidth * canvas.clientHeight) / 900);
  return Math.max(1, Math.min(9, 2.7 * room * Math.pow(10000 / Math.max(N, 300), 0.25) * zoomed));
}

// A disc with soft edge as [offset in the buffer, coverage] pairs.
function stampOf(r, width) {
  const offsets = [], coverage = [], reach = Math.ceil(r);
  for (let y = -reach; y <= reach; y++) {
    for (let x = -reach; x <= reach; x++) {
      const share = Math.max(0, Math.min(1, r + 0.5 - Math.hypot(x, y)));
      if (share > 0) { offsets.push(4 * (y * width + x)); coverage.push(share); }
    }
  }
  return { offsets: Int32Array.from(offsets), coverage: Float32Array.from(coverage), reach };
}

function draw() {
  const ratio = density(), { width, height } = canvas;
  if (!image) return;
  const pixels = image.data;
  new Uint32Array(pixels.buffer).fill((255 << 24) | (background[2] << 16) | (background[1] << 8) | background[0]);
  place();
  const { offsets, coverage, reach } = stampOf(radius() * ratio, width);
  const far = extent[2] || 1;
  for (const bright of isSelected ? [0, 1] : [1]) {
    for (let k = 0; k < N; k++) {
      const i = order[k];
      if (hidden[classOf[i]] || (isSelected && isSelected[i] !== bright)) continue;
      const x = Math.round(screenX[i] * ratio), y = Math.round(screenY[i] * ratio);
      if (!(x >= reach && y >= reach && x < width - reach && y < height - reach)) continue;
      const [red, green, blue] = colours[classOf[i]];
      const strength = (bright ? 0.8 : 0.14) * (solid ? 0.6 + (0.4 * depth[i]) / far : 1);
      const base = 4 * (y * width + x);
      for (let p = 0; p < offsets.length; p++) {
        const j = base + offsets[p], share = coverage[p] * strength;
        pixels[j] += (red - pixels[j]) * share;
        pixels[j + 1] += (green - pixels[j + 1]) * share;
        pixels[j + 2] += (blue - pixels[j + 2]) * share;
      }
    }
  }
  pen.putImageData(image, 0, 0);
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  drawWrong();
  drawNames();
  if (hovered >= 0) ring(hovered);
  if (outline) drawOutline();
  pen.setTransform(1, 0, 0, 1, 0, 0);
}

function ring(i, gap = 3, width = 2) {
  pen.beginPath();
  pen.arc(screenX[i], screenY[i], radius() + gap, 0, 2 * Math.PI);
  pen.lineWidth = width;
  pen.strokeStyle = ink;
  pen.stroke();
}

const isWrong = (i) => times && times.wrong[times.shown * N + i];
function drawWrong() {
  if (!times) return;
  for (let i = 0; i < N; i++) if (isWrong(i) && !hidden[classOf[i]] && (!isSelected || isSelected[i])) ring(i, 1, 1.2);
}

const MOST_NAMES = 30;
const members = data.classes.map(() => []);
for (let i = 0; i < N; i++) members[classOf[i]].push(i);
const middleOf = (items, axis) => items.map((i) => at(i, axis)).sort((a, b) => a - b)[items.length >> 1];
let medians = [];
function findMedians() {
  if (members.length <= MOST_NAMES) medians = members.map((items) => [0, 1, 2].map((axis) => middleOf(items, axis)));
}
findMedians();

function drawNames() {
  if (find("names").ariaPressed !== "true") return;
  pen.font = "600 14px system-ui, sans-serif";
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.lineJoin = "round";
  pen.lineWidth = 4;
  pen.strokeStyle = `rgb(${background})`;
  pen.fillStyle = ink;
  medians.forEach((point, c) => {
    if (hidden[c]) return;
    const [x, y] = project(...point), text = shortened(data.classes[c].name, 24);
    pen.strokeText(text, x, y);
    pen.fillText(text, x, y);
  });
}

const shortened = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

let laidOut = null; // [width, height] when the canvas last had them
function resize() {
  const ratio = density(), { clientWidth: width, clientHeight: height } = canvas;
  if (!width || !height) return;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  image = pen.createImageData(canvas.width, canvas.height);
  const style = getComputedStyle(document.documentElement);
  const paper = style.getPropertyValue("--paper").trim();
  background = [1, 3, 5].map((k) => parseInt(paper.slice(k, k + 2), 16));
  ink = style.getPropertyValue("--ink").trim();
  if (laidOut) {
    view.x += (width - laidOut[0]) / 2;
    view.y += (height - laidOut[1]) / 2;
  } else whole();
  laidOut = [width, height];
  redraw();
}

// ---- Pointing: hover, move, zoom, lasso ----------------------------------------------------------------------------

let outline = null; // of the lasso, [x, y] pairs
const pressed = new Map(); // pointers that are down, by id
let travelled = 0, lassoing = false;
const CLICK = 4; // pixels a click may wander

const position = (event) => {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};

function itemNear(x, y) {
  let best = -1, nearest = (radius() + 5) ** 2;
  for (let i = 0; i < N; i++) {
    const distance = (screenX[i] - x) ** 2 + (screenY[i] - y) ** 2;
    if (distance < nearest && !hidden[classOf[i]]) { nearest = distance; best = i; }
  }
  return best;
}

function zoom(factor, x, y) {
  const scale = Math.max(smallest / 4, Math.min(smallest * 400, view.scale * factor));
  view.x = x + ((view.x - x) * scale) / view.scale;
  view.y = y + ((view.y - y) * scale) / view.scale;
  view.scale = scale;
  redraw();
}

function drag(dx, dy) {
  if (solid) {
    view.yaw += dx * 0.008;
    view.pitch = Math.max(-1.57, Math.min(1.57, view.pitch + dy * 0.008));
  } else {
    view.x += dx;
    view.y += dy;
  }
  redraw();
}

canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
  zoom(Math.exp(-Math.max(-200, Math.min(200, event.deltaY * lines)) * 0.002), ...position(event));
}, { passive: false });

canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  pressed.set(event.pointerId, position(event));
  travelled = 0;
  lassoing = pressed.size === 1 && (event.shiftKey || find("lasso").ariaPressed === "true");
  outline = lassoing ? [position(event)] : null;
  canvas.classList.toggle("lasso", lassoing);
});

canvas.addEventListener("pointermove", (event) => {
  const [x, y] = position(event), before = pressed.get(event.pointerId);
  if (!before) return point(itemNear(x, y), x, y);
  travelled += Math.hypot(x - before[0], y - before[1]);
  if (lassoing) {
    outline.push([x, y]);
    redraw();
  } else if (pressed.size === 2) { // two fingers: zoom about the one that rests
    const other = [...pressed].find(([id]) => id !== event.pointerId)[1];
    const apart = ([px, py]) => Math.hypot(px - other[0], py - other[1]) || 1;
    zoom(apart([x, y]) / apart(before), ...other);
  } else if (travelled > CLICK) {
    point(-1);
    canvas.classList.add("dragging");
    drag(x - before[0], y - before[1]);
  }
  pressed.set(event.pointerId, [x, y]);
});

function release(event) {
  if (!pressed.delete(event.pointerId)) return;
  canvas.classList.remove("dragging");
  if (event.type === "pointerup" && travelled <= CLICK) {
    const item = itemNear(...position(event));
    select(item < 0 ? null : [item]);
  } else if (event.type === "pointerup" && lassoing) select(inside(outline));
  outline = null;
  lassoing = false;
  canvas.classList.toggle("lasso", find("lasso").ariaPressed === "true");
  redraw();
}
canvas.addEventListener("pointerup", release);
canvas.addEventListener("pointercancel", release);
canvas.addEventListener("pointerleave", () => point(-1));

// Visible items inside a polygon: a ray to the right crosses its sides an odd number of times.
function inside(polygon) {
  const found = [];
  for (let i = 0; i < N; i++) {
    if (hidden[classOf[i]]) continue;
    const x = screenX[i], y = screenY[i];
    let within = false;
    for (let a = 0, b = polygon.length - 1; a < polygon.length; b = a++) {
      const [ax, ay] = polygon[a], [bx, by] = polygon[b];
      if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) within = !within;
    }
    if (within) found.push(i);
  }
  return found;
}

function drawOutline() {
  pen.beginPath();
  for (const [x, y] of outline) pen.lineTo(x, y);
  pen.closePath();
  pen.globalAlpha = 0.08;
  pen.fillStyle = ink;
  pen.fill();
  pen.globalAlpha = 1;
  pen.lineWidth = 1.5;
  pen.strokeStyle = ink;
  pen.stroke();
}

// Marks item i (-1: none) on the map and describes it beside (x, y).
function point(i, x = screenX[i], y = screenY[i]) {
  const tip = find("tip");
  if (i !== hovered) {
    hovered = i;
    if (sound) hear(i);
    canvas.classList.toggle("over", i >= 0);
    redraw();
    if (i >= 0) {
      const name = document.createElement("b"), file = document.createElement("small");
      name.append(swatch(classOf[i]), data.classes[classOf[i]].name);
      file.textContent = data.items[i];
      tip.replaceChildren(...[media.element(i, 140), name, saidOf(i), file].filter(Boolean));
    }
  }
  tip.hidden = i < 0;
  if (i < 0) return;
  const left = x + 16 + tip.offsetWidth > canvas.clientWidth ? x - 16 - tip.offsetWidth : x + 16;
  const top = Math.max(4, Math.min(y - 20, canvas.clientHeight - tip.offsetHeight - 4));
  tip.style.transform = `translate(${Math.max(4, left)}px, ${top}px)`;
}

// What was said of item i at the time that is shown.
function saidOf(i) {
  if (!times) return null;
  const said = document.createElement("div");
  said.textContent = times.texts[times.said[times.shown * N + i]] + (isWrong(i) ? " (wrong)" : "");
  return said;
}

canvas.ariaLabel = `Map of ${N} items. Arrow keys ${solid ? "turn" : "move"} it, plus and minus zoom, 0 shows the whole map, Escape clears the selection.`;
canvas.addEventListener("keydown", (event) => {
  const half = [canvas.clientWidth / 2, canvas.clientHeight / 2];
  const act = {
    ArrowLeft: () => drag(40, 0), ArrowRight: () => drag(-40, 0), ArrowUp: () => drag(0, 40), ArrowDown: () => drag(0, -40),
    "+": () => zoom(1.25, ...half), "=": () => zoom(1.25, ...half), "-": () => zoom(0.8, ...half),
    0: () => { whole(); redraw(); }, Escape: () => select(null),
  }[event.key];
  if (act) { event.preventDefault(); act(); }
});

// ---- Legend --------------------------------------------------------------------------------------------------------

function swatch(c) {
  const dot = document.createElement("span");
  dot.className = "swatch";
  dot.style.background = data.classes[c].colour;
  return dot;
}

const entries = data.classes.map(({ name, size }, c) => {
  const entry = document.createElement("button"), text = document.createElement("span");
  const count = document.createElement("small");
  entry.type = "button";
  entry.tabIndex = c ? -1 : 0; // one stop for Tab; arrows move within
  entry.title = `${name}\nClick: hide or show. Shift-click: show it alone.`;
  text.textContent = name;
  count.textContent = size.toLocaleString("en");
  entry.append(swatch(c), text, count);
  entry.addEventListener("click", (event) => {
    if (event.shiftKey) hidden.fill(1);
    hidden[c] = event.shiftKey ? 0 : 1 - hidden[c];
    refreshLegend();
  });
  return entry;
});
find("legend").append(...entries);

find("legend").addEventListener("keydown", (event) => {
  const here = entries.indexOf(document.activeElement);
  const there = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: entries.length - 1 }[event.key];
  if (here < 0 || !entries[there]) return;
  event.preventDefault();
  entries[here].tabIndex = -1;
  entries[there].tabIndex = 0;
  entries[there].focus();
});

function refreshLegend() {
  entries.forEach((entry, c) => { entry.ariaPressed = String(!hidden[c]); });
  point(-1);
  redraw();
}
find("show-all").addEventListener("click", () => { hidden.fill(0); refreshLegend(); });
find("hide-all").addEventListener("click", () => { hidden.fill(1); refreshLegend(); });

// ---- Selection: by click, lasso or search; shown in the grid ---------------------------------------------------------

const AT_ONCE = 240; // cells added at a time
const HELP = `Drag to ${solid ? "turn" : "move"} the map, wheel to zoom. Click an item, hold Shift and draw round several, or search: they are shown here.`;
let shown = 0;

function select(items) {
  selected = isSelected = null;
  let makeup = HELP;
  if (items) {
    isSelected = new Uint8Array(N);
    const counts = new Uint32Array(data.classes.length);
    for (const i of items) { isSelected[i] = 1; counts[classOf[i]]++; }
    // The odd ones out first: they are what a look at a cluster is for.
    selected = items.sort((a, b) => counts[classOf[a]] - counts[classOf[b]] || classOf[a] - classOf[b] || a - b);
    makeup = describe(counts);
  }
  find("count").textContent = items ? `${items.length.toLocaleString("en")} selected` : "Selection";
  find("makeup").textContent = makeup;
  find("copy").hidden = !items?.length;
  find("clear").hidden = !items;
  shown = 0;
  fillGrid();
  redraw();
}

// "7 (120), 9 (12)": the classes of a selection, largest first.
function describe(counts) {
  const parts = [...counts.keys()].filter((c) => counts[c]).sort((a, b) => counts[b] - counts[a]);
  const text = parts.slice(0, 8).map((c) => `${shortened(data.classes[c].name, 24)} (${counts[c]})`).join(", ");
  const left = parts.length - 8;
  if (left > 0) return `${text} and ${left} more ${left > 1 ? "classes" : "class"}, rarest first:`;
  return parts.length > 1 ? `${text}, rarest first:` : text;
}

// Draws the grid afresh up to what it showed, and a page more if it showed nothing.
function fillGrid(upTo = Math.max(shown, AT_ONCE)) {
  const items = (selected || []).slice(0, upTo);
  shown = items.length;
  find("grid").replaceChildren(...items.map(cellOf));
  find("more").hidden = shown >= (selected || []).length;
}

function cellOf(i) {
  const cell = document.createElement("button"), picture = media.element(i, 64);
  const name = data.classes[classOf[i]].name;
  cell.type = "button";
  cell.title = `${name}\n${data.items[i]}`;
  cell.ariaLabel = `${name}: ${data.items[i]}`;
  cell.style.borderColor = data.classes[classOf[i]].colour;
  if (!picture) cell.className = data.media.kind === "none" ? "row" : "blank"; // a blank keeps its place among pictures
  cell.append(picture || data.items[i]);
  for (const type of ["pointerenter", "focus"]) cell.addEventListener(type, () => point(i));
  for (const type of ["pointerleave", "blur"]) cell.addEventListener(type, () => point(-1));
  cell.addEventListener("click", () => { // bring it to the middle of the map
    view.x += canvas.clientWidth / 2 - screenX[i];
    view.y += canvas.clientHeight / 2 - screenY[i];
    place();
    point(i);
    redraw();
  });
  return cell;
}

let haystack = null;
find("search").addEventListener("input", ({ target }) => {
  const wanted = target.value.trim().toLowerCase();
  haystack ??= data.items.map((text, i) => `${data.classes[classOf[i]].name}\n${text}`.toLowerCase());
  const found = [];
  for (let i = 0; wanted && i < N; i++) if (haystack[i].includes(wanted) && !hidden[classOf[i]]) found.push(i);
  select(wanted ? found : null);
});

find("more").addEventListener("click", () => fillGrid(shown + AT_ONCE));
find("clear").addEventListener("click", () => { find("search").value = ""; select(null); });
find("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText(selected.map((i) => data.items[i]).join("\n"));
  find("count").textContent = `${selected.length.toLocaleString("en")} copied`;
});

// ---- Times: a slider, and points that move from one to the next -----------------------------------------------------

const MOVING = 450, RESTING = 350; // milliseconds
let playing = null; // a timer

function goTo(time, moving = MOVING) {
  const from = points.slice(), to = times.points.subarray(time * points.length, (time + 1) * points.length);
  const begun = performance.now();
  times.shown = time;
  find("time").value = time;
  find("moment").textContent = times.names[time];
  caption();
  point(-1);
  function move() {
    if (times.shown !== time) return; // somewhere else by now
    const share = moving ? Math.min(1, (performance.now() - begun) / moving) : 1, eased = share * share * (3 - 2 * share);
    for (let k = 0; k < points.length; k++) points[k] = from[k] + (to[k] - from[k]) * eased;
    findMedians();
    redraw();
    if (share < 1) requestAnimationFrame(move);
  }
  move();
}

function play(on) {
  clearInterval(playing);
  playing = on ? setInterval(() => {
    if (times.shown + 1 < times.names.length) goTo(times.shown + 1);
    else play(false);
  }, MOVING + RESTING) : null;
  find("play").textContent = on ? "Stop" : "Play";
}

if (times) {
  find("times").hidden = false;
  find("time").max = times.names.length - 1;
  find("time").addEventListener("input", ({ target }) => { play(false); goTo(Number(target.value)); });
  find("play").addEventListener("click", () => {
    if (!playing && times.shown + 1 === times.names.length) goTo(0, 0);
    play(!playing);
  });
  goTo(times.shown, 0);
}

// ---- Start ---------------------------------------------------------------------------------------------------------

for (const id of ["lasso", "names"]) {
  find(id).addEventListener("click", ({ currentTarget }) => {
    currentTarget.ariaPressed = String(currentTarget.ariaPressed !== "true");
    canvas.classList.toggle("lasso", find("lasso").ariaPressed === "true");
    redraw();
  });
}
find("names").hidden = data.classes.length > MOST_NAMES;
find("reset").addEventListener("click", () => { whole(); redraw(); });
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", resize);
new ResizeObserver(resize).observe(canvas);
media.start?.();
refreshLegend();
select(null);
