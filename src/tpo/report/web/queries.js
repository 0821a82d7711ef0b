// View of a run's queries: search, filters and table on one side, the open trajectory on the other.

function makeQueries(source, summary) {
  const state = { run: 0, words: "", filters: new Set(), order: { column: null, descending: false }, row: null };
  const indexes = new Map();
  const article = document.getElementById("trajectory");
  const section = document.getElementById("queries");
  const table = makeTable({ onOpen: (row) => go(state.run, row) });
  const count = h("output", { class: "faint count" });
  const search = h("input", { type: "search", id: "search", placeholder: "Search questions and ids", "aria-label": "Search questions and ids", autocomplete: "off", spellcheck: "false", oninput: () => { state.words = search.value; refresh(); } });
  const toggles = FILTERS.map(([name, label]) => h("label", { class: "toggle" }, h("input", { type: "checkbox", name, onchange: (event) => { state.filters[event.target.checked ? "add" : "delete"](name); refresh(); } }), label));
  const select = h("select", { id: "run", "aria-label": "Run", onchange: () => go(Number(select.value), null) });
  const options = part(select, (names) => names.map((name, number) => h("option", { value: String(number) }, name)));
  fill(document.getElementById("list"), h("div", { class: "tools" }, select, search, h("div", { class: "filters" }, toggles), count), table.element);
  let drawn = null; // which state of which table is shown
  let unfolded = null; // the query that is open, and in which state of it

  table.onSort = (column) => {
    const { order } = state;
    // The first click sorts numbers descending and names ascending; a third click restores the file's order.
    const largestFirst = column !== "id";
    if (order.column !== column) state.order = { column, descending: largestFirst };
    else if (order.descending === largestFirst) state.order = { column, descending: !largestFirst };
    else state.order = { column: null, descending: false };
    refresh();
  };

  async function indexOf(run) {
    const columns = await source.index(run);
    const found = indexes.get(run);
    if (found && found.columns === columns && found.stamp === columns.stamp) return found;
    const made = { columns, stamp: columns.stamp, haystack: searchable(columns) };
    indexes.set(run, made);
    return made;
  }

  async function refresh(stay = false) {
    const { run } = state;
    const { columns, haystack, stamp } = await indexOf(run);
    if (run !== state.run) return;
    const rows = sorted(columns, selected(columns, haystack, state), state.order);
    table.show(columns, rows, state.order, stay);
    drawn = `${run} ${stamp}`;
    count.textContent = rows.length === haystack.length ? plural(rows.length, "query", "queries") : `${whole(rows.length)} of ${plural(haystack.length, "query", "queries")}`;
    if (state.row !== null) table.mark(state.row, !stay);
  }

  function go(run, row) {
    location.hash = row === null ? `queries/${run}` : `queries/${run}/${row}`;
  }

  // Default run: the last opened one, else the first; on a live page the one that started last.
  async function open(asked, row) {
    if (summary.runs.length === 0) return nothing("There is no run here yet.");
    const run = asked ?? (drawn === null ? summary.chosen?.at(-1) : state.run) ?? 0;
    name();
    const other = drawn === null || run !== state.run;
    state.run = run;
    state.row = row;
    select.value = String(run);
    section.classList.toggle("opened", row !== null);
    if (other) await refresh();
    else await catchUp();
    table.mark(row);
    return unfold(run, row);
  }

  // Update after the runs changed; the scroll position stays.
  async function update(next) {
    summary = next;
    name();
    if (section.hidden || summary.runs.length === 0) return;
    if (drawn === null) return open(null, null);
    await catchUp();
    await reopen();
  }

  async function catchUp() {
    const { stamp } = await indexOf(state.run);
    if (drawn !== `${state.run} ${stamp}`) await refresh(true);
  }

  function name() {
    options(summary.runs.map((run) => run.name));
    select.hidden = summary.runs.length < 2;
    select.value = String(state.run);
  }

  // Reload the open query if it was retried or the run was restarted.
  async function reopen() {
    if (state.row === null || unfolded === null) return;
    const { columns } = await indexOf(state.run);
    if (columns.life !== unfolded.life) {
      const row = columns.id.indexOf(unfolded.id);
      if (row < 0) return void nothing("The run was restarted, and this query has not finished yet.");
      if (row !== state.row) return void location.replace(`#queries/${state.run}/${row}`);
    } else if (columns.revisions?.get(state.row) === unfolded.revision) return;
    await unfold(state.run, state.row, true);
  }

  async function unfold(run, row, stay = false) {
    if (row === null) return nothing("Choose a query to see its trajectory.");
    try {
      const { columns } = await indexOf(run);
      const { life, revisions } = columns;
      const revision = revisions?.get(row);
      const record = await source.trajectory(run, row);
      if (state.run !== run || state.row !== row) return null;
      if (record === undefined) throw new Error(`there is no query ${row + 1}`);
      const top = stay ? article.scrollTop : 0;
      fill(article, bar(record, run), trajectory(record), elsewhere(record, run));
      article.scrollTop = top;
      unfolded = { id: record.id, life, revision };
      // On narrow screens the trajectory replaces the table, so it receives the focus.
      if (!stay && table.element.offsetParent === null) article.focus({ preventScroll: true });
    } catch (error) {
      if (state.run === run && state.row === row) fill(article, h("p", { class: "note bad" }, "This trajectory cannot be shown: ", inline(String(error.message))));
    }
    return null;
  }

  function nothing(sentence) {
    fill(article, h("p", { class: "faint empty" }, sentence));
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

  // The same query in the other shown runs: links, and all answers side by side.
  function elsewhere(record, run) {
    const others = (summary.chosen ?? summary.runs.map((_, number) => number)).filter((number) => number !== run);
    if (others.length === 0) return null;
    const links = h("p", { class: "elsewhere" });
    const beside = onDemand("Answers of these runs side by side", () => sideBySide(record, run, others), { class: "elsewhere", hidden: true });
    others.forEach(async (number) => {
      const row = (await indexOf(number)).columns.id.indexOf(record.id);
      if (row < 0) return;
      beside.hidden = false;
      links.append(h("a", { href: `#queries/${number}/${row}` }, swatch(number), "the same query in ", inline(summary.runs[number].name)));
    });
    return [links, beside];
  }

  // One column per run, in the order of the page; a run without the query has none.
  function sideBySide(record, run, others) {
    const numbers = [run, ...others].sort((a, b) => a - b);
    const places = numbers.map((number) => h("div", { hidden: true }));
    numbers.forEach(async (number, place) => {
      const row = number === run ? null : (await indexOf(number)).columns.id.indexOf(record.id);
      if (row !== null && row < 0) return;
      const found = row === null ? record : await source.trajectory(number, row);
      if (found === undefined) return;
      fill(places[place], column(found, number));
      places[place].hidden = false;
    });
    return h("div", { class: "beside" }, places);
  }

  function column(record, number) {
    const best = record.candidates.find((candidate) => candidate.id === record.best);
    const worth = best ? `${best.id}, reward ${reward(best.reward)} (${summary.runs[number].reward_name ?? "unknown"})` : "no answer";
    return [h("h4", null, swatch(number), inline(summary.runs[number].name)), h("p", { class: "faint" }, inline(worth)), best ? shown(record.texts[best.text], { class: "framed" }) : null];
  }

  return { open, update, close: () => go(state.run, null), move: table.move, focus: table.focus, search };
}
