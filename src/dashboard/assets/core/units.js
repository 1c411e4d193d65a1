// Lengths of time and sizes as people write them: "500 ms", "15 s", "1 MiB". Written exactly, so that what is read again is
// the same number.
const TIMES = [["d", 86_400_000], ["h", 3_600_000], ["min", 60_000], ["s", 1000], ["ms", 1]];
const SIZES = [["GiB", 1 << 30], ["MiB", 1 << 20], ["KiB", 1024], ["B", 1]];
const OTHER = { m: "min", day: "d", days: "d", hours: "h", hour: "h", sec: "s", byte: "B", bytes: "B", kb: "KiB", mb: "MiB", gb: "GiB" };

const write = (units) => (value) => {
  const [name, factor] = units.find(([, factor]) => value !== 0 && value % factor === 0) ?? units.at(-1);
  return `${value / factor} ${name}`;
};

// NaN for what is no such thing. A bare number is of the smallest unit.
const read = (units) => (text) => {
  const [, number, word] = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text.replaceAll(",", "")) ?? [];
  if (number === undefined) return NaN;
  const name = OTHER[word.toLowerCase()] ?? word;
  const unit = word === "" ? units.at(-1) : units.find(([known]) => known.toLowerCase() === name.toLowerCase());
  return unit ? Math.round(Number(number) * unit[1]) : NaN;
};

const must = (kind, message) => (text) => {
  const value = kind(text);
  if (Number.isNaN(value)) throw new Error(message);
  return value;
};

// Each writes a value as text, and reads it; `read` throws with what to write instead.
export const DURATION = { write: write(TIMES), read: must(read(TIMES), "must be a length of time such as 500 ms, 15 s or 2 h") };
export const SIZE = { write: write(SIZES), read: must(read(SIZES), "must be a size such as 512 KiB or 1 MiB") };
export const WHOLE = {
  write: String,
  read: must((text) => (/^\s*\d[\d,]*\s*$/.test(text) ? Number(text.replaceAll(",", "")) : NaN), "must be a whole number"),
};
export const PERCENT = {
  write: (ratio) => `${Math.round(ratio * 10_000) / 100} %`,
  read: must((text) => (/^\s*\d+(\.\d+)?\s*%?\s*$/.test(text) ? Number(text.replace("%", "")) / 100 : NaN), "must be a share such as 50 %"),
};
export const PLAIN = { write: (value) => value, read: (text) => text };
export const DURATIONS = {
  write: (list) => list.map(DURATION.write).join(", "),
  read: (text) => text.split(/[,;\n]+/).filter((part) => part.trim() !== "").map(DURATION.read),
};
