"use strict";
// Keeps what somebody says of a layer, and shows it at once it is kept.
(() => {
  const by = document.getElementById("by");
  try { by.value = localStorage.getItem("loupe-by") || ""; } catch { /* a browser may forbid it */ }
  by.addEventListener("change", () => { try { localStorage.setItem("loupe-by", by.value); } catch { /* likewise */ } });
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-say]");
    if (!button) return;
    const trio = button.closest("[data-layer]"), said = trio.querySelector(".say");
    const form = new FormData();
    form.append("label", button.dataset.say);
    form.append("by", by.value);
    try {
      const answer = await fetch(`/confirm/${trio.dataset.layer}`, { method: "POST", body: form });
      const found = await answer.json();
      if (!answer.ok) throw new Error(found.error);
      trio.dataset.label = found.label;
      said.textContent = `${found.by} says: ${found.label}`;
    } catch (error) {
      said.textContent = `Not kept: ${error.message || "the server does not answer"}`;
    }
  });
})();
