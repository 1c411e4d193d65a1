// JSON whose numbers stay as they were written: 12345678901234567890 and 1.00 are more than a browser's numbers can say.
export function parseExact(text) {
  if (!JSON.rawJSON) return JSON.parse(text); // an older browser shows them as it can
  const asWritten = (value, source) => (String(value) === source ? value : JSON.rawJSON(source));
  return JSON.parse(text, (_, value, { source }) => (typeof value === "number" ? asWritten(value, source) : value));
}
