// One breaker: what it is like, why, what the fleet says, and the handles to steer it.

import { breakerPath, query, read } from "./api.js";
import { empty, facts, failed, make, panel, put, refill } from "./dom.js";
import { moment, ms, number, plural, rate, share, span, when } from "./format.js";
import { badge, causeOf, instance, move, MODES, rank, reasonOf, showBadge, voteBar, votesOf, words } from "./words.js";
import { errors, latency, points, traffic } from "./spark.js";
import { heat } from "./heat.js";
import { callTable } from "./calls.js";
import { lift, override, reset } from "./steer.js";
import { table } from "./table.js";

const EVERY_MS = 4000;

export function open(main, heading, { rest }) {
  const page = new Breaker(main, heading, rest.join("/"));
  return page;
}

class Breaker {
  constructor(main, heading, name) {
    Object.assign(this, { name, upstream: name.split("/")[0], over: false, rank: null });
    heading.textContent = name;
    this.badge = badge("", "large");
    this.badge.hidden = true;
    this.why = make("p", { class: "lead" });
    const act = (what) => ({ click: () => what(name, () => this.load()) });
    this.lift = make("button", { type: "button", class: "button", hidden: true, on: act(lift) }, "Lift the order");
    const actions = make("div", { class: "tools" }, make("button", { type: "button", class: "button primary", on: act(override) }, "Override…"), this.lift,
      make("button", { type: "button", class: "button", on: act(reset) }, "Reset…"));
    this.numbers = make("div");
    this.graphs = make("div", { class: "graphs" });
    this.told = make("div");
    this.fleet = make("div");
    this.past = make("div");
    this.calls = make("div");
    this.rules = make("pre", { class: "yaml", tabindex: "0", "aria-label": "Rules" });
    this.heat = heat("Latency", this.upstream);
    main.append(make("p", { class: "crumb" }, make("a", { href: "#/" }, "← Upstreams")),
      make("div", { class: "page-head" }, make("div", { class: "title" }, heading, this.badge), actions), this.why, this.numbers,
      make("div", { class: "columns" },
        make("div", {}, panel("In words", this.told), panel("What the fleet says", this.fleet), panel("Rules", this.rules)),
        make("div", {}, panel("The last ten minutes", this.graphs), this.heat.element, panel("Transitions", this.past))),
      panel("Last calls", this.calls));
    this.stopPoints = points((lines) => this.draw(lines[name] || lines[this.upstream]));
    this.load();
  }

  close() {
    this.over = true;
    clearTimeout(this.timer);
    this.stopPoints();
    this.heat.close();
  }

  transition(one) {
    if (one.name === this.name) this.load();
  }

  state({ now, status, breakers, health }) {
    const breaker = Object.hasOwn(breakers, this.name) ? breakers[this.name] : null;
    this.own = status.instance;
    this.badge.hidden = !breaker;
    if (!breaker) return put(this.why, "This Fusebox has no such circuit.");
    const traffic = status.upstreams[this.name] || status.upstreams[this.upstream];
    const service = health.services[this.name] || health.services[this.upstream];
    if (this.rank !== null && rank(breaker) !== this.rank) this.load();
    this.rank = rank(breaker);
    showBadge(this.badge, breaker.state);
    put(this.why, reasonOf(breaker, service));
    this.lift.hidden = !breaker.order;
    this.numbers.replaceChildren(facts([
      ["For", span(Date.parse(now) - Date.parse(breaker.since)), `since ${when(breaker.since)}`],
      ["Next probe", breaker.state === "OPEN" && breaker.retryAfterMs ? `in ${span(breaker.retryAfterMs)}` : "–", breaker.state === "OPEN" ? "calls are refused until then" : "calls pass"],
      ["Calls per second", rate(traffic?.callsPerSecond), `${number(traffic?.inFlight)} in flight`],
      ["Errors", share(traffic?.errorShare), `${plural(breaker.failureCount, "failure")} in a row`],
      ["p50", ms(traffic?.p50Ms), "of the last 30 s"],
      ["p95", ms(traffic?.p95Ms), `p99 ${ms(traffic?.p99Ms)}`],
      ["Mode", MODES[breaker.mode] || words(breaker.mode), breaker.order ? orderNote(breaker.order) : "nobody steers it"],
    ], "tiles seven"));
  }

  draw(line) {
    const graph = (text, drawing) => make("figure", {}, make("figcaption", {}, text), drawing);
    this.graphs.replaceChildren(graph("Calls per second", traffic(line)), graph("Errors", errors(line)), graph("p95", latency(line)));
  }

