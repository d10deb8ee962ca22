// @ts-check
// The live view of one run: progress, and charts that are extended in place with Plotly's extendTraces.
// It polls /api/runs/{id}/points, less often while nothing changes. Streamlit calls the default export again at every
// rerun and theme change; the instance, and with it the zoom, is kept until the element is removed.
// curves.js defines what is drawn, look.js how it looks. The lab's list of charts and metrics is `data.charts`.

import { isDark, number, unbroken } from "../shared/format.js";
import { linkHover } from "../shared/hover.js";
import { mount } from "../shared/mount.js";
import { filling, loadPlotly, tools } from "../shared/plotly.js";
import { isLow } from "./axes.js";
import { Baseline } from "./baseline.js";
import { Curves, isNamed } from "./curves.js";
import { POLL_MS, layoutOf, nextPoll, readSettings } from "./look.js";
import { makeSamples, showAnswers } from "./samples.js";

export default mount((place, data) => new Live(place, data));

class Live extends Curves {
  constructor(root, data) {
    super();
    this.root = root.querySelector(".cl-live") ?? root;
    this.run = data.run;
    this.data = data;
    this.since = "";
    this.wait = POLL_MS.first;
    this.closed = false;
    this.settings = readSettings(data);
    const metrics = data.charts.flatMap(({ dense, points }) => [...(dense ? [dense] : []), ...points]);
    this.titles = Object.fromEntries(metrics.map(({ id, title }) => [id, title]));
    this.find = (selector) => this.root.querySelector(selector);
    this.drawn = false;
    this.unlink = [];
    this.find(".cl-charts").replaceChildren(...data.charts.map(figureOf));
    makeSamples(this.find(".cl-samples"), data.samples);
    this.showFacts(data.facts);
    this.watchers = this.plots().map(([, element]) => filling(element));
    this.listen();
    this.compare(data);
    this.onVisible = () => !document.hidden && this.poll();
    document.addEventListener("visibilitychange", this.onVisible);
    this.poll();
  }

  serves(data) {
    return data.run === this.run;
  }

  connect({ setTriggerValue }) {
    this.setTrigger = setTriggerValue;
  }

  dispose() {
    this.closed = true;
    this.baseline?.close();
    clearTimeout(this.timer);
    document.removeEventListener("visibilitychange", this.onVisible);
    this.watchers.forEach((watcher) => watcher.disconnect());
    this.unlink.forEach((take) => take());
    if (window.Plotly) this.plots().forEach(([, element]) => window.Plotly.purge(element));
  }

  plots() {
    return this.data.charts.map((chart) => [chart, this.find(`[data-chart="${chart.id}"] .cl-plot`)]);
  }

  // Called at every rerun and theme change: the colours may have changed, or the run's status, which the page shows at
  // once, as after a press of Pause or Resume.
  refresh(data) {
    this.data = data;
    this.styled(this.drawn);
    if (this.news && data.status !== this.news.status) this.poll();
    if (data.baseline !== (this.baseline?.run ?? "")) this.compare(data);
  }

  // Shows the curves of another run behind the charts, or none any more.
  compare(data) {
    const redraw = () => this.drawn && this.draw({ keepZoom: true });
    this.baseline?.close();
    this.baseline = data.baseline ? new Baseline(data, this.root, redraw) : null;
    if (this.baseline) this.baseline.load();
    else redraw();
  }

  allTraces(chart) {
    return [...(this.baseline?.behind(chart, this.settings) ?? []), ...this.traces(chart)];
  }

