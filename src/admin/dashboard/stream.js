// The one stream of the page, /api/v1/events. It is read with fetch because EventSource cannot send
// the bearer token.

import { ask, askForToken } from "./api.js";

// A state comes every second; this long without one, and the connection is given up.
const STALL_MS = 5000;
const RETRY_MS = [500, 5000];
// A browser has six connections to a port for all of its tabs together: one that nobody has looked at
// for this long gives up its own.
const HIDDEN_MS = 30000;

function take(frame, hear) {
  const field = (name) => frame.split("\n").find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
  const [event, data] = [field("event"), field("data")];
  if (!event || !data) return;
  try {
    hear(event, JSON.parse(data));
  } catch (error) {
    // The page's own fault: it is told as such, and says nothing about the connection.
    reportError(error);
  }
}

async function readAll(response, hear, giveUp) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const timer = setTimeout(giveUp, STALL_MS);
    const { done, value } = await reader.read().finally(() => clearTimeout(timer));
    if (done) return;
    buffer += value;
    const frames = buffer.split("\n\n");
    buffer = frames.pop();
    for (const frame of frames) take(frame, hear);
  }
}

function visible() {
  return new Promise((resolve) => {
    document.addEventListener("visibilitychange", function look() {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", look);
      resolve();
    });
  });
}

// Follows the stream for ever. `link(state, text)` hears how it stands; `wanted()` resolves when
// somebody who closed the dialog wants to enter the token after all.
export async function follow(hear, link, wanted) {
  let retry = RETRY_MS[0];
  const heard = (event, data) => {
    retry = RETRY_MS[0];
    link("live", "live");
    hear(event, data);
  };
  let abort = null;
  let timer = null;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(() => abort?.abort(), HIDDEN_MS);
  });
  for (;;) {
    if (document.hidden) {
      link("paused", "paused");
      await visible();
    }
    try {
      abort = new AbortController();
      const response = await ask("/api/v1/events", { signal: abort.signal });
      if (response.status === 401) {
        link("token", "token needed");
        if (!await askForToken()) await wanted();
        continue;
      }
      if (response.ok) await readAll(response, heard, () => abort.abort());
      else link("lost", (await response.json()).error.code.replaceAll("_", " "));
    } catch {
      // Not there, or cut off: it is tried again below.
    }
    if (document.hidden) continue;
    link("lost", "reconnecting");
    await new Promise((resolve) => setTimeout(resolve, retry));
    retry = Math.min(retry * 2, RETRY_MS[1]);
  }
}
