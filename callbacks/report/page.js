// The page is complete without this: it lets a reader try other thresholds, and shows the pictures behind marks.
"use strict";

const data = JSON.parse(document.getElementById("live-data")?.textContent ?? "null");
const byId = (id) => document.getElementById(id);
const DASH = "\u2013", MINUS = "\u2212", MOST_TILES = 10;

// Numbers are written as the rest of the page writes them (see wording.py).
const number = (value) => value.toFixed(data.decimals).replace("-", MINUS);
const whole = (count) => count.toLocaleString("en-US");
const plural = (count, noun) => `${whole(count)} ${noun}${count === 1 ? "" : "s"}`;
function share(part, of) {
  if (!of) return DASH;
  const value = part / of;
  if (value >= 0.9995 && value < 1) return "> 0.999";
  return value > 0 && value < 0.0005 ? "< 0.001" : value.toFixed(3);
}
function percent(part, of) {
  if (!of) return DASH;
  const value = part / of;
  if (value >= 0.9995 && value < 1) return "> 99.9 %";
  if (value > 0 && value < 0.0005) return "< 0.1 %";
  return value === 0 || value === 1 ? `${100 * value} %` : `${(100 * value).toFixed(1)} %`;
}

// Rows of pictures of one scope (0: all of them, n: the n-th kind), in ascending order of their scores.
const rowsOf = data?.scopes.map((_, scope) => data.score.map((_, row) => row)
  .filter((row) => scope === 0 || data.kind[row] === scope - 1)) ?? [];

function countsAt(threshold, scope) {
  const counts = { tp: 0, fp: 0, tn: 0, fn: 0 };
  for (const row of rowsOf[scope]) {
    const called = data.score[row] >= threshold;
    if (data.label[row] === 1) counts[called ? "tp" : "fn"] += 1;
    if (data.label[row] === 0) counts[called ? "fp" : "tn"] += 1;
  }
  return counts;
}

// --- The threshold under the pointer ---

function sentence(threshold) {
  const { tp, fp, tn, fn } = countsAt(threshold, 0);
  return `At ${number(threshold)}: precision ${share(tp, tp + fp)}, recall ${share(tp, tp + fn)}, ` +
    `F1 ${share(2 * tp, 2 * tp + fp + fn)}. ${whole(tp)} found, ${whole(fn)} missed, ` +
    `${plural(fp, "false alarm")}, ${whole(tn)} passed.`;
}

for (const figure of data ? document.querySelectorAll("#thresholds svg") : []) {
  const hover = figure.querySelector(".hover"), width = figure.viewBox.baseVal.width;
  if (!hover) continue;
  const output = byId("at-threshold"), atRest = output.textContent;
  figure.addEventListener("pointermove", (event) => {
    const box = figure.getBoundingClientRect();
    const x = Math.min(Math.max((event.clientX - box.left) / box.width * width, data.left), width - data.right);
    const position = (x - data.left) / (width - data.left - data.right);
    hover.setAttribute("x1", x);
    hover.setAttribute("x2", x);
    hover.classList.add("shown");
    output.textContent = sentence(data.low + position * (data.high - data.low));
  });
  figure.addEventListener("pointerleave", () => {
    hover.classList.remove("shown");
    output.textContent = atRest;
  });
}

// --- Pictures, cut from one sheet ---

const sheet = byId("sprite"), tiles = data?.tiles;
const tileOf = new Map(tiles?.row.map((row, tile) => [row, tile]) ?? []);

function paint(canvas, tile) {
  canvas.width = tiles.width;
  canvas.height = tiles.height;
  const x = tile % tiles.columns * tiles.width, y = Math.floor(tile / tiles.columns) * tiles.height;
  canvas.getContext("2d").drawImage(sheet, x, y, tiles.width, tiles.height, 0, 0, tiles.width, tiles.height);
}

const LABELS = { "-1": "unknown", 0: "good", 1: "defective" };

function tileElement(row) {
  const element = document.createElement("figure"), canvas = document.createElement("canvas");
  const caption = document.createElement("figcaption"), name = tiles.name[tileOf.get(row)];
  element.className = `tile ${LABELS[data.label[row]]}`;
  element.title = `${name}: ${LABELS[data.label[row]]}, score ${number(data.score[row])}`;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", element.title);
  caption.textContent = number(data.score[row]);
  paint(canvas, tileOf.get(row));
  element.append(canvas, caption);
  return element;
}

