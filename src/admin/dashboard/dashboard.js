// The dashboard reads one stream, /api/v1/events, and shows each state as it comes. The stream is
// read with fetch because EventSource cannot send the bearer token. Texts only ever go through
// textContent, so nothing that an upstream or a caller sent can become markup.
"use strict";

const KEY = "fusebox-token";
const STALL_MS = 5000;
const POINTS = 60;
const CALLS_EVERY_MS = 5000;
const CALLS_SHOWN = 12;

const byId = (id) => document.getElementById(id);
const rows = new Map();
let retryMs = 500;

// ---- small parts -------------------------------------------------------------------------------

function make(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "class") element.className = value;
    else if (name in element && !name.includes("-")) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const number = (value, digits) =>
  value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });

function showRate(rate) {
  return rate === null || rate === undefined ? "–" : number(rate, rate < 10 && rate > 0 ? 1 : 0);
}

function showShare(share) {
  if (share === null || share === undefined) return "–";
  const percent = share * 100;
  return `${number(percent, percent > 0 && percent < 10 ? 1 : 0)}%`;
}

function showMs(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms >= 10000) return `${number(ms / 1000, 0)} s`;
  if (ms >= 1000) return `${number(ms / 1000, 1)} s`;
  return `${number(ms, ms < 10 ? 1 : 0)} ms`;
}

function showSpan(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const [d, h, m, s] = [86400, 3600, 60, 1].map((unit, at, units) =>
    Math.floor((at ? seconds % units[at - 1] : seconds) / unit));
  const parts = [[d, "d"], [h, "h"], [m, "min"], [s, "s"]];
  const first = parts.findIndex(([value]) => value);
  if (first < 0) return "0 s";
  return parts.slice(first, first + 2).filter(([value]) => value).map((part) => part.join(" ")).join(" ");
}

const clock = (text) => new Date(text).toLocaleTimeString([], { hour12: false });
const words = (name) => (name || "").replaceAll("_", " ").toLowerCase();
const sum = (values) => values.reduce((total, value) => total + (value || 0), 0);

// ---- overview ----------------------------------------------------------------------------------

function tile(label, value, note, mood) {
  const box = make("div", { class: "tile" }, make("dt", {}, label),
    make("dd", {}, value, make("div", { class: "note" }, note)));
  if (mood) box.dataset.mood = mood;
  return box;
}

function showOverview({ status, breakers }) {
  const all = Object.values(breakers);
  const open = all.filter((breaker) => breaker.state === "OPEN").length;
  const unsettled = all.filter((breaker) => breaker.state !== "CLOSED").length - open;
  const traffic = Object.values(status.upstreams);
  const calls = sum(traffic.map((one) => one.calls));
  const errors = sum(traffic.map((one) => one.failures + one.refused));
  const share = calls ? errors / calls : null;
  const { store, history } = status;
  const others = store.instances > 1 ? `${store.instances} instances` : "this instance alone";
  byId("tiles").replaceChildren(
    tile("Circuits open", `${open} of ${all.length}`,
      unsettled ? `${unsettled} recovering` : "the rest closed", open ? "bad" : unsettled ? "warn" : ""),
    tile("Calls per second", showRate(sum(traffic.map((one) => one.callsPerSecond))),
      `${number(status.inFlight, 0)} in flight`),
    tile("Errors", showShare(share), `${number(errors, 0)} of ${number(calls, 0)} in 30 s`,
      share > 0.05 ? "bad" : ""),
    tile("Store", store.reachable ? store.kind : `${store.kind} away`,
      store.reachable ? `${words(store.syncMode)} · ${others}` : "calls go on; rows wait",
      store.reachable ? "" : "bad"),
    tile("Rows written", number(history.written, 0), `${number(history.waiting, 0)} waiting`),
    tile("Rows lost", number(history.dropped + history.rejected, 0),
      history.rejected ? `${number(history.rejected, 0)} refused by the store` : "since the start",
      history.dropped + history.rejected ? "bad" : ""),
  );
  const warnings = [...status.warnings];
  if (store.fault) warnings.unshift(`The store: ${store.fault}`);
  if (status.draining) warnings.unshift("This instance is stopping.");
  byId("warnings").hidden = !warnings.length;
  byId("warnings").replaceChildren(...warnings.map((text) => make("li", {}, text)));
}

