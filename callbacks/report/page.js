// The page is complete without this: it only reads the sweep under the pointer, and opens what is folded before printing.
"use strict";

const sweep = JSON.parse(document.getElementById("sweep-data")?.textContent ?? "null");

function rowAt(score) {
  // The row that decides at this score is the lowest threshold at or above it.
  let low = 0, high = sweep.threshold.length - 1;
  if (score > sweep.threshold[high]) return -1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sweep.threshold[middle] >= score) high = middle; else low = middle + 1;
  }
  return low;
}

function sentence(score) {
  const i = rowAt(score);
  const [tp, fp] = i < 0 ? [0, 0] : [sweep.tp[i], sweep.fp[i]];
  const fn = sweep.defective - tp, tn = sweep.good - fp;
  const precision = tp + fp ? (tp / (tp + fp)).toFixed(3) : "\u2013";
  const recall = (tp / sweep.defective).toFixed(3), f1 = (2 * tp / (2 * tp + fp + fn)).toFixed(3);
  return `At ${score.toFixed(sweep.decimals).replace("-", "\u2212")}: precision ${precision}, recall ${recall}, F1 ${f1}. ` +
    `${tp} found, ${fn} missed, ${fp} false alarm${fp === 1 ? "" : "s"}, ${tn} passed.`;
}

for (const figure of sweep ? document.querySelectorAll("#sweep svg") : []) {
  const output = document.getElementById("sweep-readout"), atRest = output.textContent;
  const hover = figure.querySelector(".hover"), width = figure.viewBox.baseVal.width;
  figure.addEventListener("pointermove", (event) => {
    const box = figure.getBoundingClientRect();
    const x = Math.min(Math.max((event.clientX - box.left) / box.width * width, sweep.left), width - sweep.right);
    const share = (x - sweep.left) / (width - sweep.left - sweep.right);
    hover.setAttribute("x1", x);
    hover.setAttribute("x2", x);
    hover.classList.add("shown");
    output.textContent = sentence(sweep.low + share * (sweep.high - sweep.low));
  });
  figure.addEventListener("pointerleave", () => {
    hover.classList.remove("shown");
    output.textContent = atRest;
  });
}

addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((folded) => { folded.open = true; }));
