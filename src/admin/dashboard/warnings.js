// What is about to go wrong, how good such warnings were, and how long waiting is worth it.

import { read } from "./api.js";
import { empty, failed, make, panel, refill } from "./dom.js";
import { ms, number, plural, share, span, when } from "./format.js";
import { words } from "./words.js";
import { table } from "./table.js";

const EVERY_MS = 10000;
const FATES = { open: "not known yet", cameTrue: "came true", didNot: "did not" };

export function open(main, heading) {
  heading.textContent = "Early warnings";
  const page = { over: false };
  const [said, waits] = [make("div"), make("div")];
  main.append(make("div", { class: "page-head" }, heading), said, panel("Learned timeouts", waits));
  async function part(element, path, show) {
    try {
      const found = await read(path);
      if (!page.over) refill(element, ...[show(found)].flat().filter(Boolean));
    } catch (error) {
      if (!page.over) refill(element, failed(error));
    }
  }
  async function load() {
    clearTimeout(page.timer);
    await Promise.all([part(said, "/api/v1/predictions", predictions), part(waits, "/api/v1/timeouts", timeouts)]);
    if (!page.over) page.timer = setTimeout(load, EVERY_MS);
  }
  load();
  return { warning: load, close: () => { page.over = true; clearTimeout(page.timer); } };
}

function predictions(found) {
  const off = found.enabled ? null : make("p", { class: "finding" }, "Warnings are switched off by the configuration (warnings.enabled).");
  const active = found.active.length ? make("ul", { class: "active" }, found.active.map((one) => make("li", { data: { muted: String(one.isMuted) } },
    make("a", { class: "name-link", href: `#/breaker/${encodeURIComponent(one.upstream)}` }, subject(one)),
    make("p", {}, one.claim), make("p", { class: "note" }, `${words(one.signal)}, ${share(one.probability)} likely within ${span(one.horizonSeconds * 1000)}, said ${when(one.madeAt)}${one.isMuted ? "; silent, for the record" : ""}`))))
    : empty("Nothing is about to go wrong", `Calls are compared with their own past: rising failures, growing slowness, an objective of ${share(found.objective)} that is used up too fast.`);
  const past = found.past.length ? table("Past warnings", [
    { label: "About", cell: subject, sort: subject },
    { label: "Said", cell: (of) => when(of.madeAt), sort: (of) => of.madeAt },
    { label: "Claim", cell: (of) => of.claim, kind: "wrap" },
    { label: "Likely", cell: (of) => share(of.probability), sort: (of) => of.probability, number: true },
    { label: "What became of it", cell: (of) => make("span", { class: "status", data: { status: of.fate } }, FATES[of.fate] || of.fate), sort: (of) => of.fate },
    { label: "Ahead by", cell: (of) => (of.leadSeconds === null ? "–" : span(of.leadSeconds * 1000)), sort: (of) => of.leadSeconds, number: true },
  ], found.past) : empty("No warning in a week", "Each one is held to what it said, and shown here with its fate.");
  const signals = table("Signals", [
    { label: "Signal", cell: (of) => words(of.signal), sort: (of) => of.signal },
    { label: "Decided", cell: (of) => number(of.decided), sort: (of) => of.decided, number: true },
    { label: "Came true", cell: (of) => share(of.precision), sort: (of) => of.precision, number: true },
    { label: "Failures foreseen", cell: (of) => share(of.recall), sort: (of) => of.recall, number: true },
    { label: "Ahead by", cell: (of) => (of.leadSeconds === null ? "–" : span(of.leadSeconds * 1000)), number: true },
    { label: "Brier score", cell: (of) => number(of.brier, 2), number: true },
    { label: "State", cell: (of) => (of.isMuted ? "silent: it was wrong too often" : "speaks") },
  ], found.signals);
  return [off, panel("Now", active), panel("Before", past), panel("How good each signal was in 30 days", signals)];
}

const subject = (of) => [of.upstream, of.domain && `${of.domain} / ${of.action}`].filter(Boolean).join(" · ");

const KNOWN = { known: "known", too_few: "too few calls yet", hidden: "too many are cut to see it" };

function timeouts(found) {
  if (!found.length) return empty("No timeout is learned", "Set `timeouts.learned.mode: observe` for an upstream, and it is told here what a learned one would have done.");
  return table("Learned timeouts", [
    { label: "Upstream", cell: (of) => of.upstream, sort: (of) => of.upstream },
    { label: "Mode", cell: (of) => of.mode },
    { label: "Configured", cell: (of) => ms(of.configuredMs), sort: (of) => of.configuredMs, number: true },
    { label: "In force", cell: (of) => ms(of.inForceMs), sort: (of) => of.inForceMs, number: true },
    { label: "Learned", cell: (of) => ms(of.learnedMs), sort: (of) => of.learnedMs, number: true },
    { label: "Estimate", cell: (of) => KNOWN[of.estimate] || of.estimate },
    { label: "Calls", cell: (of) => number(of.calls), sort: (of) => of.calls, number: true },
    { label: "Would cut in vain", cell: (of) => plural(of.falseCuts, "call"), sort: (of) => of.falseCuts, number: true },
    { label: "Would save", cell: (of) => span(of.savedSeconds * 1000), sort: (of) => of.savedSeconds, number: true },
  ], found);
}
