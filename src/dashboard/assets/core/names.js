// Lists of names as people write them: one a line, or separated by commas. A name that has a comma, or a space at its ends,
// cannot be written so.
export const namesOf = (text) => [...new Set(text.split(/[\n,]/).map((name) => name.trim()).filter(Boolean))];
export const writable = (names) => names.every((name) => name.trim() === name && !/[\n,]/.test(name));
export const listed = (names) => names.join(names.length > 12 ? "\n" : ", ");
