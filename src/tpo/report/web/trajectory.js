// One query from its first samples to its answer.

function trajectory(record) {
  const best = record.candidates.find((candidate) => candidate.id === record.best);
  return [
    record.error === null ? null : h("p", { class: "note bad" }, "Failed: ", inline(record.error)),
    record.stop === "no_parsable_update" ? h("p", { class: "note warning" }, "Stopped early: no update of its last step held a readable response.") : null,
    h("section", null, h("h3", null, "Question"), turns(record, record.messages)),
    extras(record),
    best ? h("section", null, h("h3", null, "Answer ", h("span", { class: "faint" }, `${best.id}, reward ${reward(best.reward)}`)), shown(record.texts[best.text], { class: "framed answer" })) : null,
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
  return h(
    "section",
    { class: "iteration" },
    h("h3", null, `Step ${step.step}`),
    h("div", { class: "pair" }, side(record, "Chosen", chosen, "good"), rejected ? side(record, "Rejected", rejected, "bad") : h("p", { class: "faint" }, "Nothing to reject: the pool held one text only.")),
    said("Textual loss", record, step.loss),
    said("Textual gradient", record, step.gradient),
    h("h4", null, "Improved"),
    improved.length ? improvement(record, chosen, improved) : h("p", { class: "note warning" }, "No update held a readable response."),
    step.malformed.length ? onDemand(plural(step.malformed.length, "malformed update"), () => step.malformed.flatMap(([index, text, finish]) => [h("h4", null, `${step.step}.${index}`, finish === "length" ? " (cut off)" : ""), shown(record.texts[text])])) : null,
    prompts(record, step),
  );
}

function side(record, title, { id, text, reward: value }, kind) {
  return h("div", null, h("h4", null, h("span", { class: `badge ${kind}` }, title), ` ${id} `, h("span", { class: "number" }, reward(value))), shown(record.texts[text], { class: "framed" }));
}

function said(title, record, feedback) {
  const text = record.texts[feedback.text];
  if (text === "" && feedback.messages.length === 0) return [h("h4", null, title), h("p", { class: "faint" }, "This method makes no such call.")];
  return [h("h4", null, title, feedback.finish === "length" ? h("span", { class: "badge" }, "cut off") : null), shown(text, { class: "framed" })];
}

// The improved responses one at a time, the best first, with what each changed of the chosen one.
function improvement(record, chosen, improved) {
  const place = h("div", { class: "framed" });
  const buttons = improved.map((candidate) =>
    h("button", { type: "button", onclick: () => choose(candidate) }, candidate.id, " ", h("span", { class: "number" }, signed(candidate.reward - chosen.reward))),
  );
  const choose = (candidate) => {
    improved.forEach((other, i) => buttons[i].setAttribute("aria-pressed", String(other === candidate)));
    fill(place, difference(record.texts[chosen.text], record.texts[candidate.text]));
  };
  choose(improved[0]);
  return [h("div", { class: "choices", role: "group", "aria-label": "Improved responses, by how much the reward changed" }, buttons), place];
}

function prompts(record, step) {
  const calls = [["loss", step.loss.messages], ["gradient", step.gradient.messages], ["update", step.update]].filter(([, messages]) => messages.length);
  return h("div", { class: "prompts" }, calls.map(([name, messages]) => onDemand(`Prompt of the ${name}`, () => turns(record, messages))));
}

function spent(record) {
  const rows = Object.entries(record.usage).map(([phase, usage]) => [phase, whole(usage.calls), whole(usage.prompt_tokens), whole(usage.cached_tokens), whole(usage.completion_tokens)]);
  rows.push(["reward model", whole(record.reward_usage.calls), whole(record.reward_usage.tokens), null, null]);
  return onDemand(`Calls and tokens; ${duration(record.timing.ended - record.timing.started)}`, () => grid(["phase", "calls", "tokens read", "of them cached", "written"], rows, { label: "Calls and tokens" }));
}
