// The overview: each run in numbers, the comparisons, the figures.

function showOverview(summary) {
  fill(document.getElementById("head"), h("div", { class: "cards" }, summary.runs.map(card)));
  fill(document.getElementById("comparisons"), summary.comparisons.length ? comparisons(summary) : null);
  const figures = summary.figures.length
    ? [h("h2", null, "Figures"), h("p", { class: "faint" }, "Shaded: 95 % bootstrap intervals over queries."), h("div", { class: "charts" }, summary.figures.map(chart))]
    : h("p", { class: "note" }, "No query has finished: there is nothing to draw.");
  fill(document.getElementById("figures"), figures);
}

function card(run, number, runs) {
  const alone = runs.length === 1;
  const first = run.by_step[0];
  const last = run.by_step.at(-1);
  return h(
    "section",
    { class: "card" },
    h("h2", null, swatch(number), inline(run.name)),
    run.tiny ? h("p", { class: "note" }, run.tiny) : null,
    run.notes.map((note) => h("p", { class: "note warning" }, inline(note))),
    h(
      "dl",
      { class: "tiles" },
      tile("finished", whole(run.finished)),
      tile("failed", whole(run.failed), run.failed ? "bad" : null),
      tile("first samples", reward(first?.samples_mean)),
      tile("best of N", reward(first?.best_mean)),
      tile("answers", reward(last?.best_mean)),
      tile("time", run.seconds ? duration(run.seconds) : "–"),
    ),
    reasons("Failures", run.failures),
    h("details", { open: alone }, h("summary", null, "By step"), bySteps(run)),
    h("details", { open: alone }, h("summary", null, spentInAll(run)), costs(run)),
    onDemand("Configuration", () => configuration(run)),
  );
}

function tile(name, value, kind) {
  return h("div", { class: kind }, h("dt", null, name), h("dd", null, value ?? "–"));
}

function bySteps(run) {
  if (!run.by_step.length) return h("p", { class: "faint" }, "No query has finished.");
  return grid(["step", "samples’ mean", "best of pool", "responses", "malformed"], run.by_step.map(stepRow), { label: "By step" });
}

function spentInAll(run) {
  const all = run.phases.at(-1);
  const cost = all.cost === null ? "" : `, cost ${money(all.cost)}`;
  return `${plural(all.calls, "call")}, ${compact(all.prompt_tokens)} tokens read, ${compact(all.completion_tokens)} written${cost}`;
}

function stepRow(step) {
  return [String(step.step), reward(step.samples_mean), reward(step.best_mean), whole(step.candidates), whole(step.malformed)];
}

function costs(run) {
  const priced = run.phases.some((phase) => phase.cost !== null);
  const head = ["phase", "calls", "tokens read", "of them cached", "written", ...(priced ? ["cost"] : [])];
  const rows = run.phases.map((phase) => [phase.phase, whole(phase.calls), whole(phase.prompt_tokens), whole(phase.cached_tokens), whole(phase.completion_tokens), ...(priced ? [money(phase.cost)] : [])]);
  rows.push(["reward model", whole(run.reward.calls), whole(run.reward.tokens), null, null, ...(priced ? [null] : [])]);
  return grid(head, rows, { label: "Calls and tokens by phase" });
}

function reasons(title, counted) {
  if (!counted.length) return null;
  return [h("h3", null, title), h("ul", { class: "reasons" }, counted.map(([reason, count]) => h("li", null, h("b", null, whole(count)), " ", inline(reason))))];
}

function configuration(run) {
  const when = [["started", moment(run.started)], ["ended", moment(run.ended)], ["invocations", run.starts === null ? null : String(run.starts)]];
  const parts = [["Times", when.filter(([, value]) => value !== null)], ["Options", run.configuration], ["What decides the trajectories", run.fingerprint], ["Versions", run.versions]];
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
      paired === null ? h("p", { class: "note" }, "They share no query that both finished.") : outcome(paired),
      other_question ? h("p", { class: "note" }, `${plural(other_question, "query", "queries")} of the same id ask something else in each run, and are left out.`) : null,
    ),
  );
  return [h("h2", null, "Paired comparison"), h("p", { class: "faint" }, "Rewards of the answers to the same queries; p by flipping signs."), h("div", { class: "cards" }, shown)];
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
