// @ts-check
// Another run's curves behind those of the live view, in grey. They are requested as a whole, and again while that run
// trains too.

import { Curves, isNamed } from "./curves.js";
import { LOOK, POLL_MS } from "./look.js";

export class Baseline extends Curves {
  /** @param {any} data of the page @param {HTMLElement} root of the live view @param {() => void} changed called when
   * there are new curves */
  constructor(data, root, changed) {
    super();
    this.run = data.baseline;
    this.data = { ...data, forked: 0 };
    this.root = root; // has the theme's colours
    this.changed = changed;
    this.closed = false;
  }

  async load() {
    clearTimeout(this.timer);
    try {
      const answer = await fetch(`/api/runs/${encodeURIComponent(this.run)}/points`, { cache: "no-store" });
      if (answer.ok && !this.closed) this.take(await answer.json());
    } catch { /* the live view itself says that the lab does not respond */ }
    if (this.closed) return;
    if (!this.news || this.news.live) this.timer = setTimeout(() => this.load(), POLL_MS.longest);
  }

  take(news) {
    if (this.closed) return;
    this.store = {};
    for (const [name, part] of Object.entries(news.series)) this.append(name, part);
    this.news = news;
    this.changed();
  }

  /** The lines of one chart: the smoothed training curve and those of held-out images. @param {any} chart
   * @param {any} settings of the live view */
  behind(chart, settings) {
    this.settings = settings;
    if (!this.news) return [];
    const { dense, points, hover } = chart;
    const lines = [];
    const each = dense && this.store[dense.id];
    if (each) lines.push([dense.label, this.smoothColumns(chart, each), "solid"]);
    for (const { id, label, split } of points) {
      if (this.store[id]) lines.push([label, this.columns(chart, this.store[id]), LOOK[split][2]]);
    }
    return lines.map(([label, [x, y], dash], index) => ({
      type: "scatter", kind: "baseline", name: "baseline", legendgroup: "baseline",
      showlegend: index === 0 && isNamed(chart),
      mode: x.length === 1 ? "markers" : "lines", x, y, connectgaps: false,
      hovertemplate: `%{y:${hover}}<extra>baseline, ${label}</extra>`,
      ...this.coloured({ line: { width: 1.4, dash }, marker: { size: 5 }, color: "grey" }),
    }));
  }

  /** Its newest values in the words of the chart's description. @param {any} chart */
  words({ dense, points }) {
    if (!this.news) return "";
    const known = [...(dense ? [dense] : []), ...points].filter(({ id }) => id in this.news.newest);
    const newest = known.map(({ id, title }) => `${title} ${this.news.newest[id][1]}`);
    return newest.length ? `. Baseline: ${newest.join(", ")}` : "";
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
  }
}
