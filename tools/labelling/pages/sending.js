// What goes to the server: again and again until it answers, under one name, so that it is kept once and never lost.
import { byId } from "./view.js";

const AGAIN = 400;
let unsent = 0;  // so many things that were said wait for an answer
const pause = (ms) => new Promise((go) => setTimeout(go, ms));

const name = () => [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(16).padStart(8, "0")).join("");

/** Say that something is wrong; nothing: it is right again. */
export function tell(text) {
  byId("lost").textContent = text;
  byId("lost").hidden = !text;
}

/** Send something that is kept; return the answer, or null where the server refuses it, and say why. */
export async function send(path, content) {
  const body = JSON.stringify({ request: name(), ...content });
  unsent += 1;
  try {
    for (let tries = 0; ; tries += 1) {
      try {
        const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body });
        const said = await answer.json();
        if (answer.ok) { tell(""); return said; }
        if (answer.status < 500 || answer.status === 507) { tell(said.error); return null; }
      } catch { /* it does not answer: ask again */ }
      if (tries) tell("The server does not answer. What you said is kept here, and goes to it as soon as it is back.");
      await pause(AGAIN);
    }
  } finally { unsent -= 1; }
}

/** Ask for something; again until there is an answer. Null where the server refuses. */
export async function ask(path, values) {
  for (;;) {
    try {
      const answer = await fetch(`${path}?${new URLSearchParams(values)}`);
      const said = await answer.json();
      if (answer.ok) return said;
      if (answer.status < 500) { tell(said.error); return null; }
    } catch { /* as above */ }
    if (!unsent) tell("The server does not answer.");  // else what is said of that counts more
    await pause(AGAIN);
  }
}
