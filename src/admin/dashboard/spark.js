// Small drawings of the last ten minutes.

import { svg } from "./dom.js";
import { read } from "./api.js";
import { ms, rate, share } from "./format.js";

const POINTS = 60;
const HEIGHT = 24;
const EVERY_MS = 10000;

// The points of all upstreams, asked for once by whoever shows them.
export function points(show) {
  let over = false;
  let timer = null;
  async function again() {
    try {
      const found = await read("/api/v1/traffic");
      if (!over) show(found.upstreams);
    } catch {
      // The page says elsewhere that the connection is lost.
    }
    if (!over) timer = setTimeout(again, EVERY_MS);
  }
  again();
  return () => { over = true; clearTimeout(timer); };
}

function frame(kind, label, ...paths) {
  return svg("svg", { class: `spark ${kind}`, viewBox: `0 0 ${POINTS * 2} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label }, ...paths);
}

const base = () => svg("path", { class: "base", d: `M0 ${HEIGHT - 0.5}h${POINTS * 2}` });
const x = (line, at) => (POINTS - line.length + at) * 2;

function bars(line, top, kind) {
  const d = line.map((value, at) => {
    const height = value ? Math.max(1, value / top * (HEIGHT - 2)) : 0;
    return height ? `M${x(line, at)} ${HEIGHT - 1}v-${height.toFixed(1)}h1.5v${height.toFixed(1)}z` : "";
  }).join("");
  return svg("path", { class: kind, d });
}

// Calls, and the part of them that failed.
export function traffic(line) {
  const all = line?.callsPerSecond || [];
  const bad = all.map((value, at) => value * (line.errorShare[at] || 0));
  const top = Math.max(1, ...all);
  const label = all.length ? `calls per second over the last minutes, ${rate(Math.max(...all))} at most, ${rate(all.at(-1))} now` : "no calls";
  return frame("traffic", label, base(), bars(all, top, "all"), bars(bad, top, "err"));
}

// The share that failed.
export function errors(line) {
  const all = (line?.errorShare || []).map((value) => value || 0);
  const label = all.length ? `errors over the last minutes, ${share(Math.max(...all))} at most` : "no calls";
  return frame("errors", label, base(), bars(all, Math.max(0.05, ...all), "err"));
}

// The 95th percentile, as a line.
export function latency(line) {
  const all = line?.p95Ms || [];
  const top = Math.max(1, ...all.map((value) => value || 0));
  const d = all.map((value, at) => (value === null ? "" : `${at && all[at - 1] !== null ? "L" : "M"}${x(all, at) + 1} ${(HEIGHT - 1 - value / top * (HEIGHT - 3)).toFixed(1)}`)).join("");
  const label = all.length ? `95th percentile over the last minutes, ${ms(top)} at most` : "no calls";
  return frame("latency", label, base(), svg("path", { class: "line", d }));
}
