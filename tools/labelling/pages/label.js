// One key is a verdict, and the next image is there; by then the verdict is on the server's disk. Nothing is written into
// the page as HTML.
import { View, byId, fetchSheet, fitCanvas, paint } from "./view.js";
import { Marks } from "./marks.js";
import { listen } from "./pointing.js";
import { ask, send, tell } from "./sending.js";

const canvas = byId("canvas"), other = byId("other"), view = new View();
const model = document.body.dataset.model === "1";
const sheets = new Map(), layers = new Map(), trail = [];
const BRUSHES = [3, 6, 12, 24, 48, 96], HERE = 60000, KEPT = 10;
let current = null, sheet = null, marks = null, ahead = [], types = [], tool = "", brush = 3, busy = false, comparing = false;
let flicker = false, beside = null, asked = 0, begun = 0, queueOver = false;

const by = () => byId("by").value.trim() || document.body.dataset.by;
const which = () => byId("which").value;
const number = (value) => (value == null ? "" : Number(value.toPrecision(5)).toString());
const url = (image, part = "image", extra = "") => `/label/image?${new URLSearchParams({ image, part })}${extra}`;
const node = (name, text, style) => {
  const made = document.createElement(name);
  made.textContent = text;
  if (style) made.className = style;
  return made;
};

function fetched(image) {
  if (!sheets.has(image)) sheets.set(image, fetchSheet(url(image)).then((found) => { if (found) found.through(view); return found; }));
  while (sheets.size > KEPT) sheets.delete([...sheets.keys()].find((name) => !current || name !== current.image));
  return sheets.get(image);
}

function layer(image, part) {
  const key = `${part} ${image}`;
  if (!layers.has(key)) layers.set(key, fetchSheet(url(image, part)).catch(() => null));
  while (layers.size > 2 * KEPT) layers.delete(layers.keys().next().value);
  return layers.get(key);
}

/** Wait for what the model sees: while it is opened, or looks at another image, it is asked again. */
async function patiently(image, part, mine) {
  for (;;) {
    const found = await layer(image, part);
    if (found !== undefined || mine !== asked) return found;
    layers.delete(`${part} ${image}`);
    await new Promise((go) => setTimeout(go, 700));
  }
}

/** Show an image; the next two are fetched behind it. */
async function show(shown, next, started = 0) {
  const mine = ++asked;
  ahead = next;
  queueOver = !shown;
  byId("over").hidden = Boolean(shown);
  if (!shown) { over(); return; }
  const found = await fetched(shown.image).catch(() => null);
  if (mine !== asked) return;
  current = shown;
  sheet = found;
  marks = found ? new Marks(found) : null;
  beside = null;
  trail.push(shown.image);
  describe();
  draw();
  if (started) requestAnimationFrame(() => { canvas.dataset.ms = (performance.now() - started).toFixed(1); });
  canvas.dataset.image = shown.image;
  if (!found) { tell(`${shown.image} cannot be shown; say unsure, or go on with the arrow keys.`); return; }
  if (shown.has_mask) takeMask(shown.mark && shown.mark.mask ? "drawn" : "disk", true, mine);
  if (comparing) compare();
  setTimeout(() => { for (const one of next.filter(({ image }) => image !== shown.image).slice(0, 2)) fetched(one.image).catch(() => sheets.delete(one.image)); });
  if (model && view.map) lookAhead(shown, next, mine);
}

/** Show the map once it is there; then those of the next two are fetched, one after the other. */
async function lookAhead(shown, next, mine) {
  await patiently(shown.image, "map", mine);
  if (mine !== asked) return;
  draw();
  for (const { image } of next.filter((one) => one.image !== shown.image).slice(0, 2)) if (mine === asked) await patiently(image, "map", mine);
}

function over() {
  current = sheet = marks = null;
  delete canvas.dataset.image;
  const words = { first: "Every image is labelled.\nGo back with ← to look again, or choose another pass above.", second: "There is nothing more to look at a second time.", settle: "Nobody disagrees on anything." };
  byId("over").textContent = words[which()];
  byId("said").replaceChildren();
}

function describe() {
  const line = byId("said"), parts = [node("b", current.image)];
  if (current.score != null) parts.push(` score ${number(current.score)}, threshold ${number(current.threshold)}: ${current.score >= current.threshold ? "called defective" : "called good"}`);
  if (current.kind) parts.push(`, ${current.kind}`);
  if (current.picked === "random") parts.push(", picked at random");
  const mark = current.mark || current.given;
  if (mark) parts.push(". ", node("span", `${mark.verdict}${mark.type ? ` (${mark.type})` : ""}`, `word-${mark.verdict}`), current.mark ? `, says ${current.by}` : ", says the data set");
  for (const [name, said] of Object.entries(current.opinions)) parts.push(`; ${name}: `, node("span", said.verdict, `word-${said.verdict}`));
  if (current.held_by) parts.push(`; ${current.held_by} has it open, too`);
  line.replaceChildren(...parts);
  byId("caption").textContent = current.image;
}

