// Dead letters with their data, page after page, into a file of the person's own: a JSON object a line.
export async function saveLetters(page, name, onCount) {
  const lines = [];
  let cursor = null;
  do {
    const { data, next_cursor: next } = await page(cursor);
    for (const letter of data) lines.push(`${JSON.stringify(letter)}\n`);
    onCount(lines.length);
    cursor = next;
  } while (cursor);
  const address = URL.createObjectURL(new Blob(lines, { type: "application/x-ndjson" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  URL.revokeObjectURL(address);
}
