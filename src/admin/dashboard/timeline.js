// What happened to the breakers of the fleet, and how it was voted on.

import { query, read } from "./api.js";
import { choice, empty, failed, make, refill, svg } from "./dom.js";
import { clock, day, plural, span, when } from "./format.js";
import { causeOf, instance, move, voteBar, votesOf, words } from "./words.js";
import { taskLinks } from "./breaker.js";

const EVERY_MS = 15000;
const LANES = 25;
const SPANS = [[900000, "15 min"], [3600000, "1 h"], [21600000, "6 h"], [86400000, "24 h"]];
const KINDS = [["all", "All"], ["OPEN", "Opened"], ["CLOSED", "Closed"]];

export function open(main, heading) {
  heading.textContent = "Timeline";
  const page = { over: false, kind: "all", text: "", length: SPANS[1][0], found: null };
  const lanes = make("div");
  const list = make("div");
  const search = make("input", { type: "search", placeholder: "Filter by name  ( / )", "aria-label": "Filter by name", spellcheck: "false",
    on: { input: () => { page.text = search.value.trim().toLowerCase(); show(); } } });
  main.append(make("div", { class: "page-head" }, heading, make("div", { class: "tools" }, search,
    choice("Which transitions", KINDS, "all", (kind) => { page.kind = kind; show(); }))),
  make("section", { class: "panel" }, make("div", { class: "panel-head" }, make("h2", {}, "States over time"),
    choice("Over", SPANS, page.length, (length) => { page.length = length; show(); })), lanes),
  make("section", { class: "panel" }, make("h2", {}, "Transitions"), list));

  function show() {
    if (!page.found || page.over) return;
    const named = page.found.transitions.filter((one) => one.name.toLowerCase().includes(page.text));
    refill(lanes, drawLanes(named, page.length));
    const wanted = named.filter((one) => page.kind === "all" || one.to === page.kind);
    const fault = page.found.storeFault ? failed({ message: `Only what this instance remembers of itself: ${page.found.storeFault}` }) : null;
    refill(list, ...[fault, wanted.length ? shown(wanted, page.own) : nothing(page)].filter(Boolean));
  }
  async function load() {
    clearTimeout(page.timer);
    try {
      page.found = await read(`/api/v1/transitions${query({ limit: 300 })}`);
      show();
    } catch (error) {
      if (!page.over) refill(list, failed(error));
    }
    if (!page.over) page.timer = setTimeout(load, EVERY_MS);
  }
  load();
  // The store has a transition a little after this instance does.
  const soon = () => { clearTimeout(page.timer); page.timer = setTimeout(load, 200); };
  return { state: ({ status }) => { page.own = status.instance; }, transition: soon, missed: soon, close: () => { page.over = true; clearTimeout(page.timer); } };
}

function nothing(page) {
  return page.text || page.kind !== "all" ? empty("No transition fits", "Change the filter above.")
    : empty("No breaker has moved", "A breaker that opens, is tried out or closes again stands here at once, with its cause and the votes of all instances.");
}

function shown(transitions, own) {
  const days = Map.groupBy(transitions, (one) => day(one.at));
  return make("div", {}, [...days].map(([date, ofDay]) => make("section", { "aria-label": date }, make("h3", { class: "date" }, date),
    make("ol", { class: "past wide" }, ofDay.map((one) => line(one, own))))));
}

function line(one, own) {
  const votes = votesOf(one.detail);
  const who = one.origin === "here" ? instance(own, own) : instance(one.instance, own);
  return make("li", {}, make("time", { datetime: one.at }, clock(one.at)),
    make("a", { class: "name-link", href: `#/breaker/${encodeURIComponent(one.name)}` }, one.name),
    move(one),
    make("div", { class: "story" }, make("span", { class: "cause" }, `${causeOf(one)} · `, who), votes ? voteBar(votes) : null,
      votes?.reporters.length ? make("span", { class: "cause" }, `said so: ${votes.reporters.join(", ")}`) : null,
      taskLinks("Calls", one.taskIds || one.detail?.taskIds)));
}

// One lane for each breaker that moved: its states from the left, as colours with marks.
function drawLanes(transitions, length) {
  const now = Date.now();
  const start = now - length;
  const byName = [...Map.groupBy(transitions, (one) => one.name)].filter(([, all]) => all.some((one) => Date.parse(one.at) > start));
  if (!byName.length) return empty(`No breaker has moved in ${span(length)}`, "What stays closed has no lane.");
  byName.sort(([a], [b]) => a.localeCompare(b));
  const lanes = byName.slice(0, LANES).map(([name, all]) => make("div", { class: "lane" },
    make("a", { class: "name-link", href: `#/breaker/${encodeURIComponent(name)}` }, name), lane(name, all, start, now)));
  const ticks = make("div", { class: "lane-times", "aria-hidden": "true" }, [start, (start + now) / 2, now].map((at) => make("span", {}, when(at).slice(0, -3))));
  const more = byName.length > LANES ? make("p", { class: "note" }, `and ${plural(byName.length - LANES, "breaker")} more: filter by name`) : null;
  return make("div", { class: "lanes" }, lanes, ticks, more);
}

function lane(name, all, start, now) {
  const moves = [...all].sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
  const spans = moves.map((one, at) => [one.to, Date.parse(one.at), at + 1 < moves.length ? Date.parse(moves[at + 1].at) : now]);
  spans.unshift([moves[0].from, -Infinity, Date.parse(moves[0].at)]);
  const visible = spans.filter(([, , end]) => end > start).map(([state, from, end]) => [state, Math.max(from, start), end]);
  const openMs = visible.filter(([state]) => state === "OPEN").reduce((sum, [, from, end]) => sum + end - from, 0);
  const scale = 1000 / (now - start);
  const rects = visible.map(([state, from, end]) => svg("rect", { class: `lane-${state}`, x: (from - start) * scale,
    y: state === "CLOSED" ? 7 : 2, width: Math.max(1.5, (end - from) * scale), height: state === "CLOSED" ? 2 : 12 },
  svg("title", {}, `${words(state)} from ${clock(from)} for ${span(end - from)}`)));
  return svg("svg", { viewBox: "0 0 1000 16", preserveAspectRatio: "none", role: "img",
    "aria-label": `${name}: ${plural(moves.length, "transition")}, open for ${span(openMs)}` }, rects);
}