function draw() {
  if (!sheet) return;
  const shown = flicker && beside ? beside.sheet : sheet, found = [];
  const map = model && view.map && !flicker && layers.get(`map ${current.image}`);
  const finish = (mapped) => {
    if (mapped) found.push({ source: mapped.bitmap, opacity: view.opacity });
    if (marks && !marks.empty && !flicker) found.push({ source: marks.canvas, opacity: 0.55 });
    const context = paint(canvas, shown, view, found);
    if (marks && marks.open && !flicker) outline(context);
    if (comparing && beside) paint(other, beside.sheet, view);
    byId("caption").textContent = flicker && beside ? beside.caption : current.image;
  };
  if (map) { const mine = asked; finish(map.ready); if (map.ready === undefined) map.then((sheetOf) => { map.ready = sheetOf || null; if (mine === asked && sheetOf) draw(); }); } else finish(null);
}

function outline(context) {
  const { scale } = view.place(canvas, sheet);
  context.lineWidth = 2 / scale;
  context.strokeStyle = "#ff2fb3";
  context.beginPath();
  marks.open.forEach(([x, y], place) => (place ? context.lineTo(x, y) : context.moveTo(x, y)));
  if (hands.pointer) context.lineTo(...hands.pointer);
  context.stroke();
}

/** What fingers and the mouse work on; see pointing.js. */
const hands = {
  view,
  pointer: null,
  get sheet() { return sheet; },
  get marks() { return marks; },
  get tool() { return tool; },
  get brush() { return 2 * BRUSHES[brush]; },
  draw: () => drawSoon(),
};
let waiting = 0;
const drawSoon = () => { waiting = waiting || requestAnimationFrame(() => { waiting = 0; draw(); }); };

/** Lay a mask under what is drawn. */
async function takeMask(part, own, mine = asked) {
  const found = part === "drawn" ? await fetchSheet(url(current.image, part, `&now=${Date.now()}`)) : await patiently(current.image, part, mine);
  if (!found || mine !== asked || !marks) { if (!own && mine === asked) tell("The model marks nothing here, or there is none."); return; }
  marks.take(found, own);
  draw();
}

/** Find what is shown beside the image: layers before and after, or a good image that looks like it. */
async function compare() {
  const mine = asked, image = current.image, said = await ask("/label/beside", { image });
  if (!said || mine !== asked) return;
  const part = said.layers.includes("before") ? "before" : said.layers[0];
  const found = said.good ? await fetched(said.good) : part ? await layer(image, part) : null;
  if (mine !== asked) return;
  beside = found && { sheet: found, caption: said.good ? `good: ${said.good}` : `the layer ${part}`, layers: said.layers, at: part };
  byId("other-caption").textContent = beside ? beside.caption : "No good image is known yet.";
  draw();
}

async function otherLayer() {
  if (!beside || !beside.layers || beside.layers.length < 2) return;
  beside.at = beside.at === "before" ? "after" : "before";
  beside.sheet = await layer(current.image, beside.at);
  byId("other-caption").textContent = beside.caption = `the layer ${beside.at}`;
  draw();
}

function toggleCompare() {
  if (comparing && beside && beside.at === "before" && beside.layers.length > 1) { otherLayer(); return; }
  comparing = !comparing;
  byId("beside").hidden = !comparing;
  if (comparing && current) compare(); else draw();
}

async function hold(on) {
  if (on === flicker || !current) return;
  flicker = on;
  if (on && !beside) await compare();
  draw();
}

/** Keep a verdict; the image after it is shown once the server has it on its disk. */
async function say(verdict, type = "") {
  if (busy || !current) return false;
  busy = true;
  if (verdict === "defective" && marks) marks.close(); // a polygon that nobody closed is drawn, too
  const started = performance.now(), mask = verdict !== "defective" ? "" : marks && marks.touched ? await marks.png() : "keep";
  const said = await send("/label/say", { by: by(), image: current.image, verdict, type, mask, which: which() });
  busy = false;
  if (!said) return false;
  if (type && !types.includes(type)) { types.push(type); drawTypes(); }
  await show(said.next[0] || null, said.next, started);
  count();
  return true;
}

