"use strict";
// Shows the cell that is pointed at, or touched: its picture from the sheet, its place, class and score.
const source = document.getElementById("cells"), seen = document.getElementById("seen-text");
if (source && seen) {
  const cells = JSON.parse(source.textContent), tile = document.getElementById("seen-tile");
  const width = tile.clientWidth, height = tile.clientHeight;
  const columns = Math.max(1, Math.round(parseFloat(getComputedStyle(tile).backgroundSize) / width));
  const show = (event) => {
    const marked = event.target.closest("[data-cell]");
    if (!marked) return;
    const index = Number(marked.dataset.cell), cell = cells[index];
    tile.style.backgroundPosition = `-${(index % columns) * width}px -${Math.floor(index / columns) * height}px`;
    const why = cell.why ? ` (${cell.why})` : "";
    seen.textContent = `${cell.where}: ${cell.what}, score ${cell.score}${why}, rank ${cell.rank} of ${cells.length}`;
    for (const old of document.querySelectorAll("rect.chosen")) old.classList.remove("chosen");
    document.querySelector(`.map rect[data-cell="${index}"]`)?.classList.add("chosen");
  };
  document.addEventListener("pointerover", show);
  document.addEventListener("click", show);
}
