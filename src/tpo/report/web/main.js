// Start of the page: shows the overview at once, a query when its texts are loaded.

async function start() {
  const source = makeSource();
  let summary = await source.summary();
  const titled = part(document.getElementById("title"), (title) => ["tpo ", h("span", { class: "faint" }, inline(cut(title, 120)))]);
  const queries = makeQueries(source, summary);
  const overview = makeOverview(source);
  const show = () => {
    const title = summary.place ?? summary.runs.map((run) => run.name).join(", ");
    titled(title);
    document.title = `${title} – tpo ${summary.place === undefined ? "report" : "view"}`;
    overview(summary);
  };
  showResults(summary.results);
  listenToKeys(queries);
  const follow = () => route(queries, summary.runs.length, summary.results ? "results" : "overview");
  addEventListener("hashchange", follow);
  show();
  tellState(summary, false);
  await follow();
  source.watch(async () => {
    try {
      if (!source.lost()) summary = await source.summary();
    } finally {
      tellState(summary, source.lost());
    }
    show();
    await queries.update(summary);
  });
  document.documentElement.dataset.ready = "";
  performance.mark("ready");
}

// Routes by hash: #results, #overview, #queries/RUN, #queries/RUN/ROW.
async function route(queries, runs, first) {
  const [view, run, row] = location.hash.slice(1).split("/");
  const seen = ["overview", "queries", first].includes(view) ? view : first;
  for (const name of ["results", "overview", "queries"]) {
    document.getElementById(name).hidden = name !== seen;
    document.getElementById(`tab-${name}`).toggleAttribute("data-current", name === seen);
    if (name === seen) document.getElementById(`tab-${name}`).setAttribute("aria-current", "page");
    else document.getElementById(`tab-${name}`).removeAttribute("aria-current");
  }
  if (seen !== "queries") return;
  const number = /^\d+$/.test(run ?? "") && Number(run) < runs ? Number(run) : null;
  await queries.open(number, /^\d+$/.test(row ?? "") ? Number(row) : null);
}

start().catch((error) => {
  fill(document.getElementById("head"), h("p", { class: "note bad" }, "This page cannot be shown: ", inline(String(error.message))));
});