/** Call an image good, and let the model learn it; the next image is there meanwhile. */
async function learn() {
  if (busy || !current || document.body.dataset.learns !== "1") return;
  const { image } = current;
  if (!await say("good")) return;
  byId("learnt").textContent = `The model learns ${image} …`;
  const said = await send("/label/learn", { by: by(), image });
  byId("learnt").textContent = said ? `${image}: ${said.said}` : "";
  if (!said) return;
  for (const key of [...layers.keys()]) if (/^(map|model) /.test(key)) layers.delete(key);
  if (view.map && current) patiently(current.image, "map", asked).then(drawSoon);
}

async function turn(path) {
  if (busy) return;
  busy = true;
  const said = await send(path, { by: by(), which: which() });
  busy = false;
  if (said) { await show(said.image, said.next); count(); }
}

/** Go back along what was shown, or on to what is next. */
async function go(step) {
  if (step > 0) {
    const place = ahead.findIndex((one) => current && one.image === current.image), next = ahead[place + 1];
    if (next) show(next, ahead);
    return;
  }
  if (!queueOver) trail.pop();
  const image = trail.pop();
  if (image === undefined) { if (current) trail.push(current.image); return; }
  const shown = await ask("/label/shown", { image, by: by(), which: which() });
  if (shown) show(shown, [shown, ...ahead.filter((one) => one.image !== image)]);
}

async function begin() {
  trail.length = 0;
  const mine = ++begun, said = await ask("/label/next", { by: by(), which: which() });
  if (!said || mine !== begun) return; // somebody else, or another pass, has begun since
  types = said.types;
  drawTypes();
  await show(said.next[0] || null, said.next);
  count();
}

async function count() {
  const said = await ask("/label/summary", {});
  if (!said) return;
  const { counts } = said;
  const parts = [`${counts.left} to go of ${counts.images}`, `${counts.good} good`, `${counts.defective} defective`];
  for (const word of ["rework", "unsure"]) if (counts[word]) parts.push(`${counts[word]} ${word}`);
  if (counts.random && counts.random < counts.images) parts.push(`${counts.random_labelled} of ${counts.random} picked at random done`);
  if (counts.disputed) parts.push(`${counts.disputed} to settle`);
  byId("counts").textContent = parts.join(", ");
  return said;
}

function drawTypes() {
  byId("types").replaceChildren(...types.slice(0, 9).map((type, place) => {
    const button = node("button", `${type} `, "defect");
    button.type = "button";
    button.dataset.key = String(place + 1);
    button.append(node("kbd", String(place + 1)));
    return button;
  }));
}

async function summary() {
  const said = await count();
  if (!said) return;
  const text = byId("summary-text"), { counts } = said;
  text.replaceChildren(node("p", byId("counts").textContent));
  if (counts.inspectors.length) text.append(node("p", `Inspectors: ${counts.inspectors.join(", ")}`));
  for (const one of said.agreement) {
    const kappa = one.cohen_kappa == null ? "kappa is undefined" : `Cohen’s kappa ${number(one.cohen_kappa)} (95 % interval ${number(one.kappa_low)} to ${number(one.kappa_high)})`;
    text.append(node("p", `${one.inspectors.join(" and ")} both decided ${one.both_decided} images and agree on ${number(100 * (one.agreement ?? 0))} %; ${kappa}. They disagree on ${one.disagree.length}${one.disagree.length ? `: ${one.disagree.slice(0, 12).join(", ")}` : ""}.`));
  }
  byId("summary").showModal();
}

function choose(name) {
  tool = tool === name ? "" : name;
  if (marks && marks.open && tool !== "p") marks.close();
  for (const key of ["b", "p", "e"]) document.querySelector(`[data-key="${key}"]`).setAttribute("aria-pressed", String(tool === key));
  canvas.classList.toggle("drawing", Boolean(tool));
  drawSoon();
}

