// Tables that are sorted by their headings and scroll by themselves where the screen is narrow.

import { make } from "./dom.js";

// How each table of the page was sorted last: pages draw theirs anew as often as they ask.
let orders = new Map();

// Tables come as they are again.
export function forgetOrders() {
  orders = new Map();
}

// `columns` are `{label, cell(row), sort?(row), number?}`. Sorted as they come until a heading is
// chosen; what has no value comes last.
export function table(label, columns, rows) {
  const body = make("tbody");
  let order = orders.get(label) || { at: -1, down: false };
  const heads = columns.map((column, at) => make("th", { scope: "col", class: column.number ? "n" : null },
    column.sort ? make("button", { type: "button", on: { click: () => sortBy(at) } }, column.label) : column.label));
  function sortBy(at) {
    order = { at, down: order.at === at ? !order.down : Boolean(columns[at].number) };
    orders.set(label, order);
    show();
  }
  function show() {
    heads.forEach((head, of) => (of === order.at ? head.setAttribute("aria-sort", order.down ? "descending" : "ascending") : head.removeAttribute("aria-sort")));
    const sorted = order.at < 0 ? rows : [...rows].sort((a, b) => compare(columns[order.at].sort(a), columns[order.at].sort(b), order.down));
    body.replaceChildren(...sorted.map((row) => make("tr", {}, columns.map((column, at) => {
      const kind = column.number ? "n" : column.kind || null;
      return at ? make("td", { class: kind }, column.cell(row)) : make("th", { scope: "row", class: kind }, column.cell(row));
    }))));
  }
  show();
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
    make("table", {}, make("caption", { class: "unseen" }, label), make("thead", {}, make("tr", {}, heads)), body));
}

export function compare(a, b, down) {
  const isNone = (value) => value === null || value === undefined;
  if (isNone(a) || isNone(b)) return isNone(a) - isNone(b);
  const found = typeof a === "string" ? a.localeCompare(b) : a - b;
  return down ? -found : found;
}
