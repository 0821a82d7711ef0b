// Selects and sorts the rows of an index by search, filters and column; does not touch the document.

const FILTERS = [
  ["failed", "failed", (index, row) => index.failed[row] === 1],
  ["malformed", "malformed updates", (index, row) => index.malformed[row] > 0],
  ["worse", "first sample stayed best", (index, row) => index.gain[row] !== null && index.step[row] === 0],
];

// Lower-case id and question of each row, computed once per index.
function searchable(index) {
  return index.id.map((id, row) => `${id}\n${index.text[row]}`.toLowerCase());
}

// Numbers of the rows that contain every search word and match one of the active filters.
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

// Rows without a value come last in both directions.
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
