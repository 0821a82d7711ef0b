// Trajectory of one query, from its first samples to its answer.

function trajectory(record) {
  const best = record.candidates.find((candidate) => candidate.id === record.best);
  return [
    record.error === null ? null : h("p", { class: "note bad" }, "Failed: ", inline(record.error)),
    record.error === null && record.stop !== "max_iterations" ? h("p", { class: "note warning" }, "Stopped early: ", inline(record.stop), record.fallback ? [", then ", inline(record.fallback)] : null) : null,
    h("section", null, h("h3", null, "Question"), turns(record, record.messages)),
    extras(record),
    best ? h("section", null, h("h3", null, "Answer ", h("span", { class: "faint" }, `${best.id}, reward ${reward(best.reward)}`, record.selection === "reward" ? null : [", chosen by ", inline(record.selection)])), shown(record.texts[best.text], { class: "framed answer" })) : null,
    record.candidates.length ? h("section", null, h("h3", null, "Pool"), pool(record)) : h("p", { class: "note" }, "No response was scored."),
    record.steps.map((step) => iteration(record, step)),
    spent(record),
  ];
}

function turns(record, messages) {
  return messages.map(([role, content]) => h("div", { class: "turn" }, h("div", { class: "role" }, inline(record.texts[role])), shown(record.texts[content])));
}

function extras(record) {
  if (record.reference === null && record.metadata.length === 0) return null;
  return onDemand("Reference and metadata", () => [
    ...(record.reference === null ? [] : [h("h4", null, "Reference"), shown(record.texts[record.reference])]),
    ...record.metadata.flatMap(([name, value]) => [h("h4", null, inline(name)), shown(value)]),
  ]);
}

function iteration(record, step) {
  const byId = new Map(record.candidates.map((candidate) => [candidate.id, candidate]));
  const chosen = byId.get(step.chosen);
  const rejected = byId.get(step.rejected);
  const improved = record.candidates.filter((candidate) => candidate.step === step.step).sort((a, b) => b.reward - a.reward);
  const unreadable = step.calls.filter((call) => call.reads).flatMap((call) => call.replies);
  return h(
    "section",
    { class: "iteration" },
    h("h3", null, `Step ${step.step}`),
    chosen ? h("div", { class: "pair" }, side(record, "Chosen", chosen, "good"), rejected ? side(record, "Rejected", rejected, "bad") : h("p", { class: "faint" }, "No rejected response: the pool contained only one text.")) : null,
    step.calls.filter((call) => !call.reads).map((call) => said(record, call)),
    h("h4", null, "Responses"),
    improved.length ? improvement(record, (candidate) => byId.get(candidate.parents[0]) ?? chosen, improved) : h("p", { class: "note warning" }, "No response could be parsed."),
    unreadable.length ? onDemand(plural(unreadable.length, "malformed update"), () => unreadable.flatMap(([index, text, finish]) => [h("h4", null, `${step.step}.${index}`, finish === "length" ? " (cut off)" : ""), shown(record.texts[text])])) : null,
    prompts(record, step),
  );
}

function side(record, title, { id, text, reward: value }, kind) {
  return h("div", null, h("h4", null, h("span", { class: `badge ${kind}` }, title), ` ${id} `, h("span", { class: "number" }, reward(value))), shown(record.texts[text], { class: "framed" }));
}

// Replies of a call without responses (a critique), labeled with the place of the call.
function said(record, call) {
  return call.replies.flatMap(([, text, finish]) => [h("h4", null, inline(call.place), finish === "length" ? h("span", { class: "badge" }, "cut off") : null), shown(record.texts[text], { class: "framed" })]);
}

// Responses of a step, one at a time, best first, each with its difference from its parent.
function improvement(record, origin, improved) {
  const place = h("div", { class: "framed" });
  const gain = (candidate) => (origin(candidate) ? signed(candidate.reward - origin(candidate).reward) : reward(candidate.reward));
  const buttons = improved.map((candidate) => h("button", { type: "button", onclick: () => choose(candidate) }, candidate.id, " ", h("span", { class: "number" }, gain(candidate))));
  const choose = (candidate) => {
    improved.forEach((other, i) => buttons[i].setAttribute("aria-pressed", String(other === candidate)));
    const text = record.texts[candidate.text];
    fill(place, origin(candidate) ? difference(record.texts[origin(candidate).text], text) : shown(text));
  };
  choose(improved[0]);
  return [h("div", { class: "choices", role: "group", "aria-label": "Responses, by how much the reward changed" }, buttons), place];
}

function prompts(record, step) {
  const calls = step.calls.filter((call) => call.messages.length);
  return h("div", { class: "prompts" }, calls.map((call) => onDemand(`Prompt of ${call.place}`, () => turns(record, call.messages))));
}

function spent(record) {
  const rows = Object.entries(record.usage).map(([phase, usage]) => [phase, whole(usage.calls), whole(usage.prompt_tokens), whole(usage.cached_tokens), whole(usage.completion_tokens)]);
  rows.push(["reward model", whole(record.reward_usage.calls), whole(record.reward_usage.tokens), null, null]);
  return onDemand(`Calls and tokens; ${duration(record.timing.ended - record.timing.started)}`, () => grid(["phase", "calls", "prompt tokens", "cached", "completion tokens"], rows, { label: "Calls and tokens" }));
}
