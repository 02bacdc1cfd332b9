"use strict";
// One page of all scans: orders the areas by the chosen key. A page of one scan: chooses the layer, and shows an area at full size.
const ranks = document.getElementById("ranks"), key = document.getElementById("key"), viewer = document.getElementById("viewer");
if (ranks && key) {
  const known = JSON.parse(ranks.textContent), cards = document.getElementById("cards"), all = document.getElementById("all");
  const shown = cards.querySelectorAll(":scope > :not([hidden])").length;
  let whole = !all;
  const order = () => {
    const by = known[key.value], list = [...cards.children];
    list.sort((one, other) => by.rank[one.dataset.index] - by.rank[other.dataset.index]);
    list.forEach((card, place) => {
      const index = card.dataset.index, decile = by.decile[index];
      card.querySelector(".rank").textContent = by.rank[index];
      card.querySelector(".decile").textContent = `${(decile - 1) * 10}%-${decile * 10}%, ${by.value[index]}`;
      card.hidden = !whole && place >= shown;
      cards.append(card);
    });
    for (const figure of document.querySelectorAll(".key-figure")) figure.hidden = figure.dataset.key !== key.value;
  };
  key.addEventListener("change", order);
  all?.addEventListener("click", () => { whole = true; all.hidden = true; order(); });
  order();
}
if (viewer) {
  const close = document.getElementById("close"), inner = close.firstElementChild;
  inner.append(viewer.firstElementChild.cloneNode(true));
  const show = (number) => {
    const marked = document.querySelector(`[data-area="${number}"]`);
    if (!marked) return;
    close.hidden = false;
    for (const one of document.querySelectorAll(".sheet a")) one.classList.toggle("chosen", one.dataset.area === number);
    close.scrollTo(Number(marked.dataset.x) - close.clientWidth / 2, Number(marked.dataset.y) - close.clientHeight / 2);
    close.scrollIntoView({ block: "nearest" });
  };
  document.addEventListener("click", (event) => {
    const marked = event.target.closest("[data-area]");
    if (!marked) return;
    event.preventDefault();
    history.replaceState(null, "", `#area-${marked.dataset.area}`);
    show(marked.dataset.area);
  });
  document.addEventListener("change", (event) => {
    const { name, value, dataset, checked } = event.target;
    if (name === "layer") for (const one of [viewer, inner]) one.dataset.layer = value;
    if (dataset.shows) for (const one of document.querySelectorAll(`.marks.${dataset.shows}`)) one.hidden = !checked;
  });
  const asked = location.hash.match(/^#area-(\d+)$/);
  if (asked) show(asked[1]);
}
