// The latency heat map: time to the right, duration upwards, colour for how many.

import { choice, empty, failed, make, refill, svg } from "./dom.js";
import { query, read } from "./api.js";
import { clock, ms, plural, share } from "./format.js";

const EVERY_MS = 15000;
const LEVELS = 8;
const OVER = [["1h", "1 h"], ["6h", "6 h"], ["24h", "24 h"]];

// A panel with the map of an upstream, or of all; returns it and what ends it.
export function heat(title, upstream) {
  const body = make("div", { class: "heat-body" });
  let [over, timer, round] = ["1h", null, 0];
  async function show() {
    clearTimeout(timer);
    round += 1;
    const mine = round;
    try {
      const found = await read(`/api/v1/latency${query({ upstream, over })}`);
      if (mine === round) refill(body, ...drawn(found));
    } catch (error) {
      if (mine === round) refill(body, failed(error));
    }
    if (mine === round) timer = setTimeout(show, EVERY_MS);
  }
  const choices = choice("Over", OVER, over, (chosen) => { over = chosen; show(); });
  const element = make("section", { class: "panel heat" }, make("div", { class: "panel-head" }, make("h2", {}, title), choices), body);
  show();
  return { element, close: () => { round += 1; clearTimeout(timer); } };
}

function drawn(found) {
  if (!found.stretches.length) {
    return [empty("No calls in this time", "The map is drawn from the history: it fills as calls are written to the store.")];
  }
  const used = found.stretches.reduce((sum, one) => sum.map((count, at) => count + one.counts[at]), found.stretches[0].counts.map(() => 0));
  const low = Math.max(0, used.findIndex((count) => count > 0) - 1);
  const high = Math.min(used.length - 1, used.findLastIndex((count) => count > 0) + 1);
  const [start, columns] = shownFrom(found);
  const rows = high < low ? 1 : high - low + 1;
  const most = Math.max(1, ...found.stretches.flatMap((one) => one.counts));
  const map = svg("svg", { class: "heat-map", viewBox: `0 0 ${columns} ${rows + 1}`, preserveAspectRatio: "none", role: "img", "aria-label": summary(found) });
  for (const one of found.stretches) {
    const at = Math.round((Date.parse(one.from) - start) / 1000 / found.everySeconds);
    map.append(column(one, at, { low, rows, most }));
  }
  const steps = Array.from({ length: rows }, (_, at) => label(found.stepsMs, high - at)).concat("errors");
  const scale = make("div", { class: "heat-scale", "aria-hidden": "true" }, steps.map((text) => make("span", {}, text)));
  const middle = new Date((start + Date.parse(found.to)) / 2);
  const times = make("div", { class: "heat-times", "aria-hidden": "true" }, [start, middle, found.to].map((at) => make("span", {}, clock(at).slice(0, 5))));
  const key = make("div", { class: "heat-key", "aria-hidden": "true" }, "fewer",
    Array.from({ length: LEVELS }, (_, at) => make("i", { class: `heat-${at + 1}` })), "more calls");
  const frame = make("div", { class: "heat-frame" }, scale, map, times);
  frame.style.setProperty("--rows", rows + 1);
  return [frame, make("div", { class: "heat-foot" }, make("span", {}, summary(found)), key)];
}

// Where the map begins: with the first call, but so that it shows a quarter of the time at least.
function shownFrom(found) {
  const [from, to, step] = [Date.parse(found.from), Date.parse(found.to), found.everySeconds * 1000];
  const start = Math.max(from, Math.min(Date.parse(found.stretches[0].from), to - (to - from) / 4));
  return [start, Math.round((to - start) / step)];
}

// How many calls a cell has, in steps that show a single one beside thousands.
function level(count, most) {
  if (!count) return 0;
  return Math.max(1, Math.ceil(Math.log(1 + count) / Math.log(1 + most) * LEVELS));
}

function column(one, at, { low, rows, most }) {
  const said = `${clock(one.from).slice(0, 5)}: ${plural(one.calls, "call")}, ${plural(one.errors, "error")}, p50 ${ms(one.p50Ms)}, p95 ${ms(one.p95Ms)}`;
  const group = svg("g", {}, svg("title", {}, said), svg("rect", { class: "heat-0", x: at, y: 0, width: 1, height: rows + 1 }));
  for (let row = 0; row < rows; row += 1) {
    const step = level(one.counts[low + rows - 1 - row], most);
    if (step) group.append(svg("rect", { class: `heat-${step}`, x: at, y: row, width: 1.02, height: 1.02 }));
  }
  if (one.errors) {
    const height = Math.max(0.2, Math.min(1, one.errors / one.calls));
    group.append(svg("rect", { class: "heat-err", x: at, y: rows + 1 - height, width: 1.02, height }));
  }
  return group;
}

function label(stepsMs, at) {
  if (at < stepsMs.length) return `< ${ms(stepsMs[at]).replace(".0", "")}`;
  return `≥ ${ms(stepsMs.at(-1)).replace(".0", "")}`;
}

function summary(found) {
  const calls = found.stretches.reduce((sum, one) => sum + one.calls, 0);
  const errors = found.stretches.reduce((sum, one) => sum + one.errors, 0);
  const newest = found.stretches.at(-1);
  return `${plural(calls, "call")}, ${share(calls ? errors / calls : null)} errors; newest: p50 ${ms(newest.p50Ms)}, p95 ${ms(newest.p95Ms)}, p99 ${ms(newest.p99Ms)}`;
}
