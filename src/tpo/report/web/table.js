// Table of queries; only visible rows have elements.

const AHEAD = 8;
const COLUMNS = [
  ["id", "query", "wide"],
  ["answer", "reward", "number"],
  ["gain", "gain", "number"],
  ["step", "step", "number narrow"],
  ["malformed", "malf.", "number narrow optional"],
  ["tokens", "tokens", "number optional"],
];
const SAID = ["id", "text", "failed", "answer", "gain", "step", "malformed", "tokens"];

function makeTable({ onOpen }) {
  let index = null;
  let rows = [];
  let current = -1;
  let order = { column: null, descending: false };
  let onSort = () => {};
  const live = new Map();

  const head = h("div", { class: "head", role: "row", "aria-rowindex": "1" }, COLUMNS.map(([column, label, kind]) =>
    h("div", { role: "columnheader", class: kind, "data-column": column }, h("button", { type: "button", onclick: () => onSort(column) }, label)),
  ));
  const space = h("div", { class: "space", role: "rowgroup" });
  const scroller = h("div", { class: "scroller", tabindex: "0", role: "grid", "aria-label": "Queries", onkeydown: keys, onclick: clicked }, head, space);
  const nothing = h("p", { class: "faint nothing", hidden: true }, "No query matches.");
  const element = h("div", { class: "table" }, scroller, nothing);

  let waiting = false;
  const later = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      draw();
    });
  };
  scroller.addEventListener("scroll", later, { passive: true });
  new ResizeObserver(() => {
    forget();
    later();
  }).observe(scroller);

  const rowHeight = () => parseFloat(getComputedStyle(scroller).getPropertyValue("--row")) || 46;

  function forget() {
    for (const element of live.values()) element.remove();
    live.clear();
  }

  // Keep the elements of unchanged rows.
  function revise() {
    for (const [place, element] of live) {
      if (place < rows.length && element.dataset.says === says(rows[place])) continue;
      element.remove();
      live.delete(place);
    }
  }

  const says = (row) => JSON.stringify([row, ...SAID.map((name) => index[name][row])]);

  function draw() {
    if (index === null) return;
    const height = rowHeight();
    const total = rows.length * height;
    if (space.style.height !== `${total}px`) space.style.height = `${total}px`;
    const first = Math.max(0, Math.floor(scroller.scrollTop / height) - AHEAD);
    const last = Math.min(rows.length, Math.ceil((scroller.scrollTop + scroller.clientHeight) / height) + AHEAD);
    for (const [place, element] of live) {
      if (place >= first && place < last) continue;
      element.remove();
      live.delete(place);
    }
    for (let place = first; place < last; place += 1) if (!live.has(place)) live.set(place, put(place, height));
    nothing.hidden = rows.length > 0;
    nameMarked();
  }

  // Name the marked row to screen readers, while it has an element.
  function nameMarked() {
    const place = rows.indexOf(current);
    if (live.has(place)) scroller.setAttribute("aria-activedescendant", `row-${place}`);
    else scroller.removeAttribute("aria-activedescendant");
  }

  function put(place, height) {
    const row = rows[place];
    const element = h("div", { class: "row", role: "row", id: `row-${place}`, "data-place": place, "data-says": says(row), "aria-rowindex": String(place + 2), "aria-selected": String(row === current) }, cells(row));
    element.style.transform = `translateY(${place * height}px)`;
    space.append(element);
    return element;
  }

  function cells(row) {
    const gain = index.gain[row];
    const failed = index.failed[row] === 1;
    return [
      h("div", { role: "gridcell", class: "wide" }, h("span", { class: "id" }, inline(cut(index.id[row], 60))), failed ? h("span", { class: "badge bad" }, "failed") : null, h("span", { class: "preview" }, inline(index.text[row]))),
      h("div", { role: "gridcell", class: "number" }, reward(index.answer[row]) ?? "–"),
      h("div", { role: "gridcell", class: `number ${gain !== null && gain > 0 ? "rising" : "faint"}` }, signed(gain) ?? "–"),
      h("div", { role: "gridcell", class: "number narrow" }, index.step[row] === null ? "–" : String(index.step[row])),
      h("div", { role: "gridcell", class: "number narrow optional" }, index.malformed[row] ? whole(index.malformed[row]) : "–"),
      h("div", { role: "gridcell", class: "number optional" }, whole(index.tokens[row])),
    ];
  }

  function clicked(event) {
    const row = event.target.closest?.(".row");
    if (row) onOpen(rows[Number(row.dataset.place)]);
  }

  function keys(event) {
    const page = Math.max(1, Math.floor(scroller.clientHeight / rowHeight()) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -rows.length, End: rows.length };
    if (event.key === "Enter" && event.target === scroller && rows.includes(current)) onOpen(current);
    else if (event.key in steps && event.target === scroller) move(steps[event.key], false);
    else return;
    event.preventDefault();
  }

  // Move by some rows; open the new row, or only mark it.
  function move(steps, open = true) {
    if (rows.length === 0) return;
    const from = rows.indexOf(current);
    const place = from < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, from + steps));
    mark(rows[place]);
    if (open) onOpen(rows[place]);
  }

  // Mark the row and scroll to it; updates of live runs do not scroll.
  function mark(row, reveal = true) {
    current = row;
    const place = rows.indexOf(row);
    for (const [at, element] of live) element.setAttribute("aria-selected", String(at === place));
    nameMarked();
    if (place < 0 || !reveal) return;
    const height = rowHeight();
    const top = place * height;
    const room = scroller.clientHeight - head.offsetHeight;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (top + height > scroller.scrollTop + room) scroller.scrollTop = top + height - room;
    draw();
  }

  // With *stay* the top row keeps its position when rows are added before it, except at the very top.
  function show(nextIndex, nextRows, nextOrder, stay) {
    const height = rowHeight();
    const above = Math.floor(scroller.scrollTop / height);
    const anchor = stay && scroller.scrollTop > 0 ? rows[above] : undefined;
    const past = scroller.scrollTop - above * height;
    index = nextIndex;
    rows = nextRows;
    order = nextOrder;
    scroller.setAttribute("aria-rowcount", String(rows.length + 1));
    for (const cell of head.children) {
      const mine = cell.dataset.column === order.column;
      cell.setAttribute("aria-sort", mine ? (order.descending ? "descending" : "ascending") : "none");
    }
    if (stay) revise();
    else forget();
    space.style.height = `${rows.length * height}px`;
    const place = anchor === undefined ? -1 : rows.indexOf(anchor);
    if (place >= 0) scroller.scrollTop = place * height + past;
    else if (!stay) scroller.scrollTop = 0;
    draw();
  }

  return { element, show, mark, move, focus: () => scroller.focus(), set onSort(listener) { onSort = listener; } };
}