function fillStrip(id, rows) {
  const strip = byId(id), shown = rows.filter((row) => tileOf.has(row)).slice(0, MOST_TILES);
  const count = strip.parentElement.querySelector(".count");
  count.textContent = rows.length > shown.length ? `${shown.length} of ${whole(rows.length)}` : whole(rows.length);
  strip.replaceChildren(...shown.map(tileElement));
  if (!shown.length) {
    const none = document.createElement("p");
    none.className = "none";
    none.textContent = rows.length ? "None of these has a thumbnail." : "None.";
    strip.append(none);
  }
}

// --- The slider ---

const state = { scope: 0, threshold: 0, moved: false };
const STEPS = 1000;

function parts(values) {
  for (const [name, text] of Object.entries(values)) {
    for (const element of document.querySelectorAll(`[data-part="${name}"]`)) element.textContent = text;
  }
}

function show() {
  const scope = data.scopes[state.scope];
  const threshold = state.moved ? state.threshold : scope.threshold;
  // At rest, the decisions are those that the model made, by thresholds of each kind where there are such.
  const { tp, fp, tn, fn } = state.moved ? countsAt(threshold, state.scope) : scope;
  parts({
    tp: whole(tp), fp: whole(fp), tn: whole(tn), fn: whole(fn), defective: whole(tp + fn), good: whole(fp + tn),
    recall: percent(tp, tp + fn), "miss-rate": percent(fn, tp + fn), fpr: percent(fp, fp + tn),
    specificity: percent(tn, fp + tn), alarms: fp === 1 ? "false alarm" : "false alarms",
    precision: share(tp, tp + fp), "recall-share": share(tp, tp + fn),
    f1: tp + fn ? share(2 * tp, 2 * tp + fp + fn) : DASH, "fpr-share": share(fp, fp + tn),
    "right-alarms": percent(tp, tp + fp), "right-passes": percent(tn, tn + fn),
  });
  const where = scope.kind ? ` of kind ${scope.kind}` : "";
  byId("matrix-caption").textContent = state.moved
    ? `Test pictures${where} at ${number(threshold)}, in hindsight` : atRest.caption + where;
  const note = byId("state"), strong = document.createElement("b");
  note.classList.toggle("moved", state.moved);
  strong.textContent = state.moved ? `Hindsight: moved to ${number(threshold)}.` : `At the calibrated threshold ${number(scope.threshold)}.`;
  const words = state.moved
    ? " A threshold picked on these test pictures is fitted to them: its figures promise nothing about new pictures. To change the threshold for good, change the policy and calibrate again."
    : " Chosen on calibration pictures alone, so that the test pictures could judge it.";
  note.replaceChildren(strong, words);
  place(threshold, scope.threshold);
  strips(threshold);
}

function place(threshold, calibrated) {
  const slider = byId("threshold"), exact = byId("exact"), mark = byId("calibrated");
  const position = (value) => Math.min(Math.max((value - data.low) / (data.high - data.low), 0), 1);
  if (document.activeElement !== slider) slider.value = Math.round(STEPS * position(threshold));
  slider.setAttribute("aria-valuetext", `${number(threshold)}${state.moved ? ", hindsight" : ", calibrated"}`);
  if (document.activeElement !== exact) exact.value = threshold.toFixed(data.decimals);
  mark.style.left = `calc(8px + (100% - 16px) * ${position(calibrated)})`;
  mark.classList.toggle("left", position(calibrated) < 0.08);
  mark.classList.toggle("right", position(calibrated) > 0.92);
  byId("rest").disabled = !state.moved;
}

function strips(threshold) {
  if (!tiles) return;
  const rows = rowsOf[state.scope];
  fillStrip("strip-miss", rows.filter((row) => data.label[row] === 1 && data.score[row] < threshold));
  fillStrip("strip-alarm", rows.filter((row) => data.label[row] === 0 && data.score[row] >= threshold).reverse());
  const distance = (row) => Math.abs(data.score[row] - threshold);
  const near = rows.slice().sort((a, b) => distance(a) - distance(b)).filter((row) => tileOf.has(row));
  fillStrip("strip-near", near.slice(0, MOST_TILES));
}

function move(threshold) {
  state.threshold = threshold;
  state.moved = true;
  show();
}

function rest() {
  state.moved = false;
  document.activeElement?.blur();
  show();
}

