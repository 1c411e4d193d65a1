// Numbers, sizes and times for people.
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

const DASH = "–";
const known = (value) => value !== null && value !== undefined && Number.isFinite(value);

export const count = (value) => (known(value) ? whole.format(value) : DASH);

// For where there is little room: 12.3K.
export const compact = (value) => (known(value) ? (Math.abs(value) < 10_000 ? whole.format(value) : short.format(value)) : DASH);

// Per second: small ones keep a digit.
export function rate(value) {
  if (!known(value)) return DASH;
  if (value === 0) return "0";
  if (value < 0.05) return "< 0.1";
  return value < 10 ? tenths.format(value) : compact(value);
}

export function bytes(value) {
  if (!known(value)) return DASH;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? whole.format(value) : tenths.format(value)} ${units[unit]}`;
}

// A length of time in milliseconds, in its two largest units.
export function duration(ms) {
  if (!known(ms)) return DASH;
  if (ms < 1) return ms === 0 ? "0 ms" : "< 1 ms";
  if (ms < 10) return `${tenths.format(ms)} ms`;
  if (ms < 1000) return `${whole.format(ms)} ms`;
  if (ms < 60_000) return `${ms % 1000 === 0 ? ms / 1000 : tenths.format(ms / 1000)} s`;
  const [minutes, hours, days] = [Math.floor(ms / 60_000), Math.floor(ms / 3_600_000), Math.floor(ms / 86_400_000)];
  if (hours === 0) return `${minutes} min`;
  if (days === 0) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return hours % 24 === 0 ? `${days} d` : `${days} d ${hours % 24} h`;
}

// Of a change in a minute, with its sign.
export function change(value) {
  if (!known(value)) return "";
  if (Math.abs(value) < 0.5) return "steady";
  return `${value > 0 ? "+" : "−"}${compact(Math.abs(value))} / min`;
}

export const instant = (time) => (time === null || time === undefined ? null : new Date(time));

const today = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const other = new Intl.DateTimeFormat("en-GB", { day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit" });
const distant = new Intl.DateTimeFormat("en-GB", { day: "2-digit", month: "short", year: "numeric" });

// As much of it as tells it from others: of today the second, of another year the day.
export function time(value, now = new Date()) {
  const at = instant(value);
  if (at === null || Number.isNaN(at.getTime())) return DASH;
  if (at.toDateString() === now.toDateString()) return today.format(at);
  // A night between two years is no distance.
  return Math.abs(at - now) < 180 * 86_400_000 ? other.format(at) : distant.format(at);
}

export const since = (value, now = Date.now()) => (value ? duration(Math.max(0, now - instant(value))) : DASH);

// snake_case words of the API, for people.
export const words = (name) => String(name ?? DASH).replaceAll("_", " ");
