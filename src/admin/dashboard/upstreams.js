// All upstreams at a glance.

import { choice, empty, facts, make, put, refill } from "./dom.js";
import { number, plural, rate, share } from "./format.js";
import { rank, words } from "./words.js";
import { COLUMNS, Row } from "./row.js";
import { compare } from "./table.js";
import { points } from "./spark.js";
import { heat } from "./heat.js";

const KINDS = [
  ["all", "All", () => true],
  ["open", "Open", (of) => of.breaker.state === "OPEN"],
  ["recovering", "Recovering", (of) => ["HALF_OPEN", "RAMPING"].includes(of.breaker.state)],
  ["failing", "Failing", (of) => of.traffic?.errorShare > 0],
  ["steered", "Overridden", (of) => of.breaker.mode !== "auto"],
];

// Rows change places this often at most, and never under the pointer or the focus.
const SORT_EVERY_MS = 2000;

export function open(main, heading) {
  heading.textContent = "Upstreams";
  const page = new Upstreams(main, heading);
  return { state: (state) => page.state(state), close: () => page.close() };
}

class Upstreams {
  constructor(main, heading) {
    Object.assign(this, { rows: new Map(), shown: [], kind: "all", text: "", order: { at: 0, down: false }, sortedAt: 0, lines: {} });
    this.tiles = make("div", { class: "tiles-frame" });
    this.notes = make("ul", { class: "notes", hidden: true });
    this.body = make("tbody", { role: "rowgroup" });
    this.heads = COLUMNS.map(([key, label, sort, kind], at) => make("th", { role: "columnheader", scope: "col", class: `${key} ${kind || ""}` },
      sort ? make("button", { type: "button", on: { click: () => this.sortBy(at) } }, label) : label));
    this.table = make("table", { class: "fleet", role: "table", "aria-label": "Upstreams" },
      make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, this.heads)), this.body);
    this.nothing = make("div", { hidden: true });
    const search = make("input", { type: "search", placeholder: "Filter by name  ( / )", "aria-label": "Filter by name", spellcheck: "false",
      on: { input: () => { this.text = search.value.trim().toLowerCase(); this.show(true); } } });
    this.choice = choice("Which upstreams", KINDS.map(([kind, label]) => [kind, label]), this.kind, (kind) => { this.kind = kind; this.show(true); });
    this.heat = heat("Latency of all calls");
    main.append(make("div", { class: "page-head" }, heading, make("div", { class: "tools" }, search, this.choice)),
      this.tiles, this.notes, make("div", { class: "panel flush" }, this.table, this.nothing), this.heat.element);
    this.stopPoints = points((lines) => { this.lines = lines; this.draw(); });
    this.showOrder();
  }

  close() {
    this.stopPoints();
    this.heat.close();
  }

  sortBy(at) {
    const isNumber = COLUMNS[at][3] === "n";
    this.order = { at, down: this.order.at === at ? !this.order.down : isNumber };
    this.showOrder();
    this.show(true);
  }

  showOrder() {
    this.heads.forEach((head, at) => (at === this.order.at ? head.setAttribute("aria-sort", this.order.down ? "descending" : "ascending") : head.removeAttribute("aria-sort")));
  }

  state({ now, status, breakers, health }) {
    const at = Date.parse(now);
    this.all = Object.entries(breakers).map(([name, breaker]) => {
      const upstream = name.split("/")[0];
      return { name, breaker, rank: rank(breaker), age: at - Date.parse(breaker.since),
        traffic: status.upstreams[name] || status.upstreams[upstream], service: health.services[name] || health.services[upstream] };
    });
    this.tiles.replaceChildren(tiles(status, this.all));
    showNotes(this.notes, status);
    this.show(false);
  }

  // Shows what is asked for, in its order; `now` when the order was changed by hand.
  show(now) {
    if (!this.all) return;
    KINDS.forEach(([, label, is], at) => put(this.choice.children[at], `${label} ${number(this.all.filter(is).length)}`));
    const is = KINDS.find(([kind]) => kind === this.kind)[2];
    const wanted = this.all.filter((of) => is(of) && of.name.toLowerCase().includes(this.text));
    for (const of of wanted) {
      if (!this.rows.has(of.name)) {
        const row = new Row(of.name);
        row.draw(this.lines[of.name] || this.lines[of.name.split("/")[0]]);
        this.rows.set(of.name, row);
      }
      this.rows.get(of.name).show(of);
    }
    this.place(wanted, now);
    this.nothing.hidden = wanted.length > 0;
    this.table.hidden = !wanted.length;
    if (!wanted.length) this.nothing.replaceChildren(this.all.length ? empty("No upstream fits", "Change the filter above.") : noUpstreams());
  }

  place(wanted, now) {
    const isBusy = this.body.matches(":hover") || this.body.contains(document.activeElement);
    const isDue = now || (!isBusy && performance.now() - this.sortedAt > SORT_EVERY_MS);
    const names = new Set(wanted.map((of) => of.name));
    const isSame = names.size === this.shown.length && this.shown.every((name) => names.has(name));
    if (!isDue && isSame) return;
    const [, , sort] = COLUMNS[this.order.at];
    wanted.sort((a, b) => compare(sort(a), sort(b), this.order.down) || compare(a.name, b.name, false));
    const sorted = wanted.map((of) => of.name);
    this.sortedAt = performance.now();
    if (sorted.join("\n") === this.shown.join("\n")) return;
    this.shown = sorted;
    refill(this.body, ...sorted.map((name) => this.rows.get(name).element));
  }

  draw() {
    for (const [name, row] of this.rows) row.draw(this.lines[name] || this.lines[name.split("/")[0]]);
  }
}