  async load() {
    clearTimeout(this.timer);
    const round = this.round = (this.round || 0) + 1;
    const isOver = () => this.over || round !== this.round;
    const part = async (element, path, show) => {
      try {
        const found = await read(path);
        if (!isOver()) refill(element, ...[show(found)].flat());
      } catch (error) {
        if (!isOver()) refill(element, failed(error));
      }
    };
    await Promise.all([
      part(this.told, breakerPath(this.name), (found) => {
        put(this.rules, Object.entries(found.rules).map(([key, value]) => `${key}: ${shown(value)}`).join("\n"));
        refill(this.fleet, ...fleetSays(found));
        return [...found.explanation.map((text) => make("p", {}, text)), taskLinks("Calls behind it", found.taskIds)].filter(Boolean);
      }),
      part(this.past, breakerPath(this.name, "/events?limit=12"), (found) => transitions(found, this.own)),
      part(this.calls, `/api/v1/tasks${query({ upstream: this.upstream, limit: 15 })}`, (found) => callTable(found.tasks, { withUpstream: false })),
    ]);
    if (!isOver()) this.timer = setTimeout(() => this.load(), EVERY_MS);
  }
}

function orderNote(order) {
  return order.until ? `until ${when(order.until)}, by ${order.by}` : `until it is lifted, by ${order.by}`;
}

function shown(value) {
  if (value === null) return "–";
  if (Array.isArray(value)) return `[${value.join(", ")}]`;
  if (typeof value === "object") return `{ ${Object.entries(value).map((pair) => pair.map(shown).join(": ")).join(", ")} }`;
  return String(value);
}

// Links to calls; they may have no row yet, or none any more.
export function taskLinks(label, ids) {
  if (!ids?.length) return null;
  const links = ids.slice(0, 5).map((id, at) => make("a", { class: "mono", href: `#/task/${id}`, title: id }, `${at + 1}`));
  return make("p", { class: "links" }, `${label}: `, links);
}

function fleetSays({ fleet, scope, attribution }) {
  if (!fleet) return [empty("Its own affair", `Its scope is ${scope}: no other instance has a say.`)];
  const lag = fleet.sync.lagMs === null ? "" : `, ${span(fleet.sync.lagMs)} old`;
  const parts = [facts([
    ["Instances", number(fleet.live), fleet.live > 1 ? "share this breaker" : "nobody to share with"],
    ["Others are heard", `${words(fleet.sync.mode)}${lag}`, fleet.sync.because],
    ["Epoch", number(fleet.epoch), fleet.isAgreed ? "agreed" : "not agreed with the fleet"],
    fleet.prober && ["Tries it out", fleet.prober.name, `for ${span(fleet.prober.leftMs)} more`],
    fleet.doubter && ["Has tried and failed", fleet.doubter.name],
  ])];
  if (fleet.votes) {
    const { votes } = fleet;
    const decided = votes.decidedBy ? `, decided by ${votes.decidedBy.name}` : "";
    parts.push(make("p", {}, voteBar(votes), ` ${votes.isOpen ? "so far" : moment(votes.at)}; ${votes.needed} needed (${votes.quorum})${decided}`,
      votes.reporters.length ? make("span", { class: "cause" }, `said so: ${votes.reporters.map((node) => node.name).join(", ")}`) : null));
  }
  if (fleet.ballots.length) {
    parts.push(table("Votes", [
      { label: "Instance", cell: (of) => of.name, sort: (of) => of.name },
      { label: "Vote", cell: (of) => make("span", { class: "vote", data: { vote: of.vote } }, of.vote), sort: (of) => of.vote },
      { label: "Failures", cell: (of) => `${number(of.failures)} of ${number(of.calls)}`, sort: (of) => of.failures, number: true },
      { label: "Zone", cell: (of) => of.zone || "–" },
      { label: "At", cell: (of) => when(of.at), sort: (of) => of.at },
    ], fleet.ballots));
  }
  for (const finding of attribution) parts.push(make("p", { class: "finding" }, finding.text));
  if (fleet.rules.drift) parts.push(make("p", { class: "finding" }, fleet.rules.drift.text));
  if (fleet.storeFault) parts.push(failed({ message: fleet.storeFault }));
  return parts;
}

function transitions({ events }, own) {
  if (!events.length) return empty("Nothing has happened to it", "Its first transition will stand here with its cause and the votes.");
  return make("ol", { class: "past" }, events.map((one) => {
    const votes = votesOf(one.detail);
    return make("li", {}, make("time", { datetime: one.at }, when(one.at)), make("div", {}, move(one),
      make("span", { class: "cause" }, `${causeOf(one)} · `, instance(one.instance, own)), votes ? voteBar(votes) : null, taskLinks("Calls", one.detail?.taskIds)));
  }));
}
