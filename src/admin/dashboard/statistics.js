// What each kind of task comes to.

import { hasToken, query, read } from "./api.js";
import { choice, empty, facts, failed, make, panel, refill } from "./dom.js";
import { dollars, ms, number, plural, share } from "./format.js";
import { words } from "./words.js";
import { table } from "./table.js";

export const WINDOWS = [["1h", "1 h"], ["24h", "24 h"], ["7d", "7 d"], ["30d", "30 d"]];
const EVERY_MS = 30000;

export const operationLink = (of) => make("a", { href: `#/operation/${encodeURIComponent(of.domain)}/${encodeURIComponent(of.action)}` }, `${of.domain} / ${of.action}`);

export function open(main, heading) {
  heading.textContent = "Statistics";
  const page = { over: false, from: "24h" };
  const body = make("div");
  // A link cannot send the token; where one is needed, the export is for programs.
  const csv = make("a", { class: "button", download: "operations.csv", hidden: hasToken() }, "CSV");
  main.append(make("div", { class: "page-head" }, heading, make("div", { class: "tools" },
    choice("Over", WINDOWS, page.from, (from) => { page.from = from; load(); }),
    csv)), body);
  async function load() {
    clearTimeout(page.timer);
    const asked = page.from;
    csv.href = `/api/v1/tasks/history${query({ from: asked, format: "csv" })}`;
    try {
      const found = await read(`/api/v1/tasks/history${query({ from: asked })}`);
      if (!page.over && asked === page.from) refill(body, ...shown(found));
    } catch (error) {
      if (!page.over) refill(body, failed(error));
    }
    if (!page.over && asked === page.from) page.timer = setTimeout(load, EVERY_MS);
  }
  load();
  return { close: () => { page.over = true; clearTimeout(page.timer); } };
}

export function figures(found) {
  const interval = found.successRateInterval;
  return facts([
    ["Calls", number(found.total), found.completeness === null || found.completeness === 1 ? "each with a row" : `${share(found.completeness)} have a row of their own`],
    ["Success", share(found.successRate), interval ? `${share(interval.low)} to ${share(interval.high)}, 95% sure` : null],
    ["p50", ms(found.p50Ms), `mean ${ms(found.averageDurationMs)}`],
    ["p95", ms(found.p95Ms), `p99 ${ms(found.p99Ms)}`],
    ["Impact", number(found.averageImpactScore, 1), `${plural(found.scored, "call")} scored`],
    ["Cost per success", dollars(found.costPerSuccess), found.totalCost === null ? "no cost is known" : `${dollars(found.totalCost)} in all, ${dollars(found.wastedCost)} wasted`],
  ], "tiles");
}

// How a reason moved, as the API tells it only where chance would hardly make it.
export const trend = (of) => (of.trend ? make("span", { class: "trend", data: { trend: of.trend } }, words(of.trend)) : "–");

function shown(found) {
  if (!found.total) return [empty("No calls in this time", "Each call through Fusebox counts here under the task of its route: its domain and its action.")];
  const parts = [figures(found), panel("Operations", table("Operations", [
    { label: "Domain / action", cell: operationLink, sort: (of) => `${of.domain}/${of.action}` },
    { label: "Calls", cell: (of) => number(of.total), sort: (of) => of.total, number: true },
    { label: "Success", cell: (of) => share(of.successRate), sort: (of) => of.successRate, number: true },
    { label: "95% sure", cell: (of) => (of.successRateInterval ? `${share(of.successRateInterval.low)} – ${share(of.successRateInterval.high)}` : "–"), number: true },
    { label: "p50", cell: (of) => ms(of.p50Ms), sort: (of) => of.p50Ms, number: true },
    { label: "p95", cell: (of) => ms(of.p95Ms), sort: (of) => of.p95Ms, number: true },
    { label: "p99", cell: (of) => ms(of.p99Ms), sort: (of) => of.p99Ms, number: true },
    { label: "Impact", cell: (of) => number(of.averageImpactScore, 1), sort: (of) => of.averageImpactScore, number: true },
    { label: "Cost per success", cell: (of) => dollars(of.costPerSuccess), sort: (of) => of.costPerSuccess, number: true },
    { label: "Fails most by", cell: (of) => words(of.commonFailureReasons[0]?.reason) || "–" },
  ], found.operations))];
  if (found.topFailures.length) {
    parts.push(panel("What fails most", table("What fails most", [
      { label: "Domain / action", cell: operationLink, sort: (of) => `${of.domain}/${of.action}` },
      { label: "Reason", cell: (of) => words(of.reason), sort: (of) => of.reason },
      { label: "Calls", cell: (of) => number(of.count), sort: (of) => of.count, number: true },
      { label: "Of its calls", cell: (of) => share(of.rate), sort: (of) => of.rate, number: true },
      { label: "Of all failures", cell: (of) => share(of.shareOfAll), sort: (of) => of.shareOfAll, number: true },
      { label: "Since the time before", cell: trend },
    ], found.topFailures)));
  }
  return parts;
}
