// Updates a page: requests it again and replaces the parts that changed. Without this script the
// page shows a Refresh link.
"use strict";

const SHORTEST = 4000;
const LONGEST = 60000;

// The interval grows while nothing changes, and is at least 20 times the response time, so that
// open pages do not load the app.
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
      say("The app does not answer. Trying again…");
    }
    wait = Math.max(wait, 20 * (performance.now() - began));
  }
  setTimeout(look, wait, wait);
}

// Return the URL without the parameters that make the app read from the platform.
function rows() {
  const address = new URL(location.href);
  for (const name of ["compare", "firewall_fix"]) address.searchParams.delete(name);
  return address;
}

// Replace changed parts, except those that have the focus or an open form.
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

// Offer to sign in again; the page keeps what it showed last.
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
  line.replaceChildren("Your session has expired. This page is no longer updated. ", link);
}

function say(text) {
  document.getElementById("live").textContent = text;
}

if (document.getElementById("live")) setTimeout(look, SHORTEST, SHORTEST);
