// The live tail of calls, and the way to one of them.

import { query, read } from "./api.js";
import { empty, failed, make, put, refill } from "./dom.js";
import { clock, ms, number, plural } from "./format.js";
import { outcome } from "./words.js";

const EVERY_MS = 1000;
const SHOWN = 100;
const OUTCOMES = ["success", "failure", "timeout", "refused", "cancelled", "interrupted"];

export function open(main, heading, { search }) {
  heading.textContent = "Calls";
  const page = { over: false, live: true, stamp: "" };
  const said = make("p", { class: "note", "aria-live": "off" });
  const body = make("div");
  const upstream = make("input", { type: "text", list: "upstream-names", placeholder: "any upstream", "aria-label": "Upstream", value: search.get("upstream") || "", spellcheck: "false" });
  const names = make("datalist", { id: "upstream-names" });
  const ends = make("select", { "aria-label": "Outcome" }, make("option", { value: "" }, "any outcome"), OUTCOMES.map((one) => make("option", { value: one, selected: one === search.get("outcome") }, one)));
  const live = make("button", { type: "button", class: "button", "aria-pressed": "true", on: { click: () => turn(!page.live) } }, "Live");
  const id = make("input", { type: "search", placeholder: "Correlation id  ( / )", "aria-label": "Correlation id", spellcheck: "false", required: true });
  const find = make("form", { class: "find", role: "search", on: { submit: (event) => {
    event.preventDefault();
    location.hash = `#/trace/${encodeURIComponent(id.value.trim())}`;
  } } }, id, make("button", { type: "submit", class: "button" }, "Trace"));
  main.append(make("div", { class: "page-head" }, heading, make("div", { class: "tools" }, find)),
    make("div", { class: "bar" }, upstream, names, ends, live, said), make("div", { class: "panel flush" }, body));
  upstream.addEventListener("change", () => load(true));
  ends.addEventListener("change", () => load(true));

  function turn(on) {
    page.live = on;
    live.setAttribute("aria-pressed", String(on));
    put(live, on ? "Live" : "Paused");
    load(on);
  }
  async function load(now = false) {
    clearTimeout(page.timer);
    if (page.over) return;
    if ((page.live && !document.hidden) || now) {
      try {
        const found = await read(`/api/v1/tasks${query({ upstream: upstream.value.trim(), outcome: ends.value, limit: SHOWN })}`);
        if (!page.over && (page.live || now)) show(found);
      } catch (error) {
        if (!page.over) refill(body, failed(error));
        page.stamp = "";
      }
    }
    if (!page.over) page.timer = setTimeout(load, EVERY_MS);
  }
  function show({ tasks, completeness }) {
    const folded = completeness !== null && completeness < 1 ? `; rows of their own have ${number(completeness * 100, 1)}% of the calls` : "";
    put(said, tasks.length ? `the newest ${plural(tasks.length, "row")} of a day, of all instances${folded}` : "");
    const stamp = `${upstream.value}|${ends.value}|${tasks[0]?.id}|${tasks.length}`;
    if (stamp === page.stamp) return;
    page.stamp = stamp;
    refill(body, callTable(tasks, {}));
  }
  load(true);
  return {
    state({ status }) {
      if (!names.childElementCount) names.append(...Object.keys(status.upstreams).map((name) => make("option", { value: name })));
    },
    close() { page.over = true; clearTimeout(page.timer); },
  };
}

// Calls as rows, the newest first.
export function callTable(tasks, { withUpstream = true }) {
  if (!tasks.length) {
    return empty("No calls", "Calls through Fusebox stand here as soon as they have ended and their rows are written.");
  }
  const longest = Math.max(1, ...tasks.map((task) => task.durationMs));
  const heads = ["Time", withUpstream && "Upstream", "Call", "Status", "Outcome", "Took", "Correlation id"].filter(Boolean);
  const cell = (kind, props, ...children) => make("td", { role: "cell", class: kind, ...props }, children);
  const rows = tasks.map((task) => make("tr", { role: "row" },
    cell("at", {}, make("time", { datetime: task.startedAt }, clock(task.startedAt, true))),
    withUpstream ? cell("upstream", {}, task.upstream) : null,
    cell("what", { title: `${task.method} ${task.path}` }, `${task.method} ${task.path}`),
    cell("n status-code", {}, task.status === null ? "–" : String(task.status)),
    cell("end", {}, outcome(task), task.weight > 1 ? make("span", { class: "note" }, ` ×${number(task.weight)}`) : null),
    cell("n took", {}, bar(task.durationMs / longest), make("span", { class: "took-text" }, ms(task.durationMs))),
    cell("mono id", {}, make("a", { href: `#/trace/${encodeURIComponent(task.correlationId)}` }, task.correlationId))));
  const head = heads.map((text) => make("th", { role: "columnheader", scope: "col", class: ["Status", "Took"].includes(text) ? "n" : null }, text));
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Calls" }, make("table", { class: "calls", role: "table" },
    make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, head)), make("tbody", { role: "rowgroup" }, rows)));
}

function bar(part) {
  const element = make("i", { class: "took-bar", "aria-hidden": "true" });
  element.style.setProperty("--part", Math.max(0.01, part).toFixed(3));
  return element;
}