const zoom = (factor) => { if (sheet) view.zoomAt(canvas, sheet, factor, canvas.width / 2, canvas.height / 2); drawSoon(); };
const change = (made) => () => { made(); drawSoon(); };
const KEYS = {
  g: ["good", () => say("good")],
  l: ["good, and the model learns it: for a false alarm", learn],
  d: ["defective, with what is drawn", () => say("defective", byId("type").value.trim())],
  "1–9": ["defective of this type", null],
  r: ["rework", () => say("rework")],
  u: ["unsure", () => say("unsure")],
  z: ["undo your last verdict, and go to its image", () => turn("/label/undo")],
  y: ["redo", () => turn("/label/redo")],
  ArrowLeft: ["the image before", () => go(-1)],
  ArrowRight: ["the image after, without a verdict", () => go(1)],
  m: ["map on or off", () => { view.map = !view.map; if (model && view.map && current) patiently(current.image, "map", asked).then(draw); draw(); }],
  "[": ["map fainter", change(() => { view.opacity = Math.max(0.1, view.opacity - 0.1); })],
  "]": ["map stronger", change(() => { view.opacity = Math.min(1, view.opacity + 0.1); })],
  c: ["beside it: a good image that looks alike, or the layers before and after", toggleCompare],
  f: ["hold: that image in its place", null],
  a: ["start from what the model marks", () => current && takeMask("model", false)],
  b: ["brush", () => choose("b")],
  p: ["polygon: a click for each corner, Enter closes it", () => choose("p")],
  e: ["eraser", () => choose("e")],
  Enter: ["close the polygon", () => { if (marks) marks.close(); drawSoon(); }],
  Backspace: ["take the last stroke back", () => { if (marks) marks.back(); drawSoon(); }],
  x: ["clear the mask", () => { if (marks) marks.clear(); drawSoon(); }],
  "(": ["smaller brush", () => { brush = Math.max(0, brush - 1); }],
  ")": ["larger brush", () => { brush = Math.min(BRUSHES.length - 1, brush + 1); }],
  ",": ["darker", change(() => { view.shift -= 0.05; })],
  ".": ["brighter", change(() => { view.shift += 0.05; })],
  ";": ["less contrast", change(() => { view.steep /= 1.2; })],
  "'": ["more contrast", change(() => { view.steep *= 1.2; })],
  w: ["brightness and contrast as they were", change(() => view.plain())],
  "-": ["smaller", () => zoom(1 / 1.25)],
  "+": ["larger", () => zoom(1.25)],
  0: ["the whole image", change(() => view.fit())],
  "?": ["these keys", () => (byId("help").open ? byId("help").close() : byId("help").showModal())],
};

function press(key) {
  const name = key.length === 1 ? key.toLowerCase() : key;
  if (/^[1-9]$/.test(name) && types[name - 1]) { say("defective", types[name - 1]); return true; }
  const found = KEYS[name === "=" ? "+" : name];
  if (!found || !found[1]) return false;
  found[1]();
  return true;
}

addEventListener("keydown", (event) => {
  const typing = event.target.matches("input, select"), dialog = document.querySelector("dialog[open]");
  if (typing && (event.key === "Enter" || event.key === "Escape")) { event.target.blur(); canvas.focus(); event.preventDefault(); return; }
  if (typing || (dialog && event.key !== "?")) return;
  const command = event.ctrlKey || event.metaKey;
  if (event.key.toLowerCase() === "f" && !command) { hold(true); event.preventDefault(); return; }
  if (command && !/^[zy]$/i.test(event.key)) return;
  if (event.altKey || (event.repeat && /^[gdlruzy1-9]$/i.test(event.key))) return; // a key that is held is one verdict
  if (press(command && event.shiftKey ? "y" : event.key)) event.preventDefault();
});
addEventListener("keyup", (event) => { if (event.key.toLowerCase() === "f") hold(false); });
addEventListener("blur", () => hold(false));
addEventListener("click", (event) => {
  const button = event.target.closest("button[data-key]");
  if (button) { press(button.dataset.key); canvas.focus({ preventScroll: true }); }
  const written = event.target.closest("button[data-export]");
  if (written) send("/label/export", { what: written.dataset.export }).then((said) => { byId("export-said").textContent = said ? said.said : byId("lost").textContent; });
});
for (const [name, on] of [["pointerdown", true], ["pointerup", false], ["pointerleave", false], ["pointercancel", false]]) document.querySelector("[data-hold]").addEventListener(name, () => hold(on));

listen(canvas, other, hands);
new ResizeObserver(() => { fitCanvas(canvas); draw(); }).observe(byId("pane"));
byId("by").value = sessionStorage.getItem("by") || document.body.dataset.by;
byId("by").addEventListener("change", () => { sessionStorage.setItem("by", by()); begin(); });
byId("which").addEventListener("change", () => { byId("which").blur(); begin(); });
byId("more").addEventListener("click", summary);
byId("type").addEventListener("keydown", (event) => { if (event.key === "Enter" && byId("type").value.trim()) say("defective", byId("type").value.trim()); });
for (const one of document.querySelectorAll(".model")) one.hidden = !model;
byId("help-keys").append(...Object.entries(KEYS).map(([key, [what]]) => { const row = node("tr", ""), cell = node("td", ""); cell.append(node("kbd", key.replace("ArrowLeft", "←").replace("ArrowRight", "→").replace(/^[a-z]$/, (one) => one.toUpperCase()))); row.append(cell, node("td", what)); return row; }));
setInterval(() => { if (!document.hidden) fetch("/label/here", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ by: by() }) }).catch(() => {}); }, HERE);
begin();
