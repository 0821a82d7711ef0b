// Overview: numbers of each run, comparisons and figures; updates keep existing elements.

function makeOverview(source) {
  const list = source.choose ? makeRuns(source) : null;
  const cards = new Map();
  const charts = new Map();
  const grid = h("div", { class: "cards" });
  const empty = h("p", { class: "note", hidden: true }, "There is no run here yet. A run appears as soon as it starts.");
  fill(document.getElementById("head"), empty, list?.element, grid);
  const drawn = h("div", { class: "charts" });
  const word = h("p", { class: "note" });
  const heading = [h("h2", null, "Figures"), h("p", { class: "faint" }, "Shaded: 95 % bootstrap intervals over queries.")];
  fill(document.getElementById("figures"), heading, word, drawn);
  const compared = part(document.getElementById("comparisons"), (told) => (told.comparisons.length || told.rewards > 1 ? comparisons(told) : null));

  return function show(summary) {
    if (summary.hues) hueOf = (run) => summary.hues.get(run) ?? 7;
    empty.hidden = summary.runs.length > 0;
    list?.update(summary);
    const chosen = summary.chosen ?? summary.runs.map((_, number) => number);
    for (const number of chosen) {
      if (!cards.has(number)) cards.set(number, makeCard(summary.runs.length === 1));
      cards.get(number).update(summary.runs[number], hueOf(number), number);
    }
    const shown = chosen.map((number) => cards.get(number).element);
    arrange(grid, source.choose ? shown.reverse() : shown); // in the order of the list of runs
    const figures = summary.figures ?? [];
    const hues = chosen.map(hueOf);
    arrange(drawn, figures.map((figure) => known(charts, figure).element));
    for (const figure of figures) charts.get(figure.name).update(figure, hues);
    word.textContent = summary.figures === null ? "Drawing the figures …" : "No query has finished, so there are no figures.";
    word.hidden = figures.length > 0;
    for (const element of heading) element.hidden = figures.length === 0;
    const rewards = new Set(chosen.map((number) => summary.runs[number].reward_name)).size;
    compared({ comparisons: summary.comparisons, runs: summary.runs.map(({ name }) => ({ name })), hues, rewards });
  };
}

function known(charts, figure) {
  if (!charts.has(figure.name)) charts.set(figure.name, makeChart(figure));
  return charts.get(figure.name);
}

function makeCard(alone) {
  const place = (make) => {
    const element = h("div", { class: "part" });
    return { element, update: part(element, make) };
  };
  const title = place(({ name, number, tiny, models }) => [h("h2", null, swatch(number), inline(name)), models.length ? h("p", { class: "faint models" }, models.map(([what, value]) => [h("span", null, `${what} `, inline(value)), " "])) : null, tiny ? h("p", { class: "note" }, tiny) : null]);
  const live = place(({ run }) => (run.live ? progress(run) : null));
  const flying = place(inProgress);
  const told = place((notes) => notes.map((note) => h("p", { class: "note warning" }, inline(note))));
  const tiles = place(numbersOf);
  const failures = place((counted) => reasons("Failures", counted));
  const steps = place(bySteps);
  const costsOf = place(costs);
  const head = h("summary");
  const summed = part(head, spentInAll);
  const options = place(configuration);
  const element = h(
    "section",
    { class: "card" },
    [title, live, flying, told, tiles, failures].map((each) => each.element),
    h("details", { open: alone }, h("summary", null, "By step"), steps.element),
    h("details", { open: alone }, head, costsOf.element),
    h("details", null, h("summary", null, "Configuration"), options.element),
  );
  function update(run, hue, number) {
    const models = [["method", run.method], ["policy", run.policy], ["reward", run.reward_name]].filter(([, value]) => value);
    title.update({ name: run.name, tiny: run.tiny, number, hue, models });
    live.update({ run: { live: run.live } });
    flying.update(run.live?.queries ?? []);
    told.update([...run.notes, ...run.warnings]);
    const { finished, failed, by_step, answer_mean, seconds } = run;
    tiles.update({ finished, failed, by_step, answer_mean, seconds });
    failures.update(run.failures);
    steps.update({ by_step });
    summed({ phases: run.phases, currency: run.currency });
    costsOf.update({ phases: run.phases, roles: run.roles, reward: run.reward, currency: run.currency });
    const { started, ended, starts, retries, configuration, fingerprint, versions } = run;
    options.update({ started, ended, starts, retries, configuration, fingerprint, versions });
  }
  return { element, update };
}

function numbersOf(run) {
  const first = run.by_step[0];
  return h(
    "dl",
    { class: "tiles" },
    tile("queries finished", whole(run.finished)),
    tile("queries failed", whole(run.failed), run.failed ? "bad" : null),
    tile("mean reward, first samples", reward(first?.samples_mean)),
    tile("mean reward, best of N", reward(first?.best_mean)),
    tile("mean reward, answer", reward(run.answer_mean)),
    tile("time", run.seconds ? duration(run.seconds) : "–"),
  );
}

