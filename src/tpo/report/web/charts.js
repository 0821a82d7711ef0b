// Figure on the page: chart, caption, values at the pointer, and a table for screen readers.

const HEIGHT = 280;

function makeChart(first) {
  const canvas = h("div", { class: "canvas", "aria-hidden": "true" });
  const top = h("figcaption");
  const caption = h("p", { class: "caption" });
  const table = h("div");
  const details = h("details", { ontoggle: () => details.open && fill(table, numbers(figure)) }, h("summary", null, "Numbers"), table);
  const element = h("figure", { class: "chart", id: `figure-${first.name}` }, top, canvas, caption, details);
  const drawn = keepDrawn(canvas);
  let figure = first;
  let last = null;
  function update(next, hues) {
    const now = JSON.stringify([next, hues]);
    if (now === last) return;
    [figure, last] = [next, now];
    fill(top, h("h3", null, figure.title), legend(figure));
    fill(caption, figure.caption);
    if (details.open) fill(table, numbers(figure));
    drawn(figure);
  }
  return { element, update };
}

function legend(figure) {
  const names = figure.series.map((series) => h("li", null, swatch(series.run, series.dashed), inline(series.name)));
  const lines = figure.baselines.map(([name, value]) => h("li", null, h("span", { class: "swatch baseline" }), inline(`${name} ${reward(value)}`)));
  return h("ul", { class: "legend" }, names, lines);
}

function numbers(figure) {
  const format = figure.kind === "line" ? reward : percent;
  const place = figure.whole ? (x) => String(Number(x.toFixed(2))) : compact;
  const rows = figure.series.flatMap((series) =>
    series.x.map((x, i) => [inline(series.name), place(x), format(series.y[i]), interval(series.low[i], series.high[i]), whole(series.queries[i])]),
  );
  return grid(["series", figure.x, figure.y, "95 % interval", "queries"], rows, { label: `${figure.title}, numbers` });
}

// Returns a function that draws a figure; the chart is redrawn when width, colors or figure change.
function keepDrawn(place) {
  let plot = null;
  let figure = null;
  let stale = false;
  const draw = () => {
    const width = Math.floor(place.clientWidth);
    stale = width === 0;
    if (stale || figure === null || !figure.series.some((series) => series.x.length)) return;
    const { left, top } = plot?.cursor ?? { left: -10 };
    plot?.destroy();
    const options = chartOptions(figure, width, HEIGHT);
    plot = new uPlot({ ...options, plugins: [teller(figure)] }, aligned(figure), place);
    if (left >= 0) plot.setCursor({ left, top }); // what somebody reads under the pointer stays
  };
  new ResizeObserver(() => {
    if (stale || plot === null || plot.width !== Math.floor(place.clientWidth)) draw();
  }).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  return (next) => {
    figure = next;
    draw();
  };
}

// Values at the pointer.
function teller(figure) {
  const box = h("div", { class: "teller", hidden: true });
  return {
    hooks: {
      init: (plot) => plot.over.append(box),
      setCursor: (plot) => {
        const told = plot.cursor.idx === null || plot.cursor.idx === undefined ? null : nearest(figure, plot.data[0][plot.cursor.idx]);
        box.hidden = told === null || plot.cursor.left < 0;
        if (box.hidden) return;
        fill(box, told);
        const left = Math.min(plot.cursor.left + 14, plot.over.clientWidth - box.offsetWidth - 4);
        box.style.transform = `translate(${Math.max(0, left)}px, 6px)`;
      },
    },
  };
}

function nearest(figure, x) {
  const reach = figure.kind === "bars" ? 0.5 : 1e-9 * Math.max(1, Math.abs(x));
  const rows = figure.series.flatMap((series) =>
    series.x.flatMap((place, i) => {
      if (Math.abs(place - x) > reach) return [];
      const y = figure.kind === "line" ? reward(series.y[i]) : percent(series.y[i]);
      return [h("div", null, swatch(series.run, series.dashed), inline(series.name), " ", h("b", null, y), " ", h("span", { class: "faint" }, interval(series.low[i], series.high[i])))];
    }),
  );
  if (rows.length === 0) return null;
  const at = figure.kind === "bars" ? Math.round(x) : figure.kind === "histogram" ? reward(x) : compact(x);
  return [h("div", { class: "faint" }, `${figure.x} ${at}`), rows];
}
