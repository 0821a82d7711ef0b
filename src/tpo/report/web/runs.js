// Runs of a directory, if there are several: state of each, and whether it is shown in the figures.

function makeRuns(source) {
  const rows = new Map();
  const list = h("ul", { class: "runs" });
  const more = h("p", { class: "faint", hidden: true });
  const element = h("section", { class: "card wide", hidden: true, "aria-label": "Runs" }, h("h2", null, "Runs"), list, more);

  function row(number) {
    const box = h("input", { type: "checkbox", id: `run-${number}`, onchange: () => source.choose(number, box.checked) });
    const label = h("label", { for: `run-${number}` });
    const told = h("span", { class: "doing" });
    const names = part(label, ({ name, hue }) => [hue === null ? null : swatch(number), inline(name)]);
    const doings = part(told, ({ run, link }) => [badge(run.live.state), doing(run), run.failed ? h("span", { class: "falling" }, `${whole(run.failed)} failed`) : null, run.notes.length && run.live.state !== "unknown" ? h("span", { class: "aside" }, "incomplete") : null, h("a", { href: link }, "Queries")]);
    return {
      element: h("li", null, box, label, told),
      update(run, summary) {
        const hue = summary.hues.get(number) ?? null;
        box.checked = hue !== null;
        box.disabled = hue === null && !summary.room;
        names({ name: run.name, hue });
        const { name, failed, live, notes } = run;
        doings({ run: { name, failed, live, notes }, link: `#queries/${number}` });
      },
    };
  }

  function update(summary) {
    element.hidden = summary.runs.length < 2;
    if (element.hidden) return;
    more.hidden = !summary.left_out;
    more.textContent = `${plural(summary.left_out, "further run")} in this directory: open tpo view with its path to see it.`;
    summary.runs.forEach((run, number) => {
      if (!rows.has(number)) rows.set(number, row(number));
      rows.get(number).update(run, summary);
    });
    // The run that started last comes first.
    arrange(list, summary.runs.map((_, number) => rows.get(number).element).reverse());
  }

  return { element, update };
}
