// @ts-check
// What the live view draws: a run's points as columns and traces of its charts. Live (live.js) has the points
// (`store`), the lab's last response (`news`), and the settings.

import { EDGE, LOOK, SKIPPED, readTheme } from "./look.js";
import { smoothedMeans } from "./smoothing.js";

export class Curves {
  /** @type {any} */ data; // from the page
  /** @type {any} */ news; // the lab's last response
  /** @type {any} */ settings;
  /** @type {HTMLElement} */ root;
  /** @type {Record<string, any>} */ store = {}; // by series: columns as received, by step
  /** @type {Record<string, string>} */ titles = {}; // by series

  // Adds received points to a series.
  append(name, part) {
    const mean = part.mean ?? part;
    const empty = { step: [], value: [], time: [], nonFinite: [], mstep: [], mvalue: [], mtime: [] };
    const have = (this.store[name] ??= empty);
    have.width = part.width;
    have.step.push(...part.step);
    have.value.push(...part.value);
    have.time.push(...part.time);
    have.nonFinite.push(...(part.non_finite ?? []));
    have.mstep.push(...mean.step);
    have.mvalue.push(...mean.value);
    have.mtime.push(...mean.time);
  }

  stepsPerEpoch() {
    return this.news?.progress.steps_per_epoch || 0;
  }

  // Where the run will end, by x axis; the time is not known.
  get reach() {
    const { total_steps: step = 0, epochs: epoch = this.data.epochs } = this.news?.progress ?? {};
    return { step, epoch, time: 0 };
  }

  across(steps, times) {
    const perEpoch = this.stepsPerEpoch();
    if (this.settings.x === "time") return times.slice();
    return this.settings.x === "epoch" && perEpoch ? steps.map((step) => step / perEpoch) : steps.slice();
  }

  // The step up to which a fork's curves are those of its parent, -1 for a run that is not a fork.
  get forkedAt() {
    const perEpoch = this.stepsPerEpoch();
    return this.data.forked && perEpoch ? this.data.forked * perEpoch : -1;
  }

  // The columns of a trace: all, or for a fork either its own part or the part before it (grey). Both contain the step
  // of the fork.
  part(steps, columns, which) {
    const at = this.forkedAt;
    if (at < 0) return which === "before" ? columns.map(() => []) : columns;
    const shown = (_, index) => (which === "before" ? steps[index] <= at : steps[index] >= at);
    return columns.map((column) => column.filter(shown));
  }

  // The columns without their first steps, if these are skipped, and without points that a logarithmic x axis cannot
  // show: Plotly would draw them at the edge, as if they had been measured there.
  tail(steps, x, ...columns) {
    const first = this.settings.skip ? SKIPPED * (this.news?.progress.total_steps || steps.at(-1) || 0) : -1;
    const shown = (_, index) => steps[index] > first && (!this.settings.logx || x[index] > 0);
    return [x, ...columns].map((column) => column.filter(shown));
  }

  // Values as drawn: on a logarithmic axis, 0 and less is a gap, not a line to the edge.
  drawable(chart, values) {
    return chart.log && this.settings.logy ? values.map((value) => (value > 0 ? value : null)) : values;
  }

  // Remarks on what the charts leave out with the current settings. Step 0 has a time, which can be above 0.
  leftOut() {
    const { range, log_x, log_time, log_y, [this.data.rate.chart]: rate } = this.news.remarks;
    const { full, logx, logy, x } = this.settings;
    const start = x === "time" ? log_time : log_x;
    return [!full && range, logx && start, logy && log_y, !this.data.constant && rate].filter(Boolean);
  }

  smoothed({ mvalue, width }) {
    return smoothedMeans(mvalue, width, this.data.spans[this.settings.smoothing]);
  }

