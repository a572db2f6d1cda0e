// Updates a page: asks which of its sections have changed, and replaces those. A section that the
// reader uses is kept, and a message offers its new version. Without this script the page shows a
// Refresh link.
"use strict";

const SHORTEST = 4000;
const LONGEST = 60000;
const line = document.getElementById("live");
const message = document.createElement("div");
// New versions of sections that are in use, by id.
const held = new Map();
let wait = SHORTEST;
let timer = 0;
let isOver = false;
let answeredAt = new Date();

// The interval grows while nothing changes or the app does not answer, and is 20 times the response
// time if that is longer, so that open pages do not load the app.
async function look() {
  const began = performance.now();
  const parts = findParts();
  const known = [...findSections().map((one) => one.dataset.live), ...parts.keys()].join(" ");
  try {
    const headers = { Accept: "text/html", "Live-Sections": known };
    const answer = await fetch(address(), { headers, redirect: "manual", cache: "no-store" });
    if (answer.status === 401 || answer.type === "opaqueredirect") return end();
    if (!answer.ok) throw new Error(`The app answered with error ${answer.status}.`);
    const isNew = answer.status === 200;
    if (isNew) take(await answer.text(), parts);
    wait = isNew ? SHORTEST : 1.5 * wait;
    answeredAt = new Date();
    line.textContent = `Live, ${clock()}`;
    update();
  } catch (error) {
    wait *= 2;
    line.textContent = `Not updated since ${clock()}`;
    const what = error instanceof TypeError ? "The app does not answer." : error.message;
    show(`${what} Trying again…`);
  }
  wait = Math.min(LONGEST, Math.max(wait, 20 * (performance.now() - began)));
  schedule(wait);
}

// A hidden page sends no request.
function schedule(delay) {
  clearTimeout(timer);
  if (!document.hidden && !isOver) timer = setTimeout(look, delay);
}

// Return the URL without the parameters that make the app read from the platform.
function address() {
  const url = new URL(location.href);
  for (const name of ["compare", "firewall_fix"]) url.searchParams.delete(name);
  return url;
}

// Return the newest known version of each section.
function findSections() {
  const shown = [...document.querySelectorAll("[data-live]")];
  return shown.map((section) => held.get(section.id) || section);
}

// Return the parts of the sections, such as rows of lists, by hash.
function findParts() {
  const parts = findSections().flatMap((section) => [...section.querySelectorAll("[data-part]")]);
  return new Map(parts.map((part) => [part.dataset.part, part]));
}

// Keep the new versions of sections. Of a part that did not change, the answer has only the hash.
function take(text, parts) {
  const page = new DOMParser().parseFromString(text, "text/html");
  for (const part of page.querySelectorAll("[data-part]:empty")) {
    part.replaceWith(parts.get(part.dataset.part).cloneNode(true));
  }
  for (const fresh of page.querySelectorAll("[data-live]")) held.set(fresh.id, fresh);
  document.title = page.title;
}

// Replace the changed sections that are not in use, and offer the others.
function update() {
  for (const [id, fresh] of held) {
    const part = document.getElementById(id);
    if (part && isUsed(part)) continue;
    if (part) part.replaceWith(fresh);
    held.delete(id);
  }
  if (!held.size) return show();
  const button = document.createElement("button");
  button.className = "button tiny";
  button.textContent = "Show changes";
  button.addEventListener("click", showChanges);
  show("The part of the page that you use has changed. ", button);
}

function isUsed(part) {
  const selection = getSelection();
  return (
    part.contains(document.activeElement) ||
    part.querySelector("details[open]") !== null ||
    (!selection.isCollapsed && selection.containsNode(part, true))
  );
}

function showChanges() {
  const [first] = held.values();
  for (const [id, fresh] of held) document.getElementById(id).replaceWith(fresh);
  held.clear();
  show();
  first.tabIndex = -1;
  first.focus();
}

// Offer to sign in again; the page keeps what it showed last.
function end() {
  isOver = true;
  const url = new URL(location.href);
  for (const name of ["code", "clientid"]) url.searchParams.delete(name);
  const back = new URLSearchParams({ post_login_redirect_uri: url.pathname + url.search });
  const link = document.createElement("a");
  link.href = `/.auth/login/aad?${back}`;
  link.textContent = "Sign in again";
  line.textContent = `Not updated since ${clock()}`;
  message.setAttribute("role", "alert");
  show("Your session has expired. This page is no longer updated. ", link);
}

function clock() {
  return `${answeredAt.toISOString().slice(11, 19)} UTC`;
}

// Assistive technology reads a message when its text changes, so an equal one is left alone.
function show(text = "", ...more) {
  if (message.firstChild?.textContent !== text) message.replaceChildren(...(text ? [text, ...more] : []));
}

if (line) {
  message.id = "live-message";
  message.setAttribute("role", "status");
  document.body.append(message);
  document.addEventListener("visibilitychange", () => schedule(0));
  for (const event of ["focusout", "selectionchange", "toggle"]) {
    document.addEventListener(event, () => held.size && setTimeout(update), true);
  }
  schedule(wait);
}

// On a phone, the navigation is one line that scrolls.
const current = document.querySelector(".top [aria-current]");
if (current) current.parentElement.scrollLeft = current.offsetLeft - current.parentElement.clientWidth / 2;
