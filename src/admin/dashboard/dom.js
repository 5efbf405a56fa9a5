// Elements. Texts only ever go through textContent, so nothing that an upstream or a caller sent
// can become markup.

const SVG = "http://www.w3.org/2000/svg";

// An element with properties and children; a child that is null or false is left out.
export function make(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

export function svg(tag, props = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") for (const [event, act] of Object.entries(value)) element.addEventListener(event, act);
    else if (name === "data") Object.assign(element.dataset, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// Sets a text, but only when it changes, so that selections and screen readers stay undisturbed.
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Puts others in the place of an element's children. Who stands on one of them with the keyboard stays
// on the one that is like it, where there is one.
export function refill(element, ...children) {
  const held = element.contains(document.activeElement) && document.activeElement;
  const scrolled = [...element.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
  element.replaceChildren(...children);
  element.querySelectorAll(".scroll").forEach((one, at) => { one.scrollLeft = scrolled[at] || 0; });
  if (!held) return;
  const alike = [...element.querySelectorAll(held.tagName)].filter((one) => traits(one) === traits(held));
  alike[0]?.focus({ preventScroll: true });
}

const traits = (one) => ["href", "aria-label"].map((name) => one.getAttribute(name)).concat(one.matches("a, button, summary") ? one.textContent : "").join("\n");

export const byId = (id) => document.getElementById(id);

// A list of terms and what they are; a value is a text or an element.
export function facts(pairs, kind = "facts") {
  const list = pairs.filter(Boolean);
  return make("dl", { class: kind }, list.map(([term, value, note]) => make("div", {}, make("dt", {}, term),
    make("dd", {}, value, note ? make("span", { class: "note" }, note) : null))));
}

export function panel(title, ...children) {
  return make("section", { class: "panel" }, make("h2", {}, title), ...children);
}

// What is there instead of nothing: what it means, and what to do.
export function empty(title, text, ...more) {
  return make("div", { class: "empty" }, make("p", { class: "empty-title" }, title), text ? make("p", {}, text) : null, ...more);
}

export function failed(error) {
  return make("p", { class: "failed", role: "alert" }, error.message);
}

// Buttons of which one is chosen.
export function choice(label, options, chosen, choose) {
  const group = make("div", { class: "choice", role: "group", "aria-label": label });
  const buttons = options.map(([value, text]) => make("button", { type: "button", "aria-pressed": String(value === chosen),
    on: { click: () => pick(value) } }, text));
  function pick(value) {
    options.forEach(([of], at) => buttons[at].setAttribute("aria-pressed", String(of === value)));
    choose(value);
  }
  group.append(...buttons);
  return group;
}
