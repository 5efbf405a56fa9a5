// One kind of task: its figures, what sets its failures apart, which parameters work best.

import { query, read } from "./api.js";
import { choice, empty, facts, failed, make, panel, refill } from "./dom.js";
import { dollars, ms, number, plural, share } from "./format.js";
import { words } from "./words.js";
import { table } from "./table.js";
import { figures, trend, WINDOWS } from "./statistics.js";

const GOALS = [["", "As configured"], ["success_rate", "Success"], ["impact", "Impact"], ["duration", "Duration"], ["cost_per_success", "Cost"]];

export function open(main, heading, { rest: [domain = "", action = ""] }) {
  heading.textContent = `${domain} / ${action}`;
  const page = { over: false, from: "24h", goal: "" };
  const [sums, why, advice] = [make("div"), make("div"), make("div")];
  main.append(make("p", { class: "crumb" }, make("a", { href: "#/statistics" }, "← Statistics")),
    make("div", { class: "page-head" }, heading, make("div", { class: "tools" }, choice("Over", WINDOWS, page.from, (from) => { page.from = from; load(); }))),
    sums, panel("What sets failures apart", why), panel("Which parameters work best", choice("For", GOALS, page.goal, (goal) => { page.goal = goal; advise(); }), advice));
  // What was asked for each part last: an answer to an earlier question is not shown.
  const asked = new Map();
  async function part(element, path, show) {
    asked.set(element, path);
    try {
      const found = await read(path);
      if (!page.over && asked.get(element) === path) refill(element, ...[show(found)].flat().filter(Boolean));
    } catch (error) {
      if (!page.over) refill(element, failed(error));
    }
  }
  function load() {
    const of = { domain, action, from: page.from };
    part(sums, `/api/v1/tasks/history${query(of)}`, summed);
    part(why, `/api/v1/tasks/failures${query(of)}`, apart);
    advise();
  }
  function advise() {
    part(advice, `/api/v1/recommendations${query({ domain, action, goal: page.goal })}`, advised);
  }
  load();
  return { close: () => { page.over = true; } };
}

function summed(found) {
  const parts = [figures(found)];
  if (found.commonFailureReasons.length) {
    parts.push(panel("Why it fails", table("Why it fails", [
      { label: "Reason", cell: (of) => words(of.reason), sort: (of) => of.reason },
      { label: "Calls", cell: (of) => number(of.count), sort: (of) => of.count, number: true },
      { label: "Of failures", cell: (of) => share(of.share), sort: (of) => of.share, number: true },
      { label: "Of all calls", cell: (of) => share(of.rate), sort: (of) => of.rate, number: true },
      { label: "In the time before", cell: (of) => (of.before ? share(of.before.rate) : "–"), number: true },
      { label: "Trend", cell: trend },
    ], found.commonFailureReasons)));
  }
  return parts;
}

function apart(found) {
  const summary = make("p", { class: "finding" }, found.summary);
  const rows = found.attributes.flatMap((attribute) => attribute.values.map((value) => ({ name: attribute.name, ...value })));
  if (!rows.length) return [summary];
  return [summary, table("What sets failures apart", [
    { label: "Attribute", cell: (of) => of.name, sort: (of) => of.name },
    { label: "Value", cell: (of) => of.value, kind: "mono" },
    { label: "Calls", cell: (of) => number(of.calls), sort: (of) => of.calls, number: true },
    { label: "Fail", cell: (of) => share(of.failureRate), sort: (of) => of.failureRate, number: true },
    { label: "Times likelier", cell: (of) => number(of.riskRatio, 1), sort: (of) => of.riskRatio, number: true },
    { label: "95% sure", cell: (of) => of.riskRatioInterval.map((end) => number(end, 1)).join(" – "), number: true },
    { label: "Explains", cell: (of) => share(of.explains), sort: (of) => of.explains, number: true },
    { label: "Sure", cell: (of) => of.significance || "may be chance" },
  ], rows)];
}

const settings = (parameters) => Object.entries(parameters).map(([name, value]) =>
  `${name} = ${Array.isArray(value) ? value.join(" to ") : value ?? "absent"}`).join(", ");

function advised(found) {
  const summary = make("p", { class: "finding" },
    found.status === "collecting" ? null : make("span", { class: "status", data: { status: found.status } }, `${found.status} `), found.summary);
  if (found.status === "collecting" && !found.tasks && !found.findings.length) {
    return [summary, empty("No parameters are captured", "Name some under the route's task, and each task counts with its values:",
      make("pre", {}, "task:\n  params:\n    model: { from: request.json, pointer: /model, type: enum }"))];
  }
  const parts = [summary, facts([
    ["Tasks", number(found.tasks), `${plural(found.tasksNeeded, "task")} needed before anything is said`],
    ["All succeed", share(found.baseline.successRate), found.baseline.successRateInterval.map(share).join(" to ")],
    found.expected && ["With these", share(found.expected.successRate), `seen ${share(found.expected.seen.successRate)} of ${plural(found.expected.seen.tasks, "task")}`],
    Object.keys(found.parameters).length > 0 && ["Next time", settings(found.parameters)],
  ], "tiles")];
  for (const caveat of found.caveats) parts.push(make("p", { class: "note" }, `Mind: ${caveat}.`));
  if (found.findings.length) parts.push(findings(found.findings, GAINS[found.goal]));
  return parts;
}

// By which figure of the goal settings are compared, and how differences are said.
const relative = (value) => share(Math.exp(value) - 1);
const GAINS = {
  success_rate: { label: "Succeed", of: (tasks) => share(tasks.successRate), by: share },
  impact: { label: "Impact", of: (tasks) => number(tasks.averageImpactScore, 1), by: (value) => number(value, 1) },
  duration: { label: "Take", of: (tasks) => ms(tasks.typicalDurationMs), by: relative },
  cost_per_success: { label: "Cost", of: (tasks) => dollars(tasks.costPerSuccess), by: relative },
};

function findings(all, gain) {
  return table("Findings", [
    { label: "Parameters", cell: (of) => settings(of.parameters), kind: "mono" },
    { label: "Tasks", cell: (of) => number(of.with.tasks), sort: (of) => of.with.tasks, number: true },
    { label: gain.label, cell: (of) => gain.of(of.with), number: true },
    { label: "Without", cell: (of) => gain.of(of.without), number: true },
    { label: "Difference", cell: (of) => gain.by(of.difference), sort: (of) => of.difference, number: true },
    { label: "95% sure", cell: (of) => of.differenceInterval.map(gain.by).join(" – "), number: true },
    ...Object.values(GAINS).filter((other) => other !== gain && all.some((of) => other.of(of.with) !== "–"))
      .map((other) => ({ label: other.label, cell: (of) => other.of(of.with), number: true })),
    { label: "Effect", cell: (of) => make("span", { class: "status", data: { status: of.effect || "none" } }, of.effect || "not sure") },
    { label: "Like with like", cell: (of) => words(of.adjusted.verdict) },
    { label: "Harms", cell: (of) => words(of.harms) || "–" },
  ], all);
}
