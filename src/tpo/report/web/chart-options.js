// uPlot options for each kind of figure. Colors come from the style sheet, for light and dark mode.

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function faded(hex, alpha) {
  return hex + Math.round(alpha * 255).toString(16).padStart(2, "0");
}

// Series of a figure on one x axis: [x, y, low, high] of each, then the baselines, and their descriptions.
function aligned(figure) {
  const tables = figure.series.map((series, place) => {
    const shift = figure.kind === "bars" ? (place - (figure.series.length - 1) / 2) * (0.8 / figure.series.length) : 0;
    const blank = (values) => values.map((value, i) => value ?? series.y[i]);
    return [series.x.map((x) => x + shift), series.y, blank(series.low), blank(series.high)];
  });
  const xs = tables.flatMap((table) => table[0]);
  const ends = [...new Set([Math.min(...xs), Math.max(...xs)])];
  for (const [, value] of figure.baselines) tables.push([ends, ends.map(() => value)]);
  return uPlot.join(tables.filter((table) => table[0].length > 0));
}

function chartOptions(figure, width, height) {
  const ink = color("--ink-soft");
  const line = { stroke: color("--line"), width: 1 };
  const axis = { stroke: ink, grid: line, ticks: { ...line, size: 4 }, font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif", labelSize: 20, labelGap: 2 };
  const whole = figure.whole ? { incrs: [1, 2, 5, 10, 20, 50, 100] } : {};
  const counting = figure.kind !== "line";
  return {
    width,
    height,
    padding: [8, 12, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    scales: { x: { time: false, range: xRange(figure) }, y: counting ? { range: (_, low, high) => [0, (high || 1) * 1.08] } : { range: { min: { pad: 0.12 }, max: { pad: 0.12 } } } },
    axes: [
      { ...axis, ...whole, label: figure.x, size: 32, values: (_, ticks) => ticks.map((tick) => (figure.whole ? whole_(tick) : compact(tick))) },
      { ...axis, label: figure.y, size: 54, values: (_, ticks) => ticks.map((tick) => (counting ? percent(tick) : compact(tick))) },
    ],
    ...seriesOptions(figure),
  };
}

function whole_(tick) {
  return Number.isInteger(tick) ? String(tick) : "";
}

function xRange(figure) {
  return (_, low, high) => {
    if (figure.kind === "bars") return [low - 0.6, high + 0.6];
    if (figure.kind === "histogram") return [low - figure.width, high + figure.width];
    const pad = figure.whole ? 0.15 : (high - low || Math.abs(high) || 1) * 0.05;
    return [low - pad, high + pad];
  };
}

function seriesOptions(figure) {
  const series = [{}];
  const bands = [];
  for (const { run, dashed, x } of figure.series) {
    if (x.length === 0) continue;
    const stroke = color(`--run-${hueOf(run)}`);
    if (figure.kind !== "line") {
      const size = figure.kind === "bars" ? [figure.series.length > 1 ? 0.74 / figure.series.length : 0.6, 72] : [1, Infinity];
      const paths = uPlot.paths.bars({ size, gap: figure.kind === "histogram" ? 1 : 0 });
      series.push({ stroke, fill: faded(stroke, figure.series.length > 1 && figure.kind === "histogram" ? 0.45 : 0.8), width: 0, paths, points: { show: false } });
    } else {
      series.push({ stroke, width: 2, dash: dashed ? [6, 4] : undefined, spanGaps: true, points: { show: !dashed, size: 7, fill: stroke } });
      bands.push({ series: [series.length + 1, series.length], fill: faded(stroke, 0.14) });
    }
    for (let side = 0; side < 2; side += 1) series.push({ show: figure.kind === "line", stroke: "transparent", width: 0, spanGaps: true, points: { show: false } });
  }
  const dashes = [[8, 4], [8, 3, 2, 3], [2, 3]];
  figure.baselines.forEach((_, i) => series.push({ stroke: color("--ink-soft"), width: 1.3, dash: dashes[i % 3], spanGaps: true, points: { show: false } }));
  return { series, bands };
}
