// The store and the way of rows to it.

import { facts, make, panel } from "./dom.js";
import { bytes, number, plural, span } from "./format.js";
import { words } from "./words.js";

const KEPT = 120;

const MEANINGS = [
  ["Waiting", "in the journal on this host's disk, not yet in the store. It grows while the store is away and drains when it is back."],
  ["Dropped", "lost, because the journal was full: history.spool_max_bytes is the limit."],
  ["Rejected", "set aside on disk, because the store would not take them. They are in set-aside.jsonl, in its data directory."],
  ["Damaged", "records of the journal that could not be read after a crash."],
];

export function open(main, heading) {
  heading.textContent = "Store";
  const page = { points: [] };
  const [verdict, store, rows] = [make("p", { class: "lead", role: "status" }), make("div"), make("div")];
  const drawing = make("div", { class: "graphs" });
  main.append(make("div", { class: "page-head" }, heading), verdict, panel("What instances share", store), panel("History", rows, drawing),
    panel("What it means", make("dl", { class: "meanings" }, MEANINGS.map(([term, text]) => make("div", {}, make("dt", {}, term), make("dd", {}, text))))));
  return {
    state({ status }) {
      const said = judge(status);
      if (verdict.textContent !== said.text) verdict.textContent = said.text;
      verdict.dataset.mood = said.mood;
      store.replaceChildren(shared(status.store));
      rows.replaceChildren(history(status.history));
      page.points = [...page.points, status.history].slice(-KEPT);
      drawing.replaceChildren(...graphs(page.points));
    },
  };
}

function judge({ store, history }) {
  const lost = history.dropped + history.rejected + history.damaged;
  if (!store.reachable) return { mood: "bad", text: `The store does not answer (${store.fault}). Calls go on; ${plural(history.waiting, "row")} wait on this host.` };
  if (lost) return { mood: "bad", text: `${plural(lost, "row")} did not reach the store since the start; see below which.` };
  if (history.inMemoryBecause) return { mood: "warn", text: `Rows that wait do not survive this process: ${history.inMemoryBecause}.` };
  return { mood: "good", text: "The store answers and no row was lost." };
}

function shared(store) {
  return facts([
    ["Store", store.kind, store.reachable ? "answers" : store.fault],
    ["Changes are heard by", { listen: "being told", poll: "asking", alone: "nobody else is there" }[store.syncMode] || words(store.syncMode), store.syncReason],
    ["Lag", store.lagMs === null ? "–" : span(store.lagMs), store.lagMs === null ? "nothing was read yet" : "age of what is known of others"],
    ["Instances", number(store.instances), store.instances > 1 ? "share this store" : "this one alone"],
  ], "tiles");
}

function history(of) {
  const tile = (label, value, note) => [label, value, note];
  const list = facts([
    tile("Written", number(of.written), "since the start"),
    tile("Waiting", number(of.waiting), of.inMemoryBecause ? "in memory" : "in the journal"),
    tile("Journal", bytes(of.journalBytes), "on disk"),
    tile("Dropped", number(of.dropped), "journal full"),
    tile("Rejected", number(of.rejected), "set aside"),
    tile("Damaged", number(of.damaged), "unreadable"),
  ], "tiles");
  [of.dropped, of.rejected, of.damaged].forEach((count, at) => { if (count) list.children[3 + at].dataset.mood = "bad"; });
  return list;
}

// What was seen since this page was opened, a bar for each second.
function graphs(points) {
  const written = points.slice(1).map((point, at) => Math.max(0, point.written - points[at].written));
  const waiting = points.map((point) => point.waiting);
  return [["Written each second", written], ["Waiting", waiting]].map(([label, line]) => {
    const top = Math.max(0, ...line);
    const bars = make("div", { class: "bars", role: "img", "aria-label": `${label}, ${number(top)} at most, ${number(line.at(-1) || 0)} now` }, line.map((value) => {
      const bar = make("i");
      bar.style.setProperty("--part", (value / Math.max(1, top)).toFixed(3));
      return bar;
    }));
    return make("figure", {}, make("figcaption", {}, `${label}, since this page was opened: ${number(line.at(-1) || 0)} now, ${number(top)} at most`), bars);
  });
}
