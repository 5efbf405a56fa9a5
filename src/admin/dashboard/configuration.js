// The configuration in force, with its problems.

import { read } from "./api.js";
import { empty, failed, make, panel, refill } from "./dom.js";
import { plural } from "./format.js";
import { showNotes } from "./upstreams.js";

export function open(main, heading) {
  heading.textContent = "Configuration";
  const page = { over: false, text: "", config: null, generation: null };
  const notes = make("ul", { class: "notes" });
  const fine = make("p", { class: "note" }, "Nothing is odd about it.");
  const body = make("div");
  const search = make("input", { type: "search", placeholder: "Find a key or a value  ( / )", "aria-label": "Find a key or a value", spellcheck: "false",
    on: { input: () => { page.text = search.value.trim().toLowerCase(); show(); } } });
  main.append(make("div", { class: "page-head" }, heading, make("div", { class: "tools" }, search)),
    panel("Problems and warnings", notes, fine),
    panel("In force, with every default", make("p", { class: "note" }, "The keys are those of the file. Secrets and the values of headers read ***."), body));
  function show() {
    if (!page.config) return;
    const sections = Object.entries(page.config).map(([key, value]) => section(key, value, page.text)).filter(Boolean);
    refill(body, ...(sections.length ? sections : [empty("Nothing has that in it", "Look for a part of a key, such as open_for, or of a value.")]));
  }
  async function load() {
    try {
      page.config = await read("/api/v1/config");
      if (!page.over) show();
    } catch (error) {
      if (!page.over) refill(body, failed(error));
    }
  }
  return {
    state({ status }) {
      showNotes(notes, status);
      fine.hidden = !notes.hidden;
      if (page.generation === status.configuration.generation) return;
      page.generation = status.configuration.generation;
      load();
    },
    close() { page.over = true; },
  };
}

const isPlain = (value) => value === null || typeof value !== "object" || (Array.isArray(value) ? !value.length || value.every((one) => one === null || typeof one !== "object") : !Object.keys(value).length);

function plain(value) {
  if (Array.isArray(value)) return `[${value.map(plain).join(", ")}]`;
  if (value === null) return "–";
  if (typeof value === "object") return "{}";
  return value === "" ? "\"\"" : String(value);
}

// The lines of a value: how deep, the key's path, and the text.
function* lines(key, value, depth, path) {
  if (isPlain(value)) {
    yield { depth, path, key, text: plain(value) };
    return;
  }
  yield { depth, path, key, text: "" };
  const inside = Array.isArray(value) ? value.map((one, at) => [one?.name ? `- ${one.name}` : `- ${at + 1}`, one]) : Object.entries(value);
  for (const [name, one] of inside) yield* lines(name, one, depth + 1, `${path}.${name}`);
}

// A top-level key: one line, or a part that opens. With a search, only what fits and what it is in.
function section(key, value, text) {
  const all = [...lines(key, value, 0, key)];
  const hits = text ? all.filter((line) => line.path.toLowerCase().includes(text) || line.text.toLowerCase().includes(text)) : all;
  if (!hits.length) return null;
  const wanted = text ? all.filter((line) => hits.some((hit) => hit.path === line.path || hit.path.startsWith(`${line.path}.`))) : all;
  if (all.length === 1) return make("div", { class: "yaml-line top" }, ...shown(all[0]));
  const inside = wanted.slice(1).map((line) => {
    const element = make("div", { class: "yaml-line" }, ...shown(line));
    element.style.setProperty("--depth", line.depth);
    return element;
  });
  return make("details", { class: "yaml-part", open: Boolean(text) || inside.length < 12 },
    make("summary", {}, make("span", { class: "key" }, key), make("span", { class: "note" }, ` ${plural(inside.length, "line")}`)), inside);
}

const shown = (line) => [make("span", { class: "key" }, `${line.key}:`), " ", make("span", { class: "value" }, line.text)];