function tile(name, value, kind) {
  return h("div", { class: kind }, h("dt", null, name), h("dd", null, value ?? "–"));
}

// Queries in progress: the last call of each, and what it has so far.
function inProgress(queries) {
  if (!queries.length) return null;
  const rows = queries.map((query) => [inline(query.id), `${query.phase} of step ${query.step}`, whole(query.calls), whole(query.tokens), reward(query.best)]);
  return grid(["in progress", "last call", "calls", "completion tokens", "best so far"], rows, { label: "In progress" });
}

function bySteps(run) {
  if (!run.by_step.length) return h("p", { class: "faint" }, "No query has finished.");
  return grid(["step", "samples’ mean", "best of pool", "responses", "malformed"], run.by_step.map(stepRow), { label: "By step" });
}

function spentInAll(run) {
  const all = run.phases.at(-1);
  const cost = all.cost === null ? "" : `, cost ${money(all.cost)} ${run.currency}`;
  return `${plural(all.calls, "call")}, ${compact(all.prompt_tokens)} prompt tokens, ${compact(all.completion_tokens)} completion tokens${cost}`;
}

function stepRow(step) {
  return [String(step.step), reward(step.samples_mean), reward(step.best_mean), whole(step.candidates), whole(step.malformed)];
}

function costs(run) {
  const priced = run.phases.some((phase) => phase.cost !== null);
  const head = ["phase", "calls", "prompt tokens", "cached", "completion tokens", ...(priced ? [`cost, ${run.currency}`] : [])];
  const row = (name, used) => [name, whole(used.calls), whole(used.prompt_tokens), whole(used.cached_tokens), whole(used.completion_tokens), ...(priced ? [money(used.cost)] : [])];
  const rows = [...run.phases.map((phase) => row(phase.phase, phase)), ...run.roles.map((role) => row(`as ${role.role}`, role))];
  rows.push(["reward model", whole(run.reward.calls), whole(run.reward.tokens), null, null, ...(priced ? [null] : [])]);
  return grid(head, rows, { label: "Calls and tokens by phase" });
}

function reasons(title, counted) {
  if (!counted.length) return null;
  return [h("h3", null, title), h("ul", { class: "reasons" }, counted.map(([reason, count]) => h("li", null, h("b", null, whole(count)), " ", inline(reason))))];
}

function configuration(run) {
  const when = [["started", moment(run.started)], ["ended", moment(run.ended)], ["invocations", run.starts === null ? null : String(run.starts)], ["retried calls", run.retries ? String(run.retries) : null]];
  const parts = [["Times", when.filter(([, value]) => value !== null)], ["Options", run.configuration], ["Fingerprint", run.fingerprint], ["Versions", run.versions]];
  return parts
    .filter(([, pairs]) => pairs.length)
    .map(([title, pairs]) => [h("h3", null, title), h("dl", { class: "pairs" }, pairs.map(([name, value]) => [h("dt", null, inline(name)), h("dd", null, inline(value))]))])
    .flat(2);
}

function comparisons(summary) {
  const name = (number) => [swatch(number), inline(summary.runs[number].name)];
  const shown = summary.comparisons.map(({ first, second, paired, other_question }) =>
    h(
      "section",
      { class: "card comparison" },
      h("h3", null, name(first), " against ", name(second)),
      paired === null ? h("p", { class: "note" }, "No query was finished by both runs.") : outcome(paired),
      other_question ? h("p", { class: "note" }, `${plural(other_question, "query", "queries")} with the same id but different messages are excluded.`) : null,
    ),
  );
  return [h("h2", null, "Paired comparison"), h("p", { class: "faint" }, "Rewards of the answers, on the queries that both runs finished; p by swapping the two answers of a query."), summary.rewards > 1 ? h("p", { class: "note" }, "Runs whose rewards differ are not compared.") : null, h("div", { class: "cards" }, shown)];
}

function outcome(paired) {
  const counts = [["win", paired.wins], ["tie", paired.ties], ["loss", paired.losses]];
  const bar = h("div", { class: "outcome", "aria-hidden": "true" }, counts.filter(([, count]) => count).map(([kind, count]) => sized(h("span", { class: kind }), count)));
  return [
    h(
      "dl",
      { class: "tiles" },
      tile("mean difference", signed(paired.difference.value)),
      tile("95 % interval", interval(paired.difference.low, paired.difference.high, signed)),
      tile("p-value", paired.p < 0.001 ? (paired.p < 0.0002 ? "< 0.0002" : paired.p.toFixed(4)) : paired.p.toFixed(3)),
      tile("queries", whole(paired.queries)),
    ),
    bar,
    h("p", null, counts.map(([kind, count]) => `${kind} ${whole(count)} (${percent(count / paired.queries)})`).join(" · ")),
  ];
}

function sized(element, share) {
  element.style.flexGrow = share;
  return element;
}