function showIdentity(status) {
  put(byId("identity"), [status.service, status.namespace, status.displayName].filter(Boolean).join(" · "));
  document.title = `${status.service} · Fusebox`;
  const listeners = Object.entries(status.listeners).map(([name, address]) => `${name} on ${address}`);
  put(byId("foot"), `Fusebox ${status.version} · up ${showSpan(status.uptimeMs)} · instance ${status.instance}` +
    ` · ${listeners.join(", ")} · rates and quantiles over 30 s`);
}

// ---- one row per breaker -----------------------------------------------------------------------

const SVG = "http://www.w3.org/2000/svg";

function cell(kind, label) {
  const td = make("td", { role: "cell", class: kind });
  if (label) td.dataset.label = label;
  return td;
}

class Row {
  constructor(name) {
    this.name = name;
    this.points = [];
    this.callsAt = 0;
    const id = `detail-${rows.size}`;
    this.toggle = make("button", { class: "toggle", type: "button", "aria-expanded": "false", "aria-controls": id }, name);
    this.toggle.addEventListener("click", () => this.open(this.more.hidden));
    this.why = make("span", { class: "why" });
    this.badge = make("span", { class: "badge" });
    this.cells = {
      name: cell("name"), state: cell("state"), since: cell("for", "For"), rate: cell("n", "Calls/s"),
      errors: cell("n", "Errors"), p50: cell("n", "p50"), p95: cell("n", "p95"), p99: cell("n", "p99"),
      inFlight: cell("n", "In flight"), graph: cell("graph", "Last minute"),
    };
    this.cells.name.append(this.toggle, this.why);
    this.cells.state.append(this.badge);
    this.spark = document.createElementNS(SVG, "svg");
    this.spark.setAttribute("class", "spark");
    this.spark.setAttribute("viewBox", `0 0 ${POINTS * 2} 26`);
    this.spark.setAttribute("preserveAspectRatio", "none");
    this.spark.setAttribute("role", "img");
    this.all = this.spark.appendChild(document.createElementNS(SVG, "path"));
    this.err = this.spark.appendChild(document.createElementNS(SVG, "path"));
    this.all.setAttribute("class", "all");
    this.err.setAttribute("class", "err");
    this.cells.graph.append(this.spark);
    this.facts = make("dl", { class: "facts" });
    this.past = make("ol", { class: "past" });
    this.calls = make("ul", { class: "calls" });
    const detail = make("div", { class: "detail" },
      make("div", {}, make("h3", {}, "Circuit"), this.facts),
      make("div", {}, make("h3", {}, "Last transitions"), this.past),
      make("div", { class: "wide" }, make("h3", {}, "Last calls"), this.calls));
    const wide = make("td", { role: "cell", colSpan: 10 }, detail);
    this.more = make("tr", { class: "more", role: "row", id, hidden: true }, wide);
    this.body = make("tbody", { class: "up", role: "rowgroup" },
      make("tr", { class: "row", role: "row" }, ...Object.values(this.cells)), this.more);
  }

  open(yes) {
    this.more.hidden = !yes;
    this.toggle.setAttribute("aria-expanded", String(yes));
    this.callsAt = 0;
    if (yes) this.loadCalls();
  }

  show(breaker, traffic, service, now) {
    this.body.dataset.state = breaker.state;
    this.badge.dataset.state = breaker.state;
    put(this.badge, breaker.state.replace("_", " "));
    put(this.why, reasonOf(breaker, service));
    put(this.cells.since, showSpan(now - Date.parse(breaker.since)));
    this.cells.since.title = `since ${new Date(breaker.since).toLocaleString()}`;
    put(this.cells.rate, showRate(traffic?.callsPerSecond));
    put(this.cells.errors, showShare(traffic?.errorShare));
    this.cells.errors.classList.toggle("hot", traffic?.errorShare > 0.05);
    put(this.cells.p50, showMs(traffic?.p50Ms));
    put(this.cells.p95, showMs(traffic?.p95Ms));
    put(this.cells.p99, showMs(traffic?.p99Ms));
    put(this.cells.inFlight, traffic ? number(traffic.inFlight, 0) : "–");
    for (const td of Object.values(this.cells)) td.classList.toggle("none", td.textContent === "–");
    this.draw(traffic);
    this.showFacts(breaker, service);
    this.showPast(breaker.recentTransitions);
    if (!this.more.hidden && performance.now() - this.callsAt > CALLS_EVERY_MS) this.loadCalls();
  }

