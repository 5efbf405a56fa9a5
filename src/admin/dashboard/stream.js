// The one stream of the page, /api/v1/events. It is read with fetch because EventSource cannot send
// the bearer token.

import { ask, askForToken } from "./api.js";

// A state comes every second; this long without one, and the connection is given up.
const STALL_MS = 5000;
const RETRY_MS = [500, 5000];

function take(frame, hear) {
  const field = (name) => frame.split("\n").find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
  const [event, data] = [field("event"), field("data")];
  if (event && data) hear(event, JSON.parse(data));
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

// Follows the stream for ever. `link(state, text)` hears how it stands; `wanted()` resolves when
// somebody who closed the dialog wants to enter the token after all.
export async function follow(hear, link, wanted) {
  let retry = RETRY_MS[0];
  const heard = (event, data) => {
    retry = RETRY_MS[0];
    link("live", "live");
    hear(event, data);
  };
  for (;;) {
    try {
      const abort = new AbortController();
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
    link("lost", "reconnecting");
    await new Promise((resolve) => setTimeout(resolve, retry));
    retry = Math.min(retry * 2, RETRY_MS[1]);
  }
}
