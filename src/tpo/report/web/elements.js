// Elements by one function. Children that are texts become text nodes and nothing else: no markup is ever parsed.

function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

function fill(place, ...children) {
  place.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return place;
}

// A disclosure whose content is made when it is first opened.
function onDemand(summary, make, attributes) {
  const details = h("details", attributes, h("summary", null, summary));
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(...[make()].flat());
  });
  return details;
}

// A table with a head; a column of numbers stands to the right, unless it is the first, which names the row.
function grid(head, rows, attributes) {
  const numeric = (cell) => cell === null || (typeof cell === "string" && /^[−+]?[\d.,]/.test(cell));
  const right = head.map((_, column) => column > 0 && rows.every((row) => numeric(row[column])));
  const cell = (value, column) => h("td", right[column] ? { class: "number" } : null, value ?? "–");
  return h(
    "div",
    { class: "scrolling", tabindex: "0", role: "region", "aria-label": attributes?.label },
    h(
      "table",
      null,
      h("thead", null, h("tr", null, head.map((name, i) => h("th", { scope: "col", class: right[i] ? "number" : null }, name)))),
      h("tbody", null, rows.map((row) => h("tr", null, row.map(cell)))),
    ),
  );
}

function swatch(run, dashed) {
  return h("span", { class: `swatch run-${run % 8}${dashed ? " dashed" : ""}`, "aria-hidden": "true" });
}