  listen() {
    const form = this.find(".cl-controls");
    const { spans, steps } = this.data;
    form.smoothing.max = spans.length - 1;
    const show = () => {
      form.smoothing.value = this.settings.smoothing;
      form.x.value = this.settings.x;
      form.logx.checked = this.settings.logx;
      form.logy.checked = this.settings.logy;
      form.skip.checked = this.settings.skip;
      form.full.checked = this.settings.full;
      const least = this.store[steps]?.width ?? 1; // above 1 if the chart is thinned
      const span = Math.max(spans[this.settings.smoothing], least);
      form.querySelector("output").textContent = span === 1 ? "off" : `${span} steps`;
      form.smoothing.setAttribute("aria-valuetext", span === 1 ? "off" : `${span} steps`);
    };
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", (event) => {
      this.settings = {
        smoothing: Number(form.smoothing.value), x: form.x.value, logx: form.logx.checked, logy: form.logy.checked,
        skip: form.skip.checked, full: form.full.checked,
      };
      try { localStorage.setItem("convlab.live", JSON.stringify(this.settings)); } catch { /* private window */ }
      show();
      this.draw({ keepZoom: event.target.name === "smoothing" });
    });
    form.reset.addEventListener("click", () => this.draw({ keepZoom: false }));
    this.showSettings = show;
    show();
  }

  // -- data -----------------------------------------------------------------------------------------------------------

  async poll() {
    clearTimeout(this.timer);
    if (this.closed || document.hidden || this.asking) return;
    this.asking = true;
    const silent = `The lab has not responded for ${POLL_MS.late / 1000} s; still waiting.`;
    const late = setTimeout(() => this.showTrouble(silent), POLL_MS.late);
    try {
      const since = this.since ? `?since=${encodeURIComponent(this.since)}` : "";
      const answer = await fetch(`/api/runs/${encodeURIComponent(this.run)}/points${since}`, { cache: "no-store" });
      const news = await answer.json();
      if (this.closed) return;
      if (!answer.ok) throw new Error(news.error ?? `the lab answered ${answer.status}`);
      await this.take(news);
      this.trouble = "";
    } catch (error) {
      this.trouble = error instanceof TypeError ? "No connection to the lab; trying again." : `${error.message}`;
      this.wait = POLL_MS.failed;
    } finally {
      this.asking = false;
      clearTimeout(late);
    }
    this.showNote();
    if (!this.closed) this.timer = setTimeout(() => this.poll(), this.wait);
  }

  async take(news) {
    const changed = news.replace ? news.since !== this.since : Object.keys(news.series).length > 0;
    if (news.replace) this.store = {};
    for (const [name, part] of Object.entries(news.series)) this.append(name, part);
    this.since = news.since;
    const before = this.news;
    news = { charts: before?.charts, remarks: before?.remarks, ...news }; // only sent together with new points
    this.news = news;
    const moved = JSON.stringify(news.charts) !== JSON.stringify(before?.charts); // a range, or the points outside it
    this.wait = nextPoll(news, changed, this.wait);
    this.progress();
    const watched = ["state", "status", "notices", "findings", "device"]; // shown by the page around the charts
    if (watched.some((name) => news[name] !== (before ?? this.data)[name])) {
      this.setTrigger("changed", `${news.state} ${Date.now()}`);
    }
    if (!changed && this.drawn) return;
    await loadPlotly(this.data.plotly);
    if (this.closed) return;
    if (news.replace || moved || !this.drawn) this.draw({ keepZoom: true });
    else this.extend(news.series);
  }

  // -- drawing --------------------------------------------------------------------------------------------------------

  async draw({ keepZoom }) {
    if (!window.Plotly || !this.news) return;
    if (!keepZoom || !this.zoom) {
      this.zoom = `${this.run} ${Date.now()}`;
      this.range = null;
    }
    this.drawn = true;
    for (const [chart, element] of this.plots()) {
      element.closest("figure").hidden = this.unused(chart);
      const traces = this.allTraces(chart);
      element.tools ??= tools(`${this.run}-${chart.id}`, { unwanted: ["select2d", "lasso2d"] });
      await window.Plotly.react(element, traces, layoutOf(chart, this, traces), element.tools);
      if (!element.linked) {
        element.on("plotly_relayout", (change) => this.link(element, change));
        this.unlink.push(linkHover(element, `live ${this.run}`));
      }
      element.linked = true;
    }
    this.describe();
  }

  // Whether a chart is hidden: one without a value at every step until it has points, and the learning rate if it is
  // constant, because then it is among the facts.
  unused({ id, dense, points }) {
    if (id === this.data.rate.chart && this.data.constant) return true;
    return !dense && points.every((metric) => !this.store[metric.id]);
  }

  // Zooming along x in one chart zooms the others.
  link(source, change) {
    const names = ["xaxis.range[0]", "xaxis.range[1]", "xaxis.autorange"].filter((name) => name in change);
    if (this.linking || !names.length) return;
    this.linking = true;
    this.range = change["xaxis.autorange"] ? null : [...source.layout.xaxis.range];
    const same = Object.fromEntries(names.map((name) => [name, change[name]]));
    const others = this.plots().filter(([, element]) => element !== source && element.data);
    const zoomed = others.map(([, element]) => window.Plotly.relayout(element, same));
    Promise.all(zoomed).finally(() => (this.linking = false));
  }

  extend(news) {
    for (const [chart, element] of this.plots()) {
      const figure = element.closest("figure");
      const fresh = element.data.filter((trace) => news[trace.series]?.step.length);
      if (!fresh.length) continue;
      if (this.unused(chart)) continue;
      // Crosses are rare, and the first point of a split needs an entry in the legend.
      const redrawn = fresh.some((trace) => trace.kind === "nonFinite"
        ? news[trace.series].non_finite
        : trace.kind === "points" && isNamed(chart) && !trace.showlegend);
      const first = element.data.every((trace) => trace.x.length === 0); // so far, the axes are those of an empty chart
      if (redrawn || first || figure.hidden) {
        figure.hidden = false;
        const traces = this.allTraces(chart);
        window.Plotly.react(element, traces, layoutOf(chart, this, traces));
        continue;
      }
      const grown = fresh.filter((trace) => trace.kind === "raw" || trace.kind === "points");
      const parts = grown.map(({ series }) => {
        const { step, time, value } = news[series];
        return this.columns(chart, { step, time, value });
      });
      const which = grown.map((trace) => element.data.indexOf(trace));
      window.Plotly.extendTraces(element, { x: parts.map(([x]) => x), y: parts.map(([, y]) => y) }, which);
      this.smoothAgain(chart, element);
    }
    this.describe();
  }

  // New points change the last part of a centred mean, so its line is replaced.
  smoothAgain(chart, element) {
    const index = element.data.findIndex((trace) => trace.kind === "smooth");
    if (index < 0) return;
    const series = this.store[element.data[index].series];
    const [x, y] = this.smoothColumns(chart, series);
    window.Plotly.restyle(element, { x: [x], y: [y] }, [index]);
  }

  styled(drawn) {
    const look = JSON.stringify(this.theme());
    if (look === this.look) return;
    this.look = look;
    this.root.style.colorScheme = isDark(this.theme().paper) ? "dark" : "light"; // for the browser's own inputs
    if (drawn) this.draw({ keepZoom: true });
  }

  // -- words ----------------------------------------------------------------------------------------------------------

  progress() {
    const { progress, facts } = this.news;
    const total = progress.total_steps || 0;
    const share = total ? Math.min(1, (progress.step || 0) / total) : 0;
    const bar = this.find(".cl-bar");
    bar.firstElementChild.style.width = `${(100 * share).toFixed(1)}%`;
    bar.setAttribute("aria-valuenow", Math.round(100 * share));
    const { samples } = this.data;
    const samplesList = this.find(".cl-samples");
    samplesList.hidden = !samples || (!this.news.live && !this.news.answers);
    showAnswers(samplesList, samples, this.news.answers);
    this.showFacts(facts);
  }

  showFacts(facts) {
    const list = this.find(".cl-facts");
    facts.forEach(([label, value], index) => {
      const cell = list.children[index] ?? list.appendChild(document.createElement("div"));
      if (!cell.children.length) cell.append(document.createElement("dt"), document.createElement("dd"));
      if (cell.children[0].textContent !== label) cell.children[0].textContent = label;
      if (cell.children[1].textContent !== value) cell.children[1].textContent = value;
    });
  }

  remark() {
    const lines = this.leftOut();
    const place = this.find(".cl-remarks");
    place.hidden = lines.length === 0;
    const text = unbroken(lines.join(" "));
    if (place.textContent !== text) place.textContent = text;
  }

  showTrouble(text) {
    this.trouble = text;
    this.showNote();
  }

  showNote() {
    const lines = [];
    if (this.trouble) lines.push(this.trouble);
    const news = this.news;
    if (news?.silence) lines.push(news.silence);
    if (news && news.total === 0) {
      const queued = "Waiting for a free worker; the Machines page shows which runs train first.";
      const started = news.live ? "Waiting for the first step." : "No steps were recorded.";
      lines.push(news.state === "queued" ? queued : started);
    }
    const nonFinite = this.store[this.data.steps]?.nonFinite ?? [];
    if (nonFinite.length) {
      const [step, value] = nonFinite[0];
      lines.push(`The loss is ${value} at step ${number(step)}; crosses mark steps without a finite value.`);
    }
    const empty = Boolean(news) && !news.live && news.total === 0; // ended before its first step: nothing to draw
    for (const part of [".cl-charts", ".cl-controls"]) this.find(part).hidden = empty;
    const note = this.find(".cl-note");
    note.hidden = lines.length === 0;
    note.classList.toggle("waiting", Boolean(news) && !empty && news.total === 0);
    if (note.textContent !== lines.join(" ")) note.textContent = lines.join(" ");
  }

  // The description of a chart for screen readers: its series, each with its newest value.
  labelOf(chart) {
    const { dense, points } = chart;
    const newest = [...(dense ? [dense] : []), ...points].filter(({ id }) => id in this.news.newest)
      .map(({ id, title }) => `${title} ${this.news.newest[id][1]}`);
    const other = this.baseline?.words(chart) ?? "";
    return `Line chart of the ${chart.quantity} by ${this.settings.x}. ${newest.join(", ")}${other}`;
  }

  describe() {
    const loss = this.store[this.data.steps];
    const known = Object.entries(this.news.newest).filter(([name]) => name !== this.data.rate.series);
    const last = Math.max(0, ...known.map(([, [step]]) => step));
    const newest = known.map(([name, [step, value]]) =>
      `${this.titles[name]} ${value}${step < last ? ` (step ${number(step)})` : ""}`);
    const shown = loss?.step.length ?? 0;
    const total = this.news.total;
    const count = shown < total ? `${number(shown)} of ${number(total)} points shown` : `${number(total)} points`;
    this.find(".cl-newest").textContent = unbroken(
      total ? `Step ${number(last)}: ${newest.join(", ")}. ${count}.` : "");
    this.remark();
    this.showSettings(); // thinning may have increased the minimum of the smoothing
    this.root.dataset.points = shown;
    this.root.dataset.total = total;
    for (const [chart, element] of this.plots()) element.setAttribute("aria-label", this.labelOf(chart));
  }
}

function figureOf(chart) {
  const figure = document.createElement("figure");
  figure.dataset.chart = chart.id;
  figure.classList.toggle("cl-low", isLow(chart));
  figure.hidden = !chart.dense;
  const caption = document.createElement("figcaption");
  caption.textContent = chart.title;
  const plot = document.createElement("div");
  plot.className = "cl-plot";
  plot.setAttribute("role", "figure");
  figure.append(caption, plot);
  return figure;
}
