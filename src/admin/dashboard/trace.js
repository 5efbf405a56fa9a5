// The calls of one correlation id as a waterfall.

import { read } from "./api.js";
import { empty, failed, make, refill } from "./dom.js";
import { ms, number, plural, when } from "./format.js";
import { outcome, words } from "./words.js";

const MARKS = { orphan: "what caused this call has no row here", cycle: "these calls name each other as their cause" };

export function open(main, heading, { name, rest }) {
  const page = { over: false };
  heading.textContent = "Trace";
  const body = make("div");
  const input = make("input", { type: "search", "aria-label": "Correlation id", placeholder: "Correlation id  ( / )", spellcheck: "false", required: true, value: name === "trace" ? rest[0] || "" : "" });
  const find = make("form", { class: "find", role: "search", on: { submit: (event) => {
    event.preventDefault();
    location.hash = `#/trace/${encodeURIComponent(input.value.trim())}`;
  } } }, input, make("button", { type: "submit", class: "button" }, "Trace"));
  main.append(make("p", { class: "crumb" }, make("a", { href: "#/calls" }, "← Calls")),
    make("div", { class: "page-head" }, heading, make("div", { class: "tools" }, find)), body);
  load();

  async function load() {
    try {
      let [id, marked] = [rest[0], null];
      if (name === "task") {
        const task = await read(`/api/v1/tasks/${encodeURIComponent(id)}`);
        [id, marked] = [task.correlationId, task.id];
      }
      const found = await read(`/api/v1/traces/${encodeURIComponent(id)}`);
      if (!page.over) refill(body, ...shown(found, marked));
    } catch (error) {
      if (page.over) return;
      refill(body, error.status === 404
        ? empty("No call is known by this id", "Rows are written a moment after a call ends, and dropped when the retention is over. The id is what callers send and get as x-correlation-id.")
        : failed(error));
    }
  }
  return { close: () => { page.over = true; } };
}

function shown(found, marked) {
  const head = make("p", { class: "lead" }, make("span", { class: "mono" }, found.correlationId),
    ` · ${plural(found.calls.length, "call")} of ${plural(found.services.length, "service")} in ${ms(found.durationMs)} · ${when(found.calls[0].startedAt)}${found.isCut ? " · the newest of more" : ""}`);
  const total = Math.max(found.durationMs, 0.001);
  const standings = new Set(found.calls.map((call) => call.standing));
  const legend = Object.entries(MARKS).filter(([standing]) => standings.has(standing)).map(([standing, text]) => make("li", {}, `${mark(standing)} ${text}`));
  return [head, make("div", { class: "panel flush" }, make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Waterfall" },
    make("table", { class: "waterfall" }, make("thead", {}, make("tr", {}, ["Call", "Service", "Status", "Outcome", "Start", "Took", "Waterfall"].map((text) =>
      make("th", { scope: "col", class: ["Start", "Took"].includes(text) ? "n" : null }, text)))),
      make("tbody", {}, found.calls.map((call) => row(call, total, marked)))))),
  legend.length ? make("ul", { class: "note legend" }, legend) : null].filter(Boolean);
}

const mark = (standing) => ({ orphan: "?", cycle: "↻" }[standing] || "");

function row(call, total, marked) {
  const bar = make("i", { class: "fall", data: { outcome: call.outcome }, "aria-hidden": "true" });
  bar.style.setProperty("--from", (call.offsetMs / total).toFixed(4));
  bar.style.setProperty("--part", Math.max(0.003, call.durationMs / total).toFixed(4));
  const what = make("th", { scope: "row", class: "what" }, call.standing in MARKS ? make("span", { title: MARKS[call.standing] }, `${mark(call.standing)} `) : null,
    make("strong", {}, call.upstream), ` ${call.method} ${call.path}`);
  what.style.setProperty("--depth", call.depth);
  return make("tr", { class: call.id === marked ? "marked" : null }, what,
    make("td", {}, call.service), make("td", {}, call.status === null ? "–" : String(call.status)),
    make("td", {}, outcome(call), call.attempts > 1 ? make("span", { class: "note" }, ` ${number(call.attempts)} attempts`) : null),
    make("td", { class: "n" }, `+${ms(call.offsetMs)}`), make("td", { class: "n" }, ms(call.durationMs)),
    make("td", { class: "falls", title: words(call.outcome) }, bar));
}
