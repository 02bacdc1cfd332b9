"use strict";
// Sends images one by one, four at a time, and shows what comes back. Nothing is written into the page as HTML but what
// the server's own template escaped.
(() => {
  const byId = (id) => document.getElementById(id);
  const AT_ONCE = 4, PATIENCE = 40, MOST = 5000;
  const COLUMNS = ["image_path", "score", "threshold", "verdict", "accepted", "reasons", "probability", "rank_among_good", "kind", "regions", "unusual", "error"];
  const model = byId("model"), kind = byId("kind"), body = byId("table").tBodies[0], shown = byId("shown");
  let entries = [], waiting = [], running = 0, round = 0, chosen = null;
  let trial = null, trying = 0, settled = "";
  const wishes = {};

  const number = (value) => value == null ? "" : Number(value.toPrecision(5)).toString();
  const node = (name, text, style) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (style) made.className = style;
    return made;
  };

  function take(files) {
    const images = [...files].filter((file) => file.size || file.type !== "");
    for (const file of images) {
      const entry = { file, name: file.webkitRelativePath || file.place || file.name, answer: null, failed: "" };
      entries.push(entry);
      waiting.push(entry);
    }
    byId("lot").hidden = !entries.length;
    work();
    draw();
  }

  function work() {
    while (running < AT_ONCE && waiting.length) {
      running += 1;
      const mine = round;
      send(waiting.shift(), mine).finally(() => { if (mine === round) { running -= 1; work(); } draw(); });
    }
  }

  async function send(entry, mine) {
    const query = new URLSearchParams({ model: model.value, kind: kind.value });
    for (let tries = 0; tries < PATIENCE; tries += 1) {
      const form = new FormData();
      form.append("files", entry.file, entry.name);
      try {
        const answer = await fetch(`/show?${query}`, { method: "POST", body: form });
        const said = await answer.json();
        if (mine !== round) return;
        if (answer.status === 429) { await new Promise((go) => setTimeout(go, 1000)); continue; }
        if (answer.ok) { entry.answer = said[0]; } else { entry.failed = said.error; }
      } catch {
        entry.failed = "could not be sent: the server does not answer";
      }
      return;
    }
    entry.failed = "could not be sent: the server is busy; drop it again";
  }

  const state = (entry) => entry.failed || (entry.answer && entry.answer.error) ? "failed" : entry.answer ? entry.answer.verdict : "waiting";
  const ratio = (entry) => entry.answer && entry.answer.score != null ? entry.answer.score - entry.answer.threshold : null;
  const ORDERS = {
    worst: (a, b) => (ratio(b) ?? -Infinity) - (ratio(a) ?? -Infinity) || a.name.localeCompare(b.name),
    near: (a, b) => Math.abs(ratio(a) ?? Infinity) - Math.abs(ratio(b) ?? Infinity) || a.name.localeCompare(b.name),
    name: (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }),
  };

  let drawing = 0;
  function draw() {
    if (!drawing) drawing = requestAnimationFrame(() => { drawing = 0; drawNow(); });
  }

  function drawNow() {
    const count = (name) => entries.filter((entry) => state(entry) === name).length;
    const left = count("waiting"), done = entries.length - left;
    const parts = [`${count("defective")} defective`, `${count("good")} good`];
    if (count("failed")) parts.push(`${count("failed")} not judged`);
    if (left) parts.push(`${left} to go`);
    byId("counts").textContent = parts.join(", ");
    byId("progress").max = Math.max(1, entries.length);
    byId("progress").value = done;
    byId("progress").hidden = !left;
    const wanted = byId("filter").value;
    const rules = entries.some((entry) => entry.answer && entry.answer.accepted);
    for (const cell of document.querySelectorAll("th.rules")) cell.hidden = !rules;
    for (const cell of document.querySelectorAll("th.tried")) cell.hidden = !trial;
    if (!left && done) settle();
    const rows = entries.filter((entry) => !wanted || state(entry) === wanted).sort(ORDERS[byId("order").value]);
    body.replaceChildren(...rows.map((entry) => row(entry, rules)));
  }

  function row(entry, rules) {
    const tried = trial && entry.answer ? trial[entry.answer.id] : null;
    if (!entry.row || entry.drawn !== state(entry) || entry.rules !== rules || entry.tried !== tried) {
      entry.row = make(entry, rules, tried);
      entry.drawn = state(entry);
      entry.rules = rules;
      entry.tried = tried;
    }
    entry.row.classList.toggle("chosen", entry === chosen);
    return entry.row;
  }

  function make(entry, rules, tried) {
    const line = node("tr"), answer = entry.answer || {}, mark = state(entry);
    line.tabIndex = 0;
    const picture = node("td");
    if (answer.id && answer.height) {
      const image = node("img");
      image.src = `/shown/${answer.id}/small.webp`;
      image.alt = "";
      image.loading = "lazy";
      picture.append(image);
    }
    const name = node("td", entry.name);
    const why = entry.failed || answer.error || (answer.unusual ? "unlike the images of the training" : "");
    if (why) name.append(node("small", why));
    const word = { failed: "not judged", waiting: "…" }[mark] || mark;
    const verdict = node("td");
    verdict.append(node("span", word, `mark ${mark}`));
    line.append(picture, name, verdict, node("td", number(answer.score), "n"), node("td", number(answer.threshold), "n"));
    line.append(node("td", mark === "good" || mark === "defective" ? String(answer.defects.length) : "", "n"));
    if (rules) {
      const cell = node("td");
      cell.append(node("span", answer.accepted || "", `mark ${answer.accepted || ""}`));
      line.append(cell);
    }
    if (trial) {
      const cell = node("td"), said = tried ? tried.accepted || tried.verdict : "";
      cell.append(node("span", said, `mark ${said}`));
      if (tried) cell.title = tried.reasons;
      line.append(cell);
    }
    line.addEventListener("click", () => open(entry));
    line.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(entry); } });
    return line;
  }

  async function open(entry) {
    if (!entry.answer) return;
    chosen = entry;
    draw();
    const answer = await fetch(`/shown/${entry.answer.id}`);
    if (chosen !== entry) return;
    if (!answer.ok) {
      shown.replaceChildren(node("p", (await answer.json()).error));
      return;
    }
    const opacity = byId("opacity") ? byId("opacity").value : null, lines = byId("outlines") ? byId("outlines").checked : null;
    shown.innerHTML = await answer.text();
    if (opacity !== null && byId("opacity")) { byId("opacity").value = opacity; byId("outlines").checked = lines; }
    for (const id of ["show-zones", "show-nearest"]) if (byId(id) && id in wishes) byId(id).checked = wishes[id];
    layers();
    shown.scrollTop = 0;
    if (matchMedia("(max-width: 860px)").matches) shown.scrollIntoView({ block: "start" });
  }

  function layers() {
    if (byId("map")) byId("map").style.opacity = byId("opacity").value / 100;
    if (byId("outline")) byId("outline").hidden = !byId("outlines").checked;
    for (const [id, part] of [["show-zones", "zones"], ["show-nearest", "nearest"]]) {
      if (byId(id) && byId(part)) { byId(part).hidden = !byId(id).checked; wishes[id] = byId(id).checked; }
    }
  }

  const judged = () => entries.filter((entry) => entry.answer && entry.answer.id && !entry.answer.error && entry.answer.model === model.value);
  const post = (path, values) => fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(values) });

  async function settle() {
    const ids = judged().map((entry) => entry.answer.id), mine = round, key = ids.length ? `${mine} ${ids.length} ${ids.at(-1)}` : "";
    if (key === settled || ids.length > MOST) return;
    settled = key;
    if (trial) attempt();
    byId("drift").hidden = true;
    if (!ids.length) return;
    try {
      const answer = await post("/drift", { model: model.value, ids });
      const sentences = answer.ok ? await answer.json() : [];
      if (key !== settled) return;
      byId("drift").replaceChildren(...sentences.map((sentence) => node("p", sentence)));
      byId("drift").hidden = !sentences.length;
    } catch { /* the table says that the server is away */ }
  }

  function dial([path, name, value, most, step]) {
    const label = node("label", `${name} `), slider = node("input"), shownValue = node("output", number(value));
    Object.assign(slider, { type: "range", min: Math.min(0, value), max: most, step, value });
    slider.dataset.path = path;
    slider.dataset.value = value;
    slider.addEventListener("input", () => { shownValue.textContent = number(Number(slider.value)); later(); });
    label.append(slider, " ", shownValue);
    return label;
  }

  function makeDials() {
    const { dials, value, searches, own } = model.selectedOptions[0].dataset, kinds = JSON.parse(own);
    const several = !kind.value && Object.keys(kinds).length > 0, threshold = kinds[kind.value] ? kinds[kind.value][0] : Number(value);
    const scores = judged().map((entry) => entry.answer.score), low = Math.min(threshold, ...scores), high = Math.max(threshold, ...scores);
    const room = (high - low) * 0.05 || Math.abs(threshold) * 0.5 || 1;
    const found = JSON.parse(dials).map(dial);
    if (several) found.unshift(node("p", "Kinds have thresholds of their own: choose a kind to try another for it."));
    else if (!Number(searches)) {
      const made = dial(["", "Score from which an image is defective", threshold, high + room, (high - low + 2 * room) / 400]), slider = made.querySelector("input");
      slider.min = low - room;
      slider.value = threshold;
      slider.dataset.start = slider.value;
      found.unshift(made);
    }
    byId("dials").replaceChildren(...found);
    for (const slider of byId("dials").querySelectorAll("input")) slider.dataset.start = slider.value;
    trial = null;
    byId("tried").textContent = "";
    draw();
  }

  let soon = 0;
  function later() {
    clearTimeout(soon);
    soon = setTimeout(attempt, 120);
  }

  async function attempt() {
    const limits = {};
    let threshold = null;
    for (const slider of byId("dials").querySelectorAll("input")) {
      if (slider.value === slider.dataset.start) continue;
      if (slider.dataset.path) limits[slider.dataset.path] = Number(slider.value); else threshold = Number(slider.value);
    }
    if (threshold === null && !Object.keys(limits).length) { trial = null; byId("tried").textContent = ""; draw(); return; }
    const asked = judged(), number = ++trying;
    try {
      const answer = await post("/try", { model: model.value, ids: asked.map((entry) => entry.answer.id).slice(0, MOST), limits, threshold });
      const found = await answer.json();
      if (number !== trying) return;
      if (!answer.ok) { byId("tried").textContent = found.error; return; }
      trial = found;
      const counts = {};
      let moved = 0;
      for (const { answer: said } of asked) {
        const tried = trial[said.id];
        if (!tried) continue;
        const word = tried.accepted || tried.verdict;
        counts[word] = (counts[word] || 0) + 1;
        moved += word !== (said.accepted || said.verdict);
      }
      const words = Object.entries(counts).map(([word, count]) => `${count} ${word}`).join(", ");
      byId("tried").textContent = `${words}; ${moved} ${moved === 1 ? "differs" : "differ"}`;
      draw();
    } catch {
      byId("tried").textContent = "The server does not answer.";
    }
  }

  shown.addEventListener("input", layers);
  shown.addEventListener("click", (event) => { if (event.target.closest("[data-close]")) { shown.replaceChildren(); chosen = null; draw(); } });
  addEventListener("keydown", (event) => {
    if (!chosen || event.target.matches("input, select") || !["ArrowDown", "ArrowUp", "j", "k"].includes(event.key)) return;
    const rows = [...body.rows], at = rows.indexOf(chosen.row), next = rows[at + (event.key === "ArrowDown" || event.key === "j" ? 1 : -1)];
    const entry = next && entries.find((one) => one.row === next);
    if (entry) { event.preventDefault(); open(entry); next.scrollIntoView({ block: "nearest" }); }
  });

  function choose() {
    const option = model.selectedOptions[0], kinds = JSON.parse(option.dataset.kinds);
    byId("kinds").hidden = !kinds.length;
    kind.replaceChildren(new Option(Number(option.dataset.finds) ? "as found" : "all", ""), ...kinds.map((name) => new Option(name, name)));
    byId("try").open = false;
    trial = null;
    promise();
  }

  function promise() {
    const { own, threshold, promise: said } = model.selectedOptions[0].dataset, kinds = Object.entries(JSON.parse(own));
    const chosen = kinds.find(([name]) => name === kind.value);
    const listed = kinds.map(([name, [value]]) => `${number(value)} for ${name}`).join(", ");
    byId("promise").textContent = chosen
      ? `Threshold ${number(chosen[1][0])} for ${chosen[0]}. ${chosen[1][1]}`
      : listed && !kind.value
        ? `Thresholds ${listed}, ${threshold} for all others. Choose a kind, or an image, to see what its threshold promises.`
        : `Threshold ${threshold}. ${said}`;
  }

  function again() {
    round += 1;
    running = 0;
    for (const entry of entries) { entry.answer = null; entry.failed = ""; }
    waiting = [...entries];
    shown.replaceChildren();
    chosen = null;
    work();
    draw();
  }

  function guarded(value) {
    const text = value == null ? "" : String(value);
    const safe = typeof value === "string" && /^'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  }

  function table() {
    const lines = entries.map((entry) => {
      const answer = entry.answer || { error: entry.failed };
      const values = { ...answer, image_path: entry.name, regions: answer.regions ? answer.regions.length : "" };
      return COLUMNS.map((column) => guarded(values[column])).join(",");
    });
    return [COLUMNS.join(","), ...lines].join("\n") + "\n";
  }

  function save(text, name, type) {
    const link = node("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  function plain() {
    return entries.map((entry) => {
      const { id, ...answer } = entry.answer || { error: entry.failed };
      return { ...answer, image: entry.name };
    });
  }

  async function dropped(items) {
    const found = [];
    async function walk(handle) {
      if (handle.isFile) {
        const file = await new Promise((good, bad) => handle.file(good, bad));
        file.place = handle.fullPath.slice(1);
        if (!file.name.startsWith(".")) found.push(file);
        return;
      }
      const reader = handle.createReader();
      for (;;) {
        const some = await new Promise((good, bad) => reader.readEntries(good, bad));
        if (!some.length) return;
        for (const one of some) await walk(one);
      }
    }
    const handles = [...items].map((item) => item.webkitGetAsEntry && item.webkitGetAsEntry()).filter(Boolean);
    for (const handle of handles) await walk(handle);
    return found;
  }

  const drop = byId("drop");
  for (const name of ["dragenter", "dragover"]) addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
  addEventListener("drop", async (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    const files = event.dataTransfer.files, found = await dropped(event.dataTransfer.items);
    take(found.length ? found : files);
  });
  for (const id of ["files", "folder"]) byId(id).addEventListener("change", (event) => { take(event.target.files); event.target.value = ""; });
  for (const id of ["filter", "order"]) byId(id).addEventListener("change", draw);
  model.addEventListener("change", () => { choose(); if (entries.length) again(); });
  kind.addEventListener("change", () => { promise(); byId("try").open = false; if (entries.length) again(); });
  byId("choose").addEventListener("submit", (event) => event.preventDefault());
  byId("try").addEventListener("toggle", () => { if (byId("try").open) makeDials(); else { trial = null; trying += 1; draw(); } });
  byId("reset").addEventListener("click", makeDials);
  byId("csv").addEventListener("click", () => save(table(), "predictions.csv", "text/csv"));
  byId("json").addEventListener("click", () => save(JSON.stringify(plain(), null, 2), "predictions.json", "application/json"));
  byId("print").addEventListener("click", () => print());
  byId("clear").addEventListener("click", () => { round += 1; running = 0; entries = []; waiting = []; shown.replaceChildren(); chosen = null; byId("lot").hidden = true; draw(); });
  choose();
  for (const id of ["files", "folder"]) if (byId(id).files.length) { take(byId(id).files); byId(id).value = ""; }  // chosen before this script ran
})();
