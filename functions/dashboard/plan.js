// Makes a plan easier to approve: dependent flows follow a tick, the bar counts, and the list is
// searched and filtered as one types. Without this script the ticks are a form, and the server
// leaves out the flows that run a flow that is left out.
"use strict";

const form = document.querySelector("form.plan");
const list = document.getElementById("rows");

function counted(number, word) {
  return `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
}

function approving() {
  const picks = [...form.querySelectorAll(".pick")];
  const all = document.getElementById("pick-all");
  // Flows that are not on this page and depend on flows of it.
  const far = JSON.parse(form.dataset.far).map(([at, writes, runs]) => ({ at, writes, runs }));
  const near = picks.map((pick) => ({
    at: Number(pick.dataset.at),
    writes: Number(pick.dataset.writes),
    runs: (pick.dataset.runs || "").split(" ").filter(Boolean).map(Number),
    pick,
  }));
  const parents = new Map();
  for (const flow of [...near, ...far]) {
    for (const child of flow.runs) parents.set(child, [...(parents.get(child) || []), flow]);
  }
  const byPosition = new Map(near.map((flow) => [flow.at, flow]));

  function say(name, text) {
    for (const place of form.querySelectorAll(`[data-${name}]`)) place.textContent = text;
  }

  // Return the flows and all that run them.
  function withParents(flows) {
    const found = new Set(flows);
    for (const flow of found) for (const parent of parents.get(flow.at) || []) found.add(parent);
    return found;
  }

  // Return the flow and all that it runs.
  function withChildren(flow) {
    const found = new Set([flow]);
    for (const one of found) {
      for (const at of one.runs) if (byPosition.has(at)) found.add(byPosition.get(at));
    }
    return found;
  }

  function count() {
    const out = withParents(near.filter((flow) => !flow.pick.checked));
    const on = [...near, ...far].filter((flow) => !out.has(flow));
    const flows = Number(form.dataset.flowsElsewhere) - far.length + on.length;
    const farWrites = far.reduce((sum, flow) => sum + flow.writes, 0);
    const writes =
      Number(form.dataset.changesElsewhere) - farWrites + on.reduce((sum, flow) => sum + flow.writes, 0);
    say("flows", counted(flows, "flow"));
    say("changes", counted(writes, "change"));
    const elsewhere = Number(form.dataset.flowsElsewhere) - far.filter((flow) => out.has(flow)).length;
    say("elsewhere", elsewhere ? `This includes ${counted(elsewhere, "flow")} not listed on this page.` : "");
    const left = Number(form.dataset.excludedElsewhere) + out.size;
    say("left", left ? `${counted(left, "flow")} ${left === 1 ? "is" : "are"} left out.` : "");
    document.getElementById("approve").disabled = !flows;
    const ticked = picks.filter((pick) => pick.checked).length;
    all.checked = ticked === picks.length;
    all.indeterminate = ticked > 0 && !all.checked;
  }

  form.addEventListener("change", ({ target }) => {
    if (target === all) for (const pick of picks) pick.checked = all.checked;
    const flow = near.find((one) => one.pick === target);
    if (flow) {
      for (const one of target.checked ? withChildren(flow) : withParents([flow])) {
        if (one.pick) one.pick.checked = target.checked;
      }
    }
    count();
  });
  for (const part of document.querySelectorAll(".js")) part.hidden = false;
  count();
}

// Search and filter without loading the page again, if every flow of the plan is on it.
function finding() {
  const field = document.getElementById("find");
  const kinds = [...document.querySelectorAll(".parts :is(a, button)")];
  const rows = [...list.querySelectorAll("li[data-kind]")];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  let kind = "";

  function show() {
    const word = field.value.trim().toLowerCase();
    rows.forEach((row, place) => {
      row.hidden = !(texts[place].includes(word) && (!kind || row.dataset.kind === kind));
    });
    for (const group of list.querySelectorAll(".group")) {
      let row = group.nextElementSibling;
      let isShown = false;
      for (; row && row.classList.contains("member"); row = row.nextElementSibling) isShown ||= !row.hidden;
      group.hidden = !isShown;
    }
    for (const one of kinds) one.toggleAttribute("aria-current", kind !== "" && kindOf(one) === kind);
    const shown = rows.filter((row) => !row.hidden).length;
    document.getElementById("shown").textContent =
      shown === rows.length ? counted(shown, "flow") : `${shown} of ${counted(rows.length, "flow")}`;
  }

  function kindOf(link) {
    return new URL(link.href || link.formAction).searchParams.get("filter");
  }

  field.addEventListener("input", show);
  field.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
  for (const one of kinds) {
    one.addEventListener("click", (event) => {
      event.preventDefault();
      kind = kind === kindOf(one) ? "" : kindOf(one);
      show();
      document.getElementById("flows").scrollIntoView();
    });
  }
  for (const part of document.querySelectorAll(".nojs")) part.hidden = true;
}

if (form) approving();
if (list && list.dataset.whole === "true") finding();