const atRest = { caption: byId("matrix-caption")?.textContent };
if (data && byId("live")) {
  byId("live").hidden = false;
  byId("threshold").addEventListener("input", (event) => {
    move(data.low + event.target.value / STEPS * (data.high - data.low));
  });
  byId("exact").addEventListener("change", (event) => {
    if (Number.isFinite(event.target.valueAsNumber)) move(event.target.valueAsNumber);
  });
  byId("rest").addEventListener("click", rest);
  byId("scope")?.addEventListener("change", (event) => {
    state.scope = Number(event.target.value);
    show();
  });
  (sheet?.decode() ?? Promise.resolve()).then(show);
}

// --- Maps: the picture behind a mark, under the pointer or by the arrow keys ---

function peekAt(figure, tile) {
  const peek = byId("peek"), svg = figure.querySelector("svg"), [x, y] = data.places[figure.dataset.map][tile];
  const box = svg.getBoundingClientRect(), scale = box.width / svg.viewBox.baseVal.width;
  const row = tiles.row[tile], ring = svg.querySelector(".chosen");
  ring.setAttribute("cx", x);
  ring.setAttribute("cy", y);
  ring.classList.add("shown");
  paint(peek.querySelector("canvas"), tile);
  peek.querySelector("p").textContent = `${tiles.name[tile]}: ${LABELS[data.label[row]]}, score ${number(data.score[row])}`;
  peek.hidden = false;
  const left = box.left + x * scale + 14, right = left + peek.offsetWidth > innerWidth - 8;
  peek.style.left = `${scrollX + (right ? Math.max(8, left - 28 - peek.offsetWidth) : left)}px`;
  peek.style.top = `${scrollY + box.top + y * scale + 14}px`;
}

function leave(figure) {
  byId("peek").hidden = true;
  figure.querySelector(".chosen").classList.remove("shown");
}

for (const figure of tiles ? document.querySelectorAll(".map") : []) {
  const svg = figure.querySelector("svg"), places = data.places[figure.dataset.map];
  const order = places.map((_, tile) => tile).sort((a, b) => tiles.row[a] - tiles.row[b]);
  let at = order.length - 1;
  svg.tabIndex = 0;
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / box.width;
    const x = (event.clientX - box.left) * scale, y = (event.clientY - box.top) * scale;
    const distance = ([a, b]) => Math.hypot(a - x, b - y);
    const nearest = places.reduce((best, place, tile) => distance(place) < distance(places[best]) ? tile : best, 0);
    if (distance(places[nearest]) < 18) peekAt(figure, nearest); else leave(figure);
  });
  svg.addEventListener("pointerleave", () => leave(figure));
  svg.addEventListener("blur", () => leave(figure));
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    at = (at + step + order.length) % order.length;
    peekAt(figure, order[at]);
  });
}

if (byId("map-controls")) {
  byId("map-controls").hidden = false;
  for (const choice of document.querySelectorAll('[name="colour"]')) {
    choice.addEventListener("change", () => {
      byId("map-figures").classList.toggle("by-score", choice.value === "score");
      byId("map-controls").classList.toggle("colour-score", choice.value === "score");
    });
  }
}

// What is printed and signed is the calibrated decision, with what the reader has unfolded.
addEventListener("beforeprint", () => {
  if (data && byId("live")) {
    state.scope = 0;
    if (byId("scope")) byId("scope").value = "0";
    rest();
  }
});

// A table that is wider than the screen shows every row as a list, each value behind the head of its column.
function stackTables() {
  for (const box of document.querySelectorAll(".scroll")) {
    const table = box.querySelector("table");
    const heads = [...(table?.tHead?.rows[0]?.cells ?? [])];
    if (!box.clientWidth || !heads.length || heads.some((head) => head.colSpan > 1) || table.querySelector("svg")) continue;
    table.classList.remove("stacked");
    if (table.scrollWidth <= box.clientWidth + 1) continue;
    for (const body of table.tBodies) {
      for (const row of body.rows) {
        [...row.cells].forEach((cell, column) => { cell.dataset.head = heads[column]?.textContent.trim() ?? ""; });
      }
    }
    table.classList.add("stacked");
  }
}
addEventListener("resize", stackTables);
addEventListener("beforeprint", () => document.querySelectorAll(".stacked").forEach((one) => one.classList.remove("stacked")));
addEventListener("afterprint", stackTables);
document.querySelectorAll("details").forEach((one) => one.addEventListener("toggle", stackTables));
stackTables();

// A link to what is folded opens it.
function unfold() {
  const target = location.hash.length > 1 ? byId(decodeURIComponent(location.hash.slice(1))) : null;
  const folded = target?.closest("details");
  if (folded) {
    folded.open = true;
    target.scrollIntoView();
  }
}
addEventListener("hashchange", unfold);
unfold();
