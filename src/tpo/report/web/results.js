// Tables of external results, such as a benchmark's grades; hidden if there are none.

function showResults(results) {
  document.getElementById("tab-results").hidden = !results;
  if (!results) return;
  const { title, about, tables, notes } = results;
  fill(
    document.getElementById("results"),
    h("h2", null, inline(title)),
    about.map((line) => h("p", { class: "faint" }, inline(line))),
    tables.map(measured),
    notes.length ? [h("h3", null, "Notes"), h("ul", { class: "notes" }, notes.map((note) => h("li", null, inline(note))))] : null,
  );
}

function measured({ title, head, rows }) {
  return h("section", { class: "card wide" }, h("h3", null, inline(title)), grid(head, rows.map((row) => row.map((cell) => shortly(cell))), { label: title }));
}

// grid() recognizes numbers by their format.
function shortly(cell) {
  const found = pieces(cell);
  return found.length === 1 && typeof found[0] === "string" ? found[0] : inline(cell);
}
