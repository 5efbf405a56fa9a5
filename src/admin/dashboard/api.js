// Questions to the API, with the token when there is one.

import { byId, put } from "./dom.js";

const KEY = "fusebox-token";
let asking = null;
// Whoever closed the dialog is not asked again by each question that the page repeats.
let isDeclined = false;

export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    Object.assign(this, { status, code });
  }
}

export const hasToken = () => sessionStorage.getItem(KEY) !== null;

// A response as it comes.
export function ask(path, options = {}) {
  const token = sessionStorage.getItem(KEY);
  const headers = { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  return fetch(path, { ...options, headers, cache: "no-store" });
}

// The `data` of an answer. Asks for the token when one is needed.
export async function read(path, options = {}) {
  const tried = sessionStorage.getItem(KEY);
  let response;
  try {
    response = await ask(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "away", "Fusebox does not answer.");
  }
  if (response.status === 401) {
    const isOther = sessionStorage.getItem(KEY) !== tried;
    if (isOther || (!isDeclined && await askForToken())) return read(path, options);
  }
  const answer = await response.json().catch(() => null);
  if (!answer?.success) {
    const { code = "unreadable", message = `an answer with status ${response.status}` } = answer?.error || {};
    throw new ApiError(response.status, code, message);
  }
  return answer.data;
}

export function send(method, path, body) {
  return read(path, { method, body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
}

export const breakerPath = (name, rest = "") => `/api/v1/circuit-breakers/${encodeURIComponent(name)}${rest}`;

export function query(pairs) {
  const chosen = Object.entries(pairs).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return chosen.length ? `?${new URLSearchParams(chosen)}` : "";
}

// One dialog, however many questions wait for it; whether there is a new token to try.
export function askForToken() {
  asking ??= show().finally(() => { asking = null; });
  return asking;
}

function show() {
  const [dialog, input] = [byId("ask"), byId("token")];
  const wasWrong = hasToken();
  byId("ask-why").classList.toggle("wrong", wasWrong);
  if (wasWrong) put(byId("ask-why"), "That token was not accepted. Try another.");
  input.value = "";
  let given = false;
  byId("ask-later").onclick = () => dialog.close();
  byId("ask-form").onsubmit = () => {
    given = true;
    sessionStorage.setItem(KEY, input.value.trim());
  };
  dialog.showModal();
  return new Promise((resolve) => { dialog.onclose = () => { isDeclined = !given; resolve(given); }; });
}
