// Keeps a page up to date: asks for it again, and puts in what has changed. Without it there is a
// link that says Refresh.
"use strict";

const SHORTEST = 4000;
const LONGEST = 60000;

// Where nothing changes it is asked for more and more seldom, and never so often that it keeps the
// app busy.
async function look(wait) {
  if (!document.hidden) {
    const began = performance.now();
    try {
      const answer = await fetch(rows(), { headers: { Accept: "text/html" }, redirect: "manual" });
      if (answer.status === 401 || answer.type === "opaqueredirect") return ended();
      if (!answer.ok) throw new Error(answer.status);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      wait = put(page) ? SHORTEST : Math.min(LONGEST, 1.5 * wait);
      say(`Live, ${new Date().toISOString().slice(11, 19)} UTC`);
    } catch {
      say("No answer just now; trying again");
    }
    wait = Math.max(wait, 20 * (performance.now() - began));
  }
  setTimeout(look, wait, wait);
}

// The address without what is read from the platform: that was asked for once.
function rows() {
  const address = new URL(location.href);
  for (const name of ["compare", "repair"]) address.searchParams.delete(name);
  return address;
}

// What somebody reads or writes in stays as it is.
function put(page) {
  let changed = false;
  for (const part of document.querySelectorAll("[data-live]")) {
    const fresh = page.getElementById(part.id);
    const busy = part.contains(document.activeElement) || part.querySelector("details[open]");
    if (fresh && !busy && fresh.innerHTML !== part.innerHTML) {
      part.replaceWith(fresh);
      changed = true;
    }
  }
  document.title = page.title;
  return changed;
}

// Whoever is not signed in sees what the page showed last, and is told so.
function ended() {
  const address = new URL(location.href);
  for (const name of ["code", "clientid"]) address.searchParams.delete(name);
  const back = new URLSearchParams({ post_login_redirect_uri: address.pathname + address.search });
  const link = document.createElement("a");
  link.href = `/.auth/login/aad?${back}`;
  link.textContent = "Sign in again";
  const line = document.getElementById("live");
  line.className = "said wait";
  line.setAttribute("role", "alert");
  line.replaceChildren("Your session has ended: this page is no longer kept up to date. ", link);
}

function say(text) {
  document.getElementById("live").textContent = text;
}

if (document.getElementById("live")) setTimeout(look, SHORTEST, SHORTEST);
