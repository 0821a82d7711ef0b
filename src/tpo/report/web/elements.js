// Creates an element. Text children become text nodes: no markup is ever parsed.

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

// Returns a function that fills *place* only when its value has changed, so that focus and scroll position stay.
function part(place, make) {
  let last = null;
  return (data) => {
    const now = JSON.stringify(data);
    if (now === last) return;
    last = now;
    fill(place, make(data));
  };
}

// Arranges *elements* in *place* in this order and moves only those that are out of order.
function arrange(place, elements) {
  if (elements.length === place.childElementCount && elements.every((element, i) => place.children[i] === element)) return;
  place.replaceChildren(...elements);
}

// Disclosure whose content is created when it is first opened.
function onDemand(summary, make, attributes) {
  const details = h("details", attributes, h("summary", null, summary));
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(...[make()].flat());
  });
  return details;
}

// Table with a header; columns of numbers are right-aligned, except the first, which names the row.
function grid(head, rows, attributes) {
  const numeric = (cell) => cell === null || cell === "–" || (typeof cell === "string" && /^[−+]?[\d.,]/.test(cell));
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

// Color swatch of a run, one of eight; a live page assigns colors to the runs it shows.
let hueOf = (run) => run % 8;

function swatch(run, dashed) {
  return h("span", { class: `swatch run-${hueOf(run)}${dashed ? " dashed" : ""}`, "aria-hidden": "true" });
}
