"use strict";
// Sends images one by one, four at a time, and shows what comes back. Nothing is written into the page as HTML but what
// the server's own template escaped.
(() => {
  const byId = (id) => document.getElementById(id);
  const AT_ONCE = 4, PATIENCE = 40;
  const COLUMNS = ["image_path", "score", "threshold", "verdict", "accepted", "reasons", "probability", "rank_among_good", "kind", "regions", "unusual", "error"];
  const model = byId("model"), kind = byId("kind"), body = byId("table").tBodies[0], shown = byId("shown");
  let entries = [], waiting = [], running = 0, round = 0, chosen = null;

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
      const entry = { file, name: file.webkitRelativePath || file.name, answer: null, failed: "" };
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
      form.append("files", entry.file, entry.file.name);
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
    const rows = entries.filter((entry) => !wanted || state(entry) === wanted).sort(ORDERS[byId("order").value]);
    body.replaceChildren(...rows.map((entry) => row(entry, rules)));
  }

  function row(entry, rules) {
    if (!entry.row || entry.drawn !== state(entry) || entry.rules !== rules) {
      entry.row = make(entry, rules);
      entry.drawn = state(entry);
      entry.rules = rules;
    }
    entry.row.classList.toggle("chosen", entry === chosen);
    return entry.row;
  }

  function make(entry, rules) {
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
    if (opacity !== null && byId("opacity")) { byId("opacity").value = opacity; byId("outlines").checked = lines; layers(); }
    shown.scrollTop = 0;
    if (matchMedia("(max-width: 860px)").matches) shown.scrollIntoView({ block: "start" });
  }

  function layers() {
    if (byId("map")) byId("map").style.opacity = byId("opacity").value / 100;
    if (byId("outline")) byId("outline").hidden = !byId("outlines").checked;
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
    kind.replaceChildren(new Option("all", ""), ...kinds.map((name) => new Option(name, name)));
    byId("promise").textContent = `Threshold ${option.dataset.threshold}. ${option.dataset.promise}`;
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
  kind.addEventListener("change", () => { if (entries.length) again(); });
  byId("choose").addEventListener("submit", (event) => event.preventDefault());
  byId("csv").addEventListener("click", () => save(table(), "predictions.csv", "text/csv"));
  byId("json").addEventListener("click", () => save(JSON.stringify(plain(), null, 2), "predictions.json", "application/json"));
  byId("print").addEventListener("click", () => print());
  byId("clear").addEventListener("click", () => { round += 1; running = 0; entries = []; waiting = []; shown.replaceChildren(); chosen = null; byId("lot").hidden = true; draw(); });
  choose();
  for (const id of ["files", "folder"]) if (byId(id).files.length) { take(byId(id).files); byId(id).value = ""; }  // chosen before this script ran
})();
