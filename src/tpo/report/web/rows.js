// Which rows of an index are shown, and in which order: search, filters, sorting. No element is touched here.

const FILTERS = [
  ["failed", "failed", (index, row) => index.failed[row] === 1],
  ["malformed", "malformed updates", (index, row) => index.malformed[row] > 0],
  ["worse", "first sample stayed best", (index, row) => index.gain[row] !== null && index.gain[row] < 0],
];

// Small letters of id and question, made once an index.
function searchable(index) {
  return index.id.map((id, row) => `${id}\n${index.text[row]}`.toLowerCase());
}

// Row numbers that hold every word of the search and, where filters are on, meet one of them.
function selected(index, haystack, { words, filters }) {
  const needles = words.toLowerCase().split(/\s+/).filter(Boolean);
  const tests = FILTERS.filter(([name]) => filters.has(name)).map(([, , test]) => test);
  const rows = [];
  for (let row = 0; row < haystack.length; row += 1) {
    if (!needles.every((needle) => haystack[row].includes(needle))) continue;
    if (tests.length && !tests.some((test) => test(index, row))) continue;
    rows.push(row);
  }
  return rows;
}

// Rows without a value come last, whichever way they are sorted.
function sorted(index, rows, { column, descending }) {
  if (column === null) return descending ? rows.toReversed() : rows;
  const values = index[column];
  const sign = descending ? -1 : 1;
  const missing = (value) => value === null || value === undefined;
  return rows.toSorted((a, b) => {
    const [left, right] = [values[a], values[b]];
    if (missing(left) || missing(right)) return missing(left) - missing(right) || a - b;
    return (typeof left === "number" ? sign * (left - right) : sign * left.localeCompare(right, "en", { numeric: true })) || a - b;
  });
}
