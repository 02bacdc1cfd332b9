"use strict";
// Asks once a second for the newest verdict, and shows it so that it can be read from two metres.
(() => {
  const byId = (id) => document.getElementById(id);
  const WORDS = { accepted: ["Accepted", "pass"], rework: ["Rework", "rework"], rejected: ["Rejected", "fail"], unknown: ["Unknown", "rework"], good: ["Good", "pass"], defective: ["Defective", "fail"] };
  let last = 0;

  const number = (value) => value == null ? "" : Number(value.toPrecision(5)).toString();
  const word = (entry) => entry.error ? ["Not judged", "rework"] : WORDS[entry.accepted || entry.verdict];

  function draw(entries) {
    const newest = entries[0], [said, sort] = word(newest);
    byId("watch").dataset.verdict = sort;
    byId("word").textContent = said;
    const why = newest.error || [newest.accepted && newest.accepted !== "accepted" ? newest.reasons : "", newest.unusual ? `Unlike the images of the training: ${newest.unusual}` : ""].filter(Boolean).join(". ");
    byId("what").textContent = `${newest.image}, ${newest.at}${newest.score == null ? "" : `: score ${number(newest.score)}, threshold ${number(newest.threshold)}`}${why ? `. ${why}` : ""}`;
    byId("layers").hidden = Boolean(newest.error);
    if (!newest.error) for (const part of ["image", "map", "outline"]) byId(part).src = `/shown/${newest.id}/${part}.webp`;
    byId("recent").replaceChildren(...entries.slice(1).map((entry) => {
      const item = document.createElement("li");
      item.textContent = `${entry.at} ${entry.image}: ${word(entry)[0].toLowerCase()}`;
      return item;
    }));
  }

  async function look() {
    try {
      const answer = await fetch("/watch/newest");
      if (!answer.ok) throw new Error();
      const { entries, lost } = await answer.json();
      byId("lost").hidden = !lost;
      byId("lost").textContent = `${lost} What is shown is old.`;
      if (entries.length && entries[0].number !== last) { last = entries[0].number; draw(entries); }
    } catch {
      byId("lost").textContent = "The server does not answer: what is shown is old.";
      byId("lost").hidden = false;
    }
    setTimeout(look, 1000);
  }
  look();
})();