const sum = (values) => values.reduce((total, value) => total + (value || 0), 0);

function tiles(status, all) {
  const open = all.filter((of) => of.breaker.state === "OPEN").length;
  const unsettled = all.filter((of) => of.breaker.state !== "CLOSED").length - open;
  const traffic = Object.values(status.upstreams);
  const calls = sum(traffic.map((one) => one.calls));
  const errors = sum(traffic.map((one) => one.failures + one.refused));
  const part = calls ? errors / calls : null;
  const { store, history } = status;
  const lost = history.dropped + history.rejected + history.damaged;
  const shared = store.instances > 1 ? `${words(store.syncMode)}, ${plural(store.instances, "instance")}` : "this instance alone";
  const list = facts([
    ["Circuits open", `${number(open)} of ${number(all.length)}`, unsettled ? `${number(unsettled)} recovering` : "the rest closed"],
    ["Calls per second", rate(sum(traffic.map((one) => one.callsPerSecond))), `${number(status.inFlight)} in flight`],
    ["Errors", share(part), `${number(errors)} of ${plural(calls, "call")} in 30 s`],
    ["Store", store.reachable ? store.kind : `${store.kind} away`, store.reachable ? shared : "calls go on; rows wait"],
    ["Rows written", number(history.written), `${number(history.waiting)} waiting`],
    ["Rows lost", number(lost), lost ? "see Store" : "since the start"],
  ], "tiles");
  const moods = [open ? "bad" : unsettled ? "warn" : "", "", part > 0.05 ? "bad" : "", store.reachable ? "" : "bad", "", lost ? "bad" : ""];
  moods.forEach((mood, at) => { if (mood) list.children[at].dataset.mood = mood; });
  return list;
}

function showNotes(list, status) {
  const texts = [...status.warnings];
  if (status.degraded) texts.unshift(`It may be this instance that fails: ${status.degraded}`);
  if (status.store.fault) texts.unshift(`The store: ${status.store.fault}`);
  if (status.draining) texts.unshift("This instance is stopping: no further calls should be sent here.");
  const stamp = texts.join("\n");
  list.hidden = !texts.length;
  if (list.dataset.stamp === stamp) return;
  list.dataset.stamp = stamp;
  list.replaceChildren(...texts.map((text) => make("li", {}, text)));
}

function noUpstreams() {
  return empty("No upstream is configured", "Start with one on the command line, or name some in the configuration:",
    make("pre", {}, "fusebox run --upstream payments=http://localhost:8081"));
}

export { showNotes };