  traces(chart) {
    const { dense, points, hover } = chart;
    const tip = `%{y:${hover}}<extra>%{fullData.name}</extra>`;
    const empty = { step: [], value: [], time: [], nonFinite: [], mstep: [], mvalue: [], mtime: [], width: 1 };
    const isRate = chart.id === this.data.rate.chart;
    const lines = this.news.remarks[this.data.rate.chart] ? "markers" : "lines"; // one point per epoch is not a curve
    const traces = [];
    if (dense) {
      const series = this.store[dense.id] ?? empty;
      const [rawX, rawY] = this.columns(chart, series);
      const [meanX, meanY] = this.smoothColumns(chart, series);
      if (this.forkedAt >= 0) traces.push(...this.before(chart, dense, series, true));
      traces.push({ series: dense.id, kind: "raw", name: `${dense.label}, each step`, mode: "lines", opacity: 0.3,
        showlegend: false, x: rawX, y: rawY, line: { width: 1 }, hoverinfo: "skip", color: 0 });
      traces.push({ series: dense.id, kind: "smooth", name: dense.label, mode: "lines", x: meanX, y: meanY,
        line: { width: 2.2 }, hovertemplate: tip, color: 0 });
    }
    for (const { id, label, split } of points) {
      const [color, symbol, dash] = LOOK[split];
      const series = this.store[id] ?? empty;
      const [x, y] = this.columns(chart, series);
      if (this.forkedAt >= 0) traces.push(...this.before(chart, { id, label }, series, false, { dash }));
      traces.push({ series: id, kind: "points", name: label, mode: isRate ? lines : "lines+markers", x, y,
        marker: { symbol, size: 7 }, line: { width: isRate ? 2 : 1.3, dash },
        hovertemplate: tip, showlegend: isNamed(chart) && series.step.length > 0, color });
    }
    if (dense) traces.push(this.nonFiniteTrace(this.store[dense.id] ?? empty, dense.id));
    if (dense || chart.log) traces.push(this.beyondTrace(chart));
    return traces.map((trace) => ({ type: "scatter", connectgaps: false, ...trace, ...this.coloured(trace) }));
  }

  /** A trace's line and marker in the colours of the theme. @param {any} trace */
  coloured({ line, marker, color }) {
    const colour = color === "grey" ? this.data.grey : this.theme().series[color];
    return { line: { ...line, color: colour }, marker: { ...marker, color: colour } };
  }

  theme() {
    return readTheme(this.root);
  }

  // A fork's curve before the fork, in grey.
  before(chart, { id, label }, series, dense, line = {}) {
    const [x, y] = dense ? this.smoothColumns(chart, series, "before") : this.columns(chart, series, "before");
    return [{ series: id, kind: "before", name: `${label}, before the fork`, mode: "lines", x, y, color: "grey",
      line: { width: dense ? 2.2 : 1.3, ...line }, hoverinfo: "skip", showlegend: false }];
  }

  columns(chart, { step, time, value }, which = "own") {
    const [steps, times, values] = this.part(step, [step, time, value], which);
    return this.tail(steps, this.across(steps, times), this.drawable(chart, values));
  }

  smoothColumns(chart, series, which = "own") {
    const [steps, times, values] = this.part(series.mstep, [series.mstep, series.mtime, this.smoothed(series)], which);
    return this.tail(steps, this.across(steps, times), this.drawable(chart, values));
  }

  // Crosses near the upper edge, for values that are not finite.
  nonFiniteTrace({ nonFinite }, series) {
    const all = nonFinite.map(([step]) => step);
    const [words, times] = [nonFinite.map(([, text]) => text), nonFinite.map(([, , time]) => time)];
    const [x, steps, text] = this.tail(all, this.across(all, times), all, words);
    return { series, kind: "nonFinite", name: "not finite", mode: "markers", yaxis: "y2", showlegend: x.length > 0,
      x, y: x.map(() => EDGE.nonFinite), customdata: steps, text, color: 1, marker: { symbol: "x", size: 7 },
      hovertemplate: "%{text}<extra>step %{customdata}</extra>" };
  }

  // Triangles at the edges for values outside the axis, each with its true value.
  beyondTrace({ id, log }) {
    const { beyond, below } = this.news.charts[id];
    const marks = [...(this.settings.full ? [] : beyond), ...(log && this.settings.logy ? below : [])];
    const all = marks.map(([, step]) => step);
    const [x, shown] = this.tail(all, this.across(all, marks.map(([, , time]) => time)), marks);
    return { kind: "beyond", name: "beyond the axis", mode: "markers", yaxis: "y2", showlegend: x.length > 0, x,
      y: shown.map(([, , , , above]) => (above ? EDGE.top : EDGE.bottom)), color: 4,
      text: shown.map(([series, , , value]) => `${this.titles[series]} ${value}`),
      customdata: shown.map(([, step]) => step),
      marker: { symbol: shown.map(([, , , , above]) => (above ? "triangle-up" : "triangle-down")), size: 10 },
      hovertemplate: "%{text}<extra>step %{customdata}, beyond the axis</extra>" };
  }
}

// Whether a chart needs a legend, which one with a single line does not.
export function isNamed({ dense, points }) {
  return Boolean(dense) || points.length > 1;
}
