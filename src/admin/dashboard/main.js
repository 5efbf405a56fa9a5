// The frame: pages by the fragment of the address, the stream that all of them share, the colours.

import { follow } from "./stream.js";
import { askForToken } from "./api.js";
import { byId, make, put } from "./dom.js";
import { span } from "./format.js";
import { words } from "./words.js";
import { forgetOrders } from "./table.js";
import * as upstreams from "./upstreams.js";
import * as breaker from "./breaker.js";
import * as timeline from "./timeline.js";
import * as calls from "./calls.js";
import * as trace from "./trace.js";
import * as statistics from "./statistics.js";
import * as operation from "./operation.js";
import * as warnings from "./warnings.js";
import * as configuration from "./configuration.js";
import * as store from "./store.js";

// What each fragment shows: the page, and the entry of the navigation that it belongs to.
const PAGES = {
  "": [upstreams, "upstreams"], breaker: [breaker, "upstreams"], timeline: [timeline, "timeline"],
  calls: [calls, "calls"], trace: [trace, "calls"], task: [trace, "calls"],
  statistics: [statistics, "statistics"], operation: [operation, "statistics"],
  warnings: [warnings, "warnings"], configuration: [configuration, "configuration"], store: [store, "store"],
};

const LABELS = { "": "as the system", light: "light", dark: "dark" };
let current = null;
let last = null;
let first = true;

function route() {
  const [path, search = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/");
  const [page, entry] = Object.hasOwn(PAGES, name) ? PAGES[name] : PAGES[""];
  const given = { name, rest: rest.map(decoded), search: new URLSearchParams(search) };
  current?.close?.();
  forgetOrders();
  for (const link of document.querySelectorAll(".nav a")) {
    if (link.dataset.page === entry) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const heading = make("h1", { tabindex: "-1" });
  const main = byId("main");
  main.replaceChildren();
  main.dataset.page = name || "upstreams";
  current = page.open(main, heading, given) || {};
  document.title = `${heading.textContent} · Fusebox`;
  if (last) current.state?.(last);
  if (!first) {
    scrollTo(0, 0);
    heading.focus({ preventScroll: true });
  }
  first = false;
}

// Anybody may write anything into the address: what is no encoding stands for itself.
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

const handlers = {
  state(state) {
    last = state;
    const { status } = state;
    put(byId("identity"), [status.service, status.namespace, status.displayName].filter(Boolean).join(" · "));
    const listeners = Object.entries(status.listeners).map(([name, address]) => `${name} on ${address}`);
    put(byId("foot"), `Fusebox ${status.version} · up ${span(status.uptimeMs)} · ${listeners.join(", ")}` +
      ` · instance ${status.instance} · rates and quantiles over 30 s, of this instance`);
  },
  transition(one) {
    put(byId("announce"), `${one.name}: circuit ${words(one.to)}, ${words(one.cause)}`);
  },
};

function hear(event, data) {
  handlers[event]?.(data);
  current[event]?.(data);
}

function showLink(state, text) {
  byId("link").dataset.link = state;
  put(byId("link-text"), text);
  byId("sign-in").hidden = state !== "token";
  document.body.toggleAttribute("data-stale", state === "lost");
}

// The next of: as the system, light, dark.
function turnColours() {
  const root = document.documentElement;
  const order = Object.keys(LABELS);
  const next = order[(order.indexOf(root.dataset.theme || "") + 1) % order.length];
  if (next) root.dataset.theme = next;
  else delete root.dataset.theme;
  localStorage.setItem("fusebox-theme", next);
  showColours();
}

function showColours() {
  const chosen = document.documentElement.dataset.theme || "";
  byId("theme").setAttribute("aria-label", `Colours: ${LABELS[chosen]}`);
  byId("theme").title = `Colours: ${LABELS[chosen]}`;
  put(byId("theme"), { "": "◐", light: "○", dark: "●" }[chosen]);
}

byId("theme").addEventListener("click", turnColours);
showColours();
addEventListener("hashchange", () => { if (location.hash !== "#main") route(); });
addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, textarea, select, dialog");
  if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  const search = document.querySelector("main input[type=search]");
  if (search) { event.preventDefault(); search.focus(); }
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("main").focus();
});
route();
follow(hear, showLink, () => new Promise((resolve) => {
  byId("sign-in").onclick = async () => { if (await askForToken()) { route(); resolve(); } };
}));
