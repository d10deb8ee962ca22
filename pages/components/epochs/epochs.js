// @ts-check
// One slider for everything on the page: it chooses a saved epoch, with the accuracy curve right above it. It reports
// to the server while it is dragged, one report at a time.

import { LOOK, readTheme } from "../live/look.js";
import { escaped } from "../shared/format.js";
import { mount } from "../shared/mount.js";
import { Reports } from "../shared/reports.js";

const PLAY_MS = 350; // at least this long on each epoch
const INSET = 8; // px: half the thumb, so that points are aligned with it

export default mount((place) => new Bar(place));

class Bar {
  constructor(root) {
    this.root = root.querySelector(".bar");
    this.chart = root.querySelector(".chart");
    this.input = root.querySelector("input");
    this.now = root.querySelector(".now");
    this.play = root.querySelector(".play");
    this.input.addEventListener("input", () => { this.stop(); this.move(Number(this.input.value)); });
    this.play.addEventListener("click", () => (this.timer ? this.stop() : this.start()));
    this.watcher = new ResizeObserver(() => this.draw());
    this.watcher.observe(this.chart);
    this.reports = new Reports((index) => this.report(index));
  }

  connect({ setStateValue }) {
    this.report = (index) => setStateValue("index", index);
  }

  refresh(data) {
    const fresh = !this.data || this.data.run !== data.run || this.data.epochs.length !== data.epochs.length;
    this.data = data;
    this.useColours();
    this.input.max = data.epochs.length - 1;
    this.now.querySelector("b").dataset.longest = data.names.reduce((a, b) => (b.length > a.length ? b : a), "");
    this.play.disabled = data.epochs.length < 2;
    if (fresh) { this.stop(); this.reports.forget(); this.input.value = data.index; }
    if (data.index === this.reports.sent || !this.reports.busy) this.reports.answered();
    this.draw();
  }

  useColours() {
    const series = readTheme(this.root).series;
    for (const split of ["val", "test"]) this.root.style.setProperty(`--${split}`, series[LOOK[split][0]]);
  }

  move(index) {
    this.input.value = index;
    this.draw();
    this.reports.offer(index);
  }

  start() {
    this.play.textContent = "❚❚";
    this.play.setAttribute("aria-label", "Stop playing");
    if (Number(this.input.value) >= this.data.epochs.length - 1) this.move(0);
    this.timer = setInterval(() => {
      if (this.reports.busy) return;
      const next = Number(this.input.value) + 1;
      if (next >= this.data.epochs.length) return this.stop();
      this.move(next);
    }, PLAY_MS);
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.play.textContent = "▶";
    this.play.setAttribute("aria-label", "Play through the epochs");
  }

  draw() {
    const { epochs, val, test } = this.data;
    const at = Number(this.input.value);
    const [width, height] = [this.chart.clientWidth, this.chart.clientHeight];
    const percent = this.data.test_texts[at];
    const name = this.data.names[at];
    this.now.querySelector("b").textContent = name;
    this.now.querySelector("span").textContent = test[at] == null ? "" : `test ${percent}`;
    this.input.style.setProperty("--at", `${epochs.length < 2 ? 0 : (100 * at) / (epochs.length - 1)}%`);
    this.input.setAttribute("aria-valuetext", `${name}, test accuracy ${percent}`);
    if (!width) return;
    const known = [...val, ...test].filter((v) => v != null);
    const [low, high] = known.length ? [Math.min(...known), Math.max(...known)] : [0, 1];
    const x = (i) => INSET + (epochs.length < 2 ? 0 : (i / (epochs.length - 1)) * (width - 2 * INSET));
    const y = (v) => 8 + (1 - (high > low ? (v - low) / (high - low) : 1)) * (height - 16);
    this.chart.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.chart.setAttribute("aria-label", `Accuracy after each epoch; ${name}: test ${percent}`);
    const line = (values, kind) => {
      const points = values.map((v, i) => (v == null ? null : [x(i), y(v)])).filter(Boolean);
      if (!points.length) return "";
      const dot = ([a, b]) => `<circle class="${kind}" cx="${a}" cy="${b}" r="2.4"/>`;
      const dots = points.length < 40 ? points.map(dot) : [];
      return `<path class="${kind}" d="M${points.map((p) => p.join(" ")).join("L")}"/>${dots.join("")}`;
    };
    const here = test[at] ?? val[at];
    const split = test[at] == null ? "val" : "test";
    const mark = here == null ? "" : `<circle class="${split}" cx="${x(at)}" cy="${y(here)}" r="5"/>`;
    const range = known.length ? `<text x="0" y="10">${escaped(this.data.range_texts[1])}</text>`
      + `<text x="0" y="${height - 2}">${escaped(this.data.range_texts[0])}</text>` : "";
    const cursor = `<line x1="${x(at)}" x2="${x(at)}" y1="0" y2="${height}"/>`;
    this.chart.innerHTML = `${range}${cursor}${line(val, "val")}${line(test, "test")}${mark}`;
  }

  dispose() {
    this.stop();
    this.watcher.disconnect();
  }
}
