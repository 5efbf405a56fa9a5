// The dialogs with which people steer a circuit.

import { breakerPath, send } from "./api.js";
import { make } from "./dom.js";

const NAME = "fusebox-name";
const MODES = [
  ["forced_open", "Open", "Every call is refused at once."],
  ["forced_closed", "Close", "Every call is sent, whatever comes back. Failures are still counted."],
  ["disabled", "Disable", "Every call is sent and nothing is counted."],
  ["shadow", "Shadow", "It counts and decides as ever, and refuses nothing."],
];
const TTLS = [["15m", "15 minutes"], ["1h", "1 hour"], ["4h", "4 hours"], ["24h", "24 hours"]];

// Asks for an order and gives it; `done` hears what the circuit is like then.
export function override(name, done) {
  const modes = make("fieldset", { class: "modes" }, make("legend", {}, "What is it to do?"), MODES.map(([mode, title, text], at) =>
    make("label", {}, make("input", { type: "radio", name: "mode", value: mode, checked: at === 0 }), make("span", {}, make("strong", {}, title), make("small", {}, text)))));
  const ttl = field("Ends by itself after", make("select", { name: "ttl" }, TTLS.map(([value, text]) => make("option", { value, selected: value === "1h" }, text))));
  const scope = field("Where", make("select", { name: "scope" }, make("option", { value: "fleet" }, "all instances"), make("option", { value: "instance" }, "this instance only")));
  dialog(`Override ${name}`, [modes, reason(), make("div", { class: "pair" }, ttl, scope), by()], "Override", async (said) => {
    done(await send("POST", breakerPath(name, "/override"), said));
  });
}

export function reset(name, done) {
  const text = make("p", {}, "Lifts an order, closes the circuit and forgets what was counted, on all instances.");
  dialog(`Reset ${name}`, [text, reason(), by()], "Reset", async (said) => {
    done(await send("POST", breakerPath(name, "/reset"), said));
  });
}

export function lift(name, done) {
  const text = make("p", {}, "The circuit follows its rules again, on all instances.");
  dialog(`Lift the order on ${name}`, [text, by()], "Lift", async (said) => {
    done(await send("DELETE", breakerPath(name, "/override"), said));
  });
}

function field(label, input, note) {
  return make("label", { class: "field" }, make("span", {}, label), input, note ? make("small", {}, note) : null);
}

const reason = () => field("Why", make("input", { name: "reason", required: true, maxlength: "500", autocomplete: "off" }), "Whoever finds this later must know what it was for.");

const by = () => field("Your name", make("input", { name: "by", maxlength: "100", autocomplete: "name", value: localStorage.getItem(NAME) || "" }));

function dialog(title, fields, verb, act) {
  const id = "steer-title";
  const wrong = make("p", { class: "failed", role: "alert", hidden: true });
  const submit = make("button", { type: "submit", class: "button primary" }, verb);
  const cancel = make("button", { type: "button", class: "button", on: { click: () => element.close() } }, "Cancel");
  const form = make("form", {}, make("h2", { id }, title), ...fields, wrong, make("div", { class: "actions" }, cancel, submit));
  const element = make("dialog", { "aria-labelledby": id, class: "steer" }, form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const said = Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ""));
    if (said.by) localStorage.setItem(NAME, said.by);
    submit.disabled = true;
    try {
      await act(said);
      element.close();
    } catch (error) {
      wrong.textContent = error.message;
      wrong.hidden = false;
    }
    submit.disabled = false;
  });
  element.addEventListener("close", () => element.remove());
  document.body.append(element);
  element.showModal();
}