  draw(traffic) {
    this.points.push([traffic?.callsPerSecond || 0, (traffic?.callsPerSecond || 0) * (traffic?.errorShare || 0)]);
    this.points = this.points.slice(-POINTS);
    const top = Math.max(1, ...this.points.map(([all]) => all));
    const bars = (index) => this.points.map((point, at) => {
      const height = Math.round(point[index] / top * 240) / 10;
      const x = (POINTS - this.points.length + at) * 2;
      return height ? `M${x} 26v-${height}h1.5v${height}z` : "";
    }).join("");
    this.all.setAttribute("d", `M0 25.2h${POINTS * 2}v.8h-${POINTS * 2}z${bars(0)}`);
    this.err.setAttribute("d", bars(1));
    this.spark.setAttribute("aria-label", `up to ${showRate(top)} calls per second`);
  }

  showFacts(breaker, service) {
    const facts = [
      ["Failures in a row", number(breaker.failureCount, 0)],
      ["Failure rate", breaker.failureRate === null ? "–" : `${showShare(breaker.failureRate)} of ${number(breaker.windowCalls, 0)}`],
      ["Next probe", breaker.state === "OPEN" ? `in ${showSpan(breaker.retryAfterMs)}` : "–"],
      ["Mode", words(breaker.mode)],
      ["Shared by", breaker.scope === "fleet" ? `${breaker.reporters} instance${breaker.reporters === 1 ? "" : "s"}` : "this instance only"],
      ["Epoch", String(breaker.epoch)],
      ["Health", service ? `${service.message}${service.timestamp ? `, ${clock(service.timestamp)}` : ""}` : "–"],
    ];
    if (this.facts.childElementCount !== facts.length * 2) {
      this.facts.replaceChildren(...facts.flatMap(([label]) => [make("dt", {}, label), make("dd", {})]));
    }
    facts.forEach(([, value], at) => put(this.facts.children[at * 2 + 1], value));
  }

  showPast(transitions) {
    const stamp = transitions.map((one) => one.at).join();
    if (stamp === this.stamp) return;
    this.stamp = stamp;
    const line = (one) => make("li", {}, make("time", { dateTime: one.at }, clock(one.at)),
      make("span", {}, `${words(one.from)} → ${words(one.to)}`,
        make("span", { class: "cause" }, causeOf(one))));
    this.past.replaceChildren(...(transitions.length
      ? transitions.slice(0, 8).map(line)
      : [make("li", { class: "none" }, "None since the start.")]));
  }

  async loadCalls() {
    this.callsAt = performance.now();
    const upstream = this.name.split("/")[0];
    const query = new URLSearchParams({ upstream, limit: String(CALLS_SHOWN) });
    try {
      const response = await ask(`/api/v1/tasks?${query}`);
      const answer = await response.json();
      if (!answer.success) throw new Error(answer.error.message);
      const lines = answer.data.tasks.map(callLine);
      this.calls.replaceChildren(...(lines.length ? lines : [make("li", { class: "none" }, "None in a day.")]));
    } catch (error) {
      this.calls.replaceChildren(make("li", { class: "none" }, error.message));
    }
  }
}

function callLine(task) {
  const repeats = !task.failureReason || task.failureReason === `http_${task.status}`;
  const outcome = repeats ? task.outcome : words(task.failureReason);
  const what = make("span", { class: "what", title: `${task.method} ${task.path}` }, `${task.method} ${task.path}`,
    make("span", { class: "id mono" }, task.correlationId || ""));
  const said = task.status ? `${task.status} ${outcome}` : outcome;
  return make("li", {}, make("time", { class: "none", dateTime: task.startedAt || "" }, clock(task.startedAt)), what,
    make("span", { class: "outcome", "data-outcome": task.outcome }, said),
    make("span", { class: "took" }, showMs(task.durationMs)));
}

