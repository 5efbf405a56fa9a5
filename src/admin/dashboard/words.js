// The API's words as people say them, and the marks that go with them.

import { make, put } from "./dom.js";
import { number, plural, share, span } from "./format.js";

export const words = (name) => (name || "").replaceAll("_", " ").toLowerCase();

// How bad a breaker is: what sorts it to the top.
const RANK = { OPEN: 0, HALF_OPEN: 1, RAMPING: 2, CLOSED: 3 };
export const rank = (breaker) => RANK[breaker.state] ?? 4;

// A state as shape, colour and word.
export function badge(state, extra = "") {
  return make("span", { class: `badge ${extra}`, data: { state } }, words(state));
}

export function showBadge(element, state) {
  if (element.dataset.state !== state) element.dataset.state = state;
  put(element, words(state));
}

export const MODES = {
  auto: "by its rules",
  forced_open: "forced open",
  forced_closed: "forced closed",
  disabled: "disabled",
  shadow: "shadow",
};

// Causes whose name says too little.
const CAUSES = { fleet: "told by the fleet", override: "by an order" };

// Why a breaker is as it is, in a line; nothing to say of one that is simply closed.
export function reasonOf(breaker, service) {
  if (breaker.order) return `${MODES[breaker.mode] || words(breaker.mode)} by ${breaker.order.by}: ${breaker.order.reason}`;
  if (breaker.mode === "shadow") return `shadow, would have refused ${number(breaker.wouldRefuse)}`;
  if (breaker.mode !== "auto") return `${MODES[breaker.mode] || words(breaker.mode)} by the configuration`;
  if (breaker.reason === "fleet" && breaker.state === "OPEN" && breaker.openedBy) return words(breaker.openedBy);
  if (breaker.reason === "fleet" && breaker.reporters < 2) return "";
  if (breaker.state === "CLOSED") return service && service.status !== "up" ? service.message : "";
  return CAUSES[breaker.reason] || words(breaker.reason);
}

// Who: this instance, or the end of another's id; the whole is in the title.
export function instance(id, own) {
  if (!id) return make("span", {}, "an instance");
  const isId = id.length === 36;
  return make("span", { title: id }, id === own ? "this instance" : isId ? `instance …${id.slice(-6)}` : id);
}

// From which state to which; of an order that moves nothing, what it says.
export function move(one) {
  const mode = one.detail?.mode || one.mode;
  if (one.cause !== "override" || one.from !== one.to) return make("span", { class: "move" }, badge(one.from), " → ", badge(one.to));
  return make("span", { class: "move" }, make("span", { class: "badge order" }, mode === "auto" ? "order lifted" : MODES[mode] || words(mode)));
}

// The story of a transition.
export function causeOf(one) {
  const detail = one.detail || one;
  if (one.cause === "override" && detail.by) {
    return `${detail.by}: ${detail.reason || "no reason told"}${detail.forMs > 0 ? `, for ${span(detail.forMs)}` : ""}`;
  }
  const cause = CAUSES[one.cause] || words(one.cause);
  if (one.to !== "OPEN") return cause;
  const parts = [cause];
  if (detail.failureCount > 0) parts.push(`${plural(detail.failureCount, "failure")} in a row`);
  if (detail.windowCalls > 0) parts.push(`${share(detail.windowFailures / detail.windowCalls)} of ${plural(detail.windowCalls, "call")} failed`);
  if (detail.openForMs > 0) parts.push(`for ${span(detail.openForMs)}`);
  return parts.join(", ");
}

// How the fleet voted, from an event's detail; nothing where nobody was asked.
export function votesOf(detail) {
  if (!detail || !(detail.electorate > 0)) return null;
  const { bad = 0, good = 0, abstained = 0, electorate } = detail;
  const silent = Math.max(0, electorate - bad - good - abstained);
  return { bad, good, abstained, silent, electorate, reporters: (detail.reporters || []).map((node) => node.name) };
}

// The votes as a bar with its numbers.
export function voteBar(votes) {
  const parts = [["bad", votes.bad], ["good", votes.good], ["abstained", votes.abstained], ["silent", votes.silent]];
  const said = parts.filter(([, count]) => count > 0).map(([name, count]) => `${count} ${name}`).join(", ");
  const cells = parts.flatMap(([name, count]) => Array.from({ length: Math.min(count, 40) }, () => make("i", { data: { vote: name } })));
  return make("span", { class: "votes" }, make("span", { class: "vote-cells", "aria-hidden": "true" }, cells), `${said} of ${votes.electorate}`);
}

export function outcome(task) {
  const repeats = !task.failureReason || task.failureReason === `http_${task.status}`;
  return make("span", { class: "outcome", data: { outcome: task.outcome } }, repeats ? words(task.outcome) : words(task.failureReason));
}
