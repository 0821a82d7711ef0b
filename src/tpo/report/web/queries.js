// The queries of a run: search, filters and table on one side, the open trajectory on the other.

function makeQueries(source, summary) {
  const state = { run: 0, words: "", filters: new Set(), order: { column: null, descending: false }, row: null };
  const indexes = new Map();
  const article = document.getElementById("trajectory");
  const section = document.getElementById("queries");
  const table = makeTable({ onOpen: (row) => go(state.run, row) });
  const count = h("output", { class: "faint count" });
  const search = h("input", { type: "search", id: "search", placeholder: "Search questions and ids", "aria-label": "Search questions and ids", autocomplete: "off", spellcheck: "false", oninput: () => { state.words = search.value; refresh(); } });
  const toggles = FILTERS.map(([name, label]) => h("label", { class: "toggle" }, h("input", { type: "checkbox", name, onchange: (event) => { state.filters[event.target.checked ? "add" : "delete"](name); refresh(); } }), label));
  const select = h("select", { id: "run", "aria-label": "Run", onchange: () => open(Number(select.value), null) }, summary.runs.map((run, number) => h("option", { value: String(number) }, run.name)));
  fill(document.getElementById("list"), h("div", { class: "tools" }, summary.runs.length > 1 ? select : null, search, h("div", { class: "filters" }, toggles), count), table.element);

  table.onSort = (column) => {
    const { order } = state;
    // Numbers are first sorted from the largest down, names from the smallest up; a third click is the file's order.
    const largestFirst = column !== "id";
    if (order.column !== column) state.order = { column, descending: largestFirst };
    else if (order.descending === largestFirst) state.order = { column, descending: !largestFirst };
    else state.order = { column: null, descending: false };
    refresh();
  };

  async function indexOf(run) {
    if (!indexes.has(run)) {
      const columns = await source.index(run);
      indexes.set(run, { columns, haystack: searchable(columns) });
    }
    return indexes.get(run);
  }

  async function refresh(stay = false) {
    const { run } = state;
    const { columns, haystack } = await indexOf(run);
    if (run !== state.run) return;
    const rows = sorted(columns, selected(columns, haystack, state), state.order);
    table.show(columns, rows, state.order, stay);
    count.textContent = rows.length === haystack.length ? plural(rows.length, "query", "queries") : `${whole(rows.length)} of ${plural(haystack.length, "query", "queries")}`;
    if (state.row !== null) table.mark(state.row);
  }

  function go(run, row) {
    location.hash = row === null ? `queries/${run}` : `queries/${run}/${row}`;
  }

  async function open(run, row) {
    const changed = run !== state.run || !indexes.has(run);
    state.run = run;
    state.row = row;
    select.value = String(run);
    section.classList.toggle("opened", row !== null);
    if (changed) await refresh();
    table.mark(row);
    await unfold(run, row);
  }

  async function unfold(run, row) {
    if (row === null) return fill(article, h("p", { class: "faint empty" }, "Choose a query to see its trajectory."));
    try {
      const record = await source.trajectory(run, row);
      if (state.run !== run || state.row !== row) return null;
      if (record === undefined) throw new Error(`there is no query ${row + 1}`);
      fill(article, bar(record, run), trajectory(record), elsewhere(record, run));
      article.scrollTop = 0;
      // Where the table has made room for it, the keyboard is with the trajectory.
      if (table.element.offsetParent === null) article.focus({ preventScroll: true });
    } catch (error) {
      fill(article, h("p", { class: "note bad" }, "This trajectory cannot be shown: ", inline(String(error.message))));
    }
    return null;
  }

  function bar(record, run) {
    return h(
      "header",
      { class: "bar-top" },
      h("button", { type: "button", class: "quiet", onclick: () => go(run, null), title: "Esc" }, "← All"),
      h("h2", null, inline(record.id)),
      h("div", { class: "steps" }, h("button", { type: "button", class: "quiet", onclick: () => table.move(-1), title: "k" }, "Previous"), h("button", { type: "button", class: "quiet", onclick: () => table.move(1), title: "j" }, "Next")),
    );
  }

  // The same query in the other runs, once their tables are read.
  function elsewhere(record, run) {
    if (summary.runs.length < 2) return null;
    const links = h("p", { class: "elsewhere" });
    summary.runs.forEach(async (other, number) => {
      if (number === run) return;
      const row = (await indexOf(number)).columns.id.indexOf(record.id);
      if (row >= 0) links.append(h("a", { href: `#queries/${number}/${row}` }, swatch(number), "the same query in ", inline(other.name)));
    });
    return links;
  }

  source.watch(() => {
    indexes.clear();
    refresh(true);
  });

  return { open, close: () => go(state.run, null), move: table.move, focus: table.focus, search };
}
