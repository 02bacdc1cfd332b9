// The page is complete without this: it filters, sorts, turns the map on and off, and shows images large.
"use strict";

const byId = (id) => document.getElementById(id);
const cards = [...document.querySelectorAll("#cards .card")], large = byId("large");
const views = cards.filter((card) => card.querySelector(".view"));
const PRINTED = 8; // cards of a print, which does not wait for what was never on screen
let shown = null;

const ORDERS = {
  near: (a, b) => Number(a.dataset.far || 0) - Number(b.dataset.far || 0),
  high: (a, b) => Number(b.dataset.score || Infinity) - Number(a.dataset.score || Infinity),
  low: (a, b) => Number(a.dataset.score || -Infinity) - Number(b.dataset.score || -Infinity),
};

function arrange() {
  const wanted = document.querySelector('[name="show"]:checked')?.value ?? "all";
  for (const card of cards) card.hidden = wanted !== "all" && card.dataset.state !== wanted;
  byId("cards").append(...cards.sort((a, b) => {
    const [first, second] = [a, b].map((card) => 2 * card.hidden + (card.dataset.score === "" ? 0 : 1));
    return first - second || ORDERS[byId("order").value](a, b);
  }));
  for (const card of cards.slice(0, PRINTED)) for (const image of card.querySelectorAll("img")) image.loading = "eager";
  byId("nothing").hidden = cards.some((card) => !card.hidden);
}

function setMaps(on) {
  document.body.classList.toggle("bare", !on);
  byId("maps").checked = byId("large-maps").checked = on;
}

function show(card) {
  shown = card;
  const [image, map] = card.querySelectorAll("img");
  byId("large-image").src = image.src;
  byId("large-image").alt = image.alt;
  byId("large-map").hidden = !map;
  if (map) byId("large-map").src = map.src;
  byId("large-caption").replaceChildren(...[...card.querySelector("figcaption").childNodes].map((node) => node.cloneNode(true)));
  if (!large.open) large.showModal();
}

function step(by) {
  const visible = views.filter((card) => !card.hidden).sort((a, b) => cards.indexOf(a) - cards.indexOf(b));
  const next = visible[visible.indexOf(shown) + by];
  if (next) show(next);
}

for (const card of views) card.querySelector(".view").addEventListener("click", () => show(card));
byId("filter").addEventListener("change", arrange);
byId("order").addEventListener("change", arrange);
for (const id of ["maps", "large-maps"]) byId(id).addEventListener("change", (event) => setMaps(event.target.checked));
byId("before").addEventListener("click", () => step(-1));
byId("after").addEventListener("click", () => step(1));
byId("close").addEventListener("click", () => large.close());
large.addEventListener("click", (event) => { if (event.target === large) large.close(); });
addEventListener("keydown", (event) => {
  if (event.target.matches('input[type="text"], select') || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "m" || event.key === "M") setMaps(!byId("maps").checked);
  if (large.open && event.key === "ArrowLeft") step(-1);
  if (large.open && event.key === "ArrowRight") step(1);
});
arrange();
