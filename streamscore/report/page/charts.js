// The page's charts, by the name in data-chart. Each draws the report's own numbers at the width it is given; colours
// are the page's CSS variables, so light, dark and paper need no redrawing.
"use strict";
const DATA = JSON.parse(document.getElementById("data").textContent);
const CHARTS = (({ traffic, drift, months, why, cost, evaluation }) => {
  const { score, features } = drift?.champion.whole.comparison ?? {};
  const variables = drift ? [score, ...features] : [];
  const NAMES = ["one", "two", "three", "four", "five", "six"];
  const colour = (name) => `var(--${name})`;
  const count = d3.format(",");
  const shortMs = (ms) => (ms >= 1000 ? `${ms / 1000} s` : `${ms} ms`);
  const time = d3.utcFormat("%H:%M:%S");
  // Times are UTC on a 24-hour clock, as fine as what is shown is long.
  const times = (width, ms) => ({
    type: "utc", label: null, ticks: Math.max(2, Math.round(width / 100)),
    tickFormat: d3.utcFormat(ms < 300e3 ? "%H:%M:%S" : ms < 48 * 3600e3 ? "%H:%M" : "%d %b"),
  });
  const GRID = { stroke: "currentColor", strokeOpacity: 0.12 };
  const bins = traffic.bins.map((b) => ({
    ...b, start: new Date(b.start_ms), end: new Date(b.start_ms + traffic.step_s * 1000),
  }));
  const tall = (rows, names) => rows.flatMap((row) => names.map((name) => ({ ...row, name, value: row[name] })));
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  const wide = (text) => pen.measureText(text).width;
  const short = (text, room) => {
    let end = text.length;
    while (end > 1 && wide(`${text.slice(0, end)}…`) > room) end--;
    return wide(text) > room ? `${text.slice(0, end)}…` : text;
  };

  // Horizontal bars, stacked if a name has several rows; `keys` are from the bottom of the stack.
  function bars(width, rows, fill, value, more = []) {
    const names = [...new Set(rows.map((row) => row.label))];
    const marginLeft = Math.ceil(Math.min(Math.max(...names.map(wide)) + 12, width * 0.46));
    return Plot.plot({
      width, height: 22 * names.length + 34, marginLeft, marginTop: 4, marginRight: 16, style: STYLE,
      x: { label: null, ticks: Math.max(2, Math.round((width - marginLeft) / 90)), tickFormat: value },
      y: { domain: names, label: null, tickFormat: (name) => short(name, marginLeft - 10), tickSize: 0 },
      marks: [
        Plot.gridX(GRID),
        Plot.barX(rows, { x: "value", y: "label", fill, insetTop: 3, insetBottom: 3 }),
        ...more,
        Plot.ruleX([0]),
        Plot.tip(rows, Plot.pointerY({
          x: "value", y: "label", title: (row) => `${row.label}\n${row.tip}`,
        })),
      ],
    });
  }
  const STYLE = { fontSize: "12px", fontFamily: "inherit", background: "none", overflow: "visible" };
  const overTime = (width, marks, y) => Plot.plot({
    width, height: 190, marginLeft: 56, marginBottom: 28, marginTop: 12, style: STYLE,
    x: times(width, bins.length ? +bins[bins.length - 1].end - +bins[0].start : 0),
    y: { label: null, ticks: 4, zero: true, tickFormat: (n) => (Number.isInteger(n) ? count(n) : ""), ...y },
    marks: [Plot.gridY({ ...GRID, ticks: 4 }), ...marks],
  });
  const column = (names) => ({
    x1: "start", x2: "end", y: "value", order: names, insetLeft: bins.length > 60 ? 0 : 0.5, insetRight: 0,
    fill: (row) => colour(row.name === "decided" ? "one" : row.name),
  });
  const binTip = (rows) => Plot.tip(bins, Plot.pointerX({
    x: (b) => new Date((+b.start + +b.end) / 2), y: rows, title: (b) =>
      `${time(b.start)} UTC\n${count(b.approve)} approved, ${count(b.review)} reviewed, ${count(b.block)} blocked`
      + (b.p50_ms === null ? "" : `\nmedian ${count(b.p50_ms)} ms, p99 ${count(b.p99_ms)} ms`),
  }));

  // Rows of a curve or of groups, each with what it is `of` and its `stroke`.
  const precisionRecall = (width, rows, more = []) => Plot.plot({
    width, height: 260, marginLeft: 44, marginBottom: 34, style: STYLE,
    x: { domain: [0, 1], label: "recall", tickFormat: ".0%", ticks: 5, labelAnchor: "center" },
    y: { domain: [0, 1], label: "precision", tickFormat: ".0%", ticks: 5 },
    marks: [
      Plot.gridY(GRID),
      Plot.line(rows, { x: "recall", y: "precision", z: "of", stroke: "stroke", strokeWidth: 1.75, curve: "step-after" }),
      ...more,
      Plot.ruleY([0]),
      Plot.tip(rows, Plot.pointer({ x: "recall", y: "precision",
        title: (r) => `${r.of}\nrecall ${d3.format(".1%")(r.recall)}, precision ${d3.format(".1%")(r.precision)}` })),
    ],
  });
  const calibrated = (width, rows) => {
    const axis = { type: "sqrt", domain: [0, 1], ticks: [0, 0.01, 0.05, 0.1, 0.25, 0.5, 1], tickFormat: (x) => `${x * 100}%` };
    return Plot.plot({
      width, height: 260, marginLeft: 44, marginBottom: 34, style: STYLE, r: { range: [2, 8] },
      x: { ...axis, label: "mean score", labelAnchor: "center" }, y: { ...axis, label: "positive" },
      marks: [
        Plot.gridY(GRID),
        Plot.line([[0, 0], [1, 1]], { strokeDasharray: "4,3", strokeOpacity: 0.6 }),
        Plot.ruleX(rows, { x: "score", y1: "low", y2: "high", stroke: "stroke", strokeOpacity: 0.6 }),
        Plot.dot(rows, { x: "score", y: "positive", r: "labelled", fill: "stroke" }),
        Plot.ruleY([0]),
        Plot.tip(rows, Plot.pointer({ x: "score", y: "positive", title: (r) =>
          `${r.of}, ${count(r.labelled)} labels\nscore ${r.score.toFixed(3)}, positive ${d3.format(".1%")(r.positive)}` })),
      ],
    });
  };

  return {
    decisions(width) {
      const rows = bins.map((b) => ({ ...b, name: "decided", value: b.approve + b.review + b.block }));
      return overTime(width, [
        Plot.rectY(rows, column(["decided"])), Plot.ruleY([0]), binTip((b) => b.approve + b.review + b.block),
      ]);
    },
    flagged(width) {
      const names = ["block", "review"];
      return overTime(width, [
        Plot.rectY(tall(bins, names), column(names)), Plot.ruleY([0]), binTip((b) => b.review + b.block),
      ]);
    },
    latency_over_time(width) {
      const known = bins.filter((b) => b.p50_ms !== null);
      const marker = known.length < 40 ? "dot" : null;
      const middle = (b) => new Date((+b.start + +b.end) / 2);
      const line = (y, name) => Plot.line(known, { x: middle, y, stroke: colour(name), strokeWidth: 1.75, marker });
      return overTime(width, [line("p99_ms", "two"), line("p50_ms", "one"), Plot.ruleY([0]), binTip((b) => b.p99_ms)],
        { tickFormat: shortMs });
    },
    latency(width) {
      const rows = traffic.latency.map(([low, high, n]) => ({ low: Math.max(low, 8), high: high ?? low * 1.2, n }));
      return Plot.plot({
        width, height: 190, marginLeft: 56, marginBottom: 28, marginTop: 24, style: STYLE,
        x: { type: "log", label: null, ticks: d3.range(1, 8).flatMap((power) => [1, 2, 5].map((n) => n * 10 ** power))
          .filter((ms) => ms >= rows[0].low && ms <= rows[rows.length - 1].high), tickFormat: shortMs },
        y: { label: null, ticks: 4 },
        marks: [
          Plot.gridY({ ...GRID, ticks: 4 }),
          Plot.rectY(rows, { x1: "low", x2: "high", y: "n", fill: colour("one"), insetLeft: 0.5 }),
          Plot.ruleX([traffic.p50_ms, traffic.p99_ms], { strokeDasharray: "3,3", strokeOpacity: 0.6 }),
          Plot.text([["median", traffic.p50_ms], ["p99", traffic.p99_ms]], {
            x: "1", text: "0", frameAnchor: "top", textAnchor: "end", dx: 2, dy: -14, fill: "currentColor" }),
          Plot.ruleY([0]),
          Plot.tip(rows, Plot.pointerX({ x: (r) => Math.sqrt(r.low * r.high), y: "n",
            title: (r) => `${count(r.low)} to ${count(r.high)} ms\n${count(r.n)} decisions` })),
        ],
      });
    },
    psi(width) {
      const rows = variables.map((row) => ({
        label: row.name, value: row.psi, noise: row.psi_noise,
        tip: `PSI ${d3.format(".3f")(row.psi)}, noise ${d3.format(".3f")(row.psi_noise)}`,
      }));
      const over = (row) => drift.drifted.includes(row.label);
      return bars(width, rows, (row) => colour(over(row) ? "block" : "one"), d3.format(".3~f"), [
        Plot.tickX(rows, { x: "noise", y: "label", stroke: colour("baseline"), strokeWidth: 2, insetTop: 2, insetBottom: 2 }),
        Plot.ruleX([drift.psi_alert], { stroke: colour("alert"), strokeDasharray: "4,3" }),
      ]);
    },
    psi_over_time(width) {
      const worst = variables.map((row) => row.name).slice(0, 6);
      const rows = drift.over_time.flatMap((s) =>
        worst.map((name, at) => ({ at: new Date(s.start), name, psi: s.psi[name], stroke: colour(NAMES[at]) })));
      return Plot.plot({
        width, height: Math.max(190, 22 * variables.length + 34), marginLeft: 44, marginBottom: 28, marginTop: 12, style: STYLE,
        x: times(width, new Date(drift.over_time[drift.over_time.length - 1].start) - new Date(drift.over_time[0].start)), y: { label: null, ticks: 5, zero: true },
        marks: [
          Plot.gridY({ ...GRID, ticks: 5 }),
          Plot.ruleY([drift.psi_alert], { stroke: colour("alert"), strokeDasharray: "4,3" }),
          Plot.line(drift.over_time, { x: (s) => new Date(s.start), y: "noise", stroke: colour("baseline"), strokeDasharray: "2,3" }),
          Plot.line(rows, { x: "at", y: "psi", z: "name", stroke: "stroke", strokeWidth: 1.75, marker: drift.over_time.length < 25 ? "dot" : null }),
          Plot.ruleY([0]),
          Plot.tip(rows, Plot.pointer({ x: "at", y: "psi", title: (r) => `${r.name}\n${r.at.toISOString().slice(0, 16)}\nPSI ${r.psi.toFixed(3)}` })),
        ],
      });
    },
    distribution(width, of) {
      const one = drift.distributions.find((d) => d.name === of);
      const rows = one.cells.map((cell, at) => ({ cell, at, now: one.now[at], reference: one.reference[at] }))
        .filter((row) => row.now || row.reference);
      return Plot.plot({
        width, height: 110, marginLeft: 38, marginRight: 0, marginBottom: 18, marginTop: 6, style: { ...STYLE, fontSize: "11px" },
        x: { type: "band", domain: rows.map((row) => row.at), label: null, padding: 0.12, tickSize: 0,
          ticks: [rows[0].at, rows[rows.length - 1].at], tickFormat: null, axis: null },
        y: { label: null, ticks: 3, tickFormat: ".0%", tickSize: 0 },
        marks: [
          Plot.gridY({ ...GRID, ticks: 3 }),
          Plot.barY(rows, { x: "at", y: "now", fill: colour("one"), fillOpacity: 0.75 }),
          Plot.tickY(rows, { x: "at", y: "reference", stroke: colour("ink"), strokeWidth: 2 }),
          Plot.ruleY([0]),
          Plot.text([rows[0]], { text: "cell", frameAnchor: "bottom-left", dy: 14, fill: "currentColor" }),
          Plot.text([rows[rows.length - 1]], { text: "cell", frameAnchor: "bottom-right", dy: 14, fill: "currentColor" }),
          Plot.tip(rows, Plot.pointerX({ x: "at", y: "now",
            title: (r) => `${r.cell}\nnow ${d3.format(".1%")(r.now)}, before ${d3.format(".1%")(r.reference)}` })),
        ],
      });
    },
    precision_recall(width) {
      return precisionRecall(width, months.slice(-6).flatMap((month, at) =>
        month.curve.map(([recall, precision]) => ({ recall, precision, of: month.month, stroke: colour(NAMES[at]) }))));
    },
    calibration(width) {
      return calibrated(width, months.slice(-6).flatMap((month, at) =>
        month.calibration.map((c) => ({ ...c, of: month.month, stroke: colour(NAMES[at]) }))));
    },
    evaluated_precision_recall(width) {
      const { series, levels } = evaluation.measures;
      const rows = series.recall.map((recall, at) =>
        ({ recall, precision: series.precision[at], of: "labelled rows", stroke: colour("one") }));
      const reached = Object.entries(levels).filter(([, level]) => level.precision.value !== null)
        .map(([name, { precision, recall }]) => ({ name, precision: precision.value, recall: recall.value }));
      return precisionRecall(width, rows, [
        Plot.dot(reached, { x: "recall", y: "precision", r: 5, stroke: colour("alert"), strokeWidth: 2, fill: "var(--card)" }),
        Plot.text(reached, { x: "recall", y: "precision", text: "name", dy: -14, fill: "currentColor", stroke: "var(--card)", strokeWidth: 4 }),
      ]);
    },
    evaluated_calibration(width) {
      return calibrated(width, evaluation.measures.series.calibration.map((c) => (
        { score: c.predicted, positive: c.observed, labelled: c.rows, of: "labelled rows", stroke: colour("one") })));
    },
    evaluated_scores(width) {
      const { series, levels } = evaluation.measures;
      const rows = series.negatives.map((negatives, at) => (
        { negatives, positives: series.positives[at], low: series.histogram_edges[at], high: series.histogram_edges[at + 1] }));
      const over = { x1: "low", x2: "high", insetLeft: 0.5 };
      return Plot.plot({
        width, height: 260, marginLeft: 56, marginBottom: 34, style: STYLE,
        x: { domain: [0, 1], label: "score", labelAnchor: "center" },
        y: { type: "sqrt", label: "rows", ticks: 5, tickFormat: "~s" },
        marks: [
          Plot.gridY({ ...GRID, ticks: 5 }),
          Plot.rectY(rows, { ...over, y: "negatives", fill: colour("one"), fillOpacity: 0.55 }),
          Plot.rectY(rows, { ...over, y: "positives", fill: colour("two"), fillOpacity: 0.75 }),
          Plot.ruleX(Object.values(levels), { x: "threshold", stroke: colour("alert"), strokeDasharray: "4,3" }),
          Plot.ruleY([0]),
          Plot.tip(rows, Plot.pointerX({ x: (r) => (r.low + r.high) / 2, y: (r) => Math.max(r.negatives, r.positives),
            title: (r) => `${r.low} to ${r.high}\n${count(r.negatives)} negative, ${count(r.positives)} positive` })),
        ],
      });
    },
    reasons(width) {
      const label = (one) => (one.kind === "feature" ? one.name : `${one.kind}: ${one.name}`);
      const top = why.slice(0, 15).map((one) => ({ ...one, label: label(one) }));
      const names = ["block", "review", "approve"];
      const tip = (one) => `${one.kind}: ${count(one.block)} blocked, ${count(one.review)} reviewed, ${count(one.approve)} approved`;
      return bars(width, tall(top.map((one) => ({ ...one, tip: tip(one) })), names), (row) => colour(row.name), count);
    },
    cost(width) {
      const rows = d3.sort(Object.entries(cost.per_million_by_component_usd), ([, usd]) => -usd)
        .map(([label, value]) => ({ label, value, tip: `$${d3.format(",.4f")(value)}` }));
      return bars(width, rows, colour("one"), (usd) => `$${d3.format(",.2~f")(usd)}`);
    },
    bars, colour,
  };
})(DATA.report);

function keptDrawn(box, draw) {
  let drawn = 0;
  const redraw = () => {
    const width = Math.floor(box.clientWidth);
    if (!width) return;
    drawn = width;
    const svg = draw(width);
    svg.setAttribute("aria-hidden", "true"); // the box around it says what it shows
    box.replaceChildren(svg);
  };
  new ResizeObserver(() => { if (Math.floor(box.clientWidth) !== drawn) redraw(); }).observe(box);
  redraw();
  return redraw;
}
for (const box of document.querySelectorAll("[data-chart]"))
  keptDrawn(box, (width) => CHARTS[box.dataset.chart](width, box.dataset.of));
