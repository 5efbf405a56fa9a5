// Numbers and times for people.

const NONE = "–";
const isNone = (value) => value === null || value === undefined;

export const number = (value, digits = 0) => (isNone(value) ? NONE
  : value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }));

export function rate(value) {
  return isNone(value) ? NONE : number(value, value < 10 && value > 0 ? 1 : 0);
}

export function share(value) {
  if (isNone(value)) return NONE;
  const percent = value * 100;
  if (percent > 0 && percent < 0.1) return "<0.1%";
  if (percent > 99.9 && percent < 100) return ">99.9%";
  return `${number(percent, percent > 0 && percent < 100 ? 1 : 0)}%`;
}

export function ms(value) {
  if (isNone(value)) return NONE;
  if (value >= 10000) return `${number(value / 1000)} s`;
  if (value >= 1000) return `${number(value / 1000, 1)} s`;
  return `${number(value, value < 10 ? 1 : 0)} ms`;
}

// A stretch of time in its two largest units.
export function span(milliseconds) {
  if (isNone(milliseconds)) return NONE;
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  const [d, h, m, s] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60];
  const parts = [[d, "d"], [h, "h"], [m, "min"], [s, "s"]];
  const first = parts.findIndex(([value]) => value);
  if (first < 0) return "0 s";
  return parts.slice(first, first + 2).filter(([value]) => value).map((part) => part.join(" ")).join(" ");
}

export function bytes(value) {
  if (isNone(value)) return NONE;
  const units = ["B", "KiB", "MiB", "GiB"];
  const at = Math.min(3, value > 0 ? Math.floor(Math.log2(value) / 10) : 0);
  return `${number(value / 1024 ** at, at && value / 1024 ** at < 10 ? 1 : 0)} ${units[at]}`;
}

export function dollars(value) {
  if (isNone(value)) return NONE;
  return `$${number(value, value !== 0 && Math.abs(value) < 0.1 ? 5 : 2)}`;
}

const two = (value) => String(value).padStart(2, "0");

// The time of day, by the clock of whoever looks.
export function clock(text, withMs = false) {
  const at = new Date(text);
  if (!text || Number.isNaN(at.getTime())) return NONE;
  const time = [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(":");
  return withMs ? `${time}.${String(at.getMilliseconds()).padStart(3, "0")}` : time;
}

export function day(text) {
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? NONE : `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

export const moment = (text) => (text ? `${day(text)} ${clock(text)}` : NONE);

// The day too, unless it is today.
export const when = (text) => (text && day(text) !== day(Date.now()) ? moment(text) : clock(text));

export const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;