function causeOf(transition) {
  const cause = words(transition.cause);
  if (transition.to !== "OPEN") return cause;
  return `${cause}, ${transition.failureCount} in a row, for ${showSpan(transition.openForMs)}`;
}

function reasonOf(breaker, service) {
  if (breaker.order) return `${words(breaker.mode)} by ${breaker.order.by}: ${breaker.order.reason}`;
  if (breaker.mode === "shadow") return `shadow · would have refused ${number(breaker.wouldRefuse, 0)}`;
  if (breaker.mode !== "auto") return `${words(breaker.mode)} by the configuration`;
  const reason = words(breaker.reason);
  if (breaker.state === "OPEN") return `${reason} · next probe in ${showSpan(breaker.retryAfterMs)}`;
  if (breaker.state === "CLOSED") return service && service.status !== "up" ? service.message : "";
  return reason;
}

function showRows({ now, status, breakers, health }) {
  const at = Date.parse(now);
  const names = Object.keys(breakers);
  for (const [name, row] of rows) {
    if (!(name in breakers)) { row.body.remove(); rows.delete(name); }
  }
  for (const name of names) {
    if (!rows.has(name)) {
      rows.set(name, new Row(name));
      byId("table").append(rows.get(name).body);
    }
    const upstream = name.split("/")[0];
    rows.get(name).show(breakers[name], status.upstreams[name] || status.upstreams[upstream],
      health.services[name] || health.services[upstream], at);
  }
  byId("empty").hidden = names.length > 0;
}

// ---- the stream --------------------------------------------------------------------------------

function showLink(link, text) {
  byId("link").dataset.link = link;
  put(byId("link-text"), text);
  document.body.toggleAttribute("data-stale", link !== "live");
}

function ask(path, options = {}) {
  const token = sessionStorage.getItem(KEY);
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  return fetch(path, { ...options, headers, cache: "no-store" });
}

function askForToken() {
  const dialog = byId("ask");
  const input = byId("token");
  const wasWrong = sessionStorage.getItem(KEY) !== null;
  byId("ask-why").classList.toggle("wrong", wasWrong);
  if (wasWrong) put(byId("ask-why"), "That token was not accepted. Try another.");
  input.value = "";
  if (!dialog.open) dialog.showModal();
  return new Promise((resolve) => {
    // Escape closes the dialog and would leave nothing to do; it stays until there is a token.
    dialog.onclose = () => dialog.showModal();
    byId("ask-form").onsubmit = (event) => {
      event.preventDefault();
      sessionStorage.setItem(KEY, input.value.trim());
      dialog.onclose = null;
      dialog.close();
      resolve();
    };
  });
}

const handlers = {
  state(state) {
    showLink("live", "live");
    retryMs = 500;
    showIdentity(state.status);
    showOverview(state);
    showRows(state);
  },
  transition(one) {
    put(byId("announce"), `${one.name}: circuit ${words(one.to)}, ${words(one.cause)}`);
  },
};

function take(frame) {
  const field = (name) => frame.split("\n").find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
  const handler = handlers[field("event")];
  if (handler) handler(JSON.parse(field("data")));
}

async function read(response, stalled) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const timer = setTimeout(stalled, STALL_MS);
    const { done, value } = await reader.read();
    clearTimeout(timer);
    if (done) return;
    buffer += value;
    const frames = buffer.split("\n\n");
    buffer = frames.pop();
    frames.forEach(take);
  }
}

async function follow() {
  for (;;) {
    try {
      const abort = new AbortController();
      const response = await ask("/api/v1/events", { signal: abort.signal });
      if (response.status === 401) {
        showLink("lost", "token needed");
        await askForToken();
        continue;
      }
      if (response.ok) await read(response, () => abort.abort());
      else showLink("lost", (await response.json()).error.code.replaceAll("_", " "));
    } catch (error) {
      console.warn(error);
    }
    if (byId("link").dataset.link === "live") showLink("lost", "reconnecting");
    await new Promise((resolve) => setTimeout(resolve, retryMs));
    retryMs = Math.min(retryMs * 2, 5000);
  }
}

follow();
