// One row of the table of upstreams, kept and changed in place.

import { make, put } from "./dom.js";
import { ms, number, rate, share, span } from "./format.js";
import { badge, reasonOf, showBadge } from "./words.js";
import { traffic as drawn } from "./spark.js";

// The columns: a heading, what it is sorted by, and the class of its cells.
export const COLUMNS = [
  ["state", "Circuit", (of) => of.rank],
  ["name", "Upstream", (of) => of.name],
  ["since", "For", (of) => of.age, "n"],
  ["rate", "Calls/s", (of) => of.traffic?.callsPerSecond, "n"],
  ["errors", "Errors", (of) => of.traffic?.errorShare, "n"],
  ["p50", "p50", (of) => of.traffic?.p50Ms, "n"],
  ["p95", "p95", (of) => of.traffic?.p95Ms, "n"],
  ["p99", "p99", (of) => of.traffic?.p99Ms, "n"],
  ["inFlight", "In flight", (of) => of.traffic?.inFlight, "n"],
  ["probe", "Next probe", (of) => of.breaker.retryAfterMs || null, "n"],
  ["graph", "Last 10 min", null],
];

const HOT = 0.05;

export class Row {
  constructor(name) {
    this.badge = badge("CLOSED");
    this.why = make("span", { class: "why" });
    this.cells = Object.fromEntries(COLUMNS.map(([key, label, , kind]) =>
      [key, make(key === "name" ? "th" : "td", { role: key === "name" ? "rowheader" : "cell", class: `${key} ${kind || ""}`, data: { label } })]));
    this.cells.state.append(this.badge);
    this.cells.name.append(make("a", { class: "name-link", href: `#/breaker/${encodeURIComponent(name)}` }, name), this.why);
    this.element = make("tr", { role: "row", class: "up", data: { name } }, Object.values(this.cells));
    this.draw(null);
  }

  show(of) {
    const { breaker, traffic, service } = of;
    this.element.dataset.state = breaker.state;
    this.element.toggleAttribute("data-steered", Boolean(breaker.order));
    showBadge(this.badge, breaker.state);
    put(this.why, reasonOf(breaker, service));
    const texts = {
      since: span(of.age),
      rate: rate(traffic?.callsPerSecond),
      errors: share(traffic?.errorShare),
      p50: ms(traffic?.p50Ms),
      p95: ms(traffic?.p95Ms),
      p99: ms(traffic?.p99Ms),
      inFlight: number(traffic?.inFlight),
      probe: breaker.state === "OPEN" && breaker.retryAfterMs ? `in ${span(breaker.retryAfterMs)}` : "–",
    };
    for (const [key, text] of Object.entries(texts)) {
      put(this.cells[key], text);
      this.cells[key].classList.toggle("none", text === "–");
    }
    this.cells.errors.classList.toggle("hot", traffic?.errorShare > HOT);
  }

  draw(line) {
    this.cells.graph.replaceChildren(drawn(line));
  }
}
