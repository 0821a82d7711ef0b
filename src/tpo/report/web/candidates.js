// Pool of a trajectory: each response with a bar for its reward and its text on demand.

function pool(record) {
  const rewards = record.candidates.map((candidate) => candidate.reward);
  const low = Math.min(...rewards);
  const high = Math.max(...rewards);
  const steps = [...new Set(record.candidates.map((candidate) => candidate.step))];
  return steps.map((step) => [
    h("h4", null, step === 0 ? "First samples" : `After step ${step}`),
    h("ol", { class: "pool" }, record.candidates.filter((c) => c.step === step).map((c) => h("li", null, candidate(record, c, low, high)))),
  ]);
}

function candidate(record, { id, reward: value, text, finish, truncated, reasoning, parts, criteria }, low, high) {
  const bar = h("span", { class: `bar${id === record.best ? " best" : ""}` });
  bar.style.width = `${high > low ? 2 + (98 * (value - low)) / (high - low) : 100}%`;
  const line = [
    h("span", { class: "id" }, id),
    h("span", { class: "track", "aria-hidden": "true" }, bar),
    h("span", { class: "number" }, reward(value)),
    h("span", { class: "badges" }, criteriaRow(criteria), badges(record, id), finish === "length" ? h("span", { class: "badge" }, "cut off") : null),
  ];
  return onDemand(line, () => [
    shown(record.texts[text]),
    truncated ? h("p", { class: "note" }, `${plural(truncated, "token")} at the beginning of the conversation did not fit the reward model’s context and were left out.`) : null,
    Object.keys(parts).length ? h("p", { class: "faint" }, inline(Object.entries(parts).map(([name, part]) => `${name} ${reward(part)}`).join(" · "))) : null,
    criteria.length ? h("ul", { class: "faint" }, criteria.map(([name, degree]) => h("li", null, `${percentOf(degree)} ${name}`))) : null,
    reasoning === null ? null : onDemand("Reasoning", () => shown(record.texts[reasoning])),
  ].filter((part) => part !== null), { class: "candidate" });
}

// Row of a rubric's criteria: a cell each, filled as far as the response meets it.
function criteriaRow(criteria) {
  if (!criteria.length) return null;
  return h("span", { class: "criteria" }, criteria.map(([name, degree]) => {
    const filled = h("span", null);
    filled.style.height = `${100 * degree}%`;
    return h("span", { class: "criterion", role: "img", title: `${name}: ${percentOf(degree)}`, "aria-label": `${name}: ${percentOf(degree)}` }, filled);
  }));
}

function percentOf(degree) {
  return `${Math.round(100 * degree)} %`;
}

function badges(record, id) {
  const found = [];
  if (id === record.best) found.push(h("span", { class: "badge good" }, "answer"));
  for (const step of record.steps) {
    if (step.chosen === id) found.push(h("span", { class: "badge" }, `chosen ${step.step}`));
    if (step.rejected === id) found.push(h("span", { class: "badge" }, `rejected ${step.step}`));
  }
  return found;
}
