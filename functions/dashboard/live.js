// Keeps a page up to date: asks for it again, and puts in what has changed. Without it there is a
// link that says Refresh.
"use strict";

const SHORTEST = 4000;

// Never slower for the app than for who looks: a page that takes long is asked for seldom.
async function look() {
  const parts = [...document.querySelectorAll("[data-live]")];
  if (!parts.length || document.querySelector("[data-over]")) return;
  const began = performance.now();
  let wait = SHORTEST;
  if (!document.hidden) {
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (!answer.ok) throw new Error(answer.status);
      put(parts, new DOMParser().parseFromString(await answer.text(), "text/html"));
      say("Live");
      wait = Math.max(SHORTEST, 20 * (performance.now() - began));
    } catch {
      say("No answer just now; trying again");
      wait = 5 * SHORTEST;
    }
  }
  setTimeout(look, wait);
}

function put(parts, page) {
  for (const part of parts) {
    const fresh = page.getElementById(part.id);
    const busy = part.contains(document.activeElement) || part.querySelector("details[open]");
    if (fresh && !busy && fresh.innerHTML !== part.innerHTML) part.replaceWith(fresh);
  }
  document.title = page.title;
}

function say(text) {
  const place = document.getElementById("live");
  if (place) place.textContent = text;
}

setTimeout(look, SHORTEST);
